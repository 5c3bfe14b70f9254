"""The hashes that Argo Rollouts gave: with them a rollout changes hands without new pods or repeated steps."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import yaml

from controller.kubernetes.wire.hashes import pod_template_hash, steps_hash

Json = dict[str, Any]
HERE = Path(__file__).parent


def hashes_of(rollout: Json) -> tuple[str, str]:
    """Return a rollout's two hashes; none for the steps of one that has no canary."""
    spec, status = rollout["spec"], rollout.get("status") or {}
    strategy = spec.get("strategy") or {}
    canary, blue_green = strategy.get("canary"), strategy.get("blueGreen")
    pods = pod_template_hash(spec.get("template") or {}, status.get("collisionCount"))
    steps = "" if canary is None or blue_green is not None else steps_hash(canary.get("steps"))
    return pods, steps


def test_every_recorded_rollout_has_argos_hashes() -> None:
    answers = [json.loads(line) for line in gzip.decompress((HERE / "hashes.jsonl.gz").read_bytes()).splitlines()]
    assert len(answers) == 501
    wrong = [a["rollout"]["metadata"]["name"] for a in answers if hashes_of(a["rollout"]) != hashes_in(a)]
    assert wrong == []


def test_every_public_rollout_has_argos_hashes(corpus: Path) -> None:
    answers = [json.loads(line) for line in (HERE / "corpus.jsonl").read_text("utf-8").splitlines()]
    assert len(answers) == 48
    for answer in answers:
        file, _, number = answer["where"].partition("#")
        documents = list(yaml.safe_load_all((corpus / file).read_text("utf-8")))
        assert hashes_of(documents[int(number)]) == hashes_in(answer), answer["where"]


def hashes_in(answer: Json) -> tuple[str, str]:
    return answer["pod_hash"], answer["step_hash"]
