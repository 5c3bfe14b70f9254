"""What blocks of runs see of the places that they come to in one cohort: what happened, and what its metrics read.

Where decisions lead is `places`' business and the same for releases of like lives; a `Node` is a place in the light of
one scenario. It also knows which samples will surely be read later if everything goes on well, so that they are drawn
on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.manifests.values import PrometheusProvider
from sim.driving import Asking, Verdict
from sim.flock.counters import Unit
from sim.flock.places import Codes, Place, Places
from sim.flock.scene import Cast, Scene
from sim.flock.schedules import milliseconds
from sim.flock.stage import Stage, WindowRead
from sim.flock.views import Views


class Node:
    """A place on the way of the runs of one scenario.

    Attributes:
        asking: what is to be measured; None at the end.
        number: only orders flocks of one instant.
    """

    __slots__ = ("_foreseen", "_paths", "_place", "_scene", "_views", "asking", "number")

    def __init__(self, paths: Paths, place: Place) -> None:
        self._paths = paths
        self._place = place
        self._scene: Scene | None = None
        self._views: Views | None = None
        self._foreseen: Mapping[Unit, Sequence[int]] | None = None
        self.asking: Asking | None = place.asking
        self.number = place.number

    @property
    def at_s(self) -> float:
        return self._place.driver.now_s if self.asking is None else self.asking.at_s

    @property
    def verdict(self) -> Verdict:
        verdict = self._place.driver.verdict
        assert verdict is not None
        return verdict

    @property
    def scene(self) -> Scene:
        if self._scene is None:
            self._scene = Scene(self._paths.cast, self._place.driver.platform, self.at_s)
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
        return self._paths.node(self._paths.places.after(self._place, codes))

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
    """All nodes of one cohort that some run of one scenario has come to, or will if all goes well."""

    def __init__(self, stage: Stage, places: Places, *, seed: int, cohort: int) -> None:
        self.stage = stage
        self.places = places
        self.cast = Cast(stage, seed=seed, cohort=cohort)
        self._nodes: dict[Place, Node] = {}
        self._windows: dict[tuple[str, ...], tuple[WindowRead, ...]] = {}

    @property
    def root(self) -> Node:
        return self.node(self.places.root)

    def node(self, place: Place) -> Node:
        """Return the node at a place; the same one each time."""
        found = self._nodes.get(place)
        if found is None:
            found = self._nodes[place] = Node(self, place)
        return found

    def windows(self, asking: Asking) -> tuple[WindowRead, ...]:
        """Return the windows of all queries of an asking, each once."""
        providers = [question.metric.provider for question in asking.questions]
        queries = tuple([one.query for one in providers if isinstance(one, PrometheusProvider)])
        found = self._windows.get(queries)
        if found is None:
            each = [read for query in queries for read in self.stage.windows.get(query, ())]
            found = self._windows[queries] = tuple(dict.fromkeys(each))
        return found
