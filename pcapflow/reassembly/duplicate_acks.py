"""Acknowledgements that say again what their sender's last packet said, while bytes are under way to it: duplicate acknowledgements (RFC 5681 section 2).

Contract: `heard_columns` makes of each row one number, its acknowledgement number and window, which `Connection.walk` compares with that of the sender's last packet; `Repeats` does the same
for all connections of a block at once, and says how many each stream's receiver sent, what the first of each sender would have to repeat, and what each heard last. Invariant: both
count the same. An acknowledgement with data, SYN, FIN or RST is none, nor one that changes the window, nor one of a receiver without room, nor one that its sender's own data has overtaken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import gather
from pcapflow.decode.segments import FIN, SYN, ZERO_WINDOW
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.half_stream import HalfStream
from pcapflow.reassembly.seqspace import difference, unwrap

NO_REPEAT = FIN | SYN | ZERO_WINDOW
NOTHING_HEARD = -1
_WINDOW = np.dtype(">u2")
_WINDOW_BEFORE = 6
"""Bytes from the window to the end of the TCP header without options."""

_I64 = npt.NDArray[np.int64]


def heard_columns(buffer: bytearray, ack: _I64, begin: _I64) -> _I64:
    """int64 (n,): acknowledgement number and window of rows. begin: int64 (n,), where their TCP options begin in the buffer."""
    return (ack << 16) | gather(buffer, begin - _WINDOW_BEFORE, _WINDOW).astype(np.int64)


def said_again(ctx: Context, stream: HalfStream, ack: int) -> None:
    """The receiver of a stream acknowledges again what it did before; ack: the raw number. That is nothing where no more of the stream is under way."""
    if stream.base >= 0 and unwrap(ack, stream.base, stream.next) < stream.top:
        stream.on_path(ctx).duplicate_acks += 1


class Repeats:
    """Of the groups of a block that may be taken whole. Streams are numbered group * 2 + direction."""

    __slots__ = ("counts", "firsts", "last")

    def __init__(self, groups: int) -> None:
        self.counts: dict[int, int] = {}
        """By stream, how many its receiver sent."""
        self.firsts: dict[int, int] = {}
        """By sender, what its first acknowledgement says, where it is one if the last of the blocks before says the same."""
        self.last: Any = np.full(groups * 2, NOTHING_HEARD)
        """By sender, what it said last; a list once `look` has looked."""

    def look(self, s: Any, acks: npt.NDArray[np.bool_], maybe: _I64, reached: list[_I64]) -> None:
        """The acknowledgements of a block. s: `Sorted`; acks: bool (n,), which rows are some; maybe: int64, those that have no data while something of the other side's is under
        way; reached: of each direction, int64 (n,), up to where it was captured: what stands before that was overtaken.
        """
        maybe = maybe[(s.flags[maybe] & NO_REPEAT) == 0] if len(maybe) else maybe
        index = np.where(acks, np.arange(len(acks)), NOTHING_HEARD)
        for side in (0, 1):
            lasts = np.maximum.reduceat(np.where(s.direction == side, index, NOTHING_HEARD), s.starts)
            groups = np.flatnonzero(lasts >= 0)
            lasts = lasts[groups]
            self.last[groups * 2 + side] = np.where(s.flags[lasts] & SYN, NOTHING_HEARD, s.heard(lasts))
            if len(maybe):
                here = maybe[s.direction[maybe] == side]
                self._count(s, side, np.flatnonzero(acks & (s.direction == side)), here[difference(s.seq[here], reached[side][here]) >= 0])
        self.last = self.last.tolist()

    def _count(self, s: Any, side: int, rows: _I64, maybe: _I64) -> None:
        at = np.searchsorted(rows, maybe)
        before = rows[np.maximum(at - 1, 0)]
        goes_on = (at > 0) & (s.group[before] == s.group[maybe]) & ((s.flags[before] & SYN) == 0)
        again = goes_on & (s.ack[before] == s.ack[maybe])
        for row in maybe[~goes_on]:
            self.firsts[int(s.group[row]) * 2 + side] = int(s.heard(row))
        again[again] = s.heard(before[again]) == s.heard(maybe[again])
        for g in s.group[maybe[again]].tolist():
            stream = g * 2 + 1 - side
            self.counts[stream] = self.counts.get(stream, 0) + 1

    def tell(self, ctx: Context, group: int, streams: tuple[HalfStream, HalfStream]) -> None:
        """What the rows of a group come to, which is taken whole."""
        for d in (0, 1):
            heard = self.last[group * 2 + d]
            if heard >= 0:
                if self.firsts.get(group * 2 + d) == streams[d].heard >= 0:
                    streams[1 - d].on_path(ctx).duplicate_acks += 1
                streams[d].heard = heard
            if group * 2 + d in self.counts:
                streams[d].on_path(ctx).duplicate_acks += self.counts[group * 2 + d]
