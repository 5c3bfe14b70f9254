"""What opens a door or names a person in a path or a query is hashed before a trace is written, unless it is asked for.

A log holds whatever clients put into their addresses. A trace must be fit to lie about, so what is known to be secret
goes by default: values of parameters that are named like secrets, also in an address within an address, and whatever
looks like a credential, an address of somebody or a card, wherever it stands. Everything else stays as it was recorded,
or it could not be replayed; a trace that leaves the house goes through `anonymising`, which keeps only what is known to
be harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from loadgen.traces.hashing import KeyedHash, fresh_key

if TYPE_CHECKING:
    import pyarrow as pa


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRET_WORDS = _words(
    """token secret password passwd passphrase pwd pass auth authorization credential credentials signature sig session
    jsessionid phpsessid sessid sid jwt otp pin csrf xsrf ticket assertion samlresponse email mail phone ssn iban card
    cardnumber cc cvv cvc"""
)
_SECRET_ENDINGS = ("token", "secret", "password", "sessionid", "apikey", "accesskey", "privatekey", "authkey")
_PLAIN_CODE_MAX_CHARS = 9  # ?code=DE is a country, ?key=name a column; what opens a door is longer
_DOORS = _words(
    """reset verify verification confirm confirmation activate activation invite invites invitation unsubscribe token
    tokens magic password-reset reset-password magic-link share shared download auth session sessions"""
)
_NAME_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ADDRESS = re.compile(r"[^@\s/]+@[^@\s/]+\.[A-Za-z]{2,}")
_CARD = re.compile(r"(?<![0-9])[0-9](?:[ +-]?[0-9]){12,18}(?![0-9])")
_CREDENTIAL = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.?[A-Za-z0-9_-]*"  # a JSON web token
    r"|(?:sk|pk|rk|tok|whsec)_(?:live|test)?_?[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}"
    r"|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[A-Za-z0-9_-]{20,}"
    r"|(?i:bearer|basic)[ +:]+[A-Za-z0-9+/=._~-]{6,}"
)
_TOKEN = re.compile(r"(?=[^0-9]*[0-9])(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[A-Za-z0-9_=-]{20,}")
_ENCODED_MAX = 4
_BETWEEN_PAIRS = re.compile(r"([&;])")
_INNER = re.compile(r'(?:^|[?&;#])([^=?&;#]+)=([^&;#]+)|"([^"]+)"\s*:\s*"([^"]+)"')
"""A pair in an address or a JSON text that is itself a value: where to go after the login, or what to filter for."""
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")

# For Arrow, which looks at whole columns: anything that the rules below could find, and as little else as possible.
_SUSPECT = (
    r"(?i)@|%(?:[4-7]|25|3[ad])|eyJ|[0-9](?:[ +-]|%20|%2b)?(?:[0-9](?:[ +-]|%20|%2b)?){12}|[a-z0-9_=-]{20}|;"
    r"|(?:sk|pk|rk|tok|whsec)_|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|ASIA|AIza|bearer|basic"
)
_SUSPECT_NAME = "|".join(sorted(_SECRET_WORDS | set(_SECRET_ENDINGS)))
_SUSPECT_PATH = rf"{_SUSPECT}|=|(?:{'|'.join(sorted(_DOORS))})/"
_SUSPECT_QUERY = rf"{_SUSPECT}|code=|key=|{_SUSPECT_NAME}"
_SUSPECT_VALUE = rf'{_SUSPECT}|(?:code|key|{_SUSPECT_NAME})[a-z_-]*[="]'


def is_secret_name(name: str) -> bool:
    """Return whether a parameter is named like a secret, as in access_token, apiKey or X-Amz-Signature."""
    plain = _decoded(name)
    words = {word.lower() for word in _NAME_WORDS.findall(plain)}
    return bool(words & _SECRET_WORDS) or re.sub("[^a-z]", "", plain.lower()).endswith(_SECRET_ENDINGS)


def looks_secret(text: str) -> bool:
    """Return whether a value looks like a credential, somebody's address, or the number of a card."""
    plain = _decoded(text)
    if _ADDRESS.search(plain) or _CREDENTIAL.search(plain) or _TOKEN.fullmatch(plain) or _USER_INFO.search(plain):
        return True
    if any(_is_secret_pair(name or key, value or text) for name, value, key, text in _INNER.findall(plain)):
        return True
    return any(_is_card(found[0]) for found in _CARD.finditer(plain))


