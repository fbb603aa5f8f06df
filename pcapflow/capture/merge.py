"""Rows of several captures as one block: side by side by time, or small captures one after the other.

Contract: `Merge.take` is told of rows up to which the order is known, `before_next` that a capture's block will go; both it and `rest` give blocks of
what was taken, in the order of time, when there is enough of it: so captures cost by their packets, and not by their files or blocks. A block is valid
until the next one is asked for. Invariant: a block that is made here has a buffer of its own, at most `block_packets` rows and `block_size` bytes or
one packet; it, and rows that are kept for it, are reserved in the `blocks` account; where memory is short, blocks are smaller.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from pcapflow.budget import Account
from pcapflow.capture.block import PAD, PacketBlock, joined
from pcapflow.capture.reader import COLUMN_BYTES_PER_PACKET
from pcapflow.limits import Limits

_I64 = npt.NDArray[np.int64]
_ROW_BYTES = 128
"""Of a row that waits, beside its bytes: its columns as the capture stage has them."""

_FLOOR = 64 << 10
"""Reserved from the start for rows that wait, and as much for the block that they are put together in: where all other memory is taken, blocks are still of hundreds of small packets, since what is done for a block
goes over all connections.
"""


class _Part:
    """Rows of one capture that were taken, in its block or in a copy of it."""

    __slots__ = ("block", "start", "stop", "times")

    def __init__(self, block: PacketBlock, times: _I64, start: int, stop: int) -> None:
        self.block, self.times, self.start, self.stop = block, times, start, stop


class Merge:
    """Of one trace."""

    def __init__(self, limits: Limits, account: Account, *, may_wait: bool) -> None:
        """may_wait: whether rows may wait for more, which those of a pipe may not."""
        self._limits = limits
        self._account = account
        self._may_wait = may_wait
        self._open: dict[int, _Part] = {}
        """By the place of its capture: what lies in the capture's own block."""
        self._kept: list[tuple[int, int, _Part]] = []
        """Place, number and rows of parts whose capture's block is gone."""
        self._rows = self._bytes = 0
        """Of all of them; the bytes of those alone that are kept."""
        self._reserved = _FLOOR if may_wait and account.reserve(_FLOOR) else 0
        self._room = _FLOOR if may_wait and account.reserve(_FLOOR) else 0
        """Reserved for the block that rows are put together in."""
        self._wanted = 0
        """Bytes that the kept rows take."""

    def take(self, place: int, block: PacketBlock, times: _I64, start: int, stop: int) -> None:
        """Rows start to stop of a capture's block; times: what they are merged by, int64 (n,), ascending."""
        self._rows += stop - start
        part = self._open.get(place)
        if part is None:
            self._open[place] = _Part(block, times, start, stop)
        else:
            part.stop = stop

    def before_next(self, place: int) -> Iterator[PacketBlock]:
        """The block of that capture will go."""
        part = self._open.get(place)
        if part is None:
            return
        size = int(part.block.caplen[part.start : part.stop].sum())
        enough = 2 * self._rows >= self._limits.block_packets or 2 * (self._bytes + size) >= self._limits.block_size
        wanted = size + PAD + _ROW_BYTES * (part.stop - part.start)
        if enough or not self._may_wait or not self._has_room(wanted):
            yield from self.rest()
            return
        self._wanted += wanted
        self._bytes += size
        block, times = copied(part.block.rows(part.start, part.stop)), part.times[part.start : part.stop]
        self._kept.append((place, len(self._kept), _Part(block, times, 0, len(block))))
        del self._open[place]

    def _has_room(self, more: int) -> bool:
        """Whether so many bytes more may be kept."""
        beyond = self._wanted + more - self._reserved
        if beyond > 0:
            if not self._account.reserve(beyond):
                return False
            self._reserved += beyond
        return True

    def rest(self) -> Iterator[PacketBlock]:
        """All that was taken."""
        parts = [*self._kept, *((place, len(self._kept), part) for place, part in self._open.items())]
        parts.sort(key=lambda part: part[:2])
        blocks = [part.block.rows(part.start, part.stop) for *_, part in parts]
        times = [part.times[part.start : part.stop] for *_, part in parts]
        if blocks:
            yield from pieces(blocks, times, self._limits, self._account, self._room)
        self._open.clear()
        self._kept.clear()
        self._rows = self._bytes = self._wanted = 0
        if self._reserved > _FLOOR:
            self._account.release(self._reserved - _FLOOR)
            self._reserved = _FLOOR

    def close(self) -> None:
        """Give the memory back."""
        self._account.release(self._reserved + self._room)
        self._reserved = self._room = 0


def pieces(blocks: list[PacketBlock], times: list[_I64], limits: Limits, account: Account, room: int = 0) -> Iterator[PacketBlock]:
    """Rows of several blocks by time. times: of each block what it is merged by, int64 (n,), ascending; of equals the earlier block's come first. room:
    bytes that are reserved for this already.
    """
    if len(blocks) == 1:
        yield blocks[0]
        return
    order = np.argsort(np.concatenate(times), kind="stable")
    lengths = [len(block) for block in blocks]
    source = np.repeat(np.arange(len(blocks)), lengths)[order]
    ends = np.cumsum(np.concatenate([block.caplen for block in blocks])[order])
    taken = np.zeros(len(blocks), dtype=np.int64)
    most = limits.block_packets
    begin = 0
    while begin < len(order):
        before = int(ends[begin - 1]) if begin else 0
        stop = min(begin + most, max(begin + 1, int(np.searchsorted(ends, before + limits.block_size, side="right"))))
        wanted = max(0, (stop - begin) * COLUMN_BYTES_PER_PACKET + int(ends[stop - 1]) - before + PAD - room)
        if not account.reserve(wanted):
            if stop - begin > 1:
                most = (stop - begin) // 2
                continue
            wanted = 0  # one packet: less than the overhead that every run may have
        try:
            counts = np.bincount(source[begin:stop], minlength=len(blocks))
            parts = [
                (blocks[i].rows(int(taken[i]), int(taken[i] + n)), times[i][taken[i] : taken[i] + n])
                for i, n in enumerate(counts.tolist())
                if n
            ]
            taken += counts
            if len(parts) == 1:
                yield parts[0][0]
            else:
                by_time = np.argsort(np.concatenate([time for _, time in parts]), kind="stable")
                yield joined([copied(block) for block, _ in parts], 0, by_time)
        finally:
            account.release(wanted)
        begin = stop


def copied(block: PacketBlock) -> PacketBlock:
    """The same packets in a buffer of their own, which holds nothing else."""
    view = memoryview(block.buffer)
    data = [bytes(view[at : at + n]) for at, n in zip(block.offsets.tolist(), block.caplen.tolist(), strict=True)]
    ends = np.cumsum(block.caplen)
    return replace(block, buffer=bytearray(b"".join((*data, bytes(PAD)))), offsets=ends - block.caplen)
