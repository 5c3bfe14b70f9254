"""The labels, annotations and names that Argo Rollouts puts on objects, so that either controller finds its own."""

from __future__ import annotations

POD_HASH = "rollouts-pod-template-hash"
INSTANCE_ID = "argo-rollouts.argoproj.io/controller-instance-id"
MANAGED_BY = "argo-rollouts.argoproj.io/managed-by-rollouts"
REVISION = "rollout.argoproj.io/revision"
DESIRED_REPLICAS = "rollout.argoproj.io/desired-replicas"
WORKLOAD_GENERATION = "rollout.argoproj.io/workload-generation"
SCALE_DOWN_DEADLINE = "scale-down-deadline"
ROLLOUT_TYPE = "rollout-type"
STEP_INDEX = "step-index"
EPHEMERAL_METADATA = "rollout.argoproj.io/ephemeral-metadata"

# Of our own: the metrics of a run with arguments filled in, so that a restarted controller measures the same.
RESOLVED_RUN = "gamebird.dev/resolved-run"
