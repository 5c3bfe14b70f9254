"""Files, folders, Lists and standard input, and what stands in them beside a policy."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from controller.manifests.loading import ManifestError, Manifests, load
from controller.manifests.values import (
    Amount,
    PodTemplateHash,
    PrometheusProvider,
    ResourceTarget,
    RolloutAnalysis,
    SetCanaryScale,
    SetHeaderRoute,
    TemplateRef,
)

Load = Callable[..., Manifests]
ROOT = Path(__file__).resolve().parents[3]
SEEDS = [
    folder
    for folder in (ROOT / "examples" / "orders-api", ROOT.parent / "shared" / "seed")
    if (folder / "rollout.yaml").exists() and (folder / "analysis-template.yaml").exists()
]


@pytest.mark.parametrize("folder", SEEDS, ids=lambda folder: folder.name)
def test_the_guides_two_files_load_as_they_are(folder: Path) -> None:
    manifests = load([folder / "rollout.yaml", folder / "analysis-template.yaml"])
    policy = manifests.policy("orders-api")
    steps = policy.rollout.strategy.steps
    assert [step.set_weight for step in steps if step.set_weight is not None] == [10, 30, 60, 100]
    assert [step.pause.duration_s for step in steps if step.pause is not None] == [180.0, 180.0, 300.0]
    assert [item.step_index for item in policy.analyses] == [2, 5, 8]
    error_rate, latency = policy.analyses[0].resolved.metrics
    assert (error_rate.name, error_rate.interval_s, error_rate.count, error_rate.failure_limit) == (
        "error-rate",
        60.0,
        3,
        0,
    )
    assert latency.success_condition == "result[0] < 0.350"
    assert isinstance(error_rate.provider, PrometheusProvider)
    assert 'service="orders-api"' in error_rate.provider.query
    # Their Services and their Ingress are elsewhere: three warnings, no refusal.
    assert [notice.path.rpartition(".")[2] for notice in policy.warnings] == [
        "stableService",
        "canaryService",
        "stableIngress",
    ]
    assert [(text.metric, text.text) for text in policy.conditions()] == [
        ("error-rate", "result[0] < 0.01"),
        ("latency-p95", "result[0] < 0.350"),
    ]


def test_a_folder_is_searched_and_what_is_no_manifest_is_noted(rollout: str, template: str, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "rollout.yaml").write_text(rollout)
    (tmp_path / "deep" / "er" / "template.yml").write_text(template)
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    (tmp_path / "readme.md").write_text("{{ not yaml")
    (tmp_path / ".hidden" / "x.yaml").write_text("{{ not yaml")
    manifests = load(tmp_path)
    assert manifests.policy().rollout.name == "shop"
    assert [note.text for note in manifests.notes] == ["left alone: no manifest (it has no kind)"]


def test_a_folder_without_manifests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="a folder with 0 manifest files"):
        load(tmp_path)


def test_standard_input_is_read_for_a_dash(rollout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(rollout.encode())))
    manifests = load("-")
    assert manifests.rollouts[0].name == "shop"
    assert manifests.objects[0].place.file == "<stdin>"


def test_a_list_as_kubectl_prints_it_and_json_are_read(rollout: str, template: str, load_texts: Load) -> None:
    items = [yaml.safe_load(rollout), yaml.safe_load(template)]
    as_list = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}
    assert load_texts(json.dumps(as_list, indent=1)).policy().templates[0].name == "errors"
    typed = {"apiVersion": "argoproj.io/v1alpha1", "kind": "RolloutList", "items": items[:1]}
    del typed["items"][0]["kind"]  # kubectl leaves it out there
    assert load_texts(yaml.safe_dump(typed)).rollouts[0].name == "shop"


def test_a_fault_in_an_item_of_a_list_is_told_with_its_own_path(rollout: str, load_texts: Load) -> None:
    indented = rollout.replace("setWeight: 20", "setWeight: 200").replace("\n", "\n    ").rstrip()
    with pytest.raises(ManifestError) as caught:
        load_texts(f"apiVersion: v1\nkind: List\nitems:\n  - {indented}\n")
    assert caught.value.problems[0].path == "spec.strategy.canary.steps[0].setWeight"
    assert caught.value.problems[0].line == 29  # line 26 of the rollout, behind three lines of the List


def test_other_kinds_and_other_projects_rollouts_are_left_alone(rollout: str, template: str, load_texts: Load) -> None:
    others = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n"
        "apiVersion: rollouts.kruise.io/v1beta1\nkind: Rollout\nmetadata: {name: y}\nspec: {anything: 1}\n---\n"
        "apiVersion: kargo.akuity.io/v1alpha1\nkind: Stage\nmetadata: {name: z}\n---\n"
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec: {template: {}}\n---\n"
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: v}\n"
    )
    manifests = load_texts(f"{others}---\n{rollout}", template)
    assert manifests.policy().rollout.name == "shop"
    assert len(manifests.notes) == 5
    assert (
        "left alone: this Rollout is of another project (Rollout, rollouts.kruise.io/v1beta1)"
        in manifests.notes[1].text
    )


def test_a_live_object_with_status_is_read(rollout: str, load_texts: Load) -> None:
    live = rollout.replace(
        "  labels: {team: blue}\n", "  uid: x\n  generation: 3\n  managedFields: [{manager: kubectl}]\n"
    )
    manifests = load_texts(live + "status:\n  phase: Healthy\n  whatever: [1, 2]\n")
    assert manifests.rollouts[0].name == "shop"


def test_null_counts_as_absent(rollout: str, load_texts: Load) -> None:
    text = rollout.replace("  strategy:\n", "  paused: null\n  strategy:\n    blueGreen: null\n")
    text = text.replace("      canaryService", "      analysis: null\n      canaryService")
    assert load_texts(text).rollouts[0].strategy.analysis is None


def test_the_named_rollout_is_picked_and_doubt_is_told(rollout: str, template: str, load_texts: Load) -> None:
    manifests = load_texts(rollout, rollout.replace("name: shop\n  namespace", "name: till\n  namespace"), template)
    assert manifests.policy("till").rollout.name == "till"
    with pytest.raises(ManifestError, match=r"2 Rollouts; it needs the name of one of them \(shop, till\)"):
        manifests.policy()
    with pytest.raises(ManifestError, match="no Rollout named 'tilll'"):
        manifests.policy("tilll")


def test_a_policy_of_no_rollout_is_refused(template: str, load_texts: Load) -> None:
    with pytest.raises(ManifestError, match="no Rollout; it needs a manifest of kind Rollout"):
        load_texts(template).policy()


RICH = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: rich
  annotations:
    gamebird.dev/min-requests: "300"
    gamebird.dev/parity: "off"
spec:
  revisionHistoryLimit: 3
  minReadySeconds: 5
  progressDeadlineSeconds: 120
  progressDeadlineAbort: true
  paused: true
  restartAt: "2026-01-01T00:00:00Z"
  rollbackWindow: {revisions: 2}
  analysis: {successfulRunHistoryLimit: 1, unsuccessfulRunHistoryLimit: 2}
  selector: {matchLabels: {app: rich}, matchExpressions: [{key: tier, operator: In, values: [a, b]}]}
  template:
    metadata: {labels: {app: rich}}
    spec: {containers: [{name: a, image: b}]}
  strategy:
    canary:
      canaryService: c
      stableService: s
      maxSurge: 1
      maxUnavailable: 25%
      scaleDownDelaySeconds: 7
      abortScaleDownDelaySeconds: 0
      scaleDownDelayRevisionLimit: 1
      minPodsPerReplicaSet: 2
      replicaProgressThreshold: {type: Pods, value: 2}
      canaryMetadata: {labels: {role: canary}}
      trafficRouting:
        managedRoutes: [{name: by-header}]
        istio:
          virtualServices: [{name: v, routes: [primary]}]
          destinationRule: {name: d, canarySubsetName: cs, stableSubsetName: ss}
      analysis:
        startingStep: 2
        templates: [{templateName: t, clusterScope: true}]
        args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
        dryRun: [{metricName: noisy}]
        measurementRetention: [{metricName: noisy, limit: 3}]
      steps:
        - setCanaryScale: {replicas: 2}
          setHeaderRoute: {name: by-header, match: [{headerName: x, headerValue: {exact: "1"}}]}
          setWeight: 0
        - pause: {}
        - pause: {duration: 1h30m}
        - pause: {duration: "90"}
        - setHeaderRoute: {name: by-header}
"""


