"""Who gets what a run finds, beside the report itself: tables, pages, metrics.

Contract: `pipeline.run` calls `begin` once, `entries` with encoded records in order, `block` after each block, `finish` when no record comes any more,
and `summary` last. What a sink keeps it reserves in the ledger's `output` account, and gives back by the end of `finish`. A sink writes to callables that
it was given, which wait where their reader is slow, and raise `OutputError` where they fail; that ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pcapflow.budget import Ledger
from pcapflow.entries import Entry
from pcapflow.summary import Summary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Out = Callable[[bytes], object]


class Share:
    """A part of the `output` account that one sink has for itself, taken when the run begins: what others hold does not change what it keeps."""

    def __init__(self, ledger: Ledger, most: int) -> None:
        """most: bytes; an eighth of the account is taken at the most."""
        self._ledger = ledger
        self._account = ledger.output
        wanted = min(most, ledger.output.limit // 8)
        self.limit = wanted if ledger.output.reserve(wanted) else 0
        self.used = 0

    def take(self, n: int) -> bool:
        """n bytes; False, with nothing changed, where the share has too little left."""
        if self.used + n > self.limit:
            return False
        self.used += n
        return True

    def short(self) -> None:
        """Something was left out for want of it: of what, depends on what comes together."""
        self._ledger.pressure = True

    def give(self, n: int) -> None:
        """Give n bytes back to the share."""
        self.used -= n

    def close(self) -> None:
        """Give the share back to the account."""
        self._account.release(self.limit)
        self.limit = self.used = 0


class Sink:
    """Takes everything and does nothing; sinks override what they need."""

    wants_records = True
    own = ""
    """The kind of entries that are made for this sink, and that no other gets; empty for none."""

    def begin(self, ledger: Ledger) -> None:
        """The run begins."""

    def entries(self, some: list[Entry]) -> None:
        """Records, or what is this sink's own, in order."""

    def block(self, ts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """A block of packets was worked on: their times (ns since the epoch) and bytes on the wire, both int64 of shape (packets,)."""

    def finish(self) -> None:
        """No record comes any more: give back what is reserved."""

    def summary(self, summary: Summary) -> None:
        """The end of it."""


def to_each(write: Callable[[list[bytes]], object] | None, sinks: Sequence[Sink]) -> Callable[[list[Entry]], object] | None:
    """Who takes a run's entries: write, which takes the records' lines, and the sinks; None where nobody does."""
    readers = [sink.entries for sink in sinks if sink.wants_records]
    owners = {sink.own: sink.entries for sink in sinks if sink.own}
    if write is None and not readers and not owners:
        return None

    def take(some: list[Entry]) -> None:
        for own, owner in owners.items():
            owned = [entry for entry in some if entry.kind == own]
            if owned:
                owner(owned)
                some = [entry for entry in some if entry.kind != own]
        if some and write is not None:
            write([entry.line for entry in some])
        for reader in readers if some else ():
            reader(some)

    return take
