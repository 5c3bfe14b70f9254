"""Positioned YAML: what is read, where it stands, and that hostile files end at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from controller.manifests.documents import ManifestError, Position, read_documents


def value_of(text: str) -> object:
    (document,) = read_documents(text)
    return document.value


def problems_of(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_documents(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_field_is_found_where_its_key_stands() -> None:
    (document,) = read_documents("spec:\n  steps:\n    - setWeight: 10\n    - pause: {duration: 3}\n")
    assert document.position(("spec", "steps", 0, "setWeight")) == Position(line=3, column=7)
    assert document.position(("spec", "steps", 1, "pause", "duration")) == Position(line=4, column=15)


def test_a_field_that_is_not_there_is_reported_at_its_parent() -> None:
    (document,) = read_documents("a: 1\nspec:\n  replicas: 3\n")
    assert document.position(("spec", "strategy", "canary")) == Position(line=2, column=1)


def test_a_problem_reads_as_one_line_with_place_finding_and_need() -> None:
    (document,) = read_documents("spec:\n  steps:\n    - setWeight: 140\n", "checkout.yaml")
    problem = document.problem(("spec", "steps", 0, "setWeight"), "140", "a whole percentage from 0 to 100")
    assert (
        str(problem) == "checkout.yaml:3:7: spec.steps[0].setWeight is 140; it needs a whole percentage from 0 to 100"
    )


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("yes", True),
        ("off", False),
        ("n", False),
        ("0x10", 16),
        ("017", 15),
        ("0o17", 15),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e3", "1e3"),  # Go's reader wants a sign in the exponent
        ("1e+3", 1000.0),
        ("1:30", "1:30"),
        ("2026-11-24", "2026-11-24"),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("5m", "5m"),
        ("-3", -3),
        ("on-call", "on-call"),
    ],
)
def test_bare_words_mean_what_they_mean_to_kubernetes(word: str, value: object) -> None:
    assert value_of(f"a: {word}\n") == {"a": value}


def test_keys_become_texts_as_json_has_them() -> None:
    assert value_of("1: a\ntrue: b\n") == {"1": "a", "true": "b"}


def test_several_documents_are_read_and_empty_ones_left_out() -> None:
    documents = read_documents("---\na: 1\n---\n---\n# only a remark\n---\nb: 2\n")
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].position(("b",)) == Position(line=7, column=1)


def test_anchors_and_merges_are_followed_and_own_fields_win() -> None:
    text = "base: &base {a: 1, b: 2}\nhere:\n  <<: *base\n  b: 3\nlist: [*base]\n"
    assert value_of(text) == {
        "base": {"a": 1, "b": 2},
        "here": {"a": 1, "b": 3},
        "list": [{"a": 1, "b": 2}],
    }


def test_a_part_keeps_its_positions() -> None:
    (document,) = read_documents("items:\n  - a: 1\n  - b:\n      c: 2\n")
    part = document.part(("items", 1))
    assert part.value == {"b": {"c": 2}}
    assert part.position(("b", "c")) == Position(line=4, column=7)


def test_a_key_given_twice_is_a_problem_that_names_both_lines() -> None:
    (problem,) = problems_of("spec:\n  replicas: 1\n  replicas: 2\n")
    assert problem.startswith("f.yaml:3:3: spec.replicas is given twice, first in line 2;")


def test_all_duplicate_keys_and_tags_of_a_file_are_told_at_once() -> None:
    assert len(problems_of("a: 1\na: 2\nb: !Ref x\nc: 1\nc: 1\n")) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1, 2\n", "not YAML"),
        ("a: 1\n\tb: 2\n", "blanks instead of tabs"),
        ("value: {{args.x}}\n", "quotes around it"),
        ("{{- if .Values.x }}\na: 1\n{{- end }}\n", "helm template"),
        ("a: {{ .Values.x }}\n", "helm template"),
        ("a: !!python/object/apply:os.system [ls]\n", "tags are not read"),
        ("a: !!binary aGk=\n", "tags are not read"),
        ("a: *nothing\n", "an alias of nothing"),
        ("a: &a [*a]\n", "an alias inside itself"),
        ("a: \x07\n", "not YAML"),
    ],
)
def test_what_is_no_manifest_text_is_refused_with_a_reason(text: str, expected: str) -> None:
    assert expected in "\n".join(problems_of(text))


def test_a_file_that_is_not_there_and_one_that_is_no_text_are_problems(tmp_path: Path) -> None:
    binary = tmp_path / "x.yaml"
    binary.write_bytes(b"a: 1\nb: \xff\xfe\n")
    for path, expected in ((tmp_path / "none.yaml", "not readable"), (binary, ":2:1:")):
        with pytest.raises(ManifestError, match=expected):
            read_documents(path)


LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
HOSTILE = {
    "a billion laughs": LAUGHS,
    "50 MB": "x" * 50_000_000,
    "four million brackets": "[" * 4_000_000,
    "four million braces": "{" * 4_000_000,
    "two million dashes": "- " * 2_000_000,
    "a million documents": "---\n" * 800_000,
    "a million list items": "- a\n" * 1_000_000,
    "an alias chain": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 1000)),
    "a merge bomb": "a: &a {" + ",".join(f"k{i}: 1" for i in range(1000)) + "}\nb:\n" + "  - <<: *a\n" * 100_000,
    "a mapping cycle": "a: &a\n  b: *a\n",
}
# Reading runs in a process of its own, so that its memory is its own; the interpreter and the
# parser's import take some 30 MB of it. The kernel's VmHWM is asked, because ru_maxrss of a fresh
# process still holds the size of the one that started it.
CHILD = """
import re, sys, time
from pathlib import Path
from controller.manifests.documents import ManifestError, read_documents
start = time.process_time()
try:
    read_documents(Path(sys.argv[1]))
except ManifestError as error:
    cpu_s = time.process_time() - start
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    print(cpu_s, int(peak[1]) / 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says a process's peak of memory")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_within_a_second_and_200_mb(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[name])
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    cpu_s, memory_mb = (float(word) for word in child.stdout.split())
    assert cpu_s < 1.0  # CPU time of this process, so that a busy machine does not decide
    assert memory_mb < 200
