"""Every Rollout of the real manifests simulates as it is, or is refused for the reason listed here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def wild(program: Callable[[str], ModuleType]) -> ModuleType:
    return program("tools/wild.py")


EXPERIMENT = "experiment is not supported"
PATCH = "a kustomize patch or base"

# number of the file -> what its refusal says
REFUSED = {
    "005": EXPERIMENT,
    "008": "spec.strategy.unknown-strategy is an unknown field",
    "009": "selector app=invalid-rollout-miss",
    "010": "resources.requests.memory is 'invalid'",
    "017": "'sleep-job', a template that is not there",
    "022": "metadata.name is 'step-plugin-e2e",
    "023": "spec.template is given beside workloadRef",
    "024": "an unquoted {{ }}",
    "029": EXPERIMENT,
    "030": "analysis.templates is missing",
    "032": EXPERIMENT,
    "034": EXPERIMENT,
    "036": "steps[1].plugin is not supported",
    "038": "'argo-combined-app', a Service that is not there",
    "041": PATCH,
    "050": EXPERIMENT,
    "052": "asks the provider newRelic",
    "054": "asks the provider job",
    "064": PATCH,
    "067": PATCH,
    "070": "a template with {{ }} that is not YAML yet",
    "072": "'auth-service-health', a template that is not there",
    "075": "asks the provider web",
    "079": "asks the provider job",
    "081": PATCH,
    "085": "spec.strategy.blueGreen is not supported",
    "087": "in the wrong place",
}


def test_every_real_rollout_simulates_or_is_refused_for_a_stated_reason(wild: ModuleType, corpus: Path) -> None:
    wrong, played = [], 0
    for found in wild.policies(corpus):
        number = found.file[:3]
        row = wild.play(found, runs=2, seed=1)
        played += row.bad is not None
        reason = REFUSED.get(number)
        if (row.bad is None) != (reason is not None) or (reason or "") not in row.why_not:
            wrong.append(f"{found.file} {found.rollout}: {row.why_not or 'it simulates'}; listed: {reason}")
    print(f"{played} real Rollouts simulate, {len(REFUSED)} are refused")
    assert not wrong, "\n".join(wrong)
