"""Read the suite: data files beside this module, each a list of scenarios with a label and a sentence.

The files are the project's own, so a mistake in one is a bug and stops the run; users' files are read by the front
door, which tells file and line.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from sim.scenarios import Scenario


class SuiteError(ValueError):
    """A scenario was asked for that the suite does not have."""


@cache
def suite() -> tuple[Scenario, ...]:
    """Return every scenario, good ones first, each file in its own order."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Scenario] = []
    for file in sorted(files("sim.suite").joinpath("scenarios").iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".yaml"):
            continue
        for entry in yaml.load(file.read_text(encoding="utf-8"), Loader=loader):  # a safe loader, one way or the other
            found.append(Scenario.model_validate(entry))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise ValueError(f"the suite has names twice: {sorted({name for name in names if names.count(name) > 1})}")
    return tuple(sorted(found, key=lambda one: one.kind != "good"))


def pick(names: Sequence[str]) -> tuple[Scenario, ...]:
    """Return the scenarios of these names, in the order of the suite.

    Raises:
        SuiteError: a name that is none of them.
    """
    from difflib import get_close_matches

    known = {one.name: one for one in suite()}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise SuiteError(f"the suite has no scenario {name!r}; {hint}")
    return tuple(one for name, one in known.items() if name in names)
