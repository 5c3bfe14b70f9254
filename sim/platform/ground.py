"""What all forks of one platform history share and nothing changes: the scenario, the fates, whose hash is whose."""

from __future__ import annotations

from sim.platform.births import Births
from sim.platform.demands import Demands
from sim.platform.moments import triggers
from sim.platform.pods import NEVER
from sim.scenarios import Scenario


class Ground:
    """What all forks of a history share and nothing changes."""

    __slots__ = (
        "births",
        "by_hashes",
        "counts_requests",
        "demands",
        "keeps_pods",
        "min_ready_s",
        "release_hash",
        "routed",
        "scenario",
        "stable_hash",
        "sync_phase_s",
        "triggers",
    )

    def __init__(
        self,
        *,
        scenario: Scenario,
        births: Births,
        release_hash: str,
        stable_hash: str,
        routed: bool,
        min_ready_s: float,
        by_hashes: bool = False,
        keeps_pods: bool = False,
        counts_requests: bool = True,
    ) -> None:
        self.scenario = scenario
        self.births = births
        self.release_hash = release_hash
        self.stable_hash = stable_hash
        self.routed = routed  # a router sets weights; otherwise one Service has the pods of all revisions
        self.by_hashes = by_hashes  # the router selects pods itself (subsets), or Services that swap their roles
        self.min_ready_s = min_ready_s
        self.keeps_pods = keeps_pods  # counts name the pods one by one: only a restart needs that
        self.counts_requests = counts_requests  # False: the caller does, and says `crash`
        self.triggers = triggers(scenario)
        self.demands = Demands(scenario)
        rules = scenario.autoscaler
        self.sync_phase_s = NEVER if rules is None else rules.sync_s * births.fates.uniform("autoscaler phase", 0)
