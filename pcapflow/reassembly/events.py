"""The values that the reassembly stage hands on: what one stream said, lost, and how it ended.

Contract: for each stream the events cover its offsets without overlap and in order; `StreamData` and `StreamGap` follow
one another from offset 0, and after `StreamEnd` comes nothing. A `StreamData` looks into the block it came from: it is
valid only during the call that hands it over, and whoever keeps bytes copies (and reserves) them.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

from pcapflow.drops import GapCause


class StreamData:
    """Contiguous payload, in pieces of one segment each.

    start, length: offsets of the stream; piece i is `view[at[i]:...]`, ends at start + ends[i], and was delivered by
    packet packets[i] at times[i] ns; acks[i] is the raw acknowledgement number of that segment, -1 where it is not known.
    Lists or numpy arrays: they become lists when somebody looks.
    """

    __slots__ = ("_acks", "_at", "_ends", "_packets", "_times", "length", "start", "view")

    def __init__(self, view: memoryview, start: int, length: int, at: Any, ends: Any, packets: Any, times: Any, acks: Any) -> None:
        self.view = view
        self.start = start
        self.length = length
        self._at = at
        self._ends = ends
        self._packets = packets
        self._times = times
        self._acks = acks

    def _lists(self) -> list[int]:
        ends = self._ends
        if type(ends) is not list:
            self._ends = ends = ends.tolist()
            self._at = self._at.tolist()
        result: list[int] = ends
        return result

    def piece_ends(self) -> list[int]:
        """Where each piece ends, counted from start."""
        return self._lists()

    def take(self, position: int, n: int) -> bytes:
        """n bytes from a position counted from start."""
        ends = self._lists()
        at = self._at
        view = self.view
        first = bisect_right(ends, position)
        skip = position - (ends[first - 1] if first else 0)
        begin = at[first] + skip
        room = ends[first] - position
        if n <= room:
            return bytes(view[begin : begin + n])
        pieces = [view[begin : begin + room]]
        left = n - room
        i = first + 1
        previous = ends[first]
        while left > 0:
            size = ends[i] - previous
            previous = ends[i]
            if size > left:
                size = left
            begin = at[i]
            pieces.append(view[begin : begin + size])
            left -= size
            i += 1
        return b"".join(pieces)

    def piece(self, position: int) -> int:
        """Index of the piece that holds the byte at a position counted from start."""
        return bisect_right(self._lists(), position)

    def first(self, pieces: int) -> StreamData:
        """The same without what comes after so many pieces."""
        ends = self._lists()
        return StreamData(self.view, self.start, ends[pieces - 1], self._at, ends[:pieces], self._packets, self._times, self._acks)

    def packet(self, piece: int) -> int:
        """Packet number of a piece."""
        return int(self._packets[piece])

    def time(self, piece: int) -> int:
        """Capture time of a piece, ns."""
        return int(self._times[piece])

    def ack(self, piece: int) -> int:
        """Raw acknowledgement number in the segment of a piece; -1 where it is not known."""
        return int(self._acks[piece])


class StreamGap(NamedTuple):
    """Bytes given up as missing: length of them from offset start, at a packet and time (ns)."""

    start: int
    length: int
    cause: GapCause
    packet: int
    ts: int


class StreamEnd(NamedTuple):
    """The stream ended: by `fin`, by `rst`, or was `cut` (idle, evicted, port reused, end of the capture)."""

    kind: str
    packet: int
    ts: int
    offset: int


StreamEvent = StreamData | StreamGap | StreamEnd
