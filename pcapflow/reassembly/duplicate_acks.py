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
from pcapflow.reassembly.seqspace import unwrap

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

    def look(self, s: Any, streams: _I64, acks: npt.NDArray[np.bool_], maybe: _I64) -> None:
        """The acknowledgements of a block. s: `Sorted`; streams: int64 (n,), of each row; acks: bool (n,), which rows are some; maybe: int64, those that may be duplicates: their
        sender has no room taken, no data sent with them, and none before that overtakes them, while something of the other side's is under way.
        """
        rows = acks.nonzero()[0]
        lasts = np.full(len(self.last), NOTHING_HEARD)
        lasts[streams[rows]] = rows  # of several rows of a stream the last one stays
        heard = np.flatnonzero(lasts >= 0)
        lasts = lasts[heard]
        self.last[heard] = np.where(s.flags[lasts] & SYN, NOTHING_HEARD, s.heard(lasts))
        self.last = self.last.tolist()
        if len(maybe):
            self._count(s, streams, rows, maybe)

    def _count(self, s: Any, streams: _I64, rows: _I64, maybe: _I64) -> None:
        n = len(streams)
        keys = np.sort(streams[rows] * n + rows)
        key = streams[maybe] * n + maybe
        before = keys[np.maximum(keys.searchsorted(key) - 1, 0)]
        there = (before >= key - maybe) & (before < key)
        before %= n
        goes_on = there & ((s.flags[before] & SYN) == 0)
        again = goes_on & (s.ack[before] == s.ack[maybe])
        for row in maybe[~goes_on]:
            self.firsts[int(streams[row])] = int(s.heard(row))
        again[again] = s.heard(before[again]) == s.heard(maybe[again])
        for sender in streams[maybe[again]].tolist():
            self.counts[sender ^ 1] = self.counts.get(sender ^ 1, 0) + 1

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
