"""What waits behind the holes of one stream: the ranges, their bytes in the ring, and what is known of each segment.

Contract: made when the first segment comes that is not next, closed when nothing waits any more. `split` says what of a segment is new;
`hold` keeps it or, where the budget refuses, changes nothing; `contend` decides between two copies; `take` hands the first range out.
Knows offsets and bytes, not TCP. Invariant: the assembler's ranges are exactly the bytes that the ring holds.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.budget import Account
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.reassembly.assembler import Assembler
from pcapflow.reassembly.overlap import Arrivals, owners
from pcapflow.reassembly.overlap_ambiguity import Witness
from pcapflow.reassembly.pages import Pages
from pcapflow.reassembly.pending_run import Rows
from pcapflow.reassembly.ring import MARKS_MAX, Mark, Ring
from pcapflow.reassembly.sack import Sacked, Told

BEHIND_BYTES = 3584
"""Reserved for these objects themselves, as tests/reassembly/test_connection_memory.py measures it."""
NONE: set[Policy] = set()
"""Under no policy is anything ambiguous; never changed in place."""


class Contest(NamedTuple):
    """Two copies of bytes met: which stays (`original`, `new` or `both`, in parts), and from where to where the earlier segments reach."""

    kept: str
    start: int
    end: int


class Taken(NamedTuple):
    """A range that leaves: its bytes, the segments that are remembered of it, by offset, and under which policies it is ambiguous."""

    start: int
    end: int
    data: bytes | bytearray
    marks: list[Mark]
    differs: set[Policy]


class Behind:
    """The held bytes of one stream."""

    __slots__ = ("_account", "_arrivals", "_limits", "_own", "_policy", "_sacked", "_witness", "assembler", "ring")

    def __init__(self, limits: Limits, account: Account, pool: Pages, policy: Policy) -> None:
        self.assembler = Assembler(limits.ring_ranges)
        self.ring = Ring(account, pool)
        self._account = account
        self._policy = policy
        self._limits = limits
        self._own = 0
        """Reserved for this object; with the first bytes that it holds."""
        self._arrivals = Arrivals(account, MARKS_MAX, limits.overlap_copies)
        self._witness: Witness | None = None
        """Made when a segment brings other bytes than are held."""
        self._sacked: Sacked | None = None

    @property
    def first(self) -> int:
        """The offset at which the first range begins: where the first hole ends. -1 where nothing is held, since a page was refused."""
        starts = self.assembler.starts
        return starts[0] if starts else -1

    @property
    def since(self) -> int:
        """Capture time (ns) since which the oldest data waits."""
        return self.assembler.since[0]

    @property
    def cost(self) -> int:
        """Bytes reserved for all of it."""
        return self._own + self.ring.cost + self.beside

    @property
    def beside(self) -> int:
        """Of `cost`, what is for copies that differ and for segments beyond those held."""
        return self._arrivals.reserved + (self._witness.reserved if self._witness is not None else 0)

    @property
    def differs(self) -> bool:
        """Whether a copy came that differs, kept or not."""
        return self._witness is not None

    def arrive(self, start: int, end: int, known_to: int) -> None:
        """A segment comes; what lies before known_to is no longer held. It may cost something."""
        self._arrivals.add(start, end, known_to)

    def hold(self, segment: Mark, data: memoryview, clock: int, ident: int) -> bool:
        """Keep the bytes of a segment, which are not held yet; False, with nothing changed, where the budget refuses. ident: its IP identification."""
        own = BEHIND_BYTES - self._own
        if own and not self._account.reserve(own):
            return False
        if not self.ring.write(segment, data):
            self._account.release(own)
            return False
        self._own = BEHIND_BYTES
        self.assembler.add(segment.offset, segment.offset + len(data), clock, ident)
        return True

    def hold_run(self, view: memoryview, rows: Rows, i: int, j: int, offset: int, n: int, most: int) -> bool:
        """Keep the n bytes of rows[i:j] from that offset on, which continue a range and reach into none; False, with nothing changed, where
        they do not, or where the account would come above `most`.
        """
        assembler = self.assembler
        if not assembler.continues(offset, offset + n):
            return False
        if not self.ring.write_run(offset, view, rows, i, j, n, most):
            return False
        assembler.add(offset, offset + n, rows.clock[i])
        return True

    def arrive_run(self, rows: Rows, i: int, j: int, offset: int, known_to: int = -1) -> None:
        """As `arrive` for each of rows[i:j], which follow one another from that offset on; without known_to each is next when it comes."""
        for n in rows.n[i:j]:
            self._arrivals.add(offset, offset + n, offset if known_to < 0 else known_to)
            offset += n

    def contested(self, low: int, high: int) -> bool:
        """Whether copies of some byte of [low, high) differed before."""
        return self._witness is not None and self._witness.contested(low, high)

    def contend(self, low: int, first: bytes, second: bytes) -> Contest:
        """The latest arrival brings `second` for the offsets from low on, where `first` is held: the policy decides for each byte."""
        high = low + len(second)
        arrivals = self._arrivals
        table = arrivals.table(low, high)
        won = 0
        if self._witness is None:
            self._witness = Witness(self._account, self._limits)
        decides = self._policy is not Policy.FIRST
        for begin, stop, segments in arrivals.parts(table, low, high) if decides or not self._witness.full else ():
            if segments is None:
                self._witness.give_up()
            elif decides:
                for a, b, arrival in owners(self._policy, segments, begin, stop):
                    if arrival == arrivals.latest:
                        self.ring.overwrite(a, second[a - low : b - low])
                        won += b - a
        self._witness.add(arrivals.latest, low, first, second)
        kept = "original" if not won else "new" if won == high - low else "both"
        return Contest(kept, *arrivals.hull(table, low, high))

    def take(self) -> Taken:
        """The first range leaves."""
        start, end = self.assembler.pop_front()
        differs = NONE
        if self._witness is not None:
            differs = self._witness.ambiguous_under(self._policy, self._arrivals, start, end)
        data, marks = self.ring.take(start, end, self.assembler.starts[0] if self.assembler.starts else None)
        return Taken(start, end, data, marks, differs)

    def close(self) -> None:
        """Give all memory back."""
        self.ring.clear()
        self._arrivals.close()
        if self._witness is not None:
            self._witness.close()
        self._account.release(self._own)
        self._own = 0

    # --- what the peer has of it

    @property
    def selective(self) -> bool:
        """Whether the peer said anything of what it has beyond the first hole."""
        return self._sacked is not None

    def told(self, told: Told, known_to: int, packet: int, clock: int) -> None:
        """The peer said that it has a range. packet, clock: now."""
        if self._sacked is None:
            self._sacked = Sacked()
        self._sacked.add(told, known_to, packet, clock)

    def peer_has(self, start: int, end: int) -> Told | None:
        """What the peer said that covers [start, end)."""
        return self._sacked.covering(start, end) if self._sacked is not None else None
