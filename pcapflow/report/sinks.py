"""Who gets what a run finds, beside the report itself: tables, pages, metrics.

Contract: `pipeline.run` calls `begin` once, `records` with encoded records in order, `block` after each block, `finish` when no record comes any more,
and `summary` last. What a sink keeps it reserves in the ledger's `output` account, and gives back by the end of `finish`. A sink writes to callables that
it was given, which wait where their reader is slow, and raise `OutputError` where they fail; that ends the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pcapflow.budget import Ledger
from pcapflow.summary import Summary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Out = Callable[[bytes], object]


class Sink:
    """Takes everything and does nothing; sinks override what they need."""

    wants_records = True

    def begin(self, ledger: Ledger) -> None:
        """The run begins."""

    def records(self, lines: list[bytes]) -> None:
        """Encoded records, in order."""

    def block(self, ts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """A block of packets was worked on: their times (ns since the epoch) and bytes on the wire, both int64 of shape (packets,)."""

    def finish(self) -> None:
        """No record comes any more: give back what is reserved."""

    def summary(self, summary: Summary) -> None:
        """The end of it."""
