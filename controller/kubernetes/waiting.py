"""Wait for a rollout as a CI job does: promoted, stopped, or nobody can tell. Whichever controller runs there.

The promotion guard of a pipeline. It answers for the revision that is newest when it begins: a revision that comes
later is another question.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from controller.core.durations import shortest_s
from controller.kubernetes.api import ApiError, Connection, NotFoundError
from controller.kubernetes.api.resources import ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, ROLLOUTS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.observing import Unreadable, read_rollout, read_template
from controller.kubernetes.workloads import read_workload
from controller.manifests.values import AnalysisTemplate

Json = dict[str, Any]

LOOK_S = 1.0


class End(Enum):
    """What a wait came to."""

    PROMOTED = "promoted"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """What a wait came to, and why, in words."""

    end: End
    why: str


class TooShortError(ValueError):
    """The timeout is below the shortest time that the policy can take."""


def check_timeout(connection: Connection, key: Key, timeout_s: float) -> float:
    """Return the shortest time that the rollout's policy can take, seconds.

    Raises:
        TooShortError: it is longer than `timeout_s`.
        NotFoundError: there is no such rollout.
    """
    item = connection.get(ROLLOUTS, key.namespace, key.name)
    rollout = read_rollout(item)
    if isinstance(rollout, Unreadable):
        return 0.0  # what cannot be read cannot be timed; the wait itself will tell how it ends
    needed_s = shortest_s(rollout, _templates(connection, key.namespace))
    if needed_s > timeout_s:
        raise TooShortError(
            f"--timeout {timeout_s:g} s: the policy of {key} takes {needed_s:g} s at least, so the wait would always "
            f"end before it; name more than that"
        )
    return needed_s


def _templates(connection: Connection, namespace: str) -> list[AnalysisTemplate]:
    found = []
    for resource, where in ((ANALYSIS_TEMPLATES, namespace), (CLUSTER_ANALYSIS_TEMPLATES, None)):
        for item in connection.list_all(resource, where)["items"]:
            item = {"apiVersion": resource.api_version, "kind": resource.kind, **item}
            template = read_template(item)
            if isinstance(template, AnalysisTemplate):
                found.append(template)
    return found


def wait(
    connection: Connection,
    key: Key,
    *,
    timeout_s: float,
    told: Callable[[str], None] = lambda _: None,
    now_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Wait until the newest revision is promoted and healthy, or stopped; look once a second.

    Args:
        told: called with each new state in words.
    """
    deadline_s = now_s() + timeout_s
    state, problem = "", ""
    first: _Asked | None = None
    while True:
        try:
            item = connection.get(ROLLOUTS, key.namespace, key.name)
            asked = _asked(connection, item)
        except NotFoundError as error:
            return Waited(end=End.UNKNOWN, why=str(error))
        except ApiError as error:
            problem = str(error)  # it may come back; only the deadline ends the wait
        else:
            problem = ""
            first = first or asked
            if asked.template != first.template:
                return Waited(end=End.UNKNOWN, why="another revision came, of which this was not asked")
            found = judge(item, first.generation, first.workload_generation)
            if found is not None:
                return found
            said = _state(item)
            if said != state:
                state = said
                told(said)
        if now_s() >= deadline_s:
            return Waited(end=End.UNKNOWN, why=problem or f"after {timeout_s:g} s it is still {state}")
        sleep(LOOK_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a rollout is asked to be: its pod template, and which generations a controller has to have seen."""

    template: Json | None
    generation: int
    workload_generation: int = 0  # where the template is another object's


def _asked(connection: Connection, item: Json) -> _Asked:
    """Return what the spec asks for now.

    Raises:
        ApiError: the workload that it refers to cannot be read.
    """
    generation = int(item["metadata"].get("generation") or 0)
    workload = read_workload(connection, item)
    if workload is None:
        return _Asked(template=item["spec"].get("template"), generation=generation)
    holder = workload.get("spec") or workload  # a PodTemplate has no spec
    seen = int(workload["metadata"].get("generation") or 0)
    return _Asked(template=holder.get("template"), generation=generation, workload_generation=seen)


def judge(item: Json, generation: int, workload_generation: int = 0) -> Waited | None:
    """Return what became of the rollout; None while it is under way, or while nobody has seen these generations."""
    status: Json = item.get("status") or {}
    for name, least in (("observedGeneration", generation), ("workloadObservedGeneration", workload_generation)):
        seen = str(status.get(name) or "0")
        if not seen.isdecimal() or int(seen) < least:
            return None
    phase, message = status.get("phase"), status.get("message", "")
    if status.get("abort"):
        return Waited(end=End.STOPPED, why=message or "it was aborted")
    if phase == "Degraded":
        return Waited(end=End.STOPPED, why=message or "it is degraded")
    if phase == "Healthy" and status.get("stableRS") == status.get("currentPodHash"):
        return Waited(end=End.PROMOTED, why=f"revision {status.get('currentPodHash')} is stable and healthy")
    return None


def _state(item: Json) -> str:
    status: Json = item.get("status") or {}
    weights = (status.get("canary") or {}).get("weights") or {}
    weight = (weights.get("canary") or {}).get("weight")
    step, steps = status.get("currentStepIndex"), len((item["spec"]["strategy"].get("canary") or {}).get("steps") or ())
    parts = [
        str(status.get("phase") or "not seen by a controller yet"),
        "" if step is None else f"step {step} of {steps}",
        "" if weight is None else f"weight {weight}",
        str(status.get("message") or ""),
    ]
    return ", ".join(part for part in parts if part)
