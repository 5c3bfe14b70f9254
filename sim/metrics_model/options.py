"""The values that one label of one metric takes in the model, and which requests each value stands for.

A label is read by its name (a status, a route, a revision, a service…) and by what the queries ask of it: a status
asked as `5xx` has that form, a service asked by the canary Service's name tells the revisions apart. What the model
cannot know takes the value that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from promql.syntax.tree import Matcher, MatchOp
from sim.metrics_model.asked import LabelsAsked, passes_all, simplest, wants_something
from sim.metrics_model.cells import CellSpace, Ending
from sim.metrics_model.errors import LabelError
from sim.metrics_model.naming import HASH_LABELS, Naming

Side = Literal["stable", "release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One value of a label; None stands for all.

    Attributes:
        value: the text, with `{pod}` where a pod's own name goes.
        endings, kinds: positions on the axes of the cells.
        side: whose pods have it.
    """

    value: str
    endings: frozenset[int] | None = None
    kinds: frozenset[int] | None = None
    side: Side | None = None


@dataclass(slots=True)
class Context:
    """What options are worked out from, and the notes that come about on the way."""

    space: CellSpace
    naming: Naming
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


STATUS = re.compile(
    r"^(?:\w+_)?(?:status|code|status_?code|response_?code|response_?status|status_?class|code_?class"
    r"|response_?code_?class|result|outcome|classification|success|error|verdict)$"
)
ROUTE = re.compile(
    r"^(?:http_)?(?:route|handler|path|uri|endpoint|url|request_path|target|view|resource|path_template|request_uri)$"
)
METHOD = re.compile(r"^(?:http_)?(?:request_)?(?:method|verb)$")
POD = re.compile(r"^(?:exported_|kubernetes_|k8s_|destination_)?(?:pod|pod_name|podname|instance|hostname|host_name)$")
_REVISION = re.compile(
    r"^(?:\w+_)?(?:version|revision|track|role|variant|release|canary|color|colour|rs_?hash|hash|image|tag|stage)$"
)
_SERVICE = re.compile(
    r"service|svc|backend|cluster|ingress|deployment|workload|canonical|host|authority|upstream|proxy$|destination"
)

_OK_WORDS = frozenset(
    ("ok", "success", "successful", "succeeded", "approved", "accepted", "pass", "passed", "completed", "good")
)
_FAILED_WORDS = frozenset(
    (
        *("error", "errors", "fail", "failed", "failure", "ko", "declined", "rejected", "denied", "bad", "exception"),
        *("timeout", "panic", "refused", "dropped", "server_error", "broken", "crashed"),
        # gRPC's codes that are the server's fault
        *("unknown", "deadlineexceeded", "internal", "unavailable", "dataloss", "unimplemented", "resourceexhausted"),
    )
)
_CONDITIONS = ("stable", "primary", "baseline", "current", "control")
_STABLE_WORDS = frozenset(_CONDITIONS)
_RELEASE_WORDS = frozenset(("canary", "preview", "candidate", "experiment"))
_TOLD_BY_THE_PLATFORM = frozenset(
    ("namespace", "exported_namespace", "reporter", "direction", "container", "envoy_http_conn_manager_prefix")
)


def options_for(label: str, asked: LabelsAsked, context: Context, metric: str) -> tuple[Option, ...]:
    """Return the values of a label of a metric, in the order of the cells' axes."""
    segments = {name for kind in context.space.kinds for name, _ in kind.segments}
    if label in segments:
        return _by_kind(label, asked, context, lambda place: dict(context.space.kinds[place].segments)[label])
    if STATUS.match(label):
        return _statuses(label, asked, context, metric)
    if ROUTE.match(label) and _knows_routes(label, asked, context):
        return _by_kind(label, asked, context, lambda place: context.space.kinds[place].route.path.partition("?")[0])
    if METHOD.match(label):
        return _by_kind(label, asked, context, lambda place: context.space.kinds[place].route.method)
    if POD.match(label) and names_pods(label, asked, context.naming):
        return (Option(value="{pod}:8080" if "instance" in label else "{pod}"),)
    return _names(label, asked, context, metric)


def names_pods(label: str, asked: LabelsAsked, naming: Naming) -> bool:
    """Return whether the values that are asked for can be names of pods, and not of a Service that stands for them."""
    port = ":8080" if "instance" in label else ""
    pods = [naming.pod(0, is_release=is_release) + port for is_release in (False, True)]
    return all(any(passes_all(one, pod) for pod in pods) for one in asked if wants_something(one))


# ---- what was asked for: routes, methods, segments


def _knows_routes(label: str, asked: LabelsAsked, context: Context) -> bool:
    """Return whether the label holds a path; OpenShift and others call an object of theirs `route`."""
    if label != "route":
        return True
    wanted = [one for one in asked if one]
    paths = [kind.route.path for kind in context.space.kinds]
    return (
        not wanted
        or any(passes_all(one, path) for one in wanted for path in paths)
        or any(matcher.value.startswith(("/", "^/")) for one in wanted for matcher in one)
    )


