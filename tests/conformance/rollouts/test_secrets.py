"""A Secret that an argument refers to is known to whoever asks the provider, and shown nowhere."""

from __future__ import annotations

import pytest

from controller.core.actions import EmitEvent
from controller.core.explaining import measurement_record
from controller.manifests.values import SecretKeyRef, reveal

TOKEN = SecretKeyRef(name="prometheus", key="token")
SHOWN = "<secret prometheus/token>"


@pytest.mark.parametrize("answers", [[0.001], [0.2], ["error"]])
def test_a_secret_is_in_no_record_message_or_event(free_player, answers):
    metric = {
        "name": "error-rate",
        "interval": "2s",
        "count": 2,
        "successCondition": 'result[0] < 0.01 && "{{args.token}}" != ""',
        "x_args": ["token"],
    }
    scenario = {
        "name": "secret",
        "replicas": 6,
        "steps": [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "slo"}]}}],
        "canary": {},
        "spec": {},
        "templates": {"slo": [metric]},
        "template_args": {
            "slo": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "prometheus", "key": "token"}}}]
        },
        "script": {"error-rate": answers},
        "operator": [],
        "traffic_routing": "nginx",
    }
    world = free_player(scenario, 60.0)
    (run,) = world.ledger.runs.values()
    told = [str(record) for _, _, decision in world.history for record in decision.records]
    told += [a.message for _, _, d in world.history for a in d.actions if isinstance(a, EmitEvent)]
    told += [world.status.message, run.status.message, *(c.message for c in world.status.conditions)]
    result = run.status.result("error-rate")
    record = measurement_record(run, "error-rate", result.measurements[-1], result)
    told.append(str(record))
    # The core never has the secret's value, only a mark for it, and not even the mark is shown.
    assert not any("\x01" in text or r"\x01" in text for text in told)
    assert SHOWN in record.query
    assert SHOWN in record.condition
    assert all(arg.value is None for arg in run.args)
    # Whoever asks the provider puts the value in, into a provider that no record is made of.
    assert 'token="hunter2"' in reveal(run.metric("error-rate").provider, {TOKEN: "hunter2"}).query
    assert "hunter2" not in repr(run)
