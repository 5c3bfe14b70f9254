"""What a team writes down about its rollout before it switches auto-promotion on: who owns it, and what it may cost.

Pure values; reading them from annotations is `reading.promises`' work. They stand on the Rollout alone and decide
nothing while a rollout runs: the decision core never reads them, `gamebird ready` does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the policy may cost in simulation, by the team's own word.

    Attributes:
        miss: the largest share of the rollouts of a bad release that may be promoted, 0 to 1.
        false_abort: the largest share of the rollouts of a good release that may be aborted, 0 to 1.
        bad_requests: so many of them at most in 95 % of the rollouts of a release.
    """

    miss: float
    false_abort: float
    bad_requests: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """The annotations that `gamebird ready` asks for; "" and None mean that the Rollout says nothing.

    Attributes:
        kill_switches: names of flags; an empty tuple where the team says that there are none, None where it
            says nothing.
    """

    owner: str = ""  # gamebird.dev/owner
    runbook: str = ""  # gamebird.dev/runbook: a path in the repository, or a URL
    kill_switches: tuple[str, ...] | None = None  # gamebird.dev/kill-switches: names, or "none"
    budget: Budget | None = None  # gamebird.dev/budget
