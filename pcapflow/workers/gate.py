"""Where shards that read the same packets stop together.

Contract: `through` gives a shard's blocks, cut where the run is to end. Invariant: all shards of a run end behind the same packet: the last that any of them had taken when it was chosen, or ended with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pcapflow.capture.block import PacketBlock

Ask = Callable[[int], int | None]
"""Asked before each block, with the last packet that was taken: the packet behind which the run ends; None for none yet. Waits while that is not clear."""


def through(blocks: Iterable[PacketBlock], ask: Ask) -> Iterator[PacketBlock]:
    """The blocks up to the packet behind which the run ends."""
    taken = 0
    for block in blocks:
        until = ask(taken)
        last = block.first_packet + len(block) - 1
        if until is not None and last >= until:
            if block.first_packet <= until:
                yield block.rows(0, until - block.first_packet + 1)
            return
        taken = last
        yield block
