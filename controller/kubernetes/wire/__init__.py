"""Statuses as they stand in the API server: spelled as Argo Rollouts spells them, so that either controller goes on.

Pure: JSON values in, core values out, and back. What Argo's schema has no field for travels in the metadata that it
allows, and is missing only where Argo itself wrote the status.
"""

from controller.kubernetes.wire.analysis_status import analysis_status_from, analysis_status_json
from controller.kubernetes.wire.rollout_status import rollout_status_from, rollout_status_json

__all__ = ["analysis_status_from", "analysis_status_json", "rollout_status_from", "rollout_status_json"]
