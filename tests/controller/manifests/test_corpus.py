"""Real manifests of public repositories: each loads, or is refused for the reason listed here.

They are other people's work and stay outside this repository; without the folder the test is skipped.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.manifests.loading import ManifestError, load

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus"
EXPERIMENT = "experiment is not supported"
HELM = "it needs to be rendered first, for example: helm template"
KUSTOMIZE = "a kustomize patch or base"

# number of the file -> what its refusal says
REFUSED = {
    "005": EXPERIMENT,
    "008": "spec.strategy.unknown-strategy is an unknown field",
    "010": "resources.requests.memory is 'invalid'; it needs a quantity",
    "022": "steps[0].plugin is not supported",
    "023": "spec.template is given beside workloadRef",  # by its own remark not valid; old HPA and Ingresses, too
    "024": "an unquoted {{ }}, which YAML reads as a mapping",
    "025": "is not YAML (did not find expected key)",
    "029": EXPERIMENT,
    "030": "spec.strategy.canary.analysis.templateName is in the wrong place",  # the form before version 1.0
    "031": "spec.analysisSpec is in the wrong place",  # the form before version 1.0
    "032": EXPERIMENT,
    "034": EXPERIMENT,
    "036": "steps[1].plugin is not supported",
    "041": KUSTOMIZE,
    "050": EXPERIMENT,
    "060": HELM,
    "064": KUSTOMIZE,
    "066": "prometheus.args is in the wrong place; it needs to stand in the template's spec.args",
    "067": KUSTOMIZE,
    "070": HELM,
    "072": "spec.strategy.canary.rollbackWindow is in the wrong place; it needs to stand at spec.rollbackWindow",
    "077": HELM,
    "081": "spec.strategy is canary and blueGreen together",
    "085": "spec.strategy.blueGreen is not supported",
    "087": EXPERIMENT,
    "088": HELM,
    "089": HELM,
}
# Files that are whole policies: their references can be followed, too.
WHOLE = ("006", "071", "090")

FILES = sorted(CORPUS.glob("*.yaml"))
needs_corpus = pytest.mark.skipif(not FILES, reason=f"no corpus of public manifests at {CORPUS}")


def test_the_real_manifests_are_here_where_they_must_be(corpus: Path) -> None:
    """The marks below skip; this one fails where GAMEBIRD_REQUIRE names the corpus, so that CI skips nothing unsaid."""
    assert sorted(corpus.glob("*.yaml")) == FILES


def number(path: Path) -> str:
    return path.name[:3]


@needs_corpus
@pytest.mark.parametrize("path", FILES, ids=number)
def test_a_public_manifest_loads_or_is_refused_for_a_stated_reason(path: Path) -> None:
    if number(path) not in REFUSED:
        assert load(path).objects
        return
    with pytest.raises(ManifestError) as caught:
        load(path)
    assert REFUSED[number(path)] in str(caught.value)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in caught.value.problems)


@needs_corpus
@pytest.mark.parametrize("path", [path for path in FILES if number(path) in WHOLE], ids=number)
def test_a_public_manifest_that_is_whole_makes_a_policy(path: Path) -> None:
    assert load(path).policy().rollout.name


@needs_corpus
def test_the_services_of_argos_own_bad_ping_pong_example_are_found_not_to_match() -> None:
    (path,) = CORPUS.glob("009-*")
    with pytest.raises(ManifestError, match="whose selector app=invalid-rollout-miss-match fits none of the rollout"):
        load(path).policy()


@needs_corpus
def test_every_file_of_the_corpus_is_accounted_for(capsys: pytest.CaptureFixture[str]) -> None:
    loaded, refused = [], []
    for path in FILES:
        try:
            load(path)
            loaded.append(number(path))
        except ManifestError:
            refused.append(number(path))
    with capsys.disabled():
        print(f"\n{len(FILES)} public manifests: {len(loaded)} load, {len(refused)} are refused with a reason")
    assert refused == sorted(REFUSED)
