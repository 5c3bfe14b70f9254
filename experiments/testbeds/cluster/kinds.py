"""Define custom kinds of objects on a cluster, and wait until they can be asked for: a server takes a moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from controller.kubernetes.api import Connection, NotFoundError
from controller.kubernetes.api.resources import CRDS, Resource
from experiments.testbeds.local.children import WorldError

SERVED_WITHIN_S = 30.0


def define_kinds(connection: Connection, definitions: Sequence[dict[str, Any]], *, last: Resource) -> None:
    """Create definitions and return when objects of the `last` kind are served.

    Raises:
        WorldError: they are not served in time.
    """
    for definition in definitions:
        connection.create(CRDS, None, definition)
    deadline_s = time.monotonic() + SERVED_WITHIN_S
    while time.monotonic() < deadline_s:
        try:
            connection.list_all(last)
        except NotFoundError:
            time.sleep(0.1)
        else:
            return
    raise WorldError(f"{last.text} were not served in {SERVED_WITHIN_S:g} s")
