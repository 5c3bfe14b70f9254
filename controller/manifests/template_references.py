"""Follow the names of analysis templates to the templates, and to those that these name in turn."""

from __future__ import annotations

from collections.abc import Sequence

from controller.manifests.objects import Loaded
from controller.manifests.problems import nearest
from controller.manifests.reading.reader import Place, Report
from controller.manifests.values import AnalysisTemplate, TemplateRef


class TemplateFinder:
    """The templates that a rollout can reach.

    Args:
        here: what was loaded and is in the rollout's namespace, or may be.
        elsewhere: the rest, only to tell where a missing template is.
    """

    def __init__(self, here: Sequence[Loaded], elsewhere: Sequence[Loaded], namespace: str, report: Report) -> None:
        self._here: dict[TemplateRef, Loaded] = {}
        for item in here:
            if isinstance(item.value, AnalysisTemplate):
                self._here.setdefault(item.value.ref, item)
        self._elsewhere = {item.name for item in elsewhere if isinstance(item.value, AnalysisTemplate)}
        self._namespace = namespace
        self._report = report

    def place_of(self, template: AnalysisTemplate) -> Place:
        """Return where a template that was found stands."""
        return self._here[template.ref].place

    def find(self, refs: Sequence[TemplateRef], place: Place) -> tuple[AnalysisTemplate, ...] | None:
        """Return the named templates and, in turn, those that they name, each once.

        Args:
            place: the list of names, so that a missing one is told where it stands.

        Returns:
            None if one of them is missing; a problem is noted then.
        """
        found: dict[TemplateRef, AnalysisTemplate] = {}
        complete = True
        waiting = [(ref, place.below(index, "templateName")) for index, ref in enumerate(refs)]
        while waiting:
            ref, at = waiting.pop()
            if ref in found or not ref.name:  # an empty name is a problem of its list, told already
                continue
            item = self._here.get(ref)
            if item is None:
                self._report.problems.append(at.problem(f"{ref.name!r}, a template that is not there", self._need(ref)))
                complete = False
                continue
            template = item.value
            assert isinstance(template, AnalysisTemplate)
            found[ref] = template
            inner = item.place.below("spec", "templates")
            waiting += [(ref, inner.below(index, "templateName")) for index, ref in enumerate(template.templates)]
        return tuple(found.values()) if complete else None

    def _need(self, ref: TemplateRef) -> str:
        kind = "a ClusterAnalysisTemplate" if ref.cluster_scope else "an AnalysisTemplate"
        names = sorted({known.name for known in self._here})
        if ref.name in names:
            other = "without" if ref.cluster_scope else "with"
            return f"clusterScope to fit: the template of that name is found {other} clusterScope: true"
        if ref.name in self._elsewhere:
            return f"{kind} in namespace {self._namespace} (there is one elsewhere)"
        listed = ", ".join(names[:20]) or "none"
        meant = nearest(ref.name, names)
        return f"{kind} of that name among the files (there are: {listed})" + (f"; was {meant} meant?" if meant else "")
