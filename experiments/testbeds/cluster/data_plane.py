"""What a control plane alone lacks before a game day can be played on it: pods that run, a router, and a Prometheus.

The three share nothing but the API server, as in any cluster; this starts them together and ends them together.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from controller.kubernetes.api import connect
from experiments.testbeds.cluster.notes import RouterState
from experiments.testbeds.cluster.process_kubelet import ProcessKubelet
from experiments.testbeds.cluster.router import ClusterRouter
from experiments.testbeds.cluster.scraping import start_scraping
from experiments.testbeds.local.places import LOOPBACK
from experiments.testbeds.local.prometheus import PrometheusServer

SCRAPE_S = 1.0


class DataPlane:
    """Process pods, Envoys and a Prometheus over one API server.

    Args:
        kubeconfig: of an administrator.
        folder: an existing, empty folder for logs and data.
        prometheus: the binary of a Prometheus 3.
    """

    def __init__(self, kubeconfig: Path, folder: Path, *, prometheus: Path, scrape_s: float = SCRAPE_S) -> None:
        self._kubeconfig, self._folder, self._binary, self._scrape_s = kubeconfig, folder, prometheus, scrape_s
        self._parts = contextlib.ExitStack()
        self._kubelet: ProcessKubelet | None = None
        self._router: ClusterRouter | None = None
        self._metrics: PrometheusServer | None = None

    def start(self) -> None:
        """Start everything.

        Raises:
            WorldError, ApiError: a part did not start; those that did are gone.
        """
        with contextlib.ExitStack() as parts:
            connection, _ = connect(kubeconfig=self._kubeconfig)
            self._metrics = start_scraping(
                self._binary, self._folder / "prometheus", self._kubeconfig, scrape_s=self._scrape_s
            )
            parts.callback(self._metrics.stop)
            pods, envoys = self._folder / "pods", self._folder / "envoys"
            pods.mkdir()
            envoys.mkdir()
            self._kubelet = ProcessKubelet(connection, pods)
            parts.callback(self._kubelet.stop)
            self._kubelet.start()
            about = RouterState(
                target="",
                metrics=self.metrics_place,
                metrics_text=self._metrics.version,
                scrape_s=self._scrape_s,
            )
            self._router = ClusterRouter(connection, envoys, about=about, cut_metrics=self._cut)
            parts.callback(self._router.stop)
            self._router.start()
            self._parts = parts.pop_all()

    def stop(self) -> None:
        """End every process and thread. Safe to repeat."""
        self._parts.close()

    @property
    def metrics_place(self) -> str:
        """Where Prometheus answers, as host:port."""
        assert self._metrics is not None, "it was not started"
        return f"{LOOPBACK}:{self._metrics.port}"

    @property
    def failure(self) -> BaseException | None:
        """What ended one of its threads; None while all is well."""
        parts = (self._kubelet, self._router)
        return next((part.failure for part in parts if part is not None and part.failure is not None), None)

    def _cut(self, cut: bool) -> None:
        assert self._metrics is not None
        if cut:
            self._metrics.down()
        else:
            self._metrics.up()
