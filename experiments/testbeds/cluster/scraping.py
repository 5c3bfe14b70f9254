"""A real Prometheus that finds a cluster's pods by itself and scrapes them, as one in the cluster would.

It asks the API server for pods, keeps those of rollouts, and turns their addresses into the loopback's. Labels are
those that the local world gives: job, namespace, pod, pod_template_hash. Prometheus takes up a new pod within five
seconds, which is its own pace for news from the API.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.testbeds.local.prometheus import PrometheusServer

Json = dict[str, Any]

_META = "__meta_kubernetes_"


def start_scraping(binary: Path, folder: Path, kubeconfig: Path, *, scrape_s: float) -> PrometheusServer:
    """Return a Prometheus that runs and looks for pods.

    Raises:
        WorldError: it does not start.
    """
    folder.mkdir()
    return PrometheusServer(binary, folder, config=json.dumps(configuration(kubeconfig, scrape_s)))


def configuration(kubeconfig: Path, scrape_s: float) -> Json:
    """Return Prometheus' configuration; JSON is YAML."""
    interval = f"{round(scrape_s * 1000)}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": "pods",
                "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(kubeconfig)}],
                "relabel_configs": [
                    {"source_labels": [f"{_META}pod_phase"], "regex": "Running", "action": "keep"},
                    _take(f"{_META}pod_label_rollouts_pod_template_hash", "pod_template_hash"),
                    {"source_labels": ["pod_template_hash"], "regex": ".+", "action": "keep"},
                    _take("__address__", "__address__", regex=r"10\.(.+)", to="127.$1"),
                    _take(f"{_META}pod_controller_name", "job", regex="(.+)-[^-]+"),
                    _take(f"{_META}namespace", "namespace"),
                    _take(f"{_META}pod_name", "pod"),
                ],
            }
        ],
    }


def _take(source: str, label: str, *, regex: str = "(.*)", to: str = "$1") -> Json:
    return {"source_labels": [source], "regex": regex, "replacement": to, "target_label": label}
