"""A trace that may leave the house: identifiers, tokens and addresses hashed with a key, everything else left out.

Only what is known to be harmless stays readable. A part of a path stays when it looks like a word, does not follow a
word such as `users`, and its place in the path does not take many values; names of query parameters stay, their
values only for a list of harmless ones (page, sort, …). Headers are an allow-list, bodies go, and their size stays.
The same value becomes the same hash wherever it stands, so that caches and joins behave; without the key, which is
thrown away unless the user gives one, nobody can try values out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgen.traces.hashing import KeyedHash, fresh_key
from loadgen.traces.requests import Headers, Recorded, requests_of, table_of
from loadgen.traces.routes import is_identifier

if TYPE_CHECKING:
    import pyarrow as pa


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HEADERS_ANONYMOUS = frozenset({"accept", "accept-encoding", "accept-language", "content-type"})
QUERY_HARMLESS = _words(
    "page per_page limit offset size count sort order dir direction format lang locale fields view tab"
)
VALUES_MAX = 50
"""A place in a path, or a segment, that takes more values than this holds identifiers, whatever they look like."""

PLACES_MAX = 20_000
SEEN_MIN = 5
SEEN_MATTERS_FROM = 1_000

# What follows one of these names somebody, or opens a door.
_PERSONAL = _words(
    """user users u account accounts acct customer customers client clients people person profile profiles member
    members owner owners author authors employee employees patient patients contact contacts email emails mail phone
    token tokens key keys secret secrets session sessions auth login reset verify verification confirm activate
    activation invite invites invitation unsubscribe password magic share shared download by-name name names org orgs
    organization organizations tenant tenants team teams group groups device devices card cards"""
)
_VERBS = _words(
    """me self new all list search login logout signin signout signup register edit create update delete settings
    password reset verify confirm profile current count export import status health refresh callback token"""
)
_WORD = re.compile(r"(?:[A-Za-z]|v[0-9]{1,2})[A-Za-z_.-]{0,30}(?:[0-9]{1,2})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.\[\]-]{0,39}[0-9]{0,2}")
_HARMLESS_VALUE = re.compile(r"[0-9]{1,6}|[A-Za-z_.,-]{1,20}")
# Of mixed case a word is CamelCase; a token of letters alone has no humps of three.
_CASE = re.compile(
    r"(?:[a-z._-]+|[A-Z._-]+|[A-Z]?[a-z]{2,}[._-]?(?:[A-Z]?[a-z]{2,}[._-]?)*)[0-9]{0,2}|v[0-9]{1,2}[a-z._-]*[0-9]{0,2}"
)
_LETTERS_MAX = re.compile(r"[A-Za-z]{21,}")
_WEIGHT = r"q|[01](?:\.[0-9]{1,3})?|\*"
_MEDIA = (
    r"(?:\*|application|audio|font|image|message|model|multipart|text|video)/(?:\*|[a-z][a-z.+-]{0,60})"
    r"|charset|utf-?8|iso-8859-1|us-ascii|boundary"
)
_HEADER_WORDS = {
    "accept": re.compile(f"{_MEDIA}|{_WEIGHT}", re.IGNORECASE),
    "content-type": re.compile(f"{_MEDIA}|{_WEIGHT}", re.IGNORECASE),
    "accept-language": re.compile(rf"[a-z]{{2,3}}(?:-[a-z0-9]{{2,4}}){{0,2}}|{_WEIGHT}", re.IGNORECASE),
    "accept-encoding": re.compile(rf"gzip|deflate|br|zstd|compress|identity|{_WEIGHT}", re.IGNORECASE),
}
_HEADER_BETWEEN = re.compile(r"([,;= ]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What stays readable.

    Attributes:
        key: of the hash; a fresh one that nobody knows unless the user gives one.
        headers: names in lower case.
        query: names of parameters whose values stay where they look harmless.
    """

    key: bytes
    headers: frozenset[str] = HEADERS_ANONYMOUS
    query: frozenset[str] = QUERY_HARMLESS

    @classmethod
    def fresh(cls) -> Rules:
        """Return the rules with a key that is forgotten at the end."""
        return cls(key=fresh_key())

    def __post_init__(self) -> None:
        KeyedHash(self.key)  # refuses a key that could be guessed


