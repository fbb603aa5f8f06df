"""The progress bar on standard error, only where that is a terminal. Shows the clock; the report never does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pcapflow.sizes import show_size

if TYPE_CHECKING:
    from pcapflow.pipeline import Progress

_BEFORE_SHOWN = 0.5
"""Seconds: a run that is over by then needs no bar."""


@contextmanager
def progress_bar(*, enabled: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A callable for `pipeline.run`, or None where nobody would see it."""
    if not enabled or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.fields[packets]:,} packets"),
        BarColumn(),
        TransferSpeedColumn(),
        TextColumn("memory {task.fields[memory]} of {task.fields[limit]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", total=None, packets=0, memory="0 B", limit="")
    began = time.monotonic()
    shown = False

    def update(state: Progress) -> None:
        nonlocal shown
        if not shown:
            if time.monotonic() - began < _BEFORE_SHOWN:
                return
            bar.start()
            shown = True
        bar.update(
            task,
            completed=state.bytes_done,
            total=state.bytes_total,
            packets=state.packets,
            memory=show_size(state.memory_bytes),
            limit=show_size(state.memory_limit),
        )

    try:
        yield update
    finally:
        bar.stop()
