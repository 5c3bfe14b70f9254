"""The table of fields, and the page that is written from it."""

from __future__ import annotations

from pathlib import Path

from controller.manifests.field_page import field_page
from controller.manifests.reading.fields import BLOCKS, MISPLACED, Treatment

PAGE = Path(__file__).resolve().parents[3] / "docs" / "compatibility-fields.md"


def test_the_page_on_fields_is_the_one_that_the_table_gives() -> None:
    assert PAGE.read_text() == field_page(), "renew it: python -m controller.manifests.field_page > " + PAGE.name


def test_each_refusal_and_each_warning_has_a_reason() -> None:
    for block in BLOCKS.values():
        for name, field in block.fields.items():
            assert bool(field.why) == (field.treatment in (Treatment.REFUSED, Treatment.WARNED)), (block.home, name)


def test_a_field_is_called_misplaced_only_where_it_is_not_known() -> None:
    for key, name in MISPLACED:
        assert name not in BLOCKS[key].fields
