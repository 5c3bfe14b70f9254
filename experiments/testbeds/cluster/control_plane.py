"""A real API server on the loopback: etcd, kube-apiserver and kube-controller-manager as processes of ours.

No kubelet and no scheduler: pods exist as objects, and whoever starts this makes them ready. Everything ends with the
process that started it. The programs come from $KUBEBUILDER_ASSETS or from the cache that tools/build_cluster.sh fills.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from experiments.testbeds.cluster.keys import write_certificate, write_key
from experiments.testbeds.local.children import Child, WorldError, free_port, start_child, tail_of

VERSION = "1.36.3-3.6.6"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
CONTROLLERS = "deployment,replicaset,endpointslice,horizontalpodautoscaling,garbagecollector,namespace"
READY_WITHIN_S = 60.0
_LOOK_S = 0.05


def find_programs() -> Path | None:
    """Return the folder with the control plane's programs, or None where there is none."""
    named = os.environ.get("KUBEBUILDER_ASSETS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gamebird" / f"cluster-{VERSION}"
    folders = [Path(named)] if named else [cache]
    return next((folder for folder in folders if all((folder / name).is_file() for name in PROGRAMS)), None)


@dataclass(slots=True, kw_only=True)
class ControlPlane:
    """One API server with what it needs. `start` and `stop` belong to one owner.

    Attributes:
        programs: where the binaries are.
        folder: an existing folder for data, credentials and logs.
        controllers: which of Kubernetes' own controllers run; an empty text for none.
        etcd_port, port: fixed once started, so that a restarted server has its old address.
    """

    programs: Path
    folder: Path
    controllers: str = CONTROLLERS
    etcd_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    _etcd: Child | None = None
    _server: Child | None = None
    _manager: Child | None = None

    @property
    def address(self) -> str:
        """Where the API server listens."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of the administrator."""
        return self.folder / "kubeconfig"

    def start(self) -> Self:
        """Start everything and return when the API server is ready.

        Raises:
            WorldError: a program did not start; the message has the end of its log.
        """
        try:
            self._write_credentials()
            self._etcd = self._start_etcd()
            self.start_server()
            if self.controllers:
                self._manager = self._start_manager()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every process. Safe to repeat."""
        for child in (self._manager, self._server, self._etcd):
            if child is not None:
                with contextlib.suppress(ProcessLookupError):
                    child.stop(within_s=5.0)
        self._manager = self._server = self._etcd = None

    def stop_server(self) -> None:
        """End the API server alone, as an upgrade does; `start_server` brings it back with all its objects."""
        if self._server is not None:
            self._server.stop(within_s=5.0)
            self._server = None

    def start_server(self) -> None:
        """Start the API server on its port and return when it is ready."""
        self._server = self._launch(
            "kube-apiserver",
            [
                f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.port}",
                f"--tls-cert-file={self.certificate}",
                f"--tls-private-key-file={self._key}",
                f"--token-auth-file={self.folder / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                "--service-cluster-ip-range=10.0.0.0/16",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self._key}",
                f"--service-account-signing-key-file={self._key}",
                "--endpoint-reconciler-type=none",
            ],
        )
        self._await_ready(self._server)

    # ---- parts

    def _launch(self, name: str, arguments: Sequence[str]) -> Child:
        log = self.folder / f"{name}.log"
        return start_child([str(self.programs / name), *arguments], log=log, name=name)

    def _start_etcd(self) -> Child:
        peer = free_port()
        return self._launch(
            "etcd",
            [
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{self.etcd_port}",
                f"--advertise-client-urls=http://127.0.0.1:{self.etcd_port}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
        )

    def _start_manager(self) -> Child:
        return self._launch(
            "kube-controller-manager",
            [
                f"--kubeconfig={self.kubeconfig}",
                f"--controllers={self.controllers}",
                "--leader-elect=false",
                "--secure-port=0",
                "--use-service-account-credentials=false",
                "--horizontal-pod-autoscaler-sync-period=2s",
                # By default 20 requests a second and no more, pods and their events included: six canaries that start
                # together would wait seconds for their pods to be made.
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
            ],
        )

    @property
    def _key(self) -> Path:
        return self.folder / "server.key"

    @property
    def certificate(self) -> Path:
        """What the API server is known by."""
        return self.folder / "server.crt"

    def _write_credentials(self) -> None:
        write_certificate(self.certificate, write_key(self._key))
        (self.folder / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n', encoding="utf-8")
        self.write_kubeconfig(self.kubeconfig, self.token)

    def write_kubeconfig(
        self, file: Path, token: str, *, server: str | None = None, namespace: str = "default"
    ) -> Path:
        """Write a kubeconfig for a token and return its path; `server` puts something in between, as a proxy."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "gamebird",
            "clusters": [
                {
                    "name": "gamebird",
                    "cluster": {"server": server or self.address, "certificate-authority": str(self.certificate)},
                }
            ],
            "users": [{"name": "gamebird", "user": {"token": token}}],
            "contexts": [
                {"name": "gamebird", "context": {"cluster": "gamebird", "user": "gamebird", "namespace": namespace}}
            ],
        }
        file.write_text(json.dumps(config), encoding="utf-8")
        file.chmod(0o600)
        return file

    def _await_ready(self, server: Child) -> None:
        """Return when the server says that it is ready."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        request = urllib.request.Request(f"{self.address}/readyz", headers={"Authorization": f"Bearer {self.token}"})
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s:
            for child in (server, self._etcd):
                if child is not None and not child.alive:
                    raise WorldError(f"{child.name} ended at its start; its log ends:\n{tail_of(child.log)}")
            try:
                with urllib.request.urlopen(request, timeout=2.0, context=context) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(_LOOK_S)
        raise WorldError(f"the API server was not ready in {READY_WITHIN_S:g} s; its log ends:\n{tail_of(server.log)}")
