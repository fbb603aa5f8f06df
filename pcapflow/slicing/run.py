"""A slice made: what is chosen found, its packets marked, and written.

Contract: `make` reads the captures as often as it must and gives packets to a writer; `Made` says what came of it. Raises as `pipeline.run` does. Invariant: what is written is in the order
of the captures, each packet once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.errors import UsageError
from pcapflow.files import can_be_read_twice
from pcapflow.findings.choosing import Choice
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.slicing.choosing import chosen, needs_run
from pcapflow.slicing.intervals import Intervals
from pcapflow.slicing.packets import Marks, Watch, at_once, mark, marked
from pcapflow.slicing.writing import Packet


class Made(NamedTuple):
    """What a slice is of."""

    connections: int
    left_out: int
    """Connections for which there was no memory."""
    packets: int
    seen: int
    """Packets of the captures."""
    result: pipeline.Result | None
    """Of the run over the captures, where one was needed."""


Each = Callable[[Iterator[Packet], bool], object]
"""Takes the packets; and whether their times are in nanoseconds."""


def make(captures: Sequence[str], limits: Limits, options: Options, choice: Choice, write: Each, watch: Watch = None) -> Made:
    """Find the packets that are meant and give them to write."""
    once = next((path for path in captures if not can_be_read_twice(path)), None)
    if once is not None and needs_run(choice):
        raise UsageError(
            f"slice reads the capture several times, but {once!r} can be read only once; save it to a file, or name the connection by its ends: --connection IP:PORT-IP:PORT"
        )
    pipeline.check(options)
    found = chosen(captures, limits, options, choice, watch)
    if found.result is not None and (found.result.asked_to_stop or found.result.out_of_memory):
        return Made(0, 0, 0, 0, found.result)
    ledger = Ledger(limits)
    intervals = Intervals(found.spans)
    connections = len(found.spans)
    found.spans.clear()
    if once is not None:
        marks = Marks(ledger)
        write(at_once(captures, limits, options, ledger, marks, intervals, watch), True)
        return Made(connections, found.left_out, marks.count, marks.seen, found.result)
    marks = mark(captures, limits, options, ledger, intervals, watch)
    write(marked(captures, limits, options, ledger, marks, watch), marks.nanoseconds)
    marks.close()
    return Made(connections, found.left_out, marks.count, marks.seen, found.result)
