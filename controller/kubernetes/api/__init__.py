"""Talk to an API server in raw JSON: requests with typed errors, watches that survive, a lease.

The official client finds the server and its credentials (kubeconfig, service account) and keeps the connections; list,
watch and lease are ours, on the monotonic clock. Knows no rollout.
"""

from controller.kubernetes.api.connection import Connection, connect
from controller.kubernetes.api.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from controller.kubernetes.api.resources import Resource

__all__ = [
    "AlreadyExistsError",
    "ApiError",
    "ConflictError",
    "Connection",
    "ForbiddenError",
    "GoneError",
    "InvalidError",
    "NotFoundError",
    "Resource",
    "UnavailableError",
    "connect",
]
