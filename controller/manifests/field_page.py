"""Write the page on fields from the table of fields, so that the page cannot say anything else.

`python -m controller.manifests.field_page > docs/compatibility-fields.md` renews it; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from controller.manifests.reading.fields import BLOCKS, MISPLACED, Block, Treatment

_HEAD = """\
# Fields

Every field that Argo Rollouts v1alpha1 has in a canary's manifests, and what Gamebird does with it. A field that could
change a decision and is not carried out is refused, by name; one that cannot is ignored, with a warning where somebody
may have counted on it. A field that is in neither system is an error that says what was probably meant.

This page is written by `python -m controller.manifests.field_page` from the table that loading itself uses.

## Refused

| field | why |
|---|---|
"""


def field_page() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD, *_rows(Treatment.REFUSED)]
    parts.append(
        "\nThe kind `Experiment` is left alone with a note; a Rollout with a `blueGreen` strategy is refused.\n"
    )
    parts.append("\n## Ignored with a warning\n\n| field | why |\n|---|---|\n")
    parts += _rows(Treatment.WARNED)
    parts.append(
        "\n## Accepted, without an effect on decisions\n\n"
        "`status` of live objects and whatever the API server writes into `metadata`, and:\n\n"
        "| under | fields |\n|---|---|\n"
    )
    parts += _listed(Treatment.QUIET)
    parts.append("\n## Done as Argo Rollouts does it\n\n| under | fields |\n|---|---|\n")
    parts += _listed(Treatment.DONE)
    parts.append("\n## Often put in the wrong place\n\n| field | what it needs |\n|---|---|\n")
    parts += [f"| `{_path(BLOCKS[block], field)}` | {need} |\n" for (block, field), need in sorted(MISPLACED.items())]
    return "".join(parts)


def _path(block: Block, field: str) -> str:
    kind = "" if block.kind in ("Rollout", "every kind") else f"{block.kind} "
    return f"{kind}{block.home}.{field}" if block.home else f"{kind}{field}"


def _rows(treatment: Treatment) -> Iterator[str]:
    for block in BLOCKS.values():
        for name in block.named(treatment):
            yield f"| `{_path(block, name)}` | {block.fields[name].why} |\n"


def _listed(treatment: Treatment) -> Iterator[str]:
    for block in BLOCKS.values():
        names = block.named(treatment)
        if names:
            where = _path(block, "").rstrip(".") or "the object"
            yield f"| `{where}` | {', '.join(f'`{name}`' for name in names)} |\n"


if __name__ == "__main__":
    sys.stdout.write(field_page())
