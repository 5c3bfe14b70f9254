"""Rollouts whose life makes the controller use every right that the chart grants: one namespace of them.

`web` goes through an nginx Ingress with a template that reads a Secret, a run beside the steps that has to be ended, no
history and pods with labels of their role; then its pods are restarted. `routed` and `meshed` go through an HTTPRoute
and through Istio with subsets. `moved` follows a Deployment that it scales down, and `shaped` a PodTemplate. `wrong` is
refused twice with the same words, which is one event that is counted.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.kubernetes.api import AlreadyExistsError, Connection
from controller.kubernetes.api.resources import (
    ANALYSIS_TEMPLATES,
    DEPLOYMENTS,
    DESTINATION_RULES,
    HTTP_ROUTES,
    INGRESSES,
    POD_TEMPLATES,
    ROLLOUTS,
    SECRETS,
    SERVICES,
    VIRTUAL_SERVICES,
    Resource,
)

Json = dict[str, Any]

SECRET = "prometheus-token"
ARGO = "argoproj.io/v1alpha1"


class EveryRight:
    """The rollouts of one namespace.

    Args:
        prometheus: the address of a server that says that all is well.
    """

    def __init__(self, connection: Connection, namespace: str, prometheus: str) -> None:
        self._connection, self._namespace, self._prometheus = connection, namespace, prometheus
        self.ended = False  # everything has happened

    def play(self, done: Callable[[], bool], *, within_s: float) -> bool:
        """Create everything, deploy a second version and go on until `done`; return whether it was within the time."""
        deadline_s = time.monotonic() + within_s
        with contextlib.suppress(_Done):
            for resource, item in self._objects():
                with contextlib.suppress(AlreadyExistsError):
                    self._connection.create(resource, self._namespace, item)
            for _ in self._acts():
                while not self._acted():
                    if done():
                        raise _Done
                    if time.monotonic() > deadline_s:
                        return False
                    time.sleep(0.05)
            self.ended = True
            while not done() and time.monotonic() < deadline_s:
                time.sleep(0.05)
        return done()

    # ---- what happens

    def _acts(self) -> Iterator[None]:
        """Do one thing after the other; each waits until the controller has answered to the last one."""
        names = ("web", "routed", "meshed")
        followers = ("moved", "shaped")
        self._acted = lambda: all(self._phase(name) == "Healthy" for name in (*names, *followers))
        yield
        self._acted = lambda: self._connection.get(DEPLOYMENTS, self._namespace, "moved")["spec"]["replicas"] == 0
        yield
        for name in names:
            self._patch(name, {"template": {"metadata": {"annotations": {"version": "2"}}}})
        self._acted = lambda: all(self._stable(name, 2) for name in names) and self._phase("wrong") == "Degraded"
        yield
        self._patch("wrong", {"strategy": {"canary": {"maxSurge": None}}})
        self._acted = lambda: self._phase("wrong") == "Healthy"
        yield
        # A second from now: the pods that there are will be older than that.
        at = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._patch("web", {"restartAt": at})
        self._patch("wrong", {"strategy": {"canary": {"maxSurge": "lots"}}})
        self._acted = lambda: self._phase("wrong") == "Degraded" and "restartedAt" in self._status("web")
        yield

    def _acted(self) -> bool:
        return True

    def _status(self, name: str) -> Json:
        return self._connection.get(ROLLOUTS, self._namespace, name).get("status") or {}

    def _phase(self, name: str) -> str:
        return str(self._status(name).get("phase"))

    def _stable(self, name: str, revision: int) -> bool:
        item = self._connection.get(ROLLOUTS, self._namespace, name)
        seen = (item["metadata"].get("annotations") or {}).get("rollout.argoproj.io/revision")
        status = item.get("status") or {}
        current = status.get("stableRS") == status.get("currentPodHash") != None  # noqa: E711
        return current and seen == str(revision) and status.get("phase") == "Healthy"

    def _patch(self, name: str, spec: Json) -> None:
        self._connection.patch(ROLLOUTS, self._namespace, name, {"spec": spec})

    # ---- what there is

    def _objects(self) -> Iterator[tuple[Resource, Json]]:
        data = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": SECRET}, "stringData": {"token": "s3cret"}}
        yield SECRETS, data
        yield ANALYSIS_TEMPLATES, self._template("slo", {"count": 2, "interval": "1s"})
        yield ANALYSIS_TEMPLATES, self._template("beside", {"interval": "1s"})
        for name in ("web", "routed", "meshed"):
            for role in ("stable", "canary"):
                yield SERVICES, _service(f"{name}-{role}", name)
        yield INGRESSES, _ingress("web")
        sides = [{"name": "routed-stable", "port": 80}, {"name": "routed-canary", "port": 80}]
        yield HTTP_ROUTES, _object(HTTP_ROUTES, "routed", {"rules": [{"backendRefs": sides}]})
        subsets = [{"name": role, "labels": {"app": "meshed"}} for role in ("stable", "canary")]
        yield DESTINATION_RULES, _object(DESTINATION_RULES, "meshed", {"host": "meshed", "subsets": subsets})
        routes = [{"destination": {"host": "meshed", "subset": role}, "weight": 0} for role in ("stable", "canary")]
        yield VIRTUAL_SERVICES, _object(VIRTUAL_SERVICES, "meshed", {"hosts": ["meshed"], "http": [{"route": routes}]})
        yield from self._rollouts()

    def _rollouts(self) -> Iterator[tuple[Resource, Json]]:
        slo, beside = {"templates": [{"templateName": "slo"}]}, {"templates": [{"templateName": "beside"}]}
        roles = {f"{role}Metadata": {"labels": {"role": role}} for role in ("canary", "stable")}
        web: Json = {
            **roles,
            "analysis": beside,
            "scaleDownDelaySeconds": 1,
            "steps": [{"setWeight": 50}, {"analysis": slo}],
            "trafficRouting": {"nginx": {"stableIngress": "web"}},
        }
        history = {"successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 0}
        yield ROLLOUTS, _rollout("web", web, revisionHistoryLimit=0, analysis=history)
        plugin = {"argoproj-labs/gatewayAPI": {"httpRoute": "routed", "namespace": self._namespace}}
        routed = {"steps": [{"setWeight": 50}], "trafficRouting": {"plugins": plugin}}
        yield ROLLOUTS, _rollout("routed", routed)
        rule = {"name": "meshed", "canarySubsetName": "canary", "stableSubsetName": "stable"}
        istio = {"virtualService": {"name": "meshed"}, "destinationRule": rule}
        yield ROLLOUTS, _rollout("meshed", {"steps": [{"setWeight": 50}], "trafficRouting": {"istio": istio}})
        deployment = {key: value for key, value in _rollout("moved", {})["spec"].items() if key != "strategy"}
        yield DEPLOYMENTS, _object(DEPLOYMENTS, "moved", deployment)
        yield (
            POD_TEMPLATES,
            {**_object(POD_TEMPLATES, "shaped", {}), "template": _rollout("shaped", {})["spec"]["template"]},
        )
        for name, kind, version in (("moved", "Deployment", "apps/v1"), ("shaped", "PodTemplate", "v1")):
            reference = {"apiVersion": version, "kind": kind, "name": name, "scaleDown": "onsuccess"}
            item = _rollout(name, {}, services=False, workloadRef=reference)
            del item["spec"]["template"]
            yield ROLLOUTS, item
        yield ROLLOUTS, _rollout("wrong", {"maxSurge": "lots"}, services=False)

    def _template(self, name: str, timing: Json) -> Json:
        header = [{"key": "Authorization", "value": "Bearer {{args.token}}"}]
        asked = {"address": self._prometheus, "query": "up", "headers": header}
        metric = {"name": name, **timing, "successCondition": "result[0] < 1", "provider": {"prometheus": asked}}
        token = {"name": "token", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "token"}}}
        spec = {"args": [token], "metrics": [metric]}
        return {"apiVersion": ARGO, "kind": "AnalysisTemplate", "metadata": {"name": name}, "spec": spec}


class _Done(Exception):
    """What was waited for has happened."""


def _rollout(name: str, canary: Json, *, services: bool = True, **spec: Any) -> Json:
    named = {f"{role}Service": f"{name}-{role}" for role in ("stable", "canary")} if services else {}
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    found = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": name}},
        "template": copy.deepcopy(pod),
        "strategy": {"canary": {**named, **canary}},
        **spec,
    }
    return {"apiVersion": ARGO, "kind": "Rollout", "metadata": {"name": name}, "spec": found}


def _service(name: str, app: str) -> Json:
    return _object(SERVICES, name, {"clusterIP": "None", "selector": {"app": app}, "ports": [{"port": 80}]})


def _ingress(name: str) -> Json:
    backend = {"service": {"name": f"{name}-stable", "port": {"number": 80}}}
    rule = {"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return _object(INGRESSES, name, {"ingressClassName": "nginx", "rules": [rule]})


def _object(resource: Resource, name: str, spec: Json) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, "spec": spec}
