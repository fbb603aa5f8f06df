"""The block of packets at hand, and its clock.

Contract: `enter` takes a block, `leave` lets it go; between them packets of the block have times. Invariant: nothing looks into a block that is done with.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import PacketBlock


class BlockClock:
    """One run's. Times are ns; clock is the running capture clock, which never goes back."""

    __slots__ = ("_clock_list", "clock", "first_packet", "last_clock", "last_packet", "ts", "view")

    def __init__(self) -> None:
        self.view = memoryview(b"")
        """Its bytes."""
        self.first_packet = 1
        self.last_packet = 0
        self.last_clock = 0
        """The capture clock at the end of the block."""
        self.clock: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.ts: npt.NDArray[np.int64] = self.clock
        self._clock_list: list[int] | None = None

    def enter(self, block: PacketBlock, clock: npt.NDArray[np.int64]) -> None:
        """A new block begins. clock: int64 (n,), the running capture clock at each of its packets."""
        self.view = memoryview(block.buffer)
        self.first_packet = block.first_packet
        self.last_packet = block.first_packet + len(block) - 1
        self.clock = clock
        self.last_clock = int(clock[-1])
        self.ts = block.ts
        self._clock_list = None

    def leave(self) -> None:
        """The block is done with: nothing may look into it any more."""
        self.view = memoryview(b"")

    def packet_at_clock(self, clock: int) -> int:
        """The first packet of the block at which the capture clock is at least that; one beyond the block if none is."""
        times = self._clock_list
        if times is None:
            times = self._clock_list = self.clock.tolist()
        return self.first_packet + bisect_left(times, clock)

    def ts_of(self, packet: int) -> int:
        """Timestamp of a packet of the block."""
        return int(self.ts[packet - self.first_packet])

    def clock_of(self, packet: int) -> int:
        """The capture clock at a packet of the block."""
        return int(self.clock[packet - self.first_packet])
