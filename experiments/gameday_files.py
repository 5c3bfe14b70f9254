"""Read a game day: a Chaos Toolkit experiment whose entry `gamebird` in `extensions` says what is rehearsed.

Everything that can be wrong is found before anything is started, and all of it at once: fields, actions and their
instants, the manifests that the file names, one expectation for each policy. What Chaos Toolkit itself defines is in
`experiment_shapes`; what only some world or speed cannot have, in `refusals`. docs/gameday-files.md is the schema for
people; nothing else reads these files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from controller.core.conditions import ConditionError, ResultKind, compile_condition
from controller.manifests.documents import Document, FieldPath, ManifestError, Problem, nearest, read_documents, shown
from controller.manifests.loading import Policy, load
from experiments.activity_checks import ACTIONS_MODULE, activity_problems, configuration_problems
from experiments.experiment_shapes import Experiment
from experiments.field_problems import field_problems
from experiments.instants import Fault
from experiments.method import ACTIONS, Action, AwaitVerdict, DeployRelease
from loadgen.traffic import Traffic, TrafficError, read_traffic
from sim.releases import Release

Verdict = Literal["promoted", "aborted", "paused", "degraded"]
PolicyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
_Limit = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Expectation(_Value):
    """What one policy should make of the release. All that is named must hold.

    Attributes:
        verdict: `promoted`; `aborted`; `paused`: a person is waited for; `degraded`: no progress, and no abort either.
        detected_within_s: policy seconds from the canary's first request to the decision to abort.
        recovered_within_s: policy seconds from that decision until no user met the canary.
        weight_max: percent of the traffic that the release got at most before the verdict.
        bad_requests_max: requests that users saw fail or saw too slow.
        verdict_within_s: policy seconds from the deployment until the verdict.
        steady_after: whether the steady state has to hold again once everything is restored. None: it has to where the
            release is gone or does no harm: after an abort, or where it is as good as stable.
    """

    verdict: Verdict
    verdict_within_s: _Limit | None = None
    detected_within_s: _Limit | None = None
    recovered_within_s: _Limit | None = None
    weight_max: Annotated[float, Field(strict=True, ge=0, le=100)] | None = None
    bad_requests_max: Annotated[int, Field(strict=True, ge=0)] | None = None
    steady_after: Annotated[bool, Field(strict=True)] | None = None


class Setup(_Value):
    """What is rehearsed: the entry `gamebird` of a game day's `extensions`.

    Attributes:
        purpose: why a team should play it.
        hypothesis: what should happen, in words.
        blast_radius: who and what is hurt while it is played.
        pass_rule: in words, when it counts as passed.
        policies: manifests by policy; paths count from the game day's folder.
        rollout: which Rollout, where the manifests hold several.
        traffic: what users ask for, in policy time; or the name of a file that describes or recorded it.
        release: the release under test.
        stable: what it replaces; a good release unless it says otherwise.
        slow_after_s: an answer later than this is bad for a user, seconds of the wall; None: no answer is too slow.
        settle_s: how long traffic goes on after the verdict, policy seconds, so that the way back is seen.
        scrape_s: how often Prometheus scrapes a pod, policy seconds.
        command: the user's own program instead of the demo service.
        images: in a cluster, the image of each container in which the release differs from what the manifest says.
        expect: what should come out, for each of the policies.
    """

    name: Literal["gamebird"] = "gamebird"
    purpose: str = ""
    hypothesis: str = ""
    blast_radius: str = ""
    pass_rule: str = ""
    policies: Annotated[dict[PolicyName, Annotated[tuple[str, ...], Field(min_length=1)]], Field(min_length=1)]
    rollout: str | None = None
    traffic: Traffic
    release: Release
    stable: Release = Field(default_factory=Release)
    slow_after_s: _Limit | None = 1.0
    settle_s: Annotated[float, Field(strict=True, ge=0, le=86_400)] = 60.0
    scrape_s: Annotated[float, Field(strict=True, ge=1, le=300)] = 15.0
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    images: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    expect: dict[PolicyName, Expectation]

    @field_validator("traffic", mode="before")
    @classmethod
    def _from_its_file(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return read_traffic(Path((info.context or {}).get("folder", "")) / value, instants=True)
        except TrafficError as error:
            raise ValueError(f"traffic that can be read; {'; '.join(str(error).splitlines())}") from error

    def is_steady_after(self, policy: str) -> bool:
        """Whether the steady state has to hold again, under one policy, once everything is restored."""
        expect = self.expect[policy]
        if expect.steady_after is not None:
            return expect.steady_after
        return expect.verdict == "aborted" or self.release == self.stable

    @model_validator(mode="after")
    def _one_expectation_each(self) -> Setup:
        if set(self.expect) != set(self.policies):
            raise ValueError(f"an expectation for each policy: {', '.join(self.policies)}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodEntry:
    """One entry of the method: an action of ours, or None where another extension acts."""

    name: str
    action: Action | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GameDay:
    """A game day that can be run: checked, with its policies loaded.

    Attributes:
        experiment: the file's own data, for Chaos Toolkit.
        policies: the loaded policy behind each name, in the order of the file.
        planned_faults: the kinds of the faults that the file puts in force, also where they were taken out.
        planned_release: the release that the file deploys, also where another one is; None: the setup's.
        given: manifests of policies that somebody named in the file's place.
    """

    path: Path
    title: str
    description: str
    setup: Setup
    method: tuple[MethodEntry, ...]
    policies: Mapping[str, Policy]
    experiment: dict[str, Any] = field(repr=False)
    planned_faults: tuple[str, ...] = ()
    planned_release: Release | None = None
    given: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    def files_of(self, policy: str) -> tuple[tuple[str, Path], ...]:
        """Return the manifests of a policy: each by the name that it was given, and where it is."""
        if policy in self.given:
            return tuple((str(path), path) for path in self.given[policy])
        return tuple((file, self.path.parent / file) for file in self.setup.policies[policy])

    @property
    def name(self) -> str:
        """The file's name without its suffix, as reports and folders call it."""
        return self.path.stem


