"""Run a game day: for each policy one rehearsal, through Chaos Toolkit's own library, and a scorecard of each.

The shell around everything else here: it makes folders and worlds, hands the experiment to Chaos Toolkit, and keeps
what came back. Whatever happens, the world is gone when a function of this module has returned or raised.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.manifests.problems import ManifestError, Problem
from experiments.chaos import stage
from experiments.gameday_files import GameDay
from experiments.provenance import collect
from experiments.refusals import refuse_releases, refuse_traffic
from experiments.rehearsal import Rehearsal, describe
from experiments.report.series import series_of
from experiments.report.writing import Rehearsed
from experiments.scorecard import Evidence, Scorecard, score
from experiments.scratch import scratch_folder
from experiments.worlds import World

if TYPE_CHECKING:
    from experiments.testbeds.cluster.world import Venue

REAL_RPS_MAX = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a game day is run.

    Attributes:
        speed: policy seconds in a second of the wall.
        seed: chance, everywhere: arrivals, errors, latencies.
        prometheus: a Prometheus binary to use instead of the embedded query server.
        keep: the folder of each rehearsal (logs, records) is kept, and moves into the report's.
        time_box_s: policy seconds from the deployment in which people have their time and nothing is put right; None:
            the rollout is on its own.
        venue: the cluster to play it on, at speed 1; None: on this machine alone.
    """

    speed: float = 20.0
    seed: int = 1
    prometheus: Path | None = None
    keep: bool = False
    time_box_s: float | None = None
    venue: Venue | None = None

    def __post_init__(self) -> None:
        if not 0 < self.speed <= 1000:
            raise ValueError(f"the speed is {self.speed:g}; it needs a number above 0, 1000 at most")
        if self.time_box_s is not None and not 0 < self.time_box_s <= 86_400:
            raise ValueError(f"the time box is {self.time_box_s:g} s; it needs a day at most, and more than nothing")
        if self.venue is not None and self.speed != 1:
            raise ValueError(f"the speed is {self.speed:g}; a cluster lives in the wall's time, so it needs 1")


class SpeedError(ValueError):
    """The game day cannot be run at this speed on one machine."""


Watch = Callable[[Rehearsal], Any]


def rehearse(game_day: GameDay, policy: str, options: Options, *, watch: Watch | None = None) -> Rehearsed:
    """Run one rehearsal and return what it showed.

    Args:
        watch: called with the rehearsal before it starts; what it returns is closed (`close()`) after it has ended.

    Raises:
        SpeedError: the traffic at this speed is more than one machine sends.
        ManifestError: a release that the demo service cannot play.
        RehearsalError, WorldError, LoadError: the world failed.
        KeyboardInterrupt: somebody pressed Ctrl-C; nothing is left.
    """
    check_speed(game_day, options.speed)
    check_releases(game_day)
    with scratch_folder(keep=options.keep) as folder:
        rehearsal = make_rehearsal(game_day, policy, options, folder)
        view = watch(rehearsal) if watch is not None else None
        try:
            journal = _play(rehearsal)
        finally:
            rehearsal.stop()
            if view is not None:
                view.close()
        if rehearsal.interrupted:
            raise KeyboardInterrupt
        if rehearsal.failure is not None:
            raise rehearsal.failure
        return Rehearsed(
            card=score_rehearsal(rehearsal),
            series=series_of(rehearsal.events, rehearsal.requests(), ended_s=rehearsal.ended_s),
            events=tuple(rehearsal.events),
            journal=journal,
            load=rehearsal.load_summary(),
            folder=folder if options.keep else None,
        )


def check_speed(game_day: GameDay, speed: float) -> None:
    """Refuse a speed at which one machine could not send the traffic.

    Raises:
        SpeedError: rps times speed is over a thousand real requests/s.
    """
    try:
        refuse_traffic(game_day, speed, rps_max=REAL_RPS_MAX)
    except ManifestError as error:
        raise SpeedError(str(error)) from error


def check_releases(game_day: GameDay) -> None:
    """Refuse releases that the demo service of the local world cannot play.

    Raises:
        ManifestError: it cannot, with the line of each field.
    """
    from experiments.testbeds.local.demo.playing import unplayable

    refuse_releases(game_day, unplayable)


