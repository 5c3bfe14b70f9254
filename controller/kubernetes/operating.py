"""Carry an operator's word to the API server: the edits of spec and status that Argo Rollouts' command line makes.

Whichever controller runs there follows them. Every word leaves an event and an annotation with who said it and why,
because some steps are allowed by nothing but a person's word.
"""

from __future__ import annotations

import json
import time
from typing import Any

from controller.core.operator import Asked, Word, ask
from controller.core.records import OperatorRecord
from controller.kubernetes.api import ApiError, ConflictError, Connection
from controller.kubernetes.api.resources import ROLLOUTS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.events import EventWriter
from controller.kubernetes.observing import Unreadable, read_rollout, stored_status
from controller.kubernetes.wire import rollout_status_json
from controller.kubernetes.wire.stamps import stamp, to_millis

Json = dict[str, Any]

OVERRIDE = "gamebird.dev/override"
ATTEMPTS = 10
SELF_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class OperatorError(Exception):
    """A word that cannot be carried out, and why."""


def say(connection: Connection, key: Key, word: Word, *, user: str = "", reason: str = "") -> OperatorRecord:
    """Carry a word out and return its record.

    Raises:
        OperatorError: the rollout cannot be read.
        ApiError: the API server did not take it.
    """
    for _ in range(ATTEMPTS):
        item = connection.get(ROLLOUTS, key.namespace, key.name)
        rollout = read_rollout(item)
        if isinstance(rollout, Unreadable):
            raise OperatorError(f"Rollout {key}: {rollout.message}")
        now_s = to_millis(time.time())
        asked = ask(word, rollout, stored_status(item), now_s)
        try:
            _write(connection, key, item, asked, kept=note(word.value, now_s, user, reason))
        except ConflictError:
            continue  # the controller was faster: read again, and ask again of what is there now
        tell(connection, item, word.value, user, reason, now_s)
        return asked.record
    raise OperatorError(f"Rollout {key} changed {ATTEMPTS} times while it was to be changed; try again")


def _write(connection: Connection, key: Key, item: Json, asked: Asked, *, kept: str) -> None:
    """Write the spec first, then the status: each only if nobody has changed the object since it was read."""
    metadata: Json = {"resourceVersion": item["metadata"]["resourceVersion"], "annotations": {OVERRIDE: kept}}
    spec: Json = {}
    if bool(item["spec"].get("paused")) != asked.rollout.paused:
        spec["paused"] = asked.rollout.paused
    if asked.rollout.restart_at_s is not None:
        restart_at = stamp(round(asked.rollout.restart_at_s))
        if item["spec"].get("restartAt") != restart_at and asked.record.word == Word.RESTART.value:
            spec["restartAt"] = restart_at
    patch: Json = {"metadata": metadata, **({"spec": spec} if spec else {})}
    item = connection.patch(ROLLOUTS, key.namespace, key.name, patch)
    change = _status_change(item.get("status") or {}, asked)
    if change:
        body = {"metadata": {"resourceVersion": item["metadata"]["resourceVersion"]}, "status": change}
        connection.patch(ROLLOUTS, key.namespace, key.name, body, subresource="status")


def _status_change(stored: Json, asked: Asked) -> Json:
    """Return the merge patch for what the word changes, and for nothing else: a controller may write beside it."""
    wanted = rollout_status_json(asked.status, selector="")
    change: Json = {}
    for name in ("abort", "promoteFull", "controllerPause", "pauseConditions", "currentStepIndex"):
        if wanted.get(name) != stored.get(name):
            change[name] = wanted.get(name)
    return change


def known_as(connection: Connection) -> str:
    """Return the name by which the API server knows whoever holds this connection; "" where it does not tell."""
    try:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        found = connection.call("POST", SELF_REVIEWS, body=body)
    except ApiError:
        return ""  # before Kubernetes 1.28, or not allowed: the name is for people, and nothing depends on it
    user = (found.get("status") or {}).get("userInfo") or {}
    return str(user.get("username") or "")


def note(word: str, now_s: float, user: str, reason: str) -> str:
    """Return the text of the annotation that keeps an operator's last word."""
    return json.dumps({"word": word, "at": stamp(round(now_s)), "by": user, "reason": reason})


def tell(connection: Connection, item: Json, word: str, user: str, reason: str, now_s: float) -> None:
    """Write the event that says who did what, and why."""
    who, why = user or "somebody", f": {reason}" if reason else ""
    EventWriter(connection).emit(item, "OperatorOverride", f"{word} by {who}{why}", now_s=now_s)