def load_game_day(path: Path) -> GameDay:
    """Return the game day in a file.

    Raises:
        ManifestError: all problems of the file and of the manifests that it names.
    """
    documents = read_documents(path)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        found = "empty" if not documents else f"{len(documents)} documents" if len(documents) > 1 else "no mapping"
        raise ManifestError([Problem(file=str(path), line=1, column=1, path="", found=found, need="one experiment")])
    document = documents[0]
    problems: list[Problem] = []
    experiment = _validated(Experiment, document, (), problems)
    setup = _setup(document, problems)
    method = _method(document, problems)
    problems += [*activity_problems(document), *configuration_problems(document)]
    policies = _policies(path.parent, _named_policies(document), setup, problems)
    if problems or experiment is None or setup is None:
        raise ManifestError(problems)
    return GameDay(
        path=path,
        title=experiment.title,
        description=experiment.description.strip(),
        setup=setup,
        method=method,
        policies=policies,
        experiment=document.value,
        planned_faults=tuple(entry.action.func for entry in method if isinstance(entry.action, Fault)),
        planned_release=setup.release,
    )


def _validated(model: type[Any], document: Document, at: FieldPath, problems: list[Problem]) -> Any:
    value: Any = document.value
    for part in at:
        value = value[part]
    try:
        # Recorded traffic is looked for beside the file that names it.
        return model.model_validate(value, context={"folder": Path(document.file).parent})
    except ValidationError as error:
        problems += field_problems(error, document, at, model)
        return None


def _setup(document: Document, problems: list[Problem]) -> Setup | None:
    extensions = document.value.get("extensions")
    if not isinstance(extensions, list):
        return None  # the experiment's own model says so
    named = [
        index for index, entry in enumerate(extensions) if isinstance(entry, dict) and entry.get("name") == "gamebird"
    ]
    if not named:
        problems.append(document.problem(("extensions",), "without gamebird", "an entry with name: gamebird"))
        return None
    for again in named[1:]:
        problems.append(document.problem(("extensions", again), "gamebird a second time", "one entry of that name"))
    setup: Setup | None = _validated(Setup, document, ("extensions", named[0]), problems)
    return setup


def _method(document: Document, problems: list[Problem]) -> tuple[MethodEntry, ...]:
    activities = document.value.get("method")
    if not isinstance(activities, list):
        return ()
    entries = []
    for index, activity in enumerate(activities):
        if not isinstance(activity, dict):
            continue
        action = _action(document, ("method", index), activity, problems)
        entries.append(MethodEntry(name=str(activity.get("name", "")), action=action))
    rollbacks = document.value.get("rollbacks")
    for index, activity in enumerate(rollbacks if isinstance(rollbacks, list) else ()):
        if isinstance(activity, dict):
            _action(document, ("rollbacks", index), activity, problems)
    _check_order(document, entries, problems)
    _check_whole(document, activities, problems)
    return tuple(entries)


