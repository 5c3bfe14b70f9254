"""Draw a rollout in the terminal: a tree of its revisions and its analysis runs."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_STYLES = {
    "Healthy": "green",
    "Successful": "green",
    "Degraded": "red",
    "Failed": "red",
    "Error": "red",
    "Paused": "yellow",
    "Inconclusive": "yellow",
}


def draw(picture: Json) -> None:
    """Print the tree."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    title = Text(f"{picture['rollout']}  ")
    title.append(picture["phase"] or "not seen by a controller yet", _STYLES.get(picture["phase"], ""))
    tree = Tree(title)
    for line in _facts(picture):
        tree.add(Text(line))
    revisions = tree.add("revisions")
    for each in picture["revisions"]:
        roles = f" ({', '.join(each['roles'])})" if each["roles"] else ""
        pods = f"{each['available']} of {each['wanted']} pods available"
        images = ", ".join(each["images"])
        revisions.add(Text(f"{each['revision']}  {each['pod_template_hash']}{roles}  {pods}  {images}"))
    if picture["runs"]:
        runs = tree.add("analysis runs")
        for run in picture["runs"]:
            branch = runs.add(Text.assemble(f"{run['name']}  ", (run["phase"] or "new", _STYLES.get(run["phase"], ""))))
            for metric in run["metrics"]:
                branch.add(Text(_metric(metric)))
    Console(highlight=False).print(tree)


def _facts(picture: Json) -> list[str]:
    step, weight, replicas = picture["step"], picture["weight"], picture["replicas"]
    found = [picture["message"]] if picture["message"] else []
    if step is not None:
        found.append(f"step {step} of {picture['steps']}" + ("" if weight is None else f", weight {weight}"))
    found.append(f"{replicas['all']} pods, {replicas['updated']} updated, {replicas['available']} available")
    return found


def _metric(metric: Json) -> str:
    counts = ", ".join(
        f"{metric[name]} {name}" for name in ("successful", "failed", "inconclusive", "error") if metric[name]
    )
    value = "" if metric["value"] is None else f", last {metric['value']}"
    return f"{metric['name']}: {metric['phase']}{f' ({counts})' if counts else ''}{value}"
