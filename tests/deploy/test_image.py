"""The images and the kind cluster, as far as they can be held without Docker."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from experiments.testbeds.cluster.pod_specs import annotation_of
from experiments.testbeds.local.children import free_port
from sim.releases import Release

Json = dict[str, Any]
SERVED_ONLY = ("http", "requesting", "serve")  # our query server, which the controller's image does not run


def named(text: str) -> set[str]:
    """Return the distributions that a requirements file names."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {re.split(r"[=<>\\[; ]", line)[0].lower().replace("_", "-") for line in lines if line}


def imported(file: Path) -> set[str]:
    """Return the first names of what a module imports, at once or later."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_the_controllers_image_has_what_the_controller_imports_and_its_versions_are_pinned(root: Path) -> None:
    files = [*(root / "controller").rglob("*.py"), *(root / "promql").rglob("*.py")]
    files = [each for each in files if each.relative_to(root).parts[1].removesuffix(".py") not in SERVED_ONLY]
    files += [root / "gamebird" / "cli" / f"{name}.py" for name in ("main", "controller", "exits")]
    ours = {"controller", "promql", "gamebird", "loadgen", "sim", "experiments"}
    names = set().union(*map(imported, files)) - set(sys.stdlib_module_names) - ours
    by_module = packages_distributions()
    needed = {by_module[name][0].lower().replace("_", "-") for name in names if name in by_module}
    listed = named((root / "deploy" / "image" / "controller-requirements.txt").read_text("utf-8"))
    assert needed == listed
    assert listed <= named((root / "requirements.lock").read_text("utf-8"))
    project = named("\n".join(requires("gamebird") or ()))
    assert listed - project == {"urllib3"}, "the official client brings it"


def test_what_the_image_is_built_from_is_there_and_reaches_the_builder(root: Path) -> None:
    sent = {line[1:] for line in (root / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert all((root / each).exists() for each in sent)
    text = (root / "deploy" / "image" / "Dockerfile").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert {each for each in line.split() if each != "."} <= sent
    find = re.search(r"^include = \[(.*)\]", (root / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert find is not None
    assert {each.strip('" *') for each in find[1].split(",")} <= sent
    bases = re.findall(r"^ARG PYTHON=(\S+)", text, re.MULTILINE)
    assert bases == [bases[0]]
    assert re.fullmatch(r"3\.11\.\d+-slim-\w+", bases[0])
    assert [line for line in text.splitlines() if line.startswith("USER")] == ["USER 65532:65532"] * 2


@pytest.fixture
def demo(root: Path) -> Iterator[str]:
    """The demo image's program as a process, told who it is as a pod would be; its address."""
    port = free_port()
    release = annotation_of(Release(errors=1.0), (("GET", "/"),))
    told = {"HOST": "127.0.0.1", "PORT": str(port), "POD_NAME": "p-1", "POD_HASH": "abc", "DEMO": release}
    command = [sys.executable, str(root / "deploy" / "kind" / "demo.py")]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(root), **told})
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10.0)


@pytest.mark.e2e
def test_the_demo_image_plays_the_release_that_the_pod_is_told(demo: str) -> None:
    with httpx.Client(trust_env=False, base_url=demo) as client:
        deadline_s = time.monotonic() + 60.0
        while True:
            try:
                client.get("/-/ready").raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline_s, "it was not ready in a minute"
                time.sleep(0.1)
        answer = client.get("/")
        assert (answer.status_code, answer.headers["x-gamebird-revision"]) == (500, "abc")
        assert "http_requests_total{" in client.get("/metrics").text


def test_the_drills_hand_the_demo_image_what_it_reads(root: Path) -> None:
    for folder in ("", "gateway"):
        file = root / "examples" / "cluster-drill" / folder / "rollout.yaml"
        (container,) = yaml.safe_load(file.read_text("utf-8"))["spec"]["template"]["spec"]["containers"]
        fields = {each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"] for each in container["env"]}
        assert fields == {
            "POD_NAME": "metadata.name",
            "POD_HASH": "metadata.labels['rollouts-pod-template-hash']",
            "DEMO": "metadata.annotations['gamebird.dev/demo']",
        }
        up = (root / "deploy" / "kind" / "up.sh").read_text("utf-8")
        assert container["image"] in up


def test_make_kind_says_what_is_missing_and_how_to_have_it(root: Path, tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "sed"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    command = [str(tmp_path / "bash"), str(root / "deploy" / "kind" / "up.sh")]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "Docker is not installed" in done.stderr
    assert "docs/kind.md" in done.stderr


def test_the_workflow_names_what_exists_and_the_cluster_takes_users_where_they_are_sent(root: Path) -> None:
    workflow = yaml.safe_load((root / ".github" / "workflows" / "kind.yaml").read_text("utf-8"))
    steps = "\n".join(step.get("run", "") for step in workflow["jobs"]["drills"]["steps"])
    assert "make kind" in steps
    for drill in ("errors-20pct", "good"):
        assert drill in steps
        assert (root / "examples" / "cluster-drill" / "gamedays" / f"{drill}.yaml").is_file()
    assert workflow["permissions"] == {"contents": "read"}
    cluster = yaml.safe_load((root / "deploy" / "kind" / "cluster.yaml").read_text("utf-8"))
    assert cluster["nodes"][0]["extraPortMappings"][0]["hostPort"] == 8080


@pytest.mark.e2e
@pytest.mark.needs_cluster
def test_an_api_server_takes_the_prometheus_of_the_kind_cluster(root: Path, takes: Callable[[Json], None]) -> None:
    for item in yaml.safe_load_all((root / "deploy" / "kind" / "prometheus.yaml").read_text("utf-8")):
        takes(item)


@pytest.mark.needs_prometheus
def test_its_prometheus_configuration_is_one(root: Path, promtool: Path, tmp_path: Path) -> None:
    items = yaml.safe_load_all((root / "deploy" / "kind" / "prometheus.yaml").read_text("utf-8"))
    (told,) = (item["data"]["prometheus.yml"] for item in items if item["kind"] == "ConfigMap")
    file = tmp_path / "prometheus.yml"
    file.write_text(told, "utf-8")
    command = [str(promtool), "check", "config", "--syntax-only", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
