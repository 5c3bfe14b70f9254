"""Label names in a URL's path, where what is no plain name may be escaped: `U__label_2e_name` is `label.name`."""

from __future__ import annotations

import re

_ESCAPED = "U__"
_PIECE = re.compile(r"__|_([0-9a-fA-F]{1,5})_|[^_]+")


class LabelNameError(ValueError):
    """A name that no label can have."""


def name_of(text: str) -> str:
    """Return the label's name.

    Raises:
        LabelNameError: it is empty, or bytes that are no UTF-8 (which stand as lone surrogates).
    """
    name = _unescaped(text) if text.startswith(_ESCAPED) else text
    if not name or any("\ud800" <= character <= "\udfff" for character in name):
        shown = name.encode("utf-8", "surrogateescape")
        quoted = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in shown)
        raise LabelNameError(f'invalid label name: "{quoted}"')
    return name


def _unescaped(text: str) -> str:
    """Undo the escaping; a text that is not properly escaped is the name itself."""
    found, place = [], len(_ESCAPED)
    while place < len(text):
        piece = _PIECE.match(text, place)
        if piece is None:
            return text
        code = piece.group(1)
        if piece.group() == "__":
            found.append("_")
        elif code is None:
            found.append(piece.group())
        elif 0xD800 <= int(code, 16) <= 0xDFFF or int(code, 16) > 0x10FFFF:
            return text
        else:
            found.append(chr(int(code, 16)))
        place = piece.end()
    return "".join(found)