class Vocabulary:
    """The words of a trace's paths and segments: learnt in a first pass, asked in the second."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, ...], Counter[str]] = {}
        self._many: set[tuple[str, ...]] = set()
        self._segments: set[str] = set()
        self._requests = 0

    def learn(self, tables: Iterable[pa.Table]) -> None:
        """Count which words stand where."""
        import pyarrow.compute as pc

        for table in tables:
            self._requests += table.num_rows
            for entry in pc.value_counts(table.column("path")).to_pylist():
                self._learn(entry["values"], entry["counts"])
            if len(self._segments) <= VALUES_MAX:
                found = pc.unique(table.column("segment").drop_null()).to_pylist()
                self._segments.update(found[: VALUES_MAX + 1])

    def _learn(self, path: str, times: int) -> None:
        place: tuple[str, ...] = ()
        for part in path.split("/")[1:]:
            if place in self._many:
                place = (*place, "")
                continue
            if not _is_word(part):
                place = (*place, "")
                continue
            seen = self._places.get(place)
            if seen is None:
                if len(self._places) >= PLACES_MAX:
                    self._many.add(place)
                    return
                seen = self._places[place] = Counter()
            seen[part] += times
            if len(seen) > VALUES_MAX:
                self._many.add(place)
                del self._places[place]
            place = (*place, part)

    def knows(self, place: tuple[str, ...], part: str) -> bool:
        """Return whether a part of a path is a word of the service and not somebody's."""
        if place in self._many or not _is_word(part):
            return False
        if place and place[-1].lower() in _PERSONAL and part.lower() not in _VERBS:
            return False
        seen = self._places.get(place, Counter())[part]
        return seen >= (SEEN_MIN if self._requests >= SEEN_MATTERS_FROM else 1)

    def is_many(self, place: tuple[str, ...]) -> bool:
        """Return whether a place takes so many values that they are identifiers."""
        return place in self._many

    def segment_is_kind(self, segment: str) -> bool:
        """Return whether a segment is one of a few kinds of user, by a word."""
        return len(self._segments) <= VALUES_MAX and _is_word(segment)


def _is_word(part: str) -> bool:
    if part == "":
        return True
    looks_like_one = _WORD.fullmatch(part) is not None and _CASE.fullmatch(part) is not None
    return looks_like_one and not is_identifier(part) and not _LETTERS_MAX.search(part)


class Anonymiser:
    """Rewrites requests so that nothing in them tells who asked.

    Args:
        rules: what stays.
        words: the vocabulary, learnt from the same trace.
    """

    def __init__(self, rules: Rules, words: Vocabulary) -> None:
        self._rules = rules
        self._words = words
        self._paths: dict[str, str] = {}
        self._hash = KeyedHash(rules.key)

    @property
    def hashed(self) -> int:
        """How many values were hashed so far."""
        return self._hash.count

    def tables(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Give the tables anonymised."""
        for table in tables:
            yield table_of([self.request(request) for request in requests_of(table)])

    def request(self, request: Recorded) -> Recorded:
        """Return one request without anything personal in it."""
        segment = request.segment
        if segment is not None and not self._words.segment_is_kind(segment):
            segment = self._hash.of(segment)
        return request._replace(
            path=self._path(request.path),
            query=self._query(request.query) if request.query else "",
            headers=self._headers(request.headers),
            body=None,
            segment=segment,
        )

    def _path(self, path: str) -> str:
        known = self._paths.get(path)
        if known is not None:
            return known
        parts = [""]
        place: tuple[str, ...] = ()
        for part in path.split("/")[1:]:
            stays = self._words.knows(place, part)
            parts.append(part if stays else self._hash.of(part))
            known_place = _is_word(part) and not self._words.is_many(place)
            place = (*place, part if known_place else "")
        found = "/".join(parts)
        if len(self._paths) < 100_000:
            self._paths[path] = found
        return found

    def _query(self, query: str) -> str:
        parts = []
        for pair in query.split("&"):
            name, equals, value = pair.partition("=")
            known = name.lower() in self._rules.query
            # A name without a value is often a value without a name.
            is_name = known or (bool(equals) and _NAME.fullmatch(name) is not None and not is_identifier(name))
            shown = name if is_name or not name else self._hash.of(name)
            harmless = known and _HARMLESS_VALUE.fullmatch(value) is not None
            parts.append(shown + equals + (value if harmless or not value else self._hash.of(value)))
        return "&".join(parts)

    def _headers(self, headers: Headers) -> Headers:
        # A header that the user adds may hold anything, so its value is hashed as a whole.
        return tuple(
            (name, self._header(name, value) if name in _HEADER_WORDS else self._hash.of(value))
            for name, value in headers
            if name in self._rules.headers
        )

    def _header(self, name: str, value: str) -> str:
        """Return a header's value with every word hashed that is no media type, language or encoding."""
        harmless = _HEADER_WORDS[name]
        words = _HEADER_BETWEEN.split(value)
        return "".join(
            word if at % 2 or not word or harmless.fullmatch(word) else self._hash.of(word)
            for at, word in enumerate(words)
        )
