"""The notebooks are played again, and what they say is held against what they compute.

Three things may drift apart: the code, the outputs that are kept in the file, and the sentences between the cells.
Each notebook is executed once, in a fresh kernel; its tables must still say what the kept ones say, and each number
in its text must be the one that the kernel finds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

SIZE_MAX = 1_000_000
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")

# The sentence, with the number that it claims in the group, and how the kernel finds that number.
CLAIMS = {
    "tune-the-policy": {
        r"fails 1 % of its requests is never caught: (\d+) of 500": "500 * before.summary().caught['errors-1pct']",
        r"Its users meet ([\d.]+) bad requests": "before.summary().bad_requests_mean['errors-1pct']",
        r"close to a coin: ([\d.]+) %": "100 * before.summary().caught['errors-1.5pct']",
        r"fails 2 % is caught after ([\d.]+) minutes": "before.summary().detection_s_median['errors-2pct'] / 60",
        r"at the last gate, after (\d+) bad": "before.summary().bad_requests_mean['errors-2pct']",
        r"3 % makes (\d+) bad": "before.summary().bad_requests_mean['errors-3pct']",
        r"than 20 % does with (\d+)": "before.summary().bad_requests_mean['errors-20pct']",
        r"a p95 of some (\d+) ms": "gb.Latency(factor=3).quantile_ms(0.95)",
        r"sees a median of ([\d.]+) %": "seen['median'].iloc[0]",
        r"At the second gate it sees ([\d.]+) %": "seen['median'].iloc[1]",
        r"the canary may fail (\d+) % at a weight of 10": "room.iloc[0]",
        r"(\d+) % at 30 and": "room.iloc[1]",
        r"([\d.]+) % at 60": "room.iloc[2]",
        r"at the first gate, after ([\d.]+) bad requests": "after.summary().bad_requests_mean['errors-1pct']",
        r"fails 2 % costs ([\d.]+) instead": "after.summary().bad_requests_mean['errors-2pct']",
        r"is aborted in ([\d.]+) % of the runs\.": "100 * after.summary().caught['errors-0.5pct']",
        r"in every run, ([\d.]+) minutes in": "never_failed.detection_s_median.iloc[0] / 60",
        r"one minute, (\d+) % of the good": "100 * windows.caught[('1m', 'good')]",
        r"bring that down to ([\d.]+) %": "100 * windows.caught[('5m', 'good')]",
        r"Ten minutes bring ([\d.]+) %": "100 * windows.caught[('10m', 'good')]",
        r"does not help: ([\d.]+) % and": "100 * floors.caught[(30, 'good')]",
        r"and ([\d.]+) % of the good releases are aborted": "100 * floors.caught[(50, 'good')]",
        r"wait for a person \((\d+) %\)": "100 * floors.paused[(100, 'good')]",
        r"fail 5 %, ([\d.]+) % wait": "100 * floors.paused[(100, 'errors-5pct')]",
        r"two minutes: ([\d.]+) instead": "floors.to_promote_s_median[(50, 'good')] / 60",
        r"Of 500 good releases (none) is aborted": "500 * plans.caught[('and more evidence', 'good')]",
        r"and (none) waits": "500 * plans.paused[('and more evidence', 'good')]",
        r"in every run \(([\d.]+) to 100 %\)": "100 * plans.caught_low[('and more evidence', 'errors-2pct')]",
        r"takes ([\d.]+) minutes instead": "plans.to_promote_s_median[('and more evidence', 'good')] / 60",
        r"hurts (\d+) requests": "plans.bad_requests_mean[('and more evidence', 'errors-100pct')]",
        r"instead of ([\d.]+), because": "plans.bad_requests_mean[('canary only', 'errors-100pct')]",
        r"the rest after ([\d.]+) minutes": "plans.detection_s_median[('as written', 'errors-2pct')] / 60",
    },
    "guards": {
        r"Without a floor ([\d.]+) % of the good releases": "100 * floors.caught[(0, 'good')]",
        r"aborted, and ([\d.]+) % of the bad ones\. With": "100 * floors.caught[(0, 'errors-2pct')]",
        r"With a floor of 200, ([\d.]+) %": "100 * floors.caught[(200, 'good')]",
        r"and (\d+) good releases of 500": "500 * floors.caught[(0, 'good')]",
        r"by the one and (\d+) by": "500 * floors.caught[(200, 'good')]",
        r"0\.2 % and ([\d.]+) %: better": "100 * floors.caught[(200, 'errors-2pct')]",
        r"promoted after ([\d.]+) minutes": "floors.to_promote_s_median[(200, 'good')] / 60",
        r"minutes instead of ([\d.]+), and the bad": "floors.to_promote_s_median[(0, 'good')] / 60",
        r"the bad one hurts ([\d.]+) requests": "floors.bad_requests_mean[(200, 'errors-2pct')]",
        r"5\.04 requests instead of ([\d.]+)\.": "floors.bad_requests_mean[(0, 'errors-2pct')]",
        r"met or not, and (\d+) % of the good": "100 * floors.paused[(300, 'good')]",
        r"All good releases wait \((\d+) %\)": "100 * floors.paused[(400, 'good')]",
        r"and ([\d.]+) % of the bad ones\.\n\nSo": "100 * floors.paused[(400, 'errors-2pct')]",
        r"Without a floor ([\d.]+) % of the runs": "100 * drilled.aborted.iloc[0]",
        r"first look, after ([\d.]+) minutes": "drilled.detection_s_median.iloc[3] / 60",
        r"minutes and ([\d.]+) bad requests\. The floor": "drilled.bad_requests_mean.iloc[3]",
        r"As written, ([\d.]+) % of the runs": "100 * drilled.promoted.iloc[4]",
        r"after\s+([\d.]+) bad requests instead": "drilled.bad_requests_mean.iloc[5]",
        r"bad requests instead of ([\d.]+)\.\n\n## Proof": "drilled.bad_requests_mean.iloc[4]",
        r"have a chance of ([\d.]+) and": "chance['chance at 1 %'][3]",
        r"stopped after ([\d.]+) minutes with": "proof.detection_s_median.iloc[2] / 60",
        r"after ([\d.]+) minutes\s+without": "proof.detection_s_median.iloc[5] / 60",
        r"without: ([\d.]+) bad": "proof.bad_requests_mean.iloc[2]",
        r"bad requests against (\d+)": "proof.bad_requests_mean.iloc[5]",
        r"one minute, and ([\d.]+) against": "proof.bad_requests_mean.iloc[0]",
        r"and [\d.]+ against ([\d.]+)\.": "proof.bad_requests_mean.iloc[3]",
        r"at 0\.5 %, ([\d.]+) % of the good": "100 * strict.summary().caught_least['good']",
        r"aborted, and ([\d.]+) % of the bad\. A": "100 * strict.summary().caught_least['errors-2pct']",
        r"between\s+([\d.]+) %": "100 * lax.summary().caught_least['errors-2pct']",
        r"% and ([\d.]+) % of the bad ones would": "100 * lax.summary().caught_most['errors-2pct']",
        r"finds \(([\d.]+) % of the good": "100 * lower[0].caught_least['good']",
        r"lets\s+([\d.]+) % of the releases": "100 * habits[('clamp_min(total, 1)', 'fails 5 %')].promoted",
    },
}

# What no single number says, as the kernel would put it.
TRUTHS = {
    "tune-the-policy": [
        "(before.summary().caught[['good', 'latency-x3', 'errors-1pct']] == 0).all()",
        "(after.summary().caught[['errors-1pct', 'latency-x3']] == 1).all()",
        "before.summary().bad_requests_mean.idxmax() == 'errors-3pct'",
        "never_failed.caught.iloc[0] == 1 and never_failed.promoted.iloc[1] == 1",
        "plans.caught[('as written', 'good')] == 0",
    ],
    "guards": [
        "drilled.promoted.iloc[1] == 1 and drilled.paused.iloc[5] == 1 and (drilled.aborted.iloc[2:4] == 1).all()",
        "(proof.caught == 1).all() and strict.exact and not lax.exact",
        "all(lower[one].caught_least['good'] == floors.caught[(one, 'good')] for one in lower)",
        "[idiom for idiom in IDIOMS if habits[(idiom, 'never failed')].aborted == 1] == ['no guard']",
        "[idiom for idiom in IDIOMS if habits[(idiom, 'nobody calls')].promoted == 1]"
        " == ['isNaN(result[0]) ||', 'clamp_min(total, 1)']",
        "[idiom for idiom in IDIOMS if habits[(idiom, 'nobody calls')].paused == 1] == ['a floor of 50']",
        "[idiom for idiom in IDIOMS if habits[(idiom, 'good')].aborted == 0] == ['clamp_min(total, 1)']",
        "all(habits[(idiom, 'fails 5 %')].aborted >= 0.97 for idiom in IDIOMS)",
    ],
}


@pytest.fixture(scope="module", params=sorted(CLAIMS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def kept(root: Path, name: str) -> Any:
    read: Any = nbformat.read
    return read(root / "notebooks" / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def played(root: Path, program: Callable[[str], ModuleType], name: str) -> Any:
    """Play the notebook, and ask its kernel at the end for everything that the text claims."""
    tool = program("notebooks/execute.py")
    asked = [*CLAIMS[name].values(), *TRUTHS[name]]
    ask = (
        "import json, resource\n"
        f"print(json.dumps([float(eval(one)) for one in {asked!r}]))\n"
        "spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "print(sum(one.ru_utime + one.ru_stime for one in spent))"
    )
    return tool.executed(root / "notebooks" / f"{name}.ipynb", ask)


def _outputs(notebook: Any, cells: int) -> Iterator[tuple[int, Any]]:
    for place, cell in enumerate(notebook.cells[:cells]):
        for output in cell.get("outputs", []):
            yield place, output


def _texts(notebook: Any, cells: int) -> list[str]:
    """Return what each output says in plain text."""
    return [
        f"{place}: {output.get('text') or output['data'].get('text/plain', '')}"
        for place, output in _outputs(notebook, cells)
    ]


def _alike(found: float, wanted: float, *, share: float, least: float) -> bool:
    return abs(found - wanted) <= max(least, share * abs(wanted))


def test_a_notebook_keeps_its_pictures_and_stays_small(root: Path, name: str, kept: Any) -> None:
    path = root / "notebooks" / f"{name}.ipynb"
    assert path.stat().st_size < SIZE_MAX
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert all(cell.execution_count == 1 + place for place, cell in enumerate(code)), "run notebooks/execute.py"
    drawn = [output for _, output in _outputs(kept, len(kept.cells)) if "image/svg+xml" in output.get("data", {})]
    drawing = [cell for cell in code if "plot_" in cell.source or "plt.subplots" in cell.source]
    assert len(drawn) == len(drawing) > 0


def test_what_a_notebook_keeps_is_what_it_computes(kept: Any, played: Any) -> None:
    cells = len(kept.cells)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in played.cells[:cells]]
    for notebook in (kept, played):
        assert not [output for _, output in _outputs(notebook, cells) if output.get("name") == "stderr"]
    before, now = _texts(kept, cells), _texts(played, cells)
    assert len(before) == len(now)
    for old, new in zip(before, now, strict=True):
        # Spaces and dashes only draw the table's frame.
        words = [re.sub(r"[\s-]+", " ", NUMBER.sub("#", text)) for text in (old, new)]
        assert words[0] == words[1], "the kept output is stale; run notebooks/execute.py"
        numbers = [[float(one.replace(",", "")) for one in NUMBER.findall(text)] for text in (old, new)]
        stale = [pair for pair in zip(*numbers, strict=True) if not _alike(*pair, share=0.1, least=2.0)]
        assert not stale, f"the kept output is stale; run notebooks/execute.py and read the text again: {stale}"


def test_every_number_in_the_text_is_the_one_that_was_computed(name: str, kept: Any, played: Any) -> None:
    text = "\n\n".join(cell.source for cell in kept.cells if cell.cell_type == "markdown")
    said = played.cells[-1].outputs[0].text.splitlines()
    values = json.loads(said[0])
    print(f"{name}: {float(said[1]):.1f} s of CPU")
    wrong = []
    for (pattern, asked), value in zip(CLAIMS[name].items(), values, strict=False):
        found = re.findall(pattern, text)
        assert len(found) == 1, f"the text says {pattern!r} {len(found)} times"
        claimed = 0.0 if found[0] == "none" else float(found[0])
        if not _alike(claimed, value, share=0.05, least=0.005 if value < 1 else 0.05):
            wrong.append(f"{pattern}: {claimed}, but {asked} is {value:.4g}")
    assert not wrong, "\n".join(wrong)
    truths = dict(zip(TRUTHS[name], values[len(CLAIMS[name]) :], strict=True))
    assert all(truths.values()), [one for one, true in truths.items() if not true]
