"""An object that was loaded: its value, and where it stands, for whoever finds a fault in it later."""

from __future__ import annotations

from dataclasses import dataclass

from controller.manifests.reading.reader import Place
from controller.manifests.values import (
    AnalysisRunManifest,
    AnalysisTemplate,
    HorizontalPodAutoscaler,
    HttpRoute,
    Ingress,
    Rollout,
    Service,
    Workload,
)

Value = (
    Rollout
    | AnalysisTemplate
    | AnalysisRunManifest
    | Service
    | Ingress
    | HttpRoute
    | HorizontalPodAutoscaler
    | Workload
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One object, and where it was read."""

    value: Value
    place: Place
    namespace: str  # "" where the manifest does not say, so that it fits any

    @property
    def name(self) -> str:
        return self.value.name