def _by_kind(label: str, asked: LabelsAsked, context: Context, value: Callable[[int], str]) -> tuple[Option, ...]:
    values: dict[str, set[int]] = {}
    for place in range(len(context.space.kinds)):
        values.setdefault(value(place), set()).add(place)
    for one in asked:
        if one and wants_something(one) and not any(passes_all(one, known) for known in values):
            if len(values) > 1:
                listed = ", ".join(sorted(values))
                raise LabelError(f"no request of the traffic has {_shown(one)}; {label} is one of: {listed}")
            made = simplest(one)
            if made is None:
                raise LabelError(f"no value of {label} passes {_shown(one)}")
            context.note(f"{label} is taken to be {made!r} for all requests, as the traffic has one kind only")
            return (Option(value=made),)
    if len(values) == 1:
        return (Option(value=next(iter(values))),)
    return tuple(Option(value=text, kinds=frozenset(places)) for text, places in values.items())


def _shown(matchers: Sequence[Matcher]) -> str:
    return ", ".join(f'{one.name}{one.op}"{one.value}"' for one in matchers)


# ---- how a request ended


def _statuses(label: str, asked: LabelsAsked, context: Context, metric: str) -> tuple[Option, ...]:
    wording = _wording(label, asked, context, metric)
    values: dict[str, set[int]] = {}
    for place, ending in enumerate(context.space.endings):
        values.setdefault(wording(ending), set()).add(place)
    return tuple(Option(value=text, endings=frozenset(places)) for text, places in values.items())


def words_for(space: CellSpace, *, ok: str, failed: str) -> tuple[Option, ...]:
    """Return the values of a label that says with one word or another how a request ended."""
    fine = frozenset(place for place, ending in enumerate(space.endings) if ending.status < 400)
    return (
        Option(value=ok, endings=fine),
        Option(value=failed, endings=frozenset(range(len(space.endings))) - fine),
    )


