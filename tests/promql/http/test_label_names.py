"""Label names as they stand in a URL."""

from __future__ import annotations

import pytest

from promql.label_names import LabelNameError, name_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pod", "pod"),
        ("label.dot", "label.dot"),
        ("é", "é"),
        ("U__pod", "pod"),
        ("U__label_2e_dot", "label.dot"),
        ("U___E9_", "é"),
        ("U__a__b", "a_b"),
        # What is not properly escaped is the name itself.
        ("U__a_b", "U__a_b"),
        ("U__a_zz_", "U__a_zz_"),
        ("U__a_d800_", "U__a_d800_"),
        ("U__a_", "U__a_"),
    ],
)
def test_a_name_is_plain_or_escaped(text: str, name: str) -> None:
    assert name_of(text) == name


def test_nothing_and_bytes_that_are_no_text_are_no_names() -> None:
    with pytest.raises(LabelNameError, match='invalid label name: ""'):
        name_of("")
    with pytest.raises(LabelNameError, match=r'invalid label name: "a\\xff"'):
        name_of("a\udcff")