def _is_secret_pair(name: str, value: str) -> bool:
    """Return whether a parameter's name says that its value is a secret."""
    return is_secret_name(name) or (name.lower() in ("code", "key") and len(value) > _PLAIN_CODE_MAX_CHARS)


def _decoded(text: str) -> str:
    """Return a part of an address as somebody meant it, also when it was encoded more than once on its way."""
    for _ in range(_ENCODED_MAX):
        plain = unquote_plus(text)
        if plain == text:
            break
        text = plain
    return text


def _is_card(text: str) -> bool:
    """Return whether digits pass the check of Luhn, as the numbers of cards do and one of ten others."""
    digits = [int(letter) for letter in reversed(text) if letter.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return digits.count(0) < len(digits) and (sum(digits[::2]) + sum(doubled)) % 10 == 0


class Censor:
    """Hashes the secrets of requests. Same value, same hash within one trace; the key is nobody's."""

    def __init__(self) -> None:
        self._hash = KeyedHash(fresh_key())
        self.requests = 0
        self.path = lru_cache(maxsize=65_536)(self._path)
        self.query = lru_cache(maxsize=65_536)(self._query)

    def tables(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Give the tables without secrets in paths, queries, headers and segments."""
        for table in tables:
            yield self._table(table)

    def _table(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        changed: set[int] = set()
        for name, suspect, censored in (
            ("path", _SUSPECT_PATH, self.path),
            ("query", _SUSPECT_QUERY, self.query),
            ("segment", _SUSPECT_VALUE, self._value),
        ):
            column = table.column(name)
            rows = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(column, suspect), False)).to_pylist()
            if not rows:
                continue
            values = column.to_pylist()
            for row in rows:
                found = censored(values[row])
                if found != values[row]:
                    values[row] = found
                    changed.add(row)
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.schema.field(at), pa.array(values, type=pa.string()))
        table = self._headers(table, changed)
        self.requests += len(changed)
        return table

    def _headers(self, table: pa.Table, changed: set[int]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        column = table.column("headers")
        # Most requests say the same of themselves, so each value is looked at once.
        values = pc.unique(pa.chunked_array([chunk.items for chunk in column.chunks], type=pa.string()))
        if not pc.any(pc.match_substring_regex(values, _SUSPECT_VALUE)).as_py():
            return table
        before = [tuple(pairs) for pairs in column.to_pylist()]
        known = {pairs: tuple((name, self._value(value)) for name, value in pairs) for pairs in dict.fromkeys(before)}
        changed.update(row for row, pairs in enumerate(before) if known[pairs] != pairs)
        at = table.schema.get_field_index("headers")
        field = table.schema.field(at)
        return table.set_column(at, field, pa.array([known[pairs] for pairs in before], type=field.type))

    def _value(self, text: str) -> str:
        return self._hash.of(text) if looks_secret(text) else text

    def _path(self, path: str) -> str:
        parts, before = [], ""
        for part in path.split("/"):
            head, *matrix = part.split(";")
            door = before in _DOORS and (len(head) >= 16 or any(letter.isdigit() for letter in head))
            shown = self._hash.of(head) if head and (door or looks_secret(head)) else head
            parts.append(";".join([shown, *(self._pair(pair) for pair in matrix)]))
            before = head.lower()
        return "/".join(parts)

    def _query(self, query: str) -> str:
        pairs = _BETWEEN_PAIRS.split(query)
        return "".join(pair if at % 2 else self._pair(pair) for at, pair in enumerate(pairs))

    def _pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if looks_secret(name):
            name = self._hash.of(name)
        secret = value and (_is_secret_pair(name, value) or looks_secret(value))
        return name + equals + (self._hash.of(value) if secret else value)
