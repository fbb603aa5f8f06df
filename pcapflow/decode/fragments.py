"""IP fragments, put together in bounded memory.

Contract: `Fragments.add` takes one fragment and returns the whole datagram's payload where this was the last that it lacked. A fragment that
overlaps another with the same bytes of it is ignored; one that overlaps otherwise makes an end of its datagram (RFC 5722, and what Linux does for IPv4): an overlap
is an attack or a defect. Datagrams that are not whole leave after `fragment_timeout` of capture time, or for others where the account
is full, oldest first. Invariant: everything kept is reserved in the `fragments` account, and what stands beside a block while that is worked on in
that of `blocks`; each fragment went into a datagram, is kept, or is counted in `dropped`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

from pcapflow.budget import Ledger
from pcapflow.limits import Limits

_DATAGRAM_BYTES = 1024
"""Reserved for each datagram beside its pieces."""
_PIECE_BYTES = 256
"""Reserved for each piece beside its bytes."""
_LARGEST = 65_535


class Fragment(NamedTuple):
    """Part of a datagram: what tells it from others, the offset, its bytes, whether more follow, and the protocol of the datagram. whole: all of its
    bytes were captured.
    """

    key: bytes
    start: int
    data: bytes
    more: bool
    protocol: int
    whole: bool


class _Piece(NamedTuple):
    start: int
    data: bytes
    packet: int

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class _Datagram:
    """What came of one."""

    __slots__ = ("have", "pieces", "protocol", "reserved", "since", "total")

    def __init__(self, since: int) -> None:
        self.since = since
        self.pieces: list[_Piece] = []
        self.have = 0
        self.total = -1
        self.protocol = 0
        """Of the fragment at offset 0, whose headers count (RFC 8200)."""
        self.reserved = _DATAGRAM_BYTES


class Fragments:
    """The table of one run. Oldest first."""

    def __init__(self, limits: Limits, ledger: Ledger) -> None:
        self._account = ledger.fragments
        self._blocks = ledger.blocks
        self._beside = 0
        """Bytes beside the block at hand."""
        self._pieces = 0
        """Fragments of the datagram that was put together last."""
        self.carriers: dict[int, list[int]] = {}
        """Of the block at hand: by the packet that made a datagram whole, all that carried some of it."""
        self._timeout = limits.fragment_timeout
        self._table: dict[bytes, _Datagram] = {}
        self.datagrams = 0
        """Put together."""
        self.dropped = 0
        """Fragments that came to nothing."""
        self.overlapping = 0
        """Datagrams that were given up since their fragments overlap."""

    def add(self, fragment: Fragment, ts: int, packet: int = 0) -> tuple[bytes, int] | None:
        """A fragment that packet carried, captured at ts (ns): the payload of its datagram and the protocol of that, where it is whole now."""
        self._expire(ts)
        start, end = fragment.start, fragment.start + len(fragment.data)
        known = self._table.get(fragment.key)
        odd = fragment.more and len(fragment.data) % 8
        if not fragment.whole or odd or not fragment.data or end > _LARGEST:
            self.dropped += 1
            return None
        if known is not None:
            i = bisect_left(known.pieces, (start,))
            if i < len(known.pieces) and known.pieces[i][:2] == (start, fragment.data) and fragment.more == (end != known.total):
                self.dropped += 1  # the same again
                return None
            before, after = known.pieces[i - 1] if i else None, known.pieces[i] if i < len(known.pieces) else None
            beyond = 0 <= known.total < end or (not fragment.more and (known.total >= 0 or known.pieces[-1].end > end))
            if beyond or (before is not None and before.end > start) or (after is not None and after.start < end):
                self.overlapping += 1
                self.dropped += 1
                self._leave(fragment.key)
                return None
        datagram = self._kept(fragment, known, ts)
        if datagram is None:
            self.dropped += 1
            return None
        insort(datagram.pieces, _Piece(start, fragment.data, packet))
        datagram.have += len(fragment.data)
        if not fragment.more:
            datagram.total = end
        if not start:
            datagram.protocol = fragment.protocol
        if datagram.have != datagram.total:
            return None
        del self._table[fragment.key]
        self._account.release(datagram.reserved)
        self.datagrams += 1
        self._pieces = len(datagram.pieces)
        self.carriers[packet] = [piece.packet for piece in datagram.pieces]
        return b"".join([piece.data for piece in datagram.pieces]), datagram.protocol

    def may_stay(self, n: int) -> bool:
        """Whether n bytes more may stand beside the block at hand, for a datagram that is whole; it is given up where they may not."""
        if not self._blocks.reserve(n):
            self.datagrams -= 1
            self.dropped += self._pieces
            return False
        self._beside += n
        return True

    def next_block(self) -> None:
        """What stood beside the last block is gone."""
        self._blocks.release(self._beside)
        self._beside = 0
        self.carriers.clear()

    def _kept(self, fragment: Fragment, known: _Datagram | None, ts: int) -> _Datagram | None:
        """The datagram with room for one more piece; None where no other can make room."""
        cost = len(fragment.data) + _PIECE_BYTES
        while not self._account.reserve(cost + _DATAGRAM_BYTES * (known is None)):
            oldest = next(iter(self._table), None)
            if oldest is None or oldest == fragment.key:
                return None
            self._leave(oldest)
        if known is None:
            known = self._table[fragment.key] = _Datagram(ts)
        known.reserved += cost
        return known

    def _expire(self, ts: int) -> None:
        while self._table:
            key, datagram = next(iter(self._table.items()))
            if ts - datagram.since < self._timeout:
                break
            self._leave(key)

    def _leave(self, key: bytes) -> None:
        datagram = self._table.pop(key)
        self.dropped += len(datagram.pieces)
        self._account.release(datagram.reserved)

    def finish(self) -> None:
        """The capture is over: what is not whole will not be."""
        self.next_block()
        for key in list(self._table):
            self._leave(key)
