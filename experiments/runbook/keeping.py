"""Write the page to a file, whole or not at all, and never over what a person has written there.

The last line is a marker with a hash of all above it. A file whose marker fits is the tool's own and is replaced; one
without it, or one that was edited since, is left alone unless its writer says otherwise.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path

_MARKER = re.compile(r"<!-- written by gamebird runbook, sha256:([0-9a-f]{64}) -->\n")


class RunbookFileError(RuntimeError):
    """The file cannot be written, or holds what somebody else wrote."""


def sealed(body: str) -> str:
    """Return the page with its marker."""
    return f"{body}<!-- written by gamebird runbook, sha256:{_hash(body)} -->\n"


def is_own(text: str) -> bool:
    """Return whether a file's text is a page as it was written, not edited since."""
    start = text.rfind("<!-- written by")
    marker = _MARKER.fullmatch(text[start:]) if start >= 0 else None
    return marker is not None and marker[1] == _hash(text[:start])


def keep(text: str, file: Path, *, force: bool = False) -> bool:
    """Write a sealed page and return whether the file has changed.

    Raises:
        RunbookFileError: the file cannot be read or written, or it is not the tool's own and `force` is not given.
    """
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else None
        if before == text:
            return False
        if before is not None and not force and not is_own(before):
            raise RunbookFileError(
                f"{file} is edited by hand or was written by somebody else (its last line does not fit the rest); it "
                "needs another name in --to, or --force to lose what stands there"
            )
        _replace(text, file)
    except UnicodeDecodeError as error:
        raise RunbookFileError(f"{file} is no text in UTF-8; it needs another name in --to") from error
    except OSError as error:
        raise RunbookFileError(f"{file} cannot be written: {error.strerror or error}") from error
    return True


def _replace(text: str, file: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.absolute().parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(text)
        draft.chmod(0o644)
        draft.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
