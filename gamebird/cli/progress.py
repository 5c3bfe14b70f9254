"""A progress bar on standard error, where somebody sees it: on a terminal, and only for what takes a while."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def showing_progress(total: int) -> Iterator[Callable[[str, int], None]]:
    """Yield what is to be told of each piece of work: what it is for, and how much of `total` it was."""
    if not sys.stderr.isatty():
        yield lambda _name, _more: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=total)
        yield lambda name, more: bar.update(task, advance=more, description=f"{name[:40]:<40}")
