"""Render what is deployed from where it is written: the chart's custom resources, and the plain manifests.

    .venv/bin/python tools/deploy.py HELM          writes deploy/helm/gamebird/crds and deploy/manifests
    .venv/bin/python tools/deploy.py HELM --check  says which of them are not what would be written, exit 1

`make manifests` calls it; a test holds that nothing differs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from controller.kubernetes.crds import custom_resources
from experiments.testbeds.cluster.control_plane import VERSION

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm" / "gamebird"
PLAIN = ROOT / "deploy" / "manifests"
KUBERNETES = VERSION.partition("-")[0]  # helm has to be told where it asks no server
HOME = "gamebird"
FORMS = {
    "cluster.yaml": ("the whole cluster", {}),
    "one-namespace.yaml": ("the namespace production", {"controller.namespace": "production"}),
}


class RenderingError(Exception):
    """helm refused the chart."""


def written(helm: Path) -> dict[Path, str]:
    """Return every file that is rendered, with its text."""
    found = {CHART / "crds" / f"{each['spec']['names']['plural']}.yaml": _yaml([each]) for each in custom_resources()}
    found[PLAIN / "crds.yaml"] = _HEAD.format(what="The custom resources, for clusters without Argo Rollouts' own") + (
        _yaml(custom_resources())
    )
    for name, (scope, values) in FORMS.items():
        what = f"Gamebird's controller for {scope}, as the chart renders it"
        namespace = _yaml([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}])
        found[PLAIN / name] = _HEAD.format(what=what) + namespace + _rendered(helm, values)
    return found


_HEAD = "# {what}. Made by `make manifests`; change deploy/helm/gamebird or controller/kubernetes instead.\n"


def _rendered(helm: Path, values: dict[str, str]) -> str:
    sets = [f"--set={name}={value}" for name, value in values.items()]
    command = [str(helm), "template", HOME, str(CHART), f"--namespace={HOME}", f"--kube-version={KUBERNETES}", *sets]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise RenderingError(done.stderr.strip())
    # Nothing manages these but who applies them.
    return done.stdout.replace("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")


def _yaml(items: list[dict[str, object]]) -> str:
    return yaml.safe_dump_all(items, sort_keys=False, width=120, explicit_start=True)


def main(arguments: list[str]) -> int:
    """Write or compare; return the exit code."""
    if not arguments or arguments[1:] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        found = written(Path(arguments[0]))
    except (RenderingError, OSError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 3
    differing = [file for file, text in found.items() if not file.is_file() or file.read_text("utf-8") != text]
    if arguments[1:]:
        for file in differing:
            print(f"{file.relative_to(ROOT)} is not what `make manifests` writes")
        return 1 if differing else 0
    for file in differing:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found[file], encoding="utf-8")
    print(f"{len(differing)} of {len(found)} files written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