def _action(document: Document, place: FieldPath, activity: dict[str, Any], problems: list[Problem]) -> Action | None:
    provider = activity.get("provider")
    if not isinstance(provider, dict) or provider.get("module") != ACTIONS_MODULE:
        return None
    at: FieldPath = (*place, "provider")
    func = provider.get("func")
    model = ACTIONS.get(func) if isinstance(func, str) else None
    if model is None:
        meant = nearest(str(func), tuple(ACTIONS))
        need = f"to be spelled {meant}" if meant else f"one of {', '.join(ACTIONS)}"
        problems.append(document.problem((*at, "func"), shown(func), need))
        return None
    if "arguments" not in provider:
        try:
            return model.model_validate({})
        except ValidationError:
            need = f"what {func} needs: {', '.join(model.model_fields)}"
            problems.append(document.problem((*at, "arguments"), "missing", need))
            return None
    action: Action | None = _validated(model, document, (*at, "arguments"), problems)
    return action


def _check_order(document: Document, entries: list[MethodEntry], problems: list[Problem]) -> None:
    """Entries are carried out one after the other, so an instant cannot lie before the entry above it."""
    latest_s = 0.0
    for index, entry in enumerate(entries):
        at_s = getattr(entry.action, "at_s", None)
        if at_s is None:
            continue
        if at_s < latest_s:
            problems.append(
                document.problem(
                    ("method", index, "provider", "arguments", "at_s"),
                    f"{at_s:g}, before the {latest_s:g} of an entry above",
                    "entries in the order of time",
                )
            )
        latest_s = max(latest_s, at_s)


def _check_whole(document: Document, activities: list[Any], problems: list[Problem]) -> None:
    """A release is deployed once and its verdict awaited once; counted by name, whatever else is wrong with them."""
    providers = [activity.get("provider") for activity in activities if isinstance(activity, dict)]
    funcs = [provider.get("func") for provider in providers if isinstance(provider, dict)]
    for wanted in (DeployRelease.func, AwaitVerdict.func):
        if funcs.count(wanted) != 1:
            found = f"with {funcs.count(wanted)} entries of {wanted}"
            problems.append(document.problem(("method",), found, "exactly one of them"))


def _named_policies(document: Document) -> dict[str, list[str]]:
    """Return the manifests of each policy as far as they can be read, so that their problems come with the others."""
    extensions = document.value.get("extensions")
    entries = [entry for entry in extensions if isinstance(entry, dict)] if isinstance(extensions, list) else []
    for entry in entries:
        named = entry.get("policies")
        if entry.get("name") == "gamebird" and isinstance(named, dict):
            return {
                str(name): [file for file in files if isinstance(file, str)]
                for name, files in named.items()
                if isinstance(files, list) and any(isinstance(file, str) for file in files)
            }
    return {}


def _policies(
    folder: Path, named: Mapping[str, list[str]], setup: Setup | None, problems: list[Problem]
) -> dict[str, Policy]:
    policies: dict[str, Policy] = {}
    for name, files in named.items():
        try:
            policy = load([folder / file for file in files]).policy(setup.rollout if setup else None)
            found = _condition_problems(policy)
        except ManifestError as error:
            found = list(error.problems)
        else:
            policies[name] = policy
        problems += [problem for problem in found if problem not in problems]
    return policies


def _condition_problems(policy: Policy) -> list[Problem]:
    """Return the conditions that no result can satisfy; a cluster would find out at the first measurement."""
    found = []
    for placed in policy.conditions():
        error = _condition_error(placed.text)
        if error is not None:
            need = f"a condition, as result[0] < 0.01 ({' '.join(error.message.split())})"
            found.append(placed.place.problem(shown(placed.text), need))
    return found


def _condition_error(text: str) -> ConditionError | None:
    """Return what is wrong with a condition whatever the metric's provider answers, or None."""
    try:
        condition = compile_condition(text)
    except ConditionError as error:
        return error
    errors = [condition.error_by_type(kind) for kind in ResultKind]
    return errors[0] if all(errors) else None
