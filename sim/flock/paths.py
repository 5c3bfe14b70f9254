"""The decisions that were met so far in one cohort, as a graph: askings, and what each combination of phases leads to.

Decisions hang on phases and never on values, so a path is explored once, however many blocks of runs take it. Paths
whose drivers have become equal lead to the same node: limits that forgive do not multiply them. A node also knows
which samples will surely be read later if everything goes on well, so that they are drawn on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.core.conditions.judging import PHASES
from controller.core.runs import AnalysisPhase, Measurement
from controller.manifests.values import PrometheusProvider
from sim.driving import Asking, Verdict, VirtualDriver
from sim.flock.counters import Unit
from sim.flock.judging import MISSING_CODE
from sim.flock.scene import Cast, Scene
from sim.flock.schedules import milliseconds
from sim.flock.stage import Stage, WindowRead
from sim.flock.views import Views

Codes = tuple[int, ...]


class Node:
    """A place on the way: something is to be measured, or a verdict was reached.

    Attributes:
        asking: what is to be measured; None at the end.
        number: in the order in which nodes were first met; it only orders flocks of one instant.
    """

    __slots__ = ("_children", "_driver", "_foreseen", "_paths", "_scene", "_views", "asking", "number")

    def __init__(self, paths: Paths, driver: VirtualDriver, asking: Asking | None) -> None:
        self._paths = paths
        self._driver = driver
        self._children: dict[Codes, Node] = {}
        self._scene: Scene | None = None
        self._views: Views | None = None
        self._foreseen: Mapping[Unit, Sequence[int]] | None = None
        self.asking = asking
        self.number = paths.count()

    @property
    def at_s(self) -> float:
        return self._driver.now_s if self.asking is None else self.asking.at_s

    @property
    def verdict(self) -> Verdict:
        assert self._driver.verdict is not None
        return self._driver.verdict

    @property
    def scene(self) -> Scene:
        if self._scene is None:
            self._scene = Scene(self._paths.cast, self._driver.platform, self.at_s)
        return self._scene

    @property
    def views(self) -> Views:
        if self._views is None:
            self._views = Views(self.scene)
        return self._views

    @property
    def windows(self) -> tuple[WindowRead, ...]:
        """What the windows of its queries read."""
        return () if self.asking is None else self._paths.windows(self.asking)

    def child(self, codes: Codes) -> Node:
        """Return where the phases of all questions, in their order, lead."""
        found = self._children.get(codes)
        if found is None:
            found = self._children[codes] = self._paths.after(self, self._driver, codes)
        return found

    @property
    def foreseen(self) -> Mapping[Unit, Sequence[int]]:
        """The beginnings of windows that later looks will have, up to now, if all measurements are successful."""
        if self._foreseen is None:
            self._foreseen = self._foresee()
        return self._foreseen

    def _foresee(self) -> Mapping[Unit, Sequence[int]]:
        now_ms = milliseconds(self.at_s)
        # Requests are tallied from the deployment on.
        deploy_ms = milliseconds(self._paths.stage.deployment.deploy_s)
        found: dict[Unit, set[int]] = {unit: {deploy_ms} for unit in self.scene.units if unit.born_ms < deploy_ms}
        node = self
        while (asking := node.asking) is not None:
            if node is not self:
                for reach_ms in {read.offset_ms + read.range_ms for read in self._paths.windows(asking)}:
                    self._note(milliseconds(node.at_s) - reach_ms, now_ms, found)
            if node.at_s > self.at_s + self._paths.stage.horizon_s:
                break
            node = node.child((0,) * len(asking.questions))
        return {unit: sorted(times) for unit, times in found.items()}

    def _note(self, start_ms: int, now_ms: int, found: dict[Unit, set[int]]) -> None:
        if start_ms >= now_ms:
            return
        for scraped in self.scene.targets:
            schedule = scraped.schedule
            place = schedule.first_after(start_ms)
            if place < len(schedule.good_list) and schedule.good_list[place] <= now_ms:
                time_ms = schedule.good_list[place]
                own = scraped.units if scraped.is_release is None else (scraped.units[schedule.good_life[place]],)
                for unit in own:
                    found.setdefault(unit, set()).add(time_ms)


class Paths:
    """All paths of one cohort that somebody has taken."""

    def __init__(self, stage: Stage, *, seed: int, cohort: int, joins: bool = True) -> None:
        self.stage = stage
        self.cast = Cast(stage, seed=seed, cohort=cohort)
        self._numbers = 0
        self._joins = joins
        self._nodes: dict[tuple[object, ...], Node] = {}
        driver = VirtualDriver(stage.deployment, seed=seed, cohort=cohort)
        self.root = Node(self, driver, driver.play())

    def count(self) -> int:
        self._numbers += 1
        return self._numbers

    def after(self, node: Node, driver: VirtualDriver, codes: Codes) -> Node:
        """Return the node that an answer leads to: a known one if its driver is equal."""
        asking = node.asking
        assert asking is not None
        fork = driver.fork()
        fork.answer(
            {
                question.key: _measurement(code, asking.at_s)
                for question, code in zip(asking.questions, codes, strict=True)
            }
        )
        asked = fork.play()
        if asked is None or not self._joins:
            return Node(self, fork, asked)
        key = fork.key()
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = Node(self, fork, asked)
        return found

    def windows(self, asking: Asking) -> tuple[WindowRead, ...]:
        """Return the windows of all queries of an asking, each once."""
        found: dict[WindowRead, None] = {}
        for question in asking.questions:
            provider = question.metric.provider
            if isinstance(provider, PrometheusProvider):
                found.update(dict.fromkeys(self.stage.windows.get(provider.query, ())))
        return tuple(found)


def _measurement(code: int, at_s: float) -> Measurement:
    phase = AnalysisPhase.MISSING if code == MISSING_CODE else PHASES[code]
    return Measurement(phase=phase, started_s=at_s, finished_s=at_s)
