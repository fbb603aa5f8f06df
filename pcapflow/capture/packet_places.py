"""Where a packet of the trace lies: in which capture, and which of its packets it is.

Contract: `Places.enter` takes each block as it comes, `of` gives capture and number of a packet, where the trace has several captures, `ts` its time
while its block is at hand. Invariant: what is kept are runs of packets that follow one another in one capture, those of the block and at most RUNS_MAX before it;
a packet that is so many runs before the one at which it is told has no place any more, whatever the blocks, which only a trace of captures that overlap in time ever comes to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pcapflow.capture.block import PacketBlock

RUNS_MAX = 16_384
"""Some 1.5 MB, beside those of a block; two blocks of packets that alternate between captures have as many."""


class Place(NamedTuple):
    """A capture, as its path was given, and the number of a packet in it, from 1: Wireshark's `frame.number`."""

    file: str | None
    frame: int | None


NOWHERE = Place(None, None)
"""Of a trace of one capture, where a packet's number says it, and of packets whose run is forgotten."""


class Places:
    """Of one run."""

    __slots__ = ("_block", "_paths", "_runs", "_starts")

    def __init__(self, paths: Sequence[str] = ()) -> None:
        """paths: of the captures, in the order in which they are taken."""
        self._paths = paths
        self._block: PacketBlock | None = None
        self._starts: list[int] = []
        """First packets of the runs, ascending."""
        self._runs: list[tuple[int, int]] = []
        """Capture and number in it of those."""

    def enter(self, block: PacketBlock) -> None:
        """The next block."""
        self._block = block
        if len(self._paths) < 2:
            return
        n = len(block)
        files = np.full(n, block.file) if block.files is None else block.files
        frames = np.arange(block.frame, block.frame + n) if block.frames is None else block.frames
        change = np.concatenate(([True], (files[1:] != files[:-1]) | (frames[1:] != frames[:-1] + 1)))
        at = np.flatnonzero(change)
        found = list(zip(files[at].tolist(), frames[at].tolist(), strict=True))
        starts = (at + block.first_packet).tolist()
        if self._runs:
            file, frame = self._runs[-1]
            if found[0] == (file, frame + starts[0] - self._starts[-1]):
                del found[0], starts[0]
        self._runs = self._runs[-RUNS_MAX:] + found
        self._starts = self._starts[-RUNS_MAX:] + starts

    def of(self, packet: int, told: int | None = None) -> Place:
        """Where a packet lies. told: the packet at which that is told, where it is another."""
        starts = self._starts
        i = bisect_right(starts, packet) - 1
        if i < 0 or (told is not None and len(starts) > RUNS_MAX and bisect_right(starts, told) - 1 - i >= RUNS_MAX):
            return NOWHERE
        file, frame = self._runs[i]
        return Place(self._paths[file], frame + packet - self._starts[i])

    def ts(self, packet: int, otherwise: int) -> int:
        """When a packet of the block was captured (ns); otherwise, where it is none of it."""
        block = self._block
        row = packet - block.first_packet if block is not None else -1
        return int(block.ts[row]) if block is not None and 0 <= row < len(block) else otherwise
