"""The capture clock: time as the capture tells it, never the machine's.

Invariant: the clock never goes back, so a search in it by bisection is right and timeouts fire once. It follows the highest
timestamp seen; timestamps that go back fire nothing. A step of more than STEP, in either direction, counts only once CONFIRM
packets in a row are that far on the same side: one packet a year ahead neither fires every timer nor freezes the clock, and a capture with
a packet every hour still goes on. After a confirmed
step back (captures joined out of order) the clock stays where it is and goes on from there by the new timestamps'
differences.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STEP = 600 * 1_000_000_000
CONFIRM = 3


class CaptureClock:
    """Timestamps in, clock out; ns since the epoch, plus what the clock was ahead at each confirmed step back."""

    __slots__ = ("_agreeing", "_ahead", "_side", "now")

    def __init__(self) -> None:
        self.now = -1
        self._ahead = 0
        self._side = 0
        self._agreeing = 0

    def advance(self, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The clock at each of the packets with these timestamps; int64 (n,), ascending."""
        if not len(ts):
            return ts
        ts = ts + self._ahead
        if self.now < 0:
            self.now = int(ts[0])
        clock = np.maximum.accumulate(np.maximum(ts, self.now))
        steps = int(np.max(np.diff(clock, prepend=self.now)))
        if self._agreeing == 0 and steps <= STEP and int(np.max(clock - ts)) <= STEP:
            self.now = int(clock[-1])
            return clock
        ahead = self._ahead
        return np.array([self._step(t - ahead + self._ahead) for t in ts.tolist()], dtype=np.int64)

    def _step(self, t: int) -> int:
        if abs(t - self.now) <= STEP:
            self._agreeing = 0
            self.now = max(self.now, t)
            return self.now
        side = 1 if t > self.now else -1
        self._agreeing = self._agreeing + 1 if self._agreeing and side == self._side else 1
        self._side = side
        if self._agreeing > CONFIRM:
            self._agreeing = 0
            if t > self.now:
                self.now = t
            else:
                self._ahead += self.now - t
        return self.now
