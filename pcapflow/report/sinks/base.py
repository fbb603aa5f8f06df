"""Who gets what a run finds, beside the report itself: tables, pages, metrics.

Contract: `pipeline.run` calls `begin` once, `entries` with encoded records in order, `block` after each block, `finish` when no record comes any more,
and `summary` last. What a sink keeps it reserves in the ledger's `output` account, and gives back by the end of `finish`. A sink writes to callables that
it was given, which wait where their reader is slow, and raise `OutputError` where they fail; that ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pcapflow.budget import Ledger
from pcapflow.entries import Entry, Kinds, takes
from pcapflow.summary import Summary
from pcapflow.whole_exchanges import ExchangeFound

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Out = Callable[[bytes], object]


class Sink:
    """Takes everything and does nothing; sinks override what they need."""

    kinds: Kinds = None
    """See `entries.takes`."""
    own = ""
    """The kind of entries that are made for this sink, and that no other gets; empty for none."""

    def begin(self, ledger: Ledger) -> None:
        """The run begins."""

    def entries(self, some: list[Entry]) -> None:
        """Records, or what is this sink's own, in order."""

    def maker(self) -> Callable[[ExchangeFound], bytes] | None:
        """What makes a line of an HTTP exchange, which comes back as an entry of this sink's own kind: a function of a module, since a worker may call it. None where it wants none."""
        return None

    def block(self, ts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """A block of packets was worked on: their times (ns since the epoch) and bytes on the wire, both int64 of shape (packets,)."""

    def finish(self) -> None:
        """No record comes any more: give back what is reserved."""

    def not_written(self) -> dict[str, int]:
        """Records that were left out, by type; known when `finish` has returned."""
        return {}

    def summary(self, summary: Summary) -> None:
        """The end of it."""


def left_out(sinks: Sequence[Sink]) -> dict[str, int]:
    """Records that no database took, by type."""
    found: dict[str, int] = {}
    for sink in sinks:
        for name, n in sink.not_written().items():
            found[name] = found.get(name, 0) + n
    return dict(sorted(found.items()))


class Writer(NamedTuple):
    """Takes the lines of records of some kinds."""

    write: Callable[[list[Any]], object]
    kinds: Kinds
    separator: bytes | None = None
    """What it puts between lines: pieces of several with that between are as good; None for a line by itself alone."""


def kinds_wanted(writer: Writer | None, sinks: Sequence[Sink]) -> tuple[Kinds, ...]:
    """Kinds of the records that somebody takes."""
    return (*(sink.kinds for sink in sinks), *([writer.kinds] if writer is not None else ()))


def to_each(writer: Writer | None, sinks: Sequence[Sink]) -> Callable[[list[Entry]], object] | None:
    """Who takes a run's entries: the writer, and the sinks; None where nobody does."""
    readers = [sink for sink in sinks if sink.kinds is None or sink.kinds]
    owners = {sink.own: sink.entries for sink in sinks if sink.own}
    if writer is None and not readers and not owners:
        return None

    def take(some: list[Entry]) -> None:
        for own, owner in owners.items():
            owned = [entry for entry in some if entry.kind == own]
            if owned:
                owner(owned)
                some = [entry for entry in some if entry.kind != own]
        if writer is not None:
            lines = [entry.line for entry in some if takes(writer.kinds, entry.kind)]
            if lines:
                writer.write(lines)
        for reader in readers:
            its = [entry for entry in some if takes(reader.kinds, entry.kind)]
            if its:
                reader.entries(its)

    return take
