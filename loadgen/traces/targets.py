"""The request line of a log: method, path and query, however the log escaped them.

A log holds what clients sent, and clients send anything. What comes out of here can be sent again: an origin-form
path of printable ASCII. What cannot (TLS on a plain port, CONNECT, `OPTIONS *`) is a bad line, with its reason.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from loadgen.traces.requests import BadLine

# Nearly every line of every log: one match, and nothing to encode. A path of two slashes is not among them.
_USUAL = re.compile(
    r"([A-Z]{3,10}) (/(?!/)[!$-.0-;=@-\[\]_a-z~/]*)(?:\?([!$-;=?@-\[\]_a-z~/]*))?(?: HTTP/[0-9.]{1,4})?"
)
_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S+)(?: HTTP/[0-9.]{1,4})?")
_LOOSE = re.compile(r"([A-Z]{1,32}) (.+?)(?: HTTP/[0-9.]{1,4})?")  # a target with raw spaces, which nginx logs as sent
_PLAIN = re.compile(r"/[!#-;=?-\[\]_a-z~]*")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/?#]*")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))")
_ONE_LETTER = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "v": "\v", "f": "\f"}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_URL_SAFE = "!#$%&'()*+,-./:;=?@[]_~"  # with letters and digits, what _PLAIN lets stand; "%" is encoded already


def unescaped(text: str) -> str:
    r"""Return text without the escapes of nginx (`\x22`), Apache (`\"`, `\\`, `\xhh`) and JSON (`\u0022`)."""
    if "\\" not in text:
        return text
    # \xC3\xA9 is two bytes of one letter: bytes first, then UTF-8.
    whole = _ESCAPE.sub(_letter, text)
    return whole.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _letter(found: re.Match[str]) -> str:
    byte, unit, letter = found.groups()
    if byte is not None:
        code = int(byte, 16)
        return chr(code) if code < 0x80 else chr(0xDC00 + code)
    if unit is not None:
        code = int(unit, 16)
        return "�" if 0xD800 <= code < 0xE000 else chr(code)
    return _ONE_LETTER.get(letter, letter)


def split_request_line(line: str) -> tuple[str, str, str]:
    """Return method, path and query of a request line as it stands in a log.

    Raises:
        BadLine: it is no request that could be sent again.
    """
    usual = _USUAL.fullmatch(line)
    if usual is not None:
        return usual[1], usual[2], usual[3] or ""
    if "\\" in line:
        line = unescaped(line)
    found = _LINE.fullmatch(line) or _LOOSE.fullmatch(line)
    if found is None:
        raise BadLine("the request line is empty" if line in ("", "-") else "the request line is no HTTP request")
    path, query = split_target(found[2])
    return found[1], path, query


def split_target(target: str) -> tuple[str, str]:
    """Return path and query of a request's target, encoded so that it can be sent again.

    Raises:
        BadLine: it has no path, as in CONNECT or OPTIONS *.
    """
    if not target.startswith("/"):
        absolute = _ABSOLUTE.match(target)
        if absolute is None:
            raise BadLine("the request's target is neither a path nor a URL")
        target = target[absolute.end() :]
        if not target.startswith("/"):
            target = "/" + target
    if not _PLAIN.fullmatch(target):
        target = quote(target, safe=_URL_SAFE, errors="replace")
    target, _, _ = target.partition("#")
    path, _, query = target.partition("?")
    if path.startswith("//"):  # an address in disguise for whoever joins it to a base URL
        path = "/" + path.lstrip("/")
    return path, query


def method_of(text: str) -> str:
    """Return a method as it is; raise BadLine for what is none."""
    if text not in _METHODS and not _TOKEN.fullmatch(text):
        raise BadLine(f"the method is {text[:40]!r}" if text else "there is no method")
    return text


_STATUSES = {str(status): status for status in range(100, 600)}


def status_of(text: str) -> int | None:
    """Return a status; None for `-`, and for the 0 of an answer that never began."""
    usual = _STATUSES.get(text)
    if usual is not None:
        return usual
    if text in ("-", "", "0", "000"):
        return None
    if len(text) != 3 or not text.isascii() or not text.isdigit() or text[0] == "0":
        raise BadLine(f"the status is {text[:20]!r}")
    return int(text)


def bytes_of(text: str) -> int | None:
    """Return a size in bytes; None for `-`."""
    if text in ("-", ""):
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadLine(f"the size is {text[:20]!r}")
    return int(text)


def seconds_of(text: str, *, unit_s: float = 1.0) -> float | None:
    """Return a duration in seconds; None for `-` and for the -1 of a load balancer that never got an answer."""
    if text in ("-", "", "-1"):
        return None
    try:
        value = float(text)
    except ValueError:
        raise BadLine(f"the duration is {text[:20]!r}") from None
    if not 0 <= value < 1e9:
        raise BadLine(f"the duration is {text[:20]!r}")
    return value if unit_s == 1.0 else value * unit_s