def test_every_field_of_a_rich_rollout_arrives_with_its_unit(load_texts: Load) -> None:
    (rollout,) = load_texts(RICH).rollouts
    canary = rollout.strategy
    assert rollout.namespace == "default"
    assert rollout.replicas == 1  # what Argo takes where the manifest is silent
    assert (rollout.min_ready_s, rollout.progress_deadline_s, rollout.revision_history_limit) == (5.0, 120.0, 3)
    assert rollout.restart_at_s == 1_767_225_600.0  # 56 years of 365 days and 14 leap days after 1970
    assert (rollout.rollback_window_revisions, rollout.successful_run_history_limit) == (2, 1)
    assert rollout.paused
    assert rollout.progress_deadline_abort
    assert rollout.extensions.rules_for("any").requests_min == 300
    assert rollout.extensions.rules_for("any").parity.value == "off"
    assert (canary.max_surge, canary.max_unavailable) == (Amount(number=1), Amount(number=25, percent=True))
    assert (canary.scale_down_delay_s, canary.abort_scale_down_delay_s) == (7.0, 0.0)
    assert canary.steps[0].set_weight == 0
    assert canary.steps[0].set_canary_scale == SetCanaryScale(replicas=2)
    assert [step.pause.duration_s for step in canary.steps if step.pause] == [None, 5400.0, 90.0]
    assert canary.steps[4].set_header_route == SetHeaderRoute(name="by-header")
    assert canary.traffic_routing is not None
    assert canary.traffic_routing.routers == ("istio",)
    assert canary.analysis is not None
    assert canary.analysis.starting_step == 2
    background = canary.analysis.analysis
    assert isinstance(background, RolloutAnalysis)
    assert background.templates == (TemplateRef(name="t", cluster_scope=True),)
    assert background.args[0].value_from == PodTemplateHash(revision="Latest")
    assert (background.dry_run, background.measurement_retention[0].limit) == (("noisy",), 3)


