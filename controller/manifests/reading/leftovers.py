"""Texts in a manifest that some other tool should have filled in: Helm's braces, the shell's ${X}."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from controller.manifests.documents import fields_of
from controller.manifests.problems import FieldPath
from controller.manifests.reading.reader import Place, Report

_HELM = re.compile(
    r"\{\{-|-\}\}|\{\{\s*([.$`\"'(]|/\*|(if|else|end|range|with|include|template|toYaml|default|printf|quote|tpl)\b)"
)
_SHELL = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}")
_RENDER = "to be rendered first, for example: helm template RELEASE CHART > rendered.yaml"
# Programs and their arguments may hold any text, and so may what other tools wrote on an object.
_FREE = frozenset(("template", "status", "managedFields", "annotations", "job", "experiment", "config"))


def note_leftovers(place: Place, value: Any, report: Report) -> None:
    """Note each text that is still a template of another tool; programs in pods are left alone."""
    for path, text in _texts(value):
        helm = _HELM.search(text)
        shell = _SHELL.search(text)
        if helm is not None and path[:2] != ("spec", "metrics"):  # there, any tag that is no argument is told
            report.problems.append(place.below(*path).problem(f"a Helm template ({text.strip()[:40]!r})", _RENDER))
        elif shell is not None:
            report.notices.append(
                place.below(*path).notice(f"{shell[0]} is taken as it stands; should envsubst have filled it in?")
            )


def _texts(value: Any) -> Iterator[tuple[FieldPath, str]]:
    for path, text in fields_of(value):
        if isinstance(text, str) and not _FREE.intersection(path):
            yield path, text
