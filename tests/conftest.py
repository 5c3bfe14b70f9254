"""What several rooms' tests share: the recordings' folder, the real manifests, and tools that a laptop may lack.

On a user's machine a missing tool skips the tests that need it and says which. CI names the tools that must be there
in GAMEBIRD_REQUIRE (comma-separated), and then their absence is a failure: nothing is skipped in silence.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from experiments.testbeds.cluster.control_plane import find_programs

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gamebird"


def missing(tool: str, how: str) -> None:
    """Skip the calling test, or fail it where the environment says that the tool must be there."""
    required = {name.strip() for name in os.environ.get("GAMEBIRD_REQUIRE", "").split(",")}
    message = f"{tool} is not here; {how}"
    if tool in required:
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def program() -> Callable[[str], ModuleType]:
    """Return a function that loads a program by its path below the root, tools/truth.py for one: it is no package."""

    def loaded(path: str) -> ModuleType:
        file = ROOT / path
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module  # a slotted dataclass looks itself up there
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of what the real systems answered, as compressed data."""
    return ROOT / "tests" / "conformance"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real public manifests, which are others' work and stand beside the project, not in it."""
    folder = ROOT.parent / "shared" / "corpus"
    if not folder.is_dir():
        missing("corpus", "the real manifests of public repositories are read from ../shared/corpus")
    return folder


def built(tool: str, program: str, named: str | None, how: str) -> Path:
    """Return a program that was named, or else built once into the cache folder."""
    found = Path(named) if named else CACHE / program
    if not found.is_file():
        missing(tool, how)
    return found


@pytest.fixture(scope="session")
def prometheus_binary() -> Path:
    """A Prometheus 3 server, built once by tools/build_prometheus.sh."""
    how = "build it once with tools/build_prometheus.sh (two minutes, needs Go)"
    return built("prometheus", "prometheus", os.environ.get("GAMEBIRD_PROMETHEUS"), how)


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' own command line, built beside the server by tools/build_prometheus.sh."""
    named = os.environ.get("GAMEBIRD_PROMTOOL") or shutil.which("promtool")
    return built(
        "prometheus", "promtool", named, "its promtool is built once with tools/build_prometheus.sh (it needs Go)"
    )


@pytest.fixture(scope="session")
def helm() -> Path:
    """A helm 3, built once by tools/build_helm.sh."""
    how = "build it once with tools/build_helm.sh (eighty seconds, needs Go)"
    return built("helm", "helm", os.environ.get("GAMEBIRD_HELM"), how)


@pytest.fixture(scope="session")
def go() -> str:
    """The Go compiler, which builds the originals that our answers are held against."""
    found = shutil.which("go")
    if found is None:
        missing("go", "it builds the originals that our answers are compared with")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def cluster_programs() -> Path:
    """The folder with etcd, kube-apiserver and kube-controller-manager, built once by tools/build_cluster.sh."""
    found = find_programs()
    if found is None:
        missing("cluster", "build an API server once with tools/build_cluster.sh (six minutes, needs Go)")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A headless browser to open reports in."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("chromium", "install your distribution's chromium package")
    assert found is not None
    return Path(found)


@pytest.fixture
def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
