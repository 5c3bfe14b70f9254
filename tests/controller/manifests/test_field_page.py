"""The table of fields, and the page that is written from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from controller.manifests.field_page import field_page
from controller.manifests.reading.fields import BLOCKS, MISPLACED, Treatment

PAGE = Path(__file__).resolve().parents[3] / "docs" / "compatibility-fields.md"
ARGO: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("argo_fields.yaml").read_text())
KUBERNETES = {  # blocks that Kubernetes shares among all kinds
    "object",
    "metadata",
    "podMetadata",
    "selector",
    "matchExpression",
    "template",
    "podSpec",
    "container",
    "probe",
    "resources",
}


def test_the_page_on_fields_is_the_one_that_the_table_gives() -> None:
    assert PAGE.read_text() == field_page(), "renew it: python -m controller.manifests.field_page > " + PAGE.name


def test_each_refusal_and_each_warning_has_a_reason() -> None:
    for block in BLOCKS.values():
        for name, field in block.fields.items():
            assert bool(field.why) == (field.treatment in (Treatment.REFUSED, Treatment.WARNED)), (block.home, name)


def test_a_field_is_called_misplaced_only_where_it_is_not_known() -> None:
    for key, name in MISPLACED:
        assert name not in BLOCKS[key].fields


@pytest.mark.parametrize("key", ARGO)
def test_the_table_has_every_field_of_argo_rollouts_and_no_other(key: str) -> None:
    table, argo = set(BLOCKS[key].fields), set(ARGO[key])
    assert not argo - table, f"{key}: missing in the table"
    assert not table - argo, f"{key}: Argo Rollouts has no such field"


def test_every_block_of_the_table_is_compared_with_argo_rollouts() -> None:
    assert set(ARGO) | KUBERNETES == set(BLOCKS)
    assert sum(map(len, ARGO.values())) == 221