def _wording(label: str, asked: LabelsAsked, context: Context, metric: str) -> Callable[[Ending], str]:
    """Return how the label says how a request ended: `503`, `5xx`, `5`, or a word."""
    texts = [matcher.value for one in asked for matcher in one if matcher.value]
    if any(re.fullmatch(r"\W*[1-5]xx\W*", text) for text in texts):
        return lambda ending: f"{ending.status // 100}xx"
    if label.endswith("class") and (label.startswith("envoy") or any(re.fullmatch(r"[1-5]", t) for t in texts)):
        return lambda ending: str(ending.status // 100)
    words = [text for text in texts if not re.match(r"^[\^(\[]*[1-5]", text) and re.search("[A-Za-z]{2}", text)]
    if words or re.search(r"(?:outcome|classification|success|result|verdict|error)$", label):
        return _words(label, asked, words, context, metric)
    return lambda ending: str(ending.status)


def _words(
    label: str, asked: LabelsAsked, words: Sequence[str], context: Context, metric: str
) -> Callable[[Ending], str]:
    good, failed = _default_words(label, words)
    for matcher in (matcher for one in asked for matcher in one):
        named = [word for word in re.split(r"[|()]", matcher.value) if re.fullmatch(r"[\w-]+", word)]
        bad = [word for word in named if word.lower() in _FAILED_WORDS or _is_failure(label, word)]
        fine = [word for word in named if word.lower() in _OK_WORDS]
        if bad:
            failed = failed if failed in bad else bad[0]
        if fine:
            good = good if good in fine else fine[0]
        if named and not bad and not fine and not set(named) & {good, failed}:
            context.note(f"{metric}: {label}={named[0]!r} is taken to mean a request that did not fail")
            good = named[0]
    return lambda ending: good if ending.status < 400 else failed


def _default_words(label: str, words: Sequence[str]) -> tuple[str, str]:
    if label.endswith("success"):
        return "true", "false"
    if label.endswith("error"):
        return "false", "true"
    if label.endswith("outcome") and (not words or any(word.isupper() for word in words)):
        return "SUCCESS", "SERVER_ERROR"  # as Spring Boot says it
    if label.endswith("classification"):
        return "success", "failure"
    if any(word.lower() == "ok" for word in words):
        return "ok", "error"
    return "success", "error"


def _is_failure(label: str, word: str) -> bool:
    if label.endswith("success"):
        return word == "false"
    if label.endswith("error"):
        return word == "true"
    return label.endswith("outcome") and word in ("SERVER_ERROR", "CLIENT_ERROR")


# ---- names: of services, revisions, and whatever else


def _pairs(label: str, naming: Naming) -> list[tuple[str, str]]:
    """Return (stable's value, the release's value) for each way in which a label may tell revisions apart."""
    hashes = (naming.stable_hash, naming.release_hash)
    own = [hashes, *((f"{naming.rollout}-{old}", f"{naming.rollout}-{new}") for old, new in (hashes,))]
    services = []
    if naming.canary_service and naming.stable_service and naming.canary_service != naming.stable_service:
        old, new = naming.stable_service, naming.canary_service
        for form in ("{}", "{}.{ns}.svc.cluster.local", "{}.{ns}", "{ns}/{}", "{ns}-{}", "{ns}_{}"):
            services.append((form.format(old, ns=naming.namespace), form.format(new, ns=naming.namespace)))
    elif naming.canary_service and naming.canary_service != naming.rollout:
        services.append((naming.rollout, naming.canary_service))
    words = [(word, "canary") for word in _CONDITIONS]
    return own + services + words if _REVISION.match(label) or label in HASH_LABELS else services + own + words


def _plain(label: str, naming: Naming) -> str:
    """Return what a label holds that no query asks a certain value of and that tells no revisions apart."""
    match label:
        case "namespace" | "exported_namespace" | "kubernetes_namespace" | "destination_namespace":
            return naming.namespace
        case "app":
            return naming.app
        case "ingress":
            return naming.ingress or naming.rollout
        case "container":
            return "app"
        case "reporter":
            return "destination"
        case "le" | "quantile":
            return ""
        case _:
            return naming.rollout


def _names(label: str, asked: LabelsAsked, context: Context, metric: str) -> tuple[Option, ...]:
    naming = context.naming
    pairs = _pairs(label, naming)
    plain = _plain(label, naming)
    chosen: dict[Option, None] = {}
    for one in asked:
        if not one or not wants_something(one):
            continue
        for option in _passing(label, one, plain, pairs, context, metric):
            chosen.setdefault(option)
    if chosen:
        return _told_apart(label, tuple(chosen), context, metric)
    # Nobody asks for a certain value: revisions are apart where the name says that it tells them apart.
    if label in HASH_LABELS or _REVISION.match(label):
        return _sided(pairs[0])
    if label == "service" and metric.startswith(("nginx_", "traefik_")) and naming.canary_service:
        return _sided(pairs[0])
    return (Option(value=plain),)


def _told_apart(label: str, chosen: tuple[Option, ...], context: Context, metric: str) -> tuple[Option, ...]:
    """Return the options with one release: where queries ask for several values that nothing explains, the greatest.

    Versions grow, so `version="v2"` beside `version="v1"` is the release, whichever is asked for first.
    """
    released = [option for option in chosen if option.side == "release"]
    if len(released) < 2 or not _REVISION.match(label):
        return chosen
    newest = max(released, key=lambda option: _natural(option.value))
    context.note(f"{metric}: of the values of {label}, {newest.value!r} is taken to be the release under test")
    stable = [Option(value=one.value, side="stable") for one in released if one is not newest]
    return (*(option for option in chosen if option not in released and option.value != "stable"), newest, *stable)


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Return a key by which v10 comes after v9."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text) if part)


def _sided(pair: tuple[str, str]) -> tuple[Option, ...]:
    return Option(value=pair[0], side="stable"), Option(value=pair[1], side="release")


def _passing(
    label: str,
    matchers: Sequence[Matcher],
    plain: str,
    pairs: Sequence[tuple[str, str]],
    context: Context,
    metric: str,
) -> tuple[Option, ...]:
    """Return the values that one selector can select, with their counterpart where they tell revisions apart."""
    asked = tuple(matchers)
    own = [pair for pair in pairs if any(passes_all(asked, value) for value in pair)]
    is_sided = bool(_REVISION.match(label)) or label in HASH_LABELS
    if not is_sided and passes_all(asked, plain):
        exact = any(one.op is MatchOp.EQUAL for one in asked)
        if exact or not own or not _SERVICE.search(label):
            return (Option(value=plain),)
    if own:
        return _sided(own[0])
    made = simplest(asked)
    if made is None:
        raise LabelError(f"{metric}: no value of {label} passes {_shown(asked)}")
    return _invented(label, made, context, metric, is_sided=is_sided)


def _invented(label: str, made: str, context: Context, metric: str, *, is_sided: bool) -> tuple[Option, ...]:
    """Return a value that nothing in the policy explains, for the side that its words or the label's name tell."""
    words = set(re.split(r"[^a-z0-9]+", made.lower()))
    if words & _STABLE_WORDS or context.naming.stable_service == made.partition(":")[0] != "":
        context.note(f"{metric}: {label}={made!r} is taken to be the stable revision")
        return (Option(value=made, side="stable"), Option(value="canary", side="release"))
    if is_sided or words & _RELEASE_WORDS or context.naming.canary_service == made.partition(":")[0] != "":
        context.note(f"{metric}: {label}={made!r} is taken to be the release under test")
        return (Option(value="stable", side="stable"), Option(value=made, side="release"))
    if label not in _TOLD_BY_THE_PLATFORM:
        context.note(f"{metric}: {label} is taken to be {made!r} for both revisions")
    return (Option(value=made),)
