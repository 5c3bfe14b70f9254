"""Draw a rollout in the terminal: a tree of its revisions, their ReplicaSets and pods, and their analysis runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.tree import Tree

Json = dict[str, Any]

_STYLES = {
    "Healthy": "green",
    "Successful": "green",
    "Degraded": "red",
    "Failed": "red",
    "Error": "red",
    "Paused": "yellow",
    "Inconclusive": "yellow",
    "Terminating": "dim",
}


def picture_tree(picture: Json) -> Tree:
    """Return the tree, ready to be printed."""
    from rich.text import Text
    from rich.tree import Tree

    title = Text(f"{picture['rollout']}  ")
    title.append(picture["phase"] or "not seen by a controller yet", _STYLES.get(picture["phase"], ""))
    tree = Tree(title)
    for line in _facts(picture):
        tree.add(Text(line))
    known = {each["revision"] for each in picture["revisions"]}
    for each in picture["revisions"]:
        roles = f" ({', '.join(each['roles'])})" if each["roles"] else ""
        branch = tree.add(Text(f"revision {each['revision']}{roles}  {', '.join(each['images'])}"))
        _add_set(branch, each)
        _add_runs(branch, [run for run in picture["runs"] if run["revision"] == each["revision"]])
    _add_runs(tree, [run for run in picture["runs"] if run["revision"] not in known])
    return tree


def _add_set(branch: Tree, revision: Json) -> None:
    from rich.text import Text

    kept = f", kept until {revision['kept_until']}" if revision["kept_until"] and revision["wanted"] else ""
    counts = f"{revision['available']} of {revision['wanted']} pods available{kept}"
    style = "" if revision["wanted"] or revision["pods"] else "dim"
    pods = branch.add(Text(f"ReplicaSet {revision['replica_set']}  {counts}", style))
    for pod in revision["pods"]:
        restarts = f", {pod['restarts']} restarts" if pod["restarts"] else ""
        state = f"{pod['phase'] or 'Pending'}{', ready' if pod['ready'] else ''}{restarts}"
        pods.add(Text.assemble(f"{pod['name']}  ", (state, _STYLES.get(pod["phase"], ""))))


def _add_runs(branch: Tree, runs: list[Json]) -> None:
    from rich.text import Text

    for run in runs:
        step = "" if run["step"] is None else f" of step {run['step']}"
        phase = (run["phase"] or "new", _STYLES.get(run["phase"], ""))
        metrics = branch.add(Text.assemble(f"AnalysisRun {run['name']}{step}  ", phase))
        for metric in run["metrics"]:
            metrics.add(Text(_metric(metric)))


def _facts(picture: Json) -> list[str]:
    step, weight, replicas = picture["step"], picture["weight"], picture["replicas"]
    found = [picture["message"]] if picture["message"] else []
    if step is not None:
        found.append(f"step {step} of {picture['steps']}" + ("" if weight is None else f", weight {weight}"))
    found.append(f"{replicas['all']} pods, {replicas['updated']} updated, {replicas['available']} available")
    word = picture["last_word"]
    if word is not None:
        why = f": {word['reason']}" if word.get("reason") else ""
        found.append(f"last word: {word.get('word')} by {word.get('by') or 'somebody'} at {word.get('at')}{why}")
    return found


def _metric(metric: Json) -> str:
    counts = ", ".join(
        f"{metric[name]} {name}" for name in ("successful", "failed", "inconclusive", "error") if metric[name]
    )
    value = "" if metric["value"] is None else f", last {metric['value']}"
    return f"{metric['name']}: {metric['phase']}{f' ({counts})' if counts else ''}{value}"
