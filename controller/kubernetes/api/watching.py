"""Keep a copy of all objects of one kind: list, watch, and list again whenever history is lost.

One thread per kind. Whoever needs an object reads the copy; whoever must act on a change is told its key. A server
that is away, restarts, forgets history or refuses is survived: the copy stays as it was, `problem` says what is wrong,
and the list is asked again with a growing, bounded wait. Waits are measured on the monotonic clock.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.kubernetes.api.connection import Connection, Watch
from controller.kubernetes.api.errors import ApiError, ForbiddenError, GoneError, NotFoundError
from controller.kubernetes.api.resources import Resource

Json = dict[str, Any]

WATCH_S = 300.0  # the server ends a watch after about so long; all at once would be a stampede, so it varies
QUIET_S = 150.0  # bookmarks come every minute; a server that is silent for longer is gone
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 10.0
GONE_KEPT = 200  # deleted objects that are remembered for a while


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which object: "" is the namespace of a kind that has none."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


Changed = Callable[[Json | None, Json | None], None]
"""Called with an object before and after a change; None where it was not there. From the reflector's thread."""


def key_of(item: Mapping[str, Any]) -> Key:
    """Return the key of an object."""
    metadata = item["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


class Reflector:
    """The copy of one kind of object.

    Args:
        namespace: one namespace, or None for all.
        selector: only objects with these labels.
        changed: told of each change, also of what a new list shows to have happened unseen.
        with_managers: keep who set which field. It is half of an object, and hardly ever asked for.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        *,
        namespace: str | None = None,
        selector: str = "",
        changed: Changed | None = None,
        with_managers: bool = False,
    ) -> None:
        self._connection, self.resource = connection, resource
        self._with_managers = with_managers
        self._namespace, self._selector = namespace, selector
        self._changed = changed
        self._items: dict[Key, Json] = {}
        self._owned: dict[str, dict[Key, Json]] = {}  # by the uid of their controller
        self._within: dict[str, dict[Key, Json]] = {}  # by namespace
        self._gone: deque[str | None] = deque(maxlen=GONE_KEPT)
        self._lock = threading.Lock()
        self._synced = threading.Event()
        self._followed = threading.Event()
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._thread: threading.Thread | None = None
        self.problem: ApiError | None = None  # why the copy is not being kept up to date right now
        self.failure: BaseException | None = None  # a bug ended the thread
        self.lists = 0

    def start(self) -> None:
        """Begin to keep the copy, in a thread."""
        self._thread = threading.Thread(target=self._run, name=f"watch {self.resource.plural}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. The copy stays as it is."""
        self._stopping.set()
        watch = self._watch
        if watch is not None:
            watch.close()
        if self._thread is not None:
            self._thread.join()

    def wait_followed(self, within_s: float) -> bool:
        """Wait until the first list is in and changes are being watched; return whether they are."""
        return self._followed.wait(within_s)

    def wait_synced(self, within_s: float) -> bool:
        """Wait until the first list is in; return whether it is."""
        return self._synced.wait(within_s)

    @property
    def synced(self) -> bool:
        """Whether the first list is in."""
        return self._synced.is_set()

    def get(self, key: Key) -> Json | None:
        """Return one object of the copy. Nobody may change it."""
        with self._lock:
            return self._items.get(key)

    def all(self) -> list[Json]:
        """Return all objects of the copy. Nobody may change them."""
        with self._lock:
            return list(self._items.values())

    def owned_by(self, uid: str) -> list[Json]:
        """Return the objects whose controller has this uid. Nobody may change them."""
        with self._lock:
            return list(self._owned.get(uid, {}).values())

    def in_namespace(self, namespace: str) -> list[Json]:
        """Return the objects of one namespace. Nobody may change them."""
        with self._lock:
            return list(self._within.get(namespace, {}).values())

    def learn(self, item: Json) -> None:
        """Take in an object as the server has just answered it to a write, before its event comes.

        An event that was overtaken cannot take the copy back: the older of two resourceVersions is dropped.
        """
        self._put(item)

    # ---- the thread

    def _run(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        try:
            while not self._stopping.is_set():
                try:
                    version = self._list()
                    backoff_s = BACKOFF_FIRST_S
                    self._follow(version)
                except GoneError:
                    continue  # history is lost: list again at once
                except ApiError as error:
                    self.problem = error
                    slow = isinstance(error, (NotFoundError, ForbiddenError))
                    # Half of the wait is chance, so that many watches do not come back in step.
                    wait_s = (BACKOFF_MAX_S if slow and self.synced else backoff_s) * random.uniform(0.5, 1.0)
                    self._stopping.wait(wait_s)
                    backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
        except (
            BaseException
        ) as error:  # whoever holds the reflector looks; a copy that nobody keeps must not look fresh
            self.failure = error

    def _list(self) -> str:
        found = self._connection.list_all(self.resource, self._namespace, selector=self._selector)
        items = {key_of(item): item for item in found["items"]}
        with self._lock:
            gone = [key for key in self._items if key not in items]
        for item in items.values():
            self._put(item)
        for key in gone:
            self._drop(key)
        self.lists += 1
        self.problem = None
        self._synced.set()
        return str(found["metadata"].get("resourceVersion", ""))

    def _follow(self, version: str) -> None:
        """Watch from a version until somebody stops, or the server loses the thread."""
        while not self._stopping.is_set():
            query = {
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(round(WATCH_S * random.uniform(1.0, 2.0))),
                **({"labelSelector": self._selector} if self._selector else {}),
            }
            self._watch = self._connection.watch(self.resource, self._namespace, query, quiet_s=QUIET_S)
            self._followed.set()
            if self._stopping.is_set():  # `stop` may have looked before there was a watch to close
                self._watch.close()
            for event in self._watch:
                item = event["object"]
                version = str(item["metadata"].get("resourceVersion", version))
                match event["type"]:
                    case "ADDED" | "MODIFIED":
                        self._put(item)
                    case "DELETED":
                        self._drop(key_of(item))
                    case _:
                        pass  # a bookmark moves the version and nothing else

    def _put(self, item: Json) -> None:
        # Lists leave out what every item of theirs has in common.
        item.setdefault("apiVersion", self.resource.api_version)
        item.setdefault("kind", self.resource.kind)
        if not self._with_managers:
            item["metadata"].pop("managedFields", None)  # left out of a write, the server keeps what it has
        key = key_of(item)
        with self._lock:
            if item["metadata"].get("uid") in self._gone:  # an answer to a write that was overtaken by the deletion
                return
            before = self._items.get(key)
            if before is not None and not _is_newer(item, before):
                return
            self._items[key] = item
            self._index(key, before, item)
        if self._changed is not None:
            self._changed(before, item)

    def _index(self, key: Key, before: Json | None, after: Json | None) -> None:
        old, new = _owner(before), _owner(after)
        if old is not None and old != new:
            _unfile(self._owned, old, key)
        if new is not None and after is not None:
            self._owned.setdefault(new, {})[key] = after
        if after is None:
            _unfile(self._within, key.namespace, key)
        else:
            self._within.setdefault(key.namespace, {})[key] = after

    def _drop(self, key: Key) -> None:
        with self._lock:
            before = self._items.pop(key, None)
            if before is not None:
                self._gone.append(before["metadata"].get("uid"))
                self._index(key, before, None)
        if before is not None and self._changed is not None:
            self._changed(before, None)


def _unfile(index: dict[str, dict[Key, Json]], under: str, key: Key) -> None:
    kept = index.get(under, {})
    kept.pop(key, None)
    if not kept:
        index.pop(under, None)


def _owner(item: Json | None) -> str | None:
    references = (item or {}).get("metadata", {}).get("ownerReferences") or ()
    return next((str(each["uid"]) for each in references if each.get("controller")), None)


def _is_newer(item: Json, known: Json) -> bool:
    """Whether an object is another than the known one, and not an older state of it.

    Since Kubernetes 1.35 resourceVersions are ordered numbers by contract; elsewhere, whatever is new is newer.
    """
    if item["metadata"].get("uid") != known["metadata"].get("uid"):
        return True
    new, old = item["metadata"].get("resourceVersion", ""), known["metadata"].get("resourceVersion", "")
    if new.isdecimal() and old.isdecimal():
        return int(new) > int(old)
    return bool(new != old)
