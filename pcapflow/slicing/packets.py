"""The packets of chosen connections, out of captures that are read again.

Contract: `mark` reads the captures and tells which packets are wanted, those that carried fragments of their segments too; `packets` reads them once more and gives these; `at_once` does both in
one go, for what can be read once. Raise `CaptureError`. Invariant: of each packet one bit is kept, reserved in the `output` account; what an option leaves out of an analysis (`--filter`, times) is no
packet of a slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.trace import Trace
from pcapflow.decode import columns
from pcapflow.decode.fragments import Fragments
from pcapflow.decode.segments import DecodeCounts
from pcapflow.decode.selection import Selection
from pcapflow.errors import CaptureError, UsageError
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.pipeline import Progress
from pcapflow.slicing.intervals import Intervals
from pcapflow.slicing.writing import Packet

Watch = Callable[[Progress], object] | None
_STEP = 64 << 10
"""Bytes of bits by which more is reserved."""


class Marks:
    """A bit for each packet, from 1."""

    def __init__(self, ledger: Ledger) -> None:
        self._account = ledger.output
        self._bits = np.zeros(0, dtype=np.uint8)
        self.count = 0
        """Packets that are marked."""
        self.seen = 0
        """Packets that there are."""
        self.nanoseconds = False
        """Whether the time of one that is marked is not one of microseconds."""

    def add(self, packets: npt.NDArray[np.int64]) -> None:
        """Mark them. Raises `UsageError` where there is no memory for so many."""
        if not len(packets):
            return
        needed = int(packets.max()) // 8 + 1
        if needed > len(self._bits):
            more = -(-(needed - len(self._bits)) // _STEP) * _STEP
            if not self._account.reserve(more):
                raise UsageError("too many packets to mark those that are wanted, one bit each; give a larger --memory-limit")
            self._bits = np.concatenate((self._bits, np.zeros(more, dtype=np.uint8)))
        np.bitwise_or.at(self._bits, packets >> 3, (1 << (packets & 7)).astype(np.uint8))

    def rows(self, first: int, n: int) -> npt.NDArray[np.int64]:
        """int64: which of n packets from a number on are marked, counted from 0."""
        numbers = np.arange(first, min(first + n, 8 * len(self._bits)))
        return np.flatnonzero(self._bits[numbers >> 3] >> (numbers & 7).astype(np.uint8) & 1)

    def close(self) -> None:
        """Give the memory back."""
        self._account.release(len(self._bits))
        self._bits = np.zeros(0, dtype=np.uint8)


class _Chooser:
    """Which rows of each block are of chosen connections."""

    def __init__(self, intervals: Intervals, limits: Limits, options: Options, ledger: Ledger) -> None:
        self._intervals = intervals
        self._options = options
        self._fragments = Fragments(limits, ledger)
        self._selection = Selection(options.begin, options.end, options.filter)

    def packets(self, block: PacketBlock) -> npt.NDArray[np.int64]:
        """Their numbers, those of earlier blocks too that carried fragments."""
        segments = columns.decode(block, DecodeCounts(), open_tunnels=self._options.tunnels, fragments=self._fragments)
        if self._selection.asked:
            segments, _ = self._selection.take(block, segments)
        found: npt.NDArray[np.int64] = segments.packet[self._intervals.of(segments)]
        carriers = self._fragments.carriers
        if carriers:
            more = [packet for last in set(found.tolist()) & carriers.keys() for packet in carriers[last]]
            found = np.concatenate((found, np.array(more, dtype=np.int64)))
        return found

    def finish(self) -> None:
        """No block comes any more."""
        self._fragments.finish()


def blocks_of(captures: Sequence[str], limits: Limits, options: Options, ledger: Ledger, watch: Watch) -> Iterator[PacketBlock]:
    """Those of captures, as many as the options ask for. Ctrl-C ends it."""
    with Interrupt() as interrupt, Trace(captures, limits, ledger, interrupt) as trace:
        for block in trace.blocks(options.packets):
            yield block
            if watch is not None:
                last = block.first_packet + len(block) - 1
                watch(Progress(last, trace.position, trace.size, ledger.used, ledger.limit))
            if interrupt.asked:
                raise KeyboardInterrupt


def mark(captures: Sequence[str], limits: Limits, options: Options, ledger: Ledger, intervals: Intervals, watch: Watch = None) -> Marks:
    """Which packets are wanted."""
    marks = Marks(ledger)
    chooser = _Chooser(intervals, limits, options, ledger)
    for block in blocks_of(captures, limits, options, ledger, watch):
        packets = chooser.packets(block)
        marks.add(packets)
        here = packets[packets >= block.first_packet] - block.first_packet
        marks.nanoseconds |= bool((block.ts[here] % 1000).any())
        marks.seen = block.first_packet + len(block) - 1
    chooser.finish()
    return marks


def marked(
    captures: Sequence[str], limits: Limits, options: Options, ledger: Ledger, marks: Marks, watch: Watch = None
) -> Iterator[Packet]:
    """The packets that are marked. Raises `CaptureError` where there are others than when they were marked."""
    seen = 0
    for block in blocks_of(captures, limits, options, ledger, watch):
        seen = block.first_packet + len(block) - 1
        rows = marks.rows(block.first_packet, len(block))
        marks.count += len(rows)
        yield from packets_of(block, rows)
    if seen != marks.seen:
        raise CaptureError(captures[0], f"changed while it was read: it had {marks.seen:,} packets, and has {seen:,}")


def at_once(
    captures: Sequence[str], limits: Limits, options: Options, ledger: Ledger, marks: Marks, intervals: Intervals, watch: Watch = None
) -> Iterator[Packet]:
    """The packets of chosen connections, of captures that can be read once; of a datagram in fragments those of the last block alone."""
    chooser = _Chooser(intervals, limits, options, ledger)
    for block in blocks_of(captures, limits, options, ledger, watch):
        marks.seen = block.first_packet + len(block) - 1
        packets = np.unique(chooser.packets(block))
        rows = packets[packets >= block.first_packet] - block.first_packet
        marks.count += len(rows)
        yield from packets_of(block, rows)
    chooser.finish()


def packets_of(block: PacketBlock, some: npt.NDArray[np.int64] | None = None) -> Iterator[Packet]:
    """Those of a block; some: of these rows, int64."""
    rows = np.arange(len(block)) if some is None else some
    view = memoryview(block.buffer)

    def column(many: Any, one: int) -> list[int]:
        return [one] * len(rows) if many is None else many[rows].tolist()

    for ts, at, n, wirelen, link_type, file, interface in zip(
        block.ts[rows].tolist(), block.offsets[rows].tolist(), block.caplen[rows].tolist(), block.wirelen[rows].tolist(),
        column(block.link_types, block.link_type), column(block.files, block.file), column(block.interfaces, block.interface), strict=True,
    ):  # fmt: skip
        yield Packet(ts, wirelen, link_type, (file, interface), bytes(view[at : at + n]))
