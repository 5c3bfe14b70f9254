"""Write the Rollouts whose hashes are to be recorded, one JSON object a line: recorded scenarios, then random ones.

    python cases.py | recorder > answers; python cases.py --corpus FOLDER | recorder …

Random pod templates and steps are made from the table of Go's types, so that every field of every type comes up, empty
values and odd letters too.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve()
ROOT = HERE.parents[4]
TYPES = json.loads((ROOT / "controller/kubernetes/wire/argo_types.json").read_text(encoding="utf-8"))
TEXTS = ["", "app", "a<b>&c", 'say "hi"\\', "tab\there", "line\nend", "ünïcode €", "\u2028\u2029\x7f", "\x01\x08\x0c"]
QUANTITIES = """
    0 0Mi 1 1.5 0.5 100m 1000m 1500m 250u 3n 0.1n 1024 1000 1000000 1k 1.5k 1Ki 512Ki 1024Ki 128Mi 1024Mi 1536Mi 1.5Gi
    0.5Gi 0.3Gi 1e3 12e6 1E3 1E 1.25e3 5e-3 -1 -100m -1Gi 10Ti 2Pi 1Ei 100000m 123456789 9.99 .5 1. +3 1023Ki 1.0005Ki
""".split()  # noqa: SIM905
SPLIT = 4  # below this depth optional fields thin out


def value_of(kind: str, chance: random.Random, depth: int) -> Any:
    if kind.startswith("*"):
        return value_of(kind[1:], chance, depth)
    if kind.startswith("[]"):
        return [value_of(kind[2:], chance, depth + 1) for _ in range(chance.choice([0, 1, 1, 2]))]
    if kind.startswith("map:"):
        names = chance.sample(["a", "B", "cpu", "x.y/z", "<", "é"], chance.randint(0, 3))
        return {name: value_of(kind[4:], chance, depth + 1) for name in names}
    if kind in TYPES:
        return struct_of(kind, chance, depth)
    scalars: dict[str, Any] = {
        "string": lambda: chance.choice(TEXTS),
        "int": lambda: chance.choice([0, 1, -3, 8080, 2147483647]),
        "bool": lambda: chance.random() < 0.5,
        "int-or-string": lambda: chance.choice([0, 30, "5m", "10%", "", "http"]),
        "quantity": lambda: chance.choice([*QUANTITIES, 2, 0.25]),
        "time": lambda: chance.choice([None, "2026-01-02T03:04:05Z"]),
        "raw": lambda: {"b": [1, "<x>"], "a": {"y": None, "x": True}},
    }
    return scalars[kind]()


def struct_of(kind: str, chance: random.Random, depth: int) -> dict[str, Any]:
    found = {}
    wanted = 0.5 if depth < SPLIT else 0.25
    for field in TYPES[kind]:
        name, _, inner = field.partition(" ")
        if name in ("managedFields?", "deletionTimestamp?", "creationTimestamp?"):
            continue
        if depth > 12 and inner.lstrip("*[]").removeprefix("map:") in TYPES:
            continue
        if chance.random() < wanted or (not name.endswith("?") and chance.random() < 0.9):
            found[name.removesuffix("?")] = value_of(inner, chance, depth + 1)
    return found


def random_rollout(number: int) -> dict[str, Any]:
    chance = random.Random(number)
    canary: dict[str, Any] = {}
    if number % 10:
        canary["steps"] = [struct_of("CanaryStep", chance, 1) for _ in range(chance.randint(0, 3))]
    template = struct_of("PodTemplateSpec", chance, 3)
    rollout: dict[str, Any] = {
        "metadata": {"name": f"random-{number}"},
        "spec": {"template": template, "strategy": {"canary": canary}},
    }
    if number % 3 == 0:
        rollout["status"] = {"collisionCount": number % 7}
    return rollout


def scenario_rollouts() -> list[dict[str, Any]]:
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from recorded_scenarios import recordings, rollout_of

    played = [each["scenario"] for each in recordings(ROOT / "tests" / "conformance")]
    return [rollout_of(scenario, "v1") for scenario in played]


def corpus_rollouts(folder: Path) -> list[dict[str, Any]]:
    found = []
    for file in sorted(folder.glob("*.yaml")):
        try:
            documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except yaml.YAMLError:
            continue
        for number, document in enumerate(documents):
            if isinstance(document, dict) and document.get("kind") == "Rollout":
                document["metadata"]["uid"] = f"{file.name}#{number}"
                found.append(document)
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--corpus", type=Path)
    asked.add_argument("--random", type=int, default=400)
    given = asked.parse_args()
    if given.corpus is not None:
        rollouts = corpus_rollouts(given.corpus)
    else:
        rollouts = [*scenario_rollouts(), *map(random_rollout, range(given.random))]
    for rollout in rollouts:
        print(json.dumps(rollout, sort_keys=True, default=str))


if __name__ == "__main__":
    main()
