"""A namespace that keeps objects as an API server does: versions, conflicts, merge patches. It knows no router."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

Json = dict[str, Any]


class Conflict(Exception):
    """Somebody has changed the object since it was read."""


@dataclass
class KeptObjects:
    """Objects by kind and name, and every write that changed one."""

    items: dict[tuple[str, str], Json] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    version: int = 0

    def get(self, kind: str, name: str) -> Json | None:
        found = self.items.get((kind, name))
        return None if found is None else copy.deepcopy(found)

    def create(self, kind: str, body: Json) -> Json:
        return self._keep(kind, copy.deepcopy(body))

    def patch(self, kind: str, name: str, body: Json) -> Json:
        return self._keep(kind, _merged(self.items[(kind, name)], body))

    def replace(self, kind: str, body: Json) -> Json:
        known = self.items[(kind, body["metadata"]["name"])]
        if body["metadata"].get("resourceVersion") != known["metadata"]["resourceVersion"]:
            raise Conflict(body["metadata"]["name"])
        return self._keep(kind, copy.deepcopy(body))

    def delete(self, kind: str, name: str) -> None:
        self.items.pop((kind, name), None)

    def _keep(self, kind: str, item: Json) -> Json:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        key = (kind, item["metadata"]["name"])
        self.items[key] = item
        self.writes.append(key)
        return copy.deepcopy(item)


def _merged(target: Any, patch: Any) -> Any:
    """Return a JSON merge patch applied (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = _merged(found.get(name), value)
    return found


@pytest.fixture
def objects() -> KeptObjects:
    return KeptObjects()