def make_rehearsal(game_day: GameDay, policy: str, options: Options, folder: Path) -> Rehearsal:
    """Return a rehearsal in the world that the options name; nothing is started yet."""
    return Rehearsal(
        game_day=game_day,
        policy=policy,
        speed=options.speed,
        seed=options.seed,
        directory=folder,
        time_box_s=options.time_box_s,
        world=_cluster_world(game_day, policy, options.venue)
        if options.venue is not None
        else _local_world(game_day, policy, options, folder),
    )


def _local_world(game_day: GameDay, policy: str, options: Options, folder: Path) -> World:
    from experiments.testbeds.local.world import LocalWorld

    setup = game_day.setup
    flag = setup.release.behind_flag
    return LocalWorld(
        policy=game_day.policies[policy],
        stable=setup.stable,
        speed=options.speed,
        seed=options.seed,
        folder=folder,
        routes=_routes(game_day),
        scrape_s=setup.scrape_s,
        command=setup.command,
        prometheus=options.prometheus,
        # A fault behind a flag shows once the flag is on, so it is, until the method turns it off.
        flags={flag: True} if flag else {},
    )


def _cluster_world(game_day: GameDay, policy: str, venue: Venue) -> World:
    from experiments.testbeds.cluster.guests import Revision
    from experiments.testbeds.cluster.world import ClusterWorld

    setup = game_day.setup
    return ClusterWorld(
        venue,
        policy=game_day.policies[policy],
        files=tuple(path for _, path in game_day.files_of(policy)),
        stable=Revision(release=setup.stable),
        under_test=Revision(release=setup.release, images=setup.images),
        routes=_routes(game_day),
        scrape_s=setup.scrape_s,
        faults=game_day.planned_faults,
    )


def _routes(game_day: GameDay) -> tuple[tuple[str, str], ...]:
    return tuple((route.method, route.path.partition("?")[0]) for route in game_day.setup.traffic.routes)


def score_rehearsal(rehearsal: Rehearsal) -> Scorecard:
    """Return the scorecard of a rehearsal that has ended."""
    game_day, setup = rehearsal.game_day, rehearsal.setup
    inputs = [(game_day.path.name, game_day.path), *game_day.files_of(rehearsal.policy)]
    return score(
        Evidence(
            game_day=game_day.name,
            title=game_day.title,
            policy=rehearsal.policy,
            release=describe(setup.release),
            expect=setup.expect[rehearsal.policy],
            events=tuple(rehearsal.events),
            requests=rehearsal.requests(),
            validity=rehearsal.load_summary().get("validity", {}),
            slow_after_s=setup.slow_after_s,
            speed=rehearsal.speed,
            rps=setup.traffic.rps,
            ended_s=rehearsal.ended_s,
            provenance=collect(
                speed=rehearsal.speed,
                seed=rehearsal.seed,
                metrics_server=rehearsal.metrics_server,
                inputs=inputs,
                started_at=rehearsal.started_at,
                game_day_file=game_day.path.name,
            ),
            notes=tuple(rehearsal.notes),
            planned_faults=game_day.planned_faults,
            planned_release=describe(game_day.planned_release or setup.release),
            by_people=rehearsal.time_box_s is not None,
            plans_steady_before=True,
            plans_steady_after=setup.is_steady_after(rehearsal.policy),
            steady_before=rehearsal.steady_before,
            steady_after=rehearsal.steady_after,
            plans_clean_end=True,
            left=rehearsal.left,
        )
    )


def _play(rehearsal: Rehearsal) -> dict[str, Any]:
    """Run the experiment through Chaos Toolkit's library and return its journal."""
    from chaoslib.exceptions import ChaosException
    from chaoslib.experiment import run_experiment
    from chaoslib.types import Strategy

    stage.enter(rehearsal)
    try:
        with _log_to(rehearsal.directory / "chaostoolkit.log"):
            journal: dict[str, Any] = run_experiment(
                copy.deepcopy(rehearsal.game_day.experiment),
                settings={"runtime": {"rollbacks": {"strategy": "always"}}},
                strategy=Strategy.DEFAULT,
            )
    except ChaosException as error:
        path, need = str(rehearsal.game_day.path), "an experiment that Chaos Toolkit takes"
        found = f"refused by Chaos Toolkit ({error})"
        raise ManifestError([Problem(file=path, line=1, column=1, path="", found=found, need=need)]) from error
    finally:
        stage.leave()
    return journal


@contextmanager
def _log_to(file: Path) -> Iterator[None]:
    """Keep Chaos Toolkit's log out of the terminal, which the live view owns."""
    logger = logging.getLogger("chaostoolkit")
    before = (logger.level, logger.propagate)
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.level, logger.propagate = before
