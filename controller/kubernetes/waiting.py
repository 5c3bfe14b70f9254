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
    generation: int | None = None
    while True:
        try:
            item = connection.get(ROLLOUTS, key.namespace, key.name)
        except NotFoundError as error:
            return Waited(end=End.UNKNOWN, why=str(error))
        except ApiError as error:
            problem = str(error)  # it may come back; only the deadline ends the wait
        else:
            problem = ""
            generation = generation or int(item["metadata"].get("generation") or 0)
            found = judge(item, generation)
            if found is not None:
                return found
            said = _state(item)
            if said != state:
                state = said
                told(said)
        if now_s() >= deadline_s:
            return Waited(end=End.UNKNOWN, why=problem or f"after {timeout_s:g} s it is still {state}")
        sleep(LOOK_S)


def judge(item: Json, generation: int) -> Waited | None:
    """Return what became of the rollout; None while it is under way, or while nobody has seen this generation."""
    status: Json = item.get("status") or {}
    seen = str(status.get("observedGeneration") or "")
    if not seen.isdecimal() or int(seen) < generation:
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
