"""Play a recorded scenario in real time on an API server, whatever controller runs there, and write down what is seen.

One namespace a scenario. What is seen comes from watches of the Rollout and its AnalysisRuns, as the recordings' did.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from recorded_scenarios import Json, pod_template, rollout_of, surroundings, templates_of

from controller.core.operator import Word
from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    INGRESSES,
    NAMESPACES,
    ROLLOUTS,
    SERVICES,
)
from controller.kubernetes.api.watching import Key, Reflector
from controller.kubernetes.operating import say

OPERATOR_S = 1.2
HEALTHY_WITHIN_S = 30.0
EXTRA_S = 10.0
REST_S = 1.0
_RESOURCES = {"Service": SERVICES, "Ingress": INGRESSES}
_WORDS = {word.value: word for word in Word}


class Player:
    """One scenario being played, for the first or another time."""

    def __init__(self, connection: Connection, recording: Json, prometheus: str, *, attempt: int = 1) -> None:
        self.connection, self.scenario, self.recording = connection, recording["scenario"], recording
        self.namespace = f"play-{attempt}-{self.scenario['name']}"[:63].rstrip("-")
        self.key = Key(self.namespace, self.scenario["name"])
        self.templates = templates_of(self.scenario, prometheus)
        self.trace: list[Json] = []
        self.runs: dict[str, Json] = {}
        self.start_s: float | None = None
        self.rollout: Json = {}
        self.waiting = list(self.scenario["operator"])
        self.generation = 0  # of the last change of ours; a status that is older shows nothing of it
        self.changed = threading.Condition()

    def play(self) -> list[Json]:
        """Return the transitions that were seen, in the form of the recordings."""
        self._create()
        watches = [
            Reflector(self.connection, ROLLOUTS, namespace=self.namespace, changed=self._rollout_seen),
            Reflector(self.connection, ANALYSIS_RUNS, namespace=self.namespace, changed=self._run_seen),
        ]
        for watch in watches:
            watch.start()
        try:
            invalid = self.recording["trace"][0]["rollout"]["message"].startswith("InvalidSpec")
            wanted = "Degraded" if invalid else "Healthy"
            self._await(lambda: self._status().get("phase") == wanted, HEALTHY_WITHIN_S, f"v1 is {wanted}")
            if invalid:
                self._begin()
                self._note()
            else:
                self._deploy("v2")
                self._follow()
        finally:
            for watch in watches:
                watch.stop()
        return self.trace

    # ---- what is done

    def _create(self) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.connection.create(NAMESPACES, None, body)
        for item in surroundings() if self.scenario["traffic_routing"] else ():
            self.connection.create(_RESOURCES[item["kind"]], self.namespace, item)
        for item in self.templates.values():
            self.connection.create(ANALYSIS_TEMPLATES, self.namespace, item)
        self.connection.create(ROLLOUTS, self.namespace, rollout_of(self.scenario, "v1"))

    def _deploy(self, version: str) -> None:
        self._patch({"spec": {"template": pod_template(version)}})

    def _patch(self, body: Json) -> None:
        changed = self.connection.patch(ROLLOUTS, self.namespace, self.scenario["name"], body)
        self.generation = int(changed["metadata"]["generation"])

    def _follow(self) -> None:
        """Do what the operator did, until all is as it was at the end of the recording, or it takes too long."""
        self._await(lambda: self.start_s is not None, HEALTHY_WITHIN_S, "v2 is seen")
        assert self.start_s is not None
        lasts_s = self.recording["trace"][-1]["t"]
        while True:
            if self.waiting and self._holds(self.waiting[0]["when"]):
                time.sleep(OPERATOR_S)
                self._do(self.waiting.pop(0)["do"])
            now_s = time.monotonic() - self.start_s
            if now_s > lasts_s + (REST_S if not self.waiting and self._has_ended() else EXTRA_S):
                return
            with self.changed:
                self.changed.wait(0.05)

    def _has_ended(self) -> bool:
        with self.changed:
            return _end_of(self.trace) == _end_of(self.recording["trace"])

    def _do(self, do: str) -> None:
        with self.changed:
            self.trace.append({"t": self._t(), "operator": do})
        verb, _, rest = do.partition(" ")
        if verb in _WORDS:
            say(self.connection, self.key, _WORDS[verb])
        elif verb in ("deploy", "rollback"):
            self._deploy(rest or "v1")
        elif verb == "scale":
            self._patch({"spec": {"replicas": int(rest)}})
        elif verb == "set-steps":
            steps = rollout_of(self.scenario, "v1", self.scenario["new_steps"])["spec"]["strategy"]["canary"]["steps"]
            self._patch({"spec": {"strategy": {"canary": {"steps": steps}}}})
        elif verb == "set-template":
            first = next(iter(self.templates.values()))
            body = {"spec": {"metrics": self.templates[rest]["spec"]["metrics"]}}
            self.connection.patch(ANALYSIS_TEMPLATES, self.namespace, first["metadata"]["name"], body)
        else:
            raise ValueError(do)

    # ---- what is seen

    def _t(self) -> float:
        return 0.0 if self.start_s is None else time.monotonic() - self.start_s

    def _begin(self) -> None:
        self.start_s = time.monotonic()

    def _status(self) -> Json:
        return self.rollout.get("status") or {}

    def _rollout_seen(self, before: Json | None, after: Json | None) -> None:
        if after is None:
            return
        with self.changed:
            self.rollout = after
            image = after["spec"]["template"]["spec"]["containers"][0]["image"]
            known = str((after.get("status") or {}).get("observedGeneration", "")) == str(
                after["metadata"]["generation"]
            )
            if self.start_s is None and image.endswith("v2") and known:
                self._begin()
            self._note()
            self.changed.notify_all()

    def _note(self) -> None:
        if self.start_s is None:
            return
        status = self._status()
        weights = (status.get("canary") or {}).get("weights")
        seen = {
            "phase": status.get("phase", ""),
            "step": status.get("currentStepIndex"),
            "weight": None if not weights else (weights.get("canary") or {}).get("weight", 0),
            "abort": bool(status.get("abort")),
            "pause": [pause["reason"] for pause in status.get("pauseConditions") or ()],
            "message": status.get("message", ""),
            "updated": status.get("updatedReplicas", 0),
            "replicas": status.get("replicas", 0),
            "stable_is_current": status.get("stableRS", "") == status.get("currentPodHash", ""),
        }
        last = next((entry["rollout"] for entry in reversed(self.trace) if "rollout" in entry), None)
        if seen != last:
            self.trace.append({"t": self._t(), "rollout": seen})

    def _run_seen(self, before: Json | None, after: Json | None) -> None:
        if after is None:
            return
        with self.changed:
            self.runs[after["metadata"]["name"]] = after
            if self.start_s is not None:
                self._note_run(after)
            self.changed.notify_all()

    def _note_run(self, item: Json) -> None:
        status, names = item.get("status") or {}, item["metadata"]["labels"]
        metrics = {
            result["name"]: {
                "phase": result.get("phase", ""),
                **{
                    n: result.get(n, 0)
                    for n in ("count", "successful", "failed", "inconclusive", "error", "consecutiveError")
                },
            }
            for result in status.get("metricResults") or ()
        }
        seen = {
            "run": f"{names.get('rollout-type')}:{names.get('step-index', '')}",
            "phase": status.get("phase", ""),
            "message": status.get("message", ""),
            "metrics": metrics,
        }
        self.trace.append({"t": self._t(), "analysis": seen})

    # ---- waiting

    def _holds(self, when: str) -> bool:
        status = self._status()
        if int(status.get("observedGeneration") or 0) < self.generation:
            return False
        pauses = [pause["reason"] for pause in status.get("pauseConditions") or ()]
        phase = status.get("phase")
        running = [run.get("status") or {} for run in self.runs.values()]
        running = [run for run in running if run.get("phase") == "Running"]
        weight = ((status.get("canary") or {}).get("weights") or {}).get("canary", {}).get("weight")
        simple = {
            "paused": phase == "Paused" and bool(pauses),
            "aborted": bool(status.get("abort")) and phase == "Degraded",
            "degraded": phase == "Degraded",
            "inconclusive": "InconclusiveAnalysisRun" in pauses,
            "healthy": phase == "Healthy" and status.get("stableRS") == status.get("currentPodHash"),
            "spec-paused": bool(self.rollout["spec"].get("paused")) and status.get("message") == "manually paused",
            "analysing": bool(running),
        }
        if when in simple:
            return simple[when]
        kind, _, number = when.rpartition("-")
        if kind == "paused-at":
            return phase == "Paused" and weight == int(number)
        if kind == "measured":
            taken = [
                sum(r.get("count", 0) + r.get("error", 0) for r in run.get("metricResults") or ()) for run in running
            ]
            return any(count >= int(number) for count in taken)
        raise ValueError(when)

    def _await(self, seen: Any, within_s: float, what: str) -> None:
        deadline_s = time.monotonic() + within_s
        with self.changed:
            while not seen():
                assert time.monotonic() < deadline_s, f"{self.scenario['name']}: not within {within_s:g} s: {what}"
                self.changed.wait(0.1)


def _end_of(trace: list[Json]) -> Json:
    """Return how a trace ends: the rollout but for its message, which has hashes, and each analysis's phase."""
    found: Json = {}
    for entry in trace:
        if "rollout" in entry:
            found["rollout"] = {name: value for name, value in entry["rollout"].items() if name != "message"}
        elif "analysis" in entry:
            found[entry["analysis"]["run"]] = entry["analysis"]["phase"]
    return found
