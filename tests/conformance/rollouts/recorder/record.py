"""Play the scenarios of a file of recordings by Argo Rollouts' own controllers, and write what they did (README.md)."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from recorded_scenarios import rollout_of, steps_of, templates_of

Json = dict[str, Any]
COUNTERS = ("count", "successful", "failed", "inconclusive", "error")


def asked(scenario: Json) -> Json:
    """Return a scenario as the recorder takes it: its objects as manifests, and what happens to them."""
    rollout = rollout_of(scenario, "v1")
    canary = rollout["spec"]["strategy"]["canary"]
    if canary.get("trafficRouting"):  # which router it is changes nothing but who is asked; the recorder stands in
        weight = scenario.get("max_weight")
        canary["trafficRouting"] = {"plugins": {"p": {}}, "maxTrafficWeight": weight} if weight else {"smi": {}}
    return {
        "rollout": rollout,
        "templates": list(templates_of(scenario).values()),
        "names": list(scenario["templates"]),
        "new_steps": steps_of(scenario["name"], scenario.get("new_steps", [])),
        "script": scenario["script"],
        "operator": scenario["operator"],
        "never": scenario.get("never_ready", []),
        "kills": scenario.get("kills", []),
        "lasts": scenario["lasts"],
    }


def recorded(trace: list[Json]) -> list[Json]:
    """Return what the recorder tells as the recordings have it, with each state once."""
    found: list[Json] = []
    last: Json = {}
    for event in trace:
        if "rollout" in event:
            state = {name: value for name, value in event["rollout"].items() if name not in ("available", "ready")}
            if state != last:
                found.append({"t": event["t"], "rollout": state})
            last = state
        elif "analysis" in event:
            found.append({"t": event["t"], "analysis": _run(event["analysis"])})
        else:
            found.append(event)
    return found


def _run(run: Json) -> Json:
    metrics: Json = run["metrics"]
    fields = ("phase", *COUNTERS, "consecutiveError")
    return {
        "run": run["run"],
        "phase": run["phase"],
        "message": run["message"],
        "metrics": {name: {field: metric[field] for field in fields} for name, metric in metrics.items()},
        "of": run["of"],
        "messages": {name: metric["message"] for name, metric in metrics.items()},
        "kept": {name: metric["kept"] for name, metric in metrics.items()},
        "summary": _counters(run["summary"]),
        "dry_summary": _counters(run["dry_summary"]),
    }


def _counters(summary: Json | None) -> Json:
    return {name: (summary or {}).get(name, 0) for name in COUNTERS}


def main(program: str, file: str) -> None:
    path = Path(file)
    known: list[Json] = json.loads(gzip.decompress(path.read_bytes()))
    with tempfile.TemporaryDirectory() as folder:
        scenarios, played = Path(folder, "scenarios.json"), Path(folder, "played.json")
        scenarios.write_text(json.dumps([asked(recording["scenario"]) for recording in known]))
        subprocess.run([program, scenarios, played], check=True)
        answers: list[Json] = json.loads(played.read_text())
    for recording, answer in zip(known, answers, strict=True):
        name = recording["scenario"]["name"]
        if "panic" in answer or answer["errors"]:
            print(f"{name}: {answer.get('panic') or answer['errors'][0]}")
            continue
        trace = recorded(answer["trace"])
        if trace != recording["trace"]:
            print(f"{name}: played otherwise than recorded")
        recording["trace"] = trace
    path.write_bytes(gzip.compress(json.dumps(known, separators=(",", ":")).encode(), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
