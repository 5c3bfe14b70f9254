"""Quick specs: a release, a traffic or a policy's floor in a few characters, as values of the model.

    errors=5%                 latency=x2              good
    errors=0.02,routes=/pay   leak.errors_per_minute=0.005
    suite:never-ready         release.yaml            (a Release, a Scenario, or a list of those)

Used by the command line and by the Python API. A spec that is wrong is a SpecError that says which part and what
would do; a file that is wrong is a ManifestError with its line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from controller.manifests.documents import Document, FieldPath, ManifestError, Problem, nearest, read_documents
from experiments.field_problems import field_problems
from loadgen.traffic import Traffic
from sim.releases import Latency, Release
from sim.scenarios import Scenario
from sim.suite.loading import pick

RPS = 100.0
"""The traffic where nobody names one, requests/s."""

ERROR_SIZES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
LATENCY_FACTORS = (1.5, 2.0)

_SHARE = re.compile(r"([0-9.]+) ?%")
_FACTOR = re.compile(r"[x×]([0-9.]+)")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}")  # as in a scenario's file
_FILE = (".yaml", ".yml", ".json")

Model = TypeVar("Model", bound=BaseModel)


class SpecError(ValueError):
    """A spec that cannot be read: which part, what was found, what would do."""


def scenarios_from(specs: Sequence[str], *, traffic: Traffic, base_errors: float = 0.0) -> tuple[Scenario, ...]:
    """Return the scenarios that these specs name, in their order.

    Args:
        traffic: for specs that bring none of their own.
        base_errors: share of requests that fail in stable and release alike, for those specs.

    Raises:
        SpecError: a spec that cannot be read.
        ManifestError: a file that cannot be read.
        SuiteError: a name that the suite does not have.
    """
    found: list[Scenario] = []
    for spec in specs:
        if spec.startswith("suite:"):
            found += pick([spec.removeprefix("suite:")])
        elif spec.endswith(_FILE):
            found += _in_file(Path(spec), traffic, base_errors)
        else:
            found.append(scenario_of(_release(spec), traffic=traffic, base_errors=base_errors))
    return tuple(found)


def default_scenarios(*, traffic: Traffic, base_errors: float = 0.0) -> tuple[Scenario, ...]:
    """Return a good release, errors of every size and two of latency: what one asks first of a policy."""
    releases = [
        Release(),
        *(Release(errors=size) for size in ERROR_SIZES),
        *(Release(latency=Latency(factor=factor)) for factor in LATENCY_FACTORS),
    ]
    return tuple(scenario_of(one, traffic=traffic, base_errors=base_errors) for one in releases)


def scenario_of(
    release: Release, *, traffic: Traffic, stable: Release | None = None, base_errors: float = 0.0, name: str = ""
) -> Scenario:
    """Return a release on a healthy platform. It is a bad one if it does anything to users that stable does not.

    Raises:
        SpecError: base errors and errors that add up to more than every request, or a name that cannot be one.
    """
    before = stable or Release()
    if name and not _NAME.fullmatch(name):
        raise SpecError(f"a release is named {name!r}; it needs small letters, digits, dots and dashes, at most 80")
    if base_errors:
        # Where everything fails, the release's own errors leave the base nothing to fail.
        room = round(max(1 - release.errors - release.wrong, 0.0), 12)
        release = _updated(release, {"base_errors": min(base_errors, room)}, "--base-errors")
        before = _updated(before, {"base_errors": base_errors}, "--base-errors")
    return Scenario(
        name=name or name_of(release, before),
        kind="good" if is_good(release, before) else "bad",
        release=release,
        stable=before,
        traffic=traffic,
    )


def is_good(release: Release, stable: Release) -> bool:
    """Whether a release does nothing to its users that stable does not; it may start slowly and answer faster."""
    bare = {name: getattr(stable, name) for name in ("base_errors", "series_5xx", "start_s", "behind_flag")}
    quick = release.latency.factor <= stable.latency.factor
    if quick and release.latency.model_copy(update={"factor": stable.latency.factor}) == stable.latency:
        bare["latency"] = stable.latency
    return release.model_copy(update=bare) == stable


def name_of(release: Release, stable: Release) -> str:
    """Return a short name for a release, made from its words: errors-5pct, latency-x2, good."""
    if is_good(release, stable):
        return "good"
    if release == Release(errors=release.errors, base_errors=release.base_errors, series_5xx=release.series_5xx):
        return f"errors-{release.errors * 100:.6g}pct"
    text = release.text.lower().replace(" %", "pct")
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-.")[:80].strip("-.") or "release"


def traffic_from(spec: str) -> Traffic:
    """Return the traffic of a spec: a number of requests/s, `rps=50,shape.kind=…`, or a file (described or recorded).

    Raises:
        SpecError: a spec that cannot be read.
        TrafficError: a file that cannot be read.
    """
    if re.fullmatch(r"[0-9.]+", spec):
        spec = f"rps={spec}"
    elif "=" not in spec or Path(spec).is_file():
        if not Path(spec).is_file():
            raise SpecError(f"--traffic is {spec!r}; it needs requests/s, rps=50,shape.kind=… or a file that is there")
        from loadgen.traffic import read_traffic

        return read_traffic(Path(spec))
    return _validated(Traffic, _fields(spec, "--traffic"), "--traffic")


def _release(spec: str) -> Release:
    if spec == "good":
        return Release()
    return _validated(Release, _fields(spec, "--release"), "--release")


def _fields(spec: str, option: str) -> dict[str, Any]:
    """Return the nested fields of `a=1,b.c=2`."""
    fields: dict[str, Any] = {}
    for part in spec.split(","):
        path, equals, text = part.partition("=")
        if not equals or not path.strip():
            raise SpecError(
                f"{option} {spec!r}: {part!r} is no field and value; it needs for example errors=5%, latency=x2, "
                "good, suite:NAME, or a file that ends in .yaml"
            )
        *above, last = path.strip().split(".")
        here = fields
        for name in above:
            here = here.setdefault(name, {})
            if not isinstance(here, dict):
                raise SpecError(f"{option} {spec!r}: {name} has a value and fields inside it; it needs one of the two")
        here[last] = _value(last, text.strip())
    return fields


def _value(field: str, text: str) -> Any:
    share, factor = _SHARE.fullmatch(text), _FACTOR.fullmatch(text)
    if share:
        return float(share[1]) / 100
    if factor and field == "latency":
        return {"factor": float(factor[1])}
    if factor:
        return float(factor[1])
    if field in ("routes",):
        return text.split("+")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _validated(model: type[Model], fields: dict[str, Any], option: str) -> Model:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise SpecError("\n".join(_said(wrong, option, model) for wrong in error.errors())) from error


def _updated(release: Release, changes: dict[str, Any], option: str) -> Release:
    return _validated(Release, {**release.model_dump(exclude_unset=True), **changes}, option)


def _said(wrong: Any, option: str, model: type[BaseModel]) -> str:
    path = ".".join(str(part) for part in wrong["loc"]) or "the whole"
    if wrong["type"] == "extra_forbidden":
        meant = nearest(str(wrong["loc"][-1]), list(model.model_fields))
        known = f"did you mean {meant}?" if meant else f"it needs one of {', '.join(model.model_fields)}"
        return f"{option}: there is no field {path}; {known}"
    need = wrong["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if need.startswith(("less", "greater", "finite")):
        need = f"a number {need}"
    elif wrong["type"].startswith(("model", "dict")):
        need = f"fields inside it, as in {'.'.join(map(str, wrong['loc']))}.NAME=VALUE"
    found = "" if isinstance(wrong["input"], dict | list) else f" is {wrong['input']!r}"
    return f"{option}: {path}{found}; it needs {need[:1].lower()}{need[1:]}"


def _in_file(path: Path, traffic: Traffic, base_errors: float) -> list[Scenario]:
    """Return the scenarios of a file; entries without a traffic get the one that was named."""
    found: list[Scenario] = []
    problems: list[Problem] = []
    for document in read_documents(path):
        entries: list[tuple[FieldPath, Any]] = [((), document.value)]
        if isinstance(document.value, list):
            entries = [((place,), entry) for place, entry in enumerate(document.value)]
        for at, entry in entries:
            try:
                found.append(_entry(document, at, entry, traffic, base_errors, path))
            except ManifestError as error:
                problems += error.problems
    if problems:
        raise ManifestError(problems)
    if not found:
        raise SpecError(f"--release {path}: it holds nothing; it needs a release, a scenario, or a list of those")
    return found


def _entry(document: Document, at: FieldPath, entry: Any, traffic: Traffic, base_errors: float, path: Path) -> Scenario:
    if not isinstance(entry, dict):
        raise ManifestError([document.problem(at, "no mapping", "the fields of a release or of a scenario")])
    is_scenario = bool(entry.keys() & (Scenario.model_fields.keys() - Release.model_fields.keys()))
    if is_scenario and "traffic" not in entry:
        entry = {"traffic": traffic.model_dump(), **entry}
    model: type[BaseModel] = Scenario if is_scenario else Release
    try:
        made = model.model_validate(entry)
    except ValidationError as error:
        raise ManifestError(field_problems(error, document, at, model)) from error
    if isinstance(made, Scenario):
        return made if "name" in entry else made.model_copy(update={"name": name_of(made.release, made.stable)})
    assert isinstance(made, Release)
    return scenario_of(made, traffic=traffic, base_errors=base_errors)
