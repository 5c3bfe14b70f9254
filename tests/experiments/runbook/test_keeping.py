"""A page is replaced by its successor and by nothing else, and never takes a person's words with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.runbook.keeping import RunbookFileError, is_own, keep, sealed


def test_an_unchanged_page_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "RUNBOOK.md"
    assert keep(sealed("# a\n"), file)
    assert not keep(sealed("# a\n"), file)
    assert file.read_text() == sealed("# a\n")


def test_a_page_of_ours_is_replaced_by_the_next(tmp_path: Path) -> None:
    file = tmp_path / "RUNBOOK.md"
    keep(sealed("# a\n"), file)
    assert keep(sealed("# b\n"), file)
    assert file.read_text() == sealed("# b\n")
    assert [path.name for path in tmp_path.iterdir()] == ["RUNBOOK.md"]  # no draft is left


@pytest.mark.parametrize(
    "there",
    [
        sealed("# a\n").replace("# a", "# a, and call Jo"),  # edited above the marker
        sealed("# a\n") + "Call Jo.\n",  # written below it
        "# our own page\n",  # never ours
    ],
)
def test_a_hand_edited_page_is_left_alone_unless_forced(tmp_path: Path, there: str) -> None:
    file = tmp_path / "RUNBOOK.md"
    file.write_text(there)
    with pytest.raises(RunbookFileError, match=r"edited by hand .*--force"):
        keep(sealed("# b\n"), file)
    assert file.read_text() == there
    assert keep(sealed("# b\n"), file, force=True)
    assert file.read_text() == sealed("# b\n")


def test_a_page_that_git_gave_other_line_ends_is_still_our_own(tmp_path: Path) -> None:
    file = tmp_path / "RUNBOOK.md"
    file.write_bytes(sealed("# a\n").replace("\n", "\r\n").encode())
    assert is_own(file.read_text())
    assert keep(sealed("# b\n"), file)


def test_a_folder_that_is_not_there_is_an_error_of_the_input(tmp_path: Path) -> None:
    with pytest.raises(RunbookFileError, match="cannot be written"):
        keep(sealed("# a\n"), tmp_path / "nowhere" / "RUNBOOK.md")
