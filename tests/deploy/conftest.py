"""What is deployed, held against a real API server of this room's own, and against a real helm."""

from __future__ import annotations

from api_server import connection, control_plane, kubelet, namespace

__all__ = ["connection", "control_plane", "kubelet", "namespace"]
