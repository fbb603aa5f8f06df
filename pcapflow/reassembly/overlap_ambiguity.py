"""Under which overlap policies the bytes behind a stream's holes are ambiguous.

Contract: `add` takes the two copies of a contested range, `ambiguous_under` tells when the bytes are delivered which policies would have
delivered others. Invariant: everything kept is reserved in the `rings` account and bounded by `overlap_bytes` and `overlap_ranges`; what does
not fit makes the witness `full`: it then keeps nothing, and says that every policy may be one under which the stream is ambiguous.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from pcapflow.budget import Account
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.reassembly.overlap import ORDER, Arrivals, Owned, owners

COPY_BYTES = 256
"""Reserved for each copy beside its bytes."""


class _Copy(NamedTuple):
    low: int
    high: int
    data: bytes


_low = attrgetter("low")


def _touching(copies: Sequence[_Copy], low: int, high: int) -> range:
    """Which of disjoint copies, in order, have bytes of [low, high)."""
    first = bisect_right(copies, low, key=_low)
    if first and copies[first - 1].high > low:
        first -= 1
    return range(first, bisect_left(copies, high, first, key=_low))


class Witness:
    """The copies of contested bytes of one stream."""

    __slots__ = ("_account", "_base", "_bytes", "_copies", "_count", "_most_bytes", "_most_copies", "full", "reserved")

    def __init__(self, account: Account, limits: Limits) -> None:
        self._account = account
        self._most_bytes = limits.overlap_bytes
        self._most_copies = limits.overlap_ranges
        self._base: list[_Copy] = []
        """What was there before the first copy that differed: disjoint, in order."""
        self._copies: dict[int, list[_Copy]] = {}
        """By arrival; those of one arrival are disjoint and in order."""
        self._bytes = self._count = 0
        self.reserved = 0
        self.full = False
        """There was more than is kept: every policy may be one under which the stream is ambiguous."""

    def contested(self, low: int, high: int) -> bool:
        """Whether copies of some byte of [low, high) are kept."""
        return bool(self._base) and len(_touching(self._base, low, high)) > 0

    def add(self, arrival: int, low: int, before: bytes, after: bytes) -> None:
        """A segment brought `after` for the offsets from low on, where `before` was held."""
        if self.full:
            return
        high = low + len(after)
        at = low
        base = self._base
        touching = _touching(base, low, high)
        fresh: list[_Copy] = []
        for i in touching:
            start, end, _ = base[i]
            if at < start:
                fresh.append(_Copy(at, start, before[at - low : start - low]))
            at = max(at, end)
        if at < high:
            fresh.append(_Copy(at, high, before[at - low :]))
        added = len(after) + sum(len(c.data) for c in fresh)
        count = 1 + len(fresh)
        cost = added + count * COPY_BYTES
        if self._bytes + added > self._most_bytes or self._count + count > self._most_copies or not self._account.reserve(cost):
            self.give_up()
            return
        self.reserved += cost
        self._bytes += added
        self._count += count
        base[touching.start : touching.stop] = sorted([*base[touching.start : touching.stop], *fresh])
        self._copies.setdefault(arrival, []).append(_Copy(low, high, after))

    def give_up(self) -> None:
        """Keep nothing, now and later: there is more than can be kept, or not all segments are known."""
        self.full = True
        self._forget()

    def close(self) -> None:
        """Give all memory back."""
        self._forget()

    def _forget(self) -> None:
        self._base.clear()
        self._copies.clear()
        self._bytes = self._count = 0
        self._account.release(self.reserved)
        self.reserved = 0

    def ambiguous_under(self, chosen: Policy, arrivals: Arrivals, start: int, end: int) -> set[Policy]:
        """[start, end) is delivered, the first of what waits: the policies under which it other bytes would have been delivered. Forgets those bytes."""
        others = set(Policy) - {chosen}
        if self.full:
            return others
        gone = bisect_left(self._base, end, key=_low)
        differing: set[Policy] = set()
        table = arrivals.table(start, end)
        for base in self._base[:gone]:
            for low, high, segments in arrivals.parts(table, base.low, base.high):
                if segments is None:
                    differing = others
                    break
                reads: dict[object, bytes] = {}
                for policy in Policy:
                    order = ORDER[policy]
                    if order not in reads:
                        reads[order] = self._read(owners(policy, segments, low, high), low, base.data[low - base.low : high - base.low])
                differing |= {policy for policy in others if reads[ORDER[policy]] != reads[ORDER[chosen]]}
            if differing == others:
                break
        if gone:
            self._forget_before(gone, end)
        return differing

    def _forget_before(self, gone: int, end: int) -> None:
        """The first so many bases are delivered, and with them all copies before end."""
        del self._base[:gone]
        self._copies = {arrival: rest for arrival, copies in self._copies.items() if (rest := [c for c in copies if c.high > end])}
        left = [*self._base, *(copy for copies in self._copies.values() for copy in copies)]
        self._count = len(left)
        self._bytes = sum(len(c.data) for c in left)
        reserved = self._bytes + self._count * COPY_BYTES
        self._account.release(self.reserved - reserved)
        self.reserved = reserved

    def _read(self, owned: list[Owned], start: int, base: bytes) -> bytes:
        """The bytes from start on as those owners have them; base: what was there first."""
        out = bytearray(base)
        for low, high, arrival in owned:
            copies = self._copies.get(arrival, [])
            for i in _touching(copies, low, high):
                copy = copies[i]
                a, b = max(low, copy.low), min(high, copy.high)
                out[a - start : b - start] = copy.data[a - copy.low : b - copy.low]
        return bytes(out)