def test_equal_pod_templates_have_one_hash_whatever_their_order(load_texts: Load) -> None:
    swapped = RICH.replace("{name: a, image: b}", "{image: b, name: a, env: null}").replace(
        "name: rich", "name: poor", 1
    )
    one, other = load_texts(RICH, swapped).rollouts
    assert one.template is not None
    assert other.template is not None
    assert one.template.pod_hash == other.template.pod_hash
    third = load_texts(RICH.replace("image: b", "image: c")).rollouts[0].template
    assert third is not None
    assert third.pod_hash != one.template.pod_hash


def test_what_is_ignored_is_warned_about(load_texts: Load) -> None:
    text = RICH.replace(
        "      maxSurge: 1\n",
        "      maxSurge: '1'\n      antiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}}\n",
    )
    warnings = [str(notice) for notice in load_texts(text).warnings]
    assert any("antiAffinity: ignored: pods are not kept apart by node" in warning for warning in warnings)
    assert any('Argo Rollouts reads the text "1" as 1 %, not as 1 pods' in warning for warning in warnings)


def test_an_autoscaler_finds_its_rollout(rollout: str, template: str, load_texts: Load) -> None:
    hpa = (
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: prod}\nspec:\n"
        "  scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: shop}\n"
        "  minReplicas: 2\n  maxReplicas: 9\n"
        "  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]\n"
        "  behavior:\n    scaleDown:\n      stabilizationWindowSeconds: 60\n"
        "      policies: [{type: Percent, value: 50, periodSeconds: 30}]\n"
    )
    autoscaler = load_texts(rollout, template, hpa).policy().autoscaler
    assert autoscaler is not None
    assert (autoscaler.replicas_min, autoscaler.replicas_max) == (2, 9)
    assert autoscaler.resources == (ResourceTarget(resource="cpu", utilization_percent=70),)
    assert autoscaler.scale_down.stabilization_s == 60.0
    assert autoscaler.scale_down.policies[0].percent


def test_a_workload_ref_takes_the_deployments_pods(template: str, load_texts: Load) -> None:
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n"
        "  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: b}]}}\n"
    )
    rollout = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n"
        "  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  strategy: {canary: {}}\n"
    )
    found = load_texts(rollout, deployment).policy().rollout
    assert found.template is not None
    assert found.template.labels["app"] == "web"
    alone = load_texts(rollout).policy()
    assert alone.rollout.template is None
    assert "the Deployment web is not among the files" in alone.warnings[0].text
