"""What one stream said, lost, and how it ended: the values that every layer takes and gives.

Contract: for each stream the events cover its offsets without overlap and in order; `StreamData` and `StreamGap` follow
one another from offset 0, and after `StreamEnd` comes nothing. A `StreamData` looks into the block it came from: it is
valid only during the call that hands it over, and whoever keeps bytes copies (and reserves) them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from pcapflow.drops import GapCause

NEVER = (1 << 63) - 1
"""A packet number or time that does not come: later than any that a clock reaches with a timeout added to it."""


class Stall(NamedTuple):
    """A span of capture time (ns) in which data waited behind what had been lost."""

    since: int
    until: int


class StreamData:
    """Contiguous payload, in pieces of one segment each.

    start, length: offsets of the stream; piece i is `view[at[i]:stops[i]]` and ends at start + ends[i]. packets[i] delivered it, times[i] (ns) is when
    it was captured, acks[i] the raw acknowledgement number of its segment, -1 where that is not known. What waited behind a hole was captured
    before the packet that delivered it: origins[i] is the packet that carried it; None where each piece was delivered by the packet that carried it.
    Lists or numpy arrays: they become lists when somebody looks. stops may be left to be worked out. What is decided goes by the packets of
    delivery, which never go back; what is told to people by what carried the bytes. stall: it waited so long behind what the network had lost, as far as nothing before it did.
    """

    __slots__ = ("_acks", "_at", "_ends", "_origins", "_packets", "_stops", "_times", "length", "stall", "start", "view")

    def __init__(
        self,
        view: memoryview,
        start: int,
        length: int,
        at: Any,
        ends: Any,
        packets: Any,
        times: Any,
        acks: Any,
        stops: Any = None,
        origins: list[int] | None = None,
        stall: Stall | None = None,
    ) -> None:
        self.view = view
        self.start = start
        self.length = length
        self._at = at
        self._ends = ends
        self._stops = stops
        self._packets = packets
        self._times = times
        self._acks = acks
        self._origins = origins
        self.stall = stall

    @property
    def waited(self) -> bool:
        """Whether it waited behind a hole: then its times may go back."""
        return self._origins is not None

    def piece_ends(self) -> list[int]:
        """Where each piece ends, counted from start."""
        ends = self._ends
        if type(ends) is not list:
            self._stops = self._stops.tolist()
            self._ends = ends = ends.tolist()
            self._at = self._at.tolist()
        result: list[int] = ends
        return result

    def columns(self) -> tuple[list[int], list[int], list[int]]:
        """Of the pieces: packets of delivery, times of capture (ns) and raw acknowledgement numbers."""
        if type(self._packets) is not list:
            self._packets = self._packets.tolist()
            self._times = self._times.tolist()
            self._acks = self._acks.tolist()
        return self._packets, self._times, self._acks

    def part(self, position: int, stop: int) -> tuple[int, list[int], list[int], list[int], list[int], list[int]]:
        """Of the pieces that hold the bytes from one position up to another, and perhaps of others: the index of the first, where they end, counted from start, packets of delivery,
        times of capture (ns), raw acknowledgement numbers, and packets that carried them. A run that is long and hardly looked into stays columns.
        """
        ends = self._ends
        if type(ends) is list:
            packets, times, acks = self.columns()
            return 0, ends, packets, times, acks, self.origins()
        first = int(ends.searchsorted(position, "right"))
        some = slice(first, int(ends.searchsorted(stop - 1, "right")) + 1)
        told = [column[some] for column in (self._packets, self._times, self._acks)]
        packets, times, acks = told if type(self._packets) is list else [column.tolist() for column in told]
        return first, ends[some].tolist(), packets, times, acks, packets

    def piece_end(self, piece: int) -> int:
        """Where a piece ends, counted from start."""
        return int(self._ends[piece])

    def take(self, position: int, n: int) -> bytes:
        """n bytes from a position counted from start."""
        ends = self._ends
        if type(ends) is not list:
            return self._take_of_columns(position, n)
        at = self._at
        view = self.view
        i = 0 if position < ends[0] else bisect_right(ends, position)
        begin = at[i] + position - (ends[i - 1] if i else 0)
        room = ends[i] - position
        if n <= room:
            return bytes(view[begin : begin + n])
        last = bisect_right(ends, position + n - 1)
        stops = self._stops
        if stops is None:
            stops = self._stops = [a + e - p for a, e, p in zip(at, ends, (0, *ends[:-1]), strict=True)]
        tail = at[last]
        pieces = [view[a:b] for a, b in zip(at[i + 1 : last], stops[i + 1 : last], strict=True)]
        return b"".join((view[begin : begin + room], *pieces, view[tail : tail + position + n - ends[last - 1]]))

    def _take_of_columns(self, position: int, n: int) -> bytes:
        """`take` where the pieces are columns: only those that hold the bytes are looked at, so that the tail of a run that nobody reads costs no lists of all of it."""
        ends, view = self._ends, self.view
        first = int(ends.searchsorted(position, "right"))
        begin = int(self._stops[first]) - int(ends[first]) + position
        if n <= int(ends[first]) - position:
            return bytes(view[begin : begin + n])
        last = int(ends.searchsorted(position + n - 1, "right"))
        at, stops = self._at[first : last + 1].tolist(), self._stops[first : last + 1].tolist()
        at[0], stops[-1] = begin, at[-1] + position + n - int(ends[last - 1])
        return b"".join([view[a:b] for a, b in zip(at, stops, strict=True)])

    def text(self, piece: int) -> bytes:
        """The bytes of a piece."""
        ends = self.piece_ends()
        at = self._at[piece]
        return bytes(self.view[at : at + ends[piece] - (ends[piece - 1] if piece else 0)])

    def piece(self, position: int) -> int:
        """Index of the piece that holds the byte at a position counted from start."""
        ends = self._ends
        return bisect_right(ends, position) if type(ends) is list else int(ends.searchsorted(position, "right"))

    def after(self, position: int) -> StreamData:
        """The same without what comes before a position."""
        if not position:
            return self
        ends = self.piece_ends()
        packets, times, acks = self.columns()
        i = bisect_right(ends, position)
        at = self._at[i:]
        stops = [a + e - p for a, e, p in zip(at, ends[i:], (ends[i - 1] if i else 0, *ends[i:-1]), strict=True)]
        at[0] = stops[0] - (ends[i] - position)
        left = [end - position for end in ends[i:]]
        origins = None if self._origins is None else self._origins[i:]
        return StreamData(
            self.view, self.start + position, self.length - position, at, left, packets[i:], times[i:], acks[i:], stops, origins, self.stall
        )

    def until(self, position: int) -> StreamData:
        """The same without what comes from a position on, at which a piece ends."""
        if position == self.length:
            return self
        n = self.piece(position - 1) + 1
        packets, times, acks = self.columns()
        origins = None if self._origins is None else self._origins[:n]
        return StreamData(
            self.view,
            self.start,
            position,
            self._at[:n],
            self.piece_ends()[:n],
            packets[:n],
            times[:n],
            acks[:n],
            None,
            origins,
            self.stall,
        )

    def pieces(self) -> Iterator[StreamData]:
        """Each piece by itself."""
        ends = self.piece_ends()
        packets, times, acks = self.columns()
        begin = 0
        for i, end in enumerate(ends):
            n = end - begin
            origins = None if self._origins is None else [self._origins[i]]
            stall = None if i else self.stall
            yield StreamData(
                self.view, self.start + begin, n, [self._at[i]], [n], [packets[i]], [times[i]], [acks[i]], None, origins, stall
            )
            begin = end

    def packet(self, piece: int) -> int:
        """Packet that delivered a piece."""
        return int(self._packets[piece])

    def origin(self, piece: int) -> int:
        """Packet that carried a piece."""
        return int((self._packets if self._origins is None else self._origins)[piece])

    def origins(self) -> list[int]:
        """Of the pieces: packets that carried them."""
        return self.columns()[0] if self._origins is None else self._origins

    def time(self, piece: int) -> int:
        """When a piece was captured, ns."""
        return int(self._times[piece])

    def latest(self, first: int, last: int) -> int:
        """When the latest of the pieces from first to last was captured, ns."""
        return max(self._times[first : last + 1]) if self.waited else int(self._times[last])

    def ack(self, piece: int) -> int:
        """Raw acknowledgement number in the segment of a piece; -1 where it is not known."""
        return int(self._acks[piece])


class StreamGap(NamedTuple):
    """Bytes given up as missing: length of them from offset start, at a packet and time (ns). held: bytes that waited behind
    the stream's holes then; limit: the one that was reached; requested_by: the connection whose request for memory reached it, 0 for none.
    """

    start: int
    length: int
    cause: GapCause
    packet: int
    ts: int
    held: int = 0
    limit: str = ""
    requested_by: int = 0


class StreamEnd(NamedTuple):
    """The stream ended: by `fin`, by `rst`, or was `cut` (idle, evicted, port reused, end of the capture). packet: at which that was settled; ts (ns): of
    the FIN or RST itself, which may have waited, else of that packet.
    """

    kind: str
    packet: int
    ts: int
    offset: int


StreamEvent = StreamData | StreamGap | StreamEnd


class Where(NamedTuple):
    """A byte of the stream: its offset, the packet that delivered it, the time (ns) and raw acknowledgement number that came with it, and the packet that
    carried it, which is another where it waited behind a hole.
    """

    offset: int
    packet: int
    ts: int
    ack: int
    origin: int


def place(data: StreamData, position: int) -> Where:
    """The place of a byte at a position of data."""
    piece = data.piece(position)
    return Where(data.start + position, data.packet(piece), data.time(piece), data.ack(piece), data.origin(piece))
