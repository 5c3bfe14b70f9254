"""Load manifests: files, folders, several documents, Lists, standard input; all problems at once.

`load` gives typed values or raises a ManifestError that names every fault of every file with its
line. `Manifests.policy` then follows the references of one rollout. What stands beside the kinds
that Gamebird knows is left alone and noted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.manifests.documents import BYTES_MAX, Document, read_documents
from controller.manifests.objects import Loaded, Value
from controller.manifests.policies import Policy, build_policy
from controller.manifests.problems import FieldPath, ManifestError, Problem, nearest, shown
from controller.manifests.reading.analyses import note_undeclared, read_analysis_run, read_analysis_template
from controller.manifests.reading.leftovers import note_leftovers
from controller.manifests.reading.platforms import (
    read_autoscaler,
    read_http_route,
    read_ingress,
    read_service,
    read_workload,
)
from controller.manifests.reading.reader import RENDER, Notice, Place, Reader, Report
from controller.manifests.reading.rollouts import read_rollout
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

__all__ = ["Loaded", "ManifestError", "Manifests", "Notice", "Place", "Policy", "Problem", "load", "read_object"]

ARGO = "argoproj.io/v1alpha1"
FILES_MAX = 2000
FOLDER_BYTES_MAX = 32 * 1024 * 1024
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """Everything that was loaded, in the order of the files."""

    objects: tuple[Loaded, ...] = field(repr=False)
    warnings: tuple[Notice, ...] = ()  # what was ignored although somebody may have counted on it
    notes: tuple[Notice, ...] = ()  # what stood beside the policy and is none of Gamebird's business

    def of(self, kind: type[Any]) -> Iterator[Loaded]:
        return (item for item in self.objects if isinstance(item.value, kind))

    @property
    def rollouts(self) -> tuple[Rollout, ...]:
        return tuple(item.value for item in self.objects if isinstance(item.value, Rollout))

    @property
    def templates(self) -> tuple[AnalysisTemplate, ...]:
        return tuple(item.value for item in self.objects if isinstance(item.value, AnalysisTemplate))

    @property
    def analysis_templates(self) -> tuple[AnalysisTemplate, ...]:
        return tuple(template for template in self.templates if not template.cluster_scope)

    @property
    def cluster_analysis_templates(self) -> tuple[AnalysisTemplate, ...]:
        return tuple(template for template in self.templates if template.cluster_scope)

    @property
    def analysis_runs(self) -> tuple[AnalysisRunManifest, ...]:
        return tuple(item.value for item in self.objects if isinstance(item.value, AnalysisRunManifest))

    @property
    def services(self) -> tuple[Service, ...]:
        return tuple(item.value for item in self.objects if isinstance(item.value, Service))

    @property
    def ingresses(self) -> tuple[Ingress, ...]:
        return tuple(item.value for item in self.objects if isinstance(item.value, Ingress))

    @property
    def http_routes(self) -> tuple[HttpRoute, ...]:
        return tuple(item.value for item in self.objects if isinstance(item.value, HttpRoute))

    @property
    def autoscalers(self) -> tuple[HorizontalPodAutoscaler, ...]:
        return tuple(item.value for item in self.objects if isinstance(item.value, HorizontalPodAutoscaler))

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return tuple(item.value for item in self.objects if isinstance(item.value, Workload))

    def policy(self, rollout_name: str | None = None) -> Policy:
        """Return one rollout with everything that it refers to.

        Args:
            rollout_name: which rollout; not needed when there is just one.

        Raises:
            ManifestError: no such rollout, a template that is not there, an argument never given, …
        """
        return build_policy(self._pick(rollout_name), self.objects)

    def _pick(self, name: str | None) -> Loaded:
        rollouts = list(self.of(Rollout))
        chosen = [item for item in rollouts if name in (None, item.name)]
        if len(chosen) == 1:
            return chosen[0]
        names = ", ".join(sorted(item.name for item in rollouts)) or "none"
        files = ", ".join(dict.fromkeys(item.place.file for item in self.objects)) or "no file"
        if len(chosen) > 1:
            found, need = f"{len(chosen)} Rollouts", f"the name of one of them ({names})"
        elif name is None:
            found, need = "no Rollout", "a manifest of kind Rollout with a canary strategy among the files"
        else:
            found, need = f"no Rollout named {name!r}", f"one of those that are there: {names}"
        problem = Problem(file=files, line=1, column=1, path="the manifests", found=found, need=need)
        raise ManifestError([problem])


def load(paths: Iterable[str | Path] | str | Path) -> Manifests:
    """Return what the files hold.

    Args:
        paths: files, folders (searched for .yaml, .yml and .json), or "-" for standard input.

    Raises:
        ManifestError: all problems of all files.
    """
    loader = _Loader()
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        loader.add(path)
    return loader.finish()


def read_object(item: Mapping[str, Any], name: str) -> Loaded | None:
    """Return one object as an API server gives it; None where it is of no kind that Gamebird knows.

    Args:
        item: plain values. What the server adds for itself (status, managedFields) is not looked at.
        name: what messages call it, in a file's place.

    Raises:
        ManifestError: what is wrong with it.
    """
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    text = json.dumps({**item, "metadata": metadata, "status": {}}, ensure_ascii=False)
    loader = _Loader()
    for document in read_documents(text, name):
        loader.take(document)
    if loader.report.problems:
        raise ManifestError(loader.report.problems)
    return loader.objects[0] if loader.objects else None


class _Loader:
    """Reads documents one by one, and keeps problems until the end."""

    def __init__(self) -> None:
        self.report = Report()
        self.notes: list[Notice] = []
        self.objects: list[Loaded] = []
        self.known: dict[tuple[str, ...], Loaded] = {}

    def add(self, path: str | Path) -> None:
        if str(path) == "-":
            self._read(sys.stdin.buffer.read(BYTES_MAX + 1), "<stdin>", named=True)
            return
        path = Path(path)
        if not path.is_dir():
            self._read(path, str(path), named=True)
            return
        files = sorted(
            file
            for file in path.rglob("*")
            if file.suffix in _SUFFIXES and file.is_file() and not _hidden(file.relative_to(path))
        )
        total_bytes = sum(file.stat().st_size for file in files)
        if not files or len(files) > FILES_MAX or total_bytes > FOLDER_BYTES_MAX:
            found = f"a folder with {len(files):,} manifest files, {total_bytes:,} bytes"
            need = f"1 to {FILES_MAX:,} files ending in .yaml, .yml or .json, {FOLDER_BYTES_MAX:,} bytes at most"
            self.report.problems.append(
                Problem(file=str(path), line=1, column=1, path="the folder", found=found, need=need)
            )
            return
        for file in files:
            self._read(file, str(file), named=False)

    def _read(self, source: Path | bytes, name: str, *, named: bool) -> None:
        """Read one file.

        Args:
            named: whether the user named this very file; then it must hold manifests.
        """
        try:
            documents = read_documents(source, name)
        except ManifestError as error:
            self.report.problems.extend(error.problems)
            return
        if named and not documents:
            self.report.problems.append(
                Problem(file=name, line=1, column=1, path="the file", found="empty", need="at least one manifest")
            )
        for document in documents:
            self._take(document, named=named)

    def take(self, document: Document) -> None:
        """Read one document that somebody named."""
        self._take(document, named=True)

    def _take(self, document: Document, *, named: bool) -> None:
        value = document.value
        if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
            self._no_manifest(document, named=named)
            return
        kind = value["kind"]
        version = value.get("apiVersion")
        if kind.endswith("List") and isinstance(value.get("items"), list):
            for index, item in enumerate(value["items"]):
                if isinstance(item, dict) and kind != "List":  # items of a typed List may leave both out
                    item.setdefault("kind", kind.removesuffix("List"))
                    item.setdefault("apiVersion", version)
                self._take(document.part(("items", index)), named=named)
            return
        if not isinstance(version, str):
            self.report.problems.append(
                document.problem(("apiVersion",), "missing" if version is None else shown(version), f"such as {ARGO}")
            )
            return
        self._object(document, kind, version)

    def _no_manifest(self, document: Document, *, named: bool) -> None:
        value = document.value
        if named:
            found, need = "without a kind", "a manifest with apiVersion and kind"
            if not isinstance(value, dict):
                found = shown(value)
            elif "resources" in value or "patches" in value:
                found, need = "a kustomization (it has no kind)", RENDER
            if (
                isinstance(value, list)
                and value
                and all(isinstance(i, dict) and {"op", "path"} <= set(i) for i in value)
            ):
                found, need = "a JSON patch", RENDER
            self.report.problems.append(document.problem((), found, need))
        else:
            self.notes.append(_place(document).notice("left alone: no manifest (it has no kind)"))

    def _object(self, document: Document, kind: str, version: str) -> None:
        group = version.partition("/")[0] if "/" in version else ""
        handler = _KINDS.get((group, kind))
        if handler is None:
            self._foreign(document, kind, version, group)
            return
        if group == "argoproj.io" and version != ARGO:
            self.report.problems.append(document.problem(("apiVersion",), shown(version), ARGO))
            return
        checked = "object" if group == "argoproj.io" else ""
        report = Report()
        reader = Reader(document, (), document.value, report, checked)
        if group == "argoproj.io":
            note_leftovers(_place(document), document.value, report)
        read = handler(reader)
        if report.problems and kind in _BYSTANDERS:
            self.notes.append(_place(document).notice(f"left alone ({report.problems[0]})"))
            return
        self.report.problems.extend(report.problems)
        self.report.notices.extend(report.notices)
        if read is not None:
            metadata = document.value.get("metadata")
            namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
            self._keep(Loaded(value=read, place=_place(document), namespace=namespace or ""))

    def _keep(self, loaded: Loaded) -> None:
        first = self.known.setdefault(_identity(loaded), loaded)
        if first is loaded or isinstance(loaded.value, AnalysisRunManifest):
            self.objects.append(loaded)
            return
        at = first.place
        self.report.problems.append(
            loaded.place.below("metadata", "name").problem(
                f"{loaded.name!r} a second time, first in {at.file}:{at.position.line}",
                "to be given once (a base and its overlay together? render them first: kubectl kustomize DIR)",
            )
        )

    def _foreign(self, document: Document, kind: str, version: str, group: str) -> None:
        ours = [known for known_group, known in _KINDS if known_group == group]
        meant = nearest(kind, ours, cutoff=0.85) if group == "argoproj.io" else None
        if meant is not None:
            self.report.problems.append(document.problem(("kind",), shown(kind), f"to be spelled {meant}"))
            return
        if kind in ("Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate") and nearest(
            group, ["argoproj.io"], cutoff=0.85
        ):
            self.report.problems.append(document.problem(("apiVersion",), shown(version), f"to be spelled {ARGO}"))
            return
        why = "left alone"
        if kind == "Kustomization":
            why = "left alone: files are read as they are; for what it makes of them, kubectl kustomize DIR comes first"
        if (group, kind) == ("argoproj.io", "Experiment"):
            why = "left alone: Gamebird runs no Experiment"
        elif kind in ("Rollout", "AnalysisTemplate"):
            why = f"left alone: this {kind} is of another project"
        self.notes.append(_place(document).notice(f"{why} ({kind}, {version})"))

    def finish(self) -> Manifests:
        self._check_declared()
        if self.report.problems:
            self._add_faults_of_references()
            raise ManifestError(self.report.problems)
        return Manifests(
            objects=tuple(self.objects),
            warnings=tuple(dict.fromkeys(self.report.notices)),
            notes=tuple(self.notes),
        )

    def _add_faults_of_references(self) -> None:
        """Look at references, too, so that nobody meets a second round of problems after the first.

        Objects with problems take part with defaults in place of what was wrong; only a file that
        could not be read at all may make a template seem to be missing.
        """
        if any(problem.path.startswith("the file") for problem in self.report.problems):
            return
        for item in [item for item in self.objects if isinstance(item.value, Rollout)]:
            try:
                build_policy(item, self.objects)
            except ManifestError as error:
                self.report.problems.extend(error.problems)

    def _check_declared(self) -> None:
        """Check the arguments of templates that stand alone; policies check those that are combined."""
        templates = [item for item in self.objects if isinstance(item.value, AnalysisTemplate)]
        named = {ref.name for item in templates for ref in _refs(item)}
        for rollout in (item.value for item in self.objects if isinstance(item.value, Rollout)):
            background = rollout.strategy.analysis
            if background is not None and len(background.analysis.templates) > 1:
                named |= {ref.name for ref in background.analysis.templates}
        for item in templates:
            assert isinstance(item.value, AnalysisTemplate)
            if not item.value.templates and item.name not in named:
                declared = {arg.name for arg in item.value.args}
                note_undeclared(item.place.below("spec"), declared, self.report)


def _refs(item: Loaded) -> Iterable[Any]:
    return item.value.templates if isinstance(item.value, AnalysisTemplate) else ()


def _identity(item: Loaded) -> tuple[str, ...]:
    kind = type(item.value).__name__
    if isinstance(item.value, Workload):
        kind = item.value.kind
    elif isinstance(item.value, AnalysisTemplate) and item.value.cluster_scope:
        kind = f"Cluster{kind}"
    return kind, item.namespace, item.name


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _place(document: Document, path: FieldPath = ()) -> Place:
    return Place(document=document, path=path)


# Workloads matter only where a workloadRef names them; a fault in one that nobody names is not ours to tell.
_BYSTANDERS = ("Deployment", "ReplicaSet", "PodTemplate")

_KINDS: Mapping[tuple[str, str], Callable[[Reader], Value | None]] = {
    ("argoproj.io", "Rollout"): read_rollout,
    ("argoproj.io", "AnalysisTemplate"): lambda reader: read_analysis_template(reader, cluster_scope=False),
    ("argoproj.io", "ClusterAnalysisTemplate"): lambda reader: read_analysis_template(reader, cluster_scope=True),
    ("argoproj.io", "AnalysisRun"): read_analysis_run,
    ("", "Service"): read_service,
    ("networking.k8s.io", "Ingress"): read_ingress,
    ("extensions", "Ingress"): read_ingress,
    ("gateway.networking.k8s.io", "HTTPRoute"): read_http_route,
    ("autoscaling", "HorizontalPodAutoscaler"): read_autoscaler,
    ("apps", "Deployment"): read_workload,
    ("apps", "ReplicaSet"): read_workload,
    ("", "PodTemplate"): read_workload,
}
