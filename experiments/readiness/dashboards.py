"""Item 2, the dashboards: a panel of some Grafana dashboard shows canary and stable apart.

Dashboards are JSON files that were named, or those under deploy/ in the repository. Variables of Grafana are filled in
with the values that the dashboard itself gives them. A panel counts if it reads a metric that the policy reads and
either groups by a label that tells revisions apart or selects one revision by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controller.manifests.values import POD_HASH_LABEL
from experiments.readiness.answers import Finding, no, unknown, yes
from experiments.readiness.case import Case, CaseError
from experiments.readiness.metrics import deciding_metrics
from experiments.readiness.separation import separating_labels
from promql.syntax import Expr, PromQLSyntaxError, parse, selectors, walk
from promql.syntax.tree import Aggregate

BYTES_MAX = 16 * 1024 * 1024
_OWN_LABELS = frozenset({POD_HASH_LABEL, POD_HASH_LABEL.replace("-", "_"), "pod_template_hash", "revision", "role"})
"""Labels that tell revisions apart by habit, whatever the policy's own queries select by; `role` is our dashboard's."""

_INTERVALS = re.compile(r"\$\{?(__rate_interval|__interval|__range)(:\w+)?\}?")
_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")
_NEXT = (
    "give each revision its own line: sum by (LABEL) (…) with the label that the policy's queries select the canary by"
)


def check_dashboards(case: Case) -> tuple[Finding, ...]:
    """Return what the dashboards show.

    Raises:
        CaseError: a dashboard that was named cannot be read.
    """
    boards = list(_boards(case))
    if not boards:
        return (
            unknown(
                f"no Grafana dashboard was named, and none is below {case.root / 'deploy'}",
                "export the dashboard as JSON into deploy/, or name it with --dashboard",
            ),
        )
    labels = _OWN_LABELS | separating_labels(case)
    metrics = frozenset(
        selector.metric for one in deciding_metrics(case.policy) for selector in selectors(one.query) if selector.metric
    )
    unread: list[str] = []
    for file, board in boards:
        for title, text in _queries(board):
            try:
                expr = parse(text)
            except PromQLSyntaxError:
                unread.append(f"{file.name}: {title}")
                continue
            label = _tells_apart(expr, metrics, labels)
            if label:
                return (yes(f"dashboard {file.name}, panel {title!r} tells canary and stable apart by {label}"),)
    names = ", ".join(file.name for file, _ in boards)
    if unread:
        return (unknown(f"no panel of {names} is known to; not understood: {'; '.join(unread[:3])}", _NEXT),)
    return (no(f"no panel of {names} shows the policy's metrics with canary and stable apart", _NEXT),)


def _tells_apart(expr: Expr, metrics: frozenset[str], labels: frozenset[str]) -> str:
    """Return the label by which the query of a panel tells revisions apart; "" if it does not."""
    read = [selector for selector in selectors(expr) if selector.metric in metrics]
    if not read:
        return ""
    grouped = {
        label for node in walk(expr) if isinstance(node, Aggregate) and not node.without for label in node.grouping
    }
    selected = {matcher.name for selector in read for matcher in selector.matchers}
    return min((grouped | selected) & labels, default="")


def _boards(case: Case) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for file in case.dashboards:
        board = _read(file)
        if not isinstance(board, dict) or not isinstance(_unwrapped(board).get("panels"), list):
            raise CaseError(f"{file}:1:1: panels is missing; it needs a Grafana dashboard, exported as JSON")
        yield file, _unwrapped(board)
    if case.dashboards:
        return
    for file in sorted((case.root / "deploy").rglob("*.json")):
        try:
            board = _read(file)
        except CaseError:
            continue  # whatever it is, nobody named it as a dashboard
        if isinstance(board, dict) and isinstance(_unwrapped(board).get("panels"), list):
            yield file, _unwrapped(board)


def _unwrapped(board: dict[str, Any]) -> dict[str, Any]:
    """Return the dashboard itself, where Grafana's API has wrapped it."""
    inner = board.get("dashboard")
    return inner if isinstance(inner, dict) else board


def _read(file: Path) -> Any:
    try:
        if file.stat().st_size > BYTES_MAX:
            raise CaseError(f"{file}: it is larger than {BYTES_MAX:,} bytes; it needs a Grafana dashboard")
        return json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise CaseError(
            f"{file}:{error.lineno}:{error.colno}: no JSON ({error.msg}); it needs a Grafana dashboard as JSON"
        ) from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise CaseError(f"{file}: cannot be read ({error}); it needs a Grafana dashboard, exported as JSON") from error


def _queries(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each panel's title and each of its queries, variables filled in."""
    values = _variables(board)
    waiting = list(board["panels"])
    while waiting:
        panel = waiting.pop(0)
        if not isinstance(panel, dict):
            continue
        waiting.extend(panel.get("panels") or ())
        for target in panel.get("targets") or ():
            text = target.get("expr") if isinstance(target, dict) else None
            if isinstance(text, str) and text.strip():
                yield str(panel.get("title") or "without a title"), _filled(text, values)


def _variables(board: Mapping[str, Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    templating = board.get("templating")
    listed = templating.get("list") if isinstance(templating, dict) else None
    for variable in listed or ():
        if not isinstance(variable, dict):
            continue
        current = variable.get("current")
        chosen = current.get("value") if isinstance(current, dict) else None
        if not isinstance(chosen, str) and variable.get("type") in ("textbox", "constant"):
            chosen = variable.get("query")
        if isinstance(chosen, str) and chosen and not chosen.startswith("$"):
            values[str(variable.get("name"))] = chosen
    return values


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Return the query with Grafana's variables filled in; one without a value becomes a word."""
    text = _INTERVALS.sub("5m", text)
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2] or found[3], "x"), text)
