"""The capture clock: time as the capture tells it, never the machine's.

Contract: `timed` takes blocks and gives the same packets with the clock at each (`PacketBlock.clock`). Invariant: the clock never goes back, so a
search in it by bisection is right and timeouts fire once; it is the same wherever a block ends. It follows the highest timestamp seen; timestamps
that go back fire nothing. A step of more than STEP, in either direction, counts only once more than CONFIRM packets in a row are that far on the
same side: one packet a year ahead neither fires every timer nor freezes the clock, and a capture with a packet every hour still goes on. A step is
believed from the first of the packets that agreed: each of them has its own time, so a pause in the capture ages nothing that they bring. Until
then they wait, at most CONFIRM packets, for the next block. After a confirmed step back (captures joined out of order) the clock stays where it
is and goes on from there by the new timestamps' differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from pcapflow.budget import Ledger
from pcapflow.capture.block import PAD, PacketBlock, joined
from pcapflow.capture.merge import copied

STEP = 600 * 1_000_000_000
CONFIRM = 3
_LATEST = (1 << 62) - 1
"""The clock goes no further: times beyond it are those of a format's edge, not of a capture."""

_I64 = npt.NDArray[np.int64]


class CaptureClock:
    """Timestamps in, clock out; ns since the epoch, plus what the clock was ahead at each confirmed step back."""

    __slots__ = ("_ahead", "now")

    def __init__(self) -> None:
        self.now = -1
        self._ahead = 0

    def advance(self, ts: _I64, *, last: bool = False) -> tuple[_I64, int]:
        """The clock at each of the packets with these timestamps, int64 (n - open,), ascending; and how many of the last packets are open: whether
        they are a step is for what follows to say, and they are to be given again in front of it. last: nothing follows, none is open.
        """
        if not len(ts):
            return ts, 0
        if self.now < 0:
            self.now = max(0, min(int(ts[0]), _LATEST))
        if int(ts.max()) + self._ahead < _LATEST:
            shifted = ts + self._ahead if self._ahead else ts
            clock = np.maximum.accumulate(np.maximum(shifted, self.now))
            if int(np.max(np.diff(clock, prepend=self.now))) <= STEP and int(np.max(clock - shifted)) <= STEP:
                self.now = int(clock[-1])
                return clock, 0
        return self._by_steps(ts.tolist(), last=last)

    def _by_steps(self, ts: list[int], *, last: bool) -> tuple[_I64, int]:
        """`advance`, packet by packet."""
        clock: list[int] = []
        agreeing: list[int] = []
        """Timestamps of packets in a row that are too far on one side of the clock."""
        for t in ts:
            while True:
                now = t + self._ahead
                far = 0 if abs(now - self.now) <= STEP else 1 if now > self.now else -1
                if agreeing and (not far or (far > 0) != (agreeing[0] + self._ahead > self.now)):
                    clock += [self.now] * len(agreeing)  # they did not agree with what came
                    agreeing = []
                if not far:
                    self.now = min(max(self.now, now), _LATEST)
                    clock.append(self.now)
                    break
                if len(agreeing) < CONFIRM:
                    agreeing.append(t)
                    break
                clock += self._step([*agreeing, t])
                agreeing = []
        if last:
            clock += [self.now] * len(agreeing)
            agreeing = []
        return np.array(clock, dtype=np.int64), len(agreeing)

    def _step(self, agreed: list[int]) -> list[int]:
        """The clock at all but the last of packets that agreed on a step. None is later than one that follows, so that one of them that is far beyond
        the others does not carry the clock away.
        """
        lowest = agreed[-1]
        for i in range(len(agreed) - 2, -1, -1):
            lowest = agreed[i] = min(agreed[i], lowest)
        if agreed[0] + self._ahead < self.now or (self._ahead and agreed[0] <= self.now + STEP):
            # a step back, or one forward that is no more than the way back from it
            self._ahead = max(0, self.now - agreed[0])
        clock = [min(t + self._ahead, _LATEST) for t in agreed[:-1]]
        self.now = clock[-1]
        return clock


def timed(blocks: Iterable[PacketBlock], ledger: Ledger) -> Iterator[PacketBlock]:
    """The packets of the blocks, each with the capture clock. A block is valid until the next one is asked for."""
    clock = CaptureClock()
    waiting: PacketBlock | None = None
    reserved = 0
    try:
        for block in blocks:
            if waiting is not None:
                block = joined([waiting, block], waiting.first_packet)
                ledger.blocks.release(reserved)
                waiting, reserved = None, 0
            times, still_open = clock.advance(block.ts)
            if still_open:
                ready = len(block) - still_open
                rest = block.rows(ready, len(block))
                wanted = int(rest.caplen.sum()) + PAD
                if ledger.blocks.reserve(wanted):
                    reserved = wanted
                    waiting = copied(rest)
                    block = block.rows(0, ready)
                else:
                    more, _ = clock.advance(rest.ts, last=True)
                    times = np.concatenate((times, more))
            if len(block):
                yield replace(block, clock=times)
        if waiting is not None:
            times, _ = clock.advance(waiting.ts, last=True)
            yield replace(waiting, clock=times)
    finally:
        ledger.blocks.release(reserved)
