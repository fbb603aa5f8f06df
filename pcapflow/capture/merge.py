"""Rows of several captures as one block: side by side by time, or small captures one after the other.

Contract: `pieces` takes rows of blocks that are at hand and gives them as blocks of bounded size, in the order of time; `gathered` puts blocks of few
packets together, so that a folder of small captures costs by its packets and not by its files. A block is valid until the next one is asked for.
Invariant: a block that is made here has a buffer of its own, at most `block_packets` rows and `block_size` bytes or one packet, and is reserved in the
`blocks` account; where memory is short, pieces are smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Account
from pcapflow.capture.block import PAD, PacketBlock, joined
from pcapflow.capture.reader import COLUMN_BYTES_PER_PACKET
from pcapflow.limits import Limits

_I64 = npt.NDArray[np.int64]
FEW = 256
"""Packets of a block that is put together with what follows it."""


def pieces(blocks: list[PacketBlock], times: list[_I64], limits: Limits, account: Account) -> Iterator[PacketBlock]:
    """Rows of several blocks by time. times: of each block what it is merged by, int64 (n,), ascending; of equals the earlier block's come first."""
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
        wanted = (stop - begin) * COLUMN_BYTES_PER_PACKET + int(ends[stop - 1]) - before + PAD
        if not account.reserve(wanted):
            if stop - begin > 1:
                most = (stop - begin) // 2
                continue
            wanted = 0  # one packet: less than the overhead that every run may have
        try:
            counts = np.bincount(source[begin:stop], minlength=len(blocks))
            parts = [(blocks[i].rows(int(taken[i]), int(taken[i] + n)), times[i][taken[i] : taken[i] + n]) for i, n in enumerate(counts.tolist()) if n]
            taken += counts
            if len(parts) == 1:
                yield parts[0][0]
            else:
                by_time = np.argsort(np.concatenate([time for _, time in parts]), kind="stable")
                yield joined([copied(block) for block, _ in parts], 0, by_time)
        finally:
            account.release(wanted)
        begin = stop


def gathered(blocks: Iterable[tuple[PacketBlock, bool]], limits: Limits, account: Account) -> Iterator[PacketBlock]:
    """The blocks in order, those of few packets together. Each comes with whether what follows it may be waited for: not on a pipe."""
    waiting: list[PacketBlock] = []
    rows = size = 0
    room = min(limits.block_packets, 4 * FEW) * COLUMN_BYTES_PER_PACKET + min(limits.block_size, 1 << 18)
    reserved = 0
    try:
        for block, may_wait in blocks:
            n, more = len(block), int(block.caplen.sum())
            fits = may_wait and n < FEW and rows + n <= min(limits.block_packets, 4 * FEW) and size + more <= min(limits.block_size, 1 << 18)
            if waiting and not fits:
                yield _together(waiting)
                waiting, rows, size = [], 0, 0
                fits = may_wait and n < FEW and n <= limits.block_packets and more <= min(limits.block_size, 1 << 18)
            if fits and not reserved and account.reserve(room):
                reserved = room
            if not (fits and reserved):
                yield block
                continue
            waiting.append(copied(block))
            rows, size = rows + n, size + more
        if waiting:
            yield _together(waiting)
    finally:
        account.release(reserved)


def _together(blocks: list[PacketBlock]) -> PacketBlock:
    return blocks[0] if len(blocks) == 1 else joined(blocks, 0)


def copied(block: PacketBlock) -> PacketBlock:
    """The same packets in a buffer of their own, which holds nothing else."""
    view = memoryview(block.buffer)
    data = [bytes(view[at : at + n]) for at, n in zip(block.offsets.tolist(), block.caplen.tolist(), strict=True)]
    ends = np.cumsum(block.caplen)
    return replace(block, buffer=bytearray(b"".join((*data, bytes(PAD)))), offsets=ends - block.caplen)
