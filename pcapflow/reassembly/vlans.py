"""Which VLAN tags keep connections apart, and which are two views of one.

VLAN ids keep networks apart that use the same addresses; but on many mirrors each direction has a tag of its own, or one has none. Contract: `resolve`
takes the columns of a block and gives a second tag of the same addresses, ports and tunnel the tag of the connection that it belongs to. It is decided
once, at the first packet with that tag: it belongs where sequence and acknowledgement numbers go on with the last ones under the first tag, and is another
connection where they do not. Never merged afterwards. Whoever calls ends a block before the first packet with a second tag (`first_other`), so that what is known
of each connection then, and what the rows since then add to it, is the same wherever blocks end.

Invariant: decisions on at most `max_vlan_pairs` pairs of ends are kept, PAIR_BYTES reserved for each in the `connections` account, the oldest leave first; a
block all of whose packets have the one known tag costs two comparisons of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from pcapflow.decode.segments import ACK, FIN, IPV6_TAG, RST, SYN, SegmentColumns
from pcapflow.limits import Limits
from pcapflow.policy import VlanKey
from pcapflow.reassembly.beliefs import WINDOW, Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.keys import KEY, connection_keys, groups_of, tag_of, tagged, untagged
from pcapflow.reassembly.seqspace import difference, unwrap, wrap

PAIR_BYTES = 768
"""Reserved for each pair of ends, and for each further tag of it: keys, numbers, and places in tables."""
_TAGS_MAX = 64
"""Tags of one pair of ends that are decided on; a further one is another connection."""
_BOTH_FINS = FIN | FIN << 1
_OVER = RST | _BOTH_FINS
"""Flags that end a connection: a RST, a FIN of direction 0, one of direction 1."""


class Waiting(Protocol):
    """Connections of which only a SYN was seen."""

    def items(self) -> Iterable[tuple[bytes, Syn]]:
        """All of them by key."""
        ...


class _Ends:
    """What was decided of one pair of ends: the key that came first, that of the connection to which each other key belongs (its own where it is apart), and
    what the rows of the first one said last.

    numbers: of each direction, the wire number behind the last row that was no RST and no stray one; strays: of one that was far from that, which counts
    when another one is near it; heard: what the other direction acknowledged of it last; None for
    nothing yet. clock: of the last row (ns); ended: which of `_OVER` were seen.
    """

    __slots__ = ("belongs", "clock", "ended", "first", "heard", "numbers", "strays")

    def __init__(self, first: bytes, clock: int) -> None:
        self.first = first
        self.belongs: dict[bytes, bytes] = {}
        self.clock = clock
        self.forget()

    def forget(self) -> None:
        """What comes now says nothing of what was before."""
        self.numbers: list[int | None] = [None, None]
        self.strays: list[int | None] = [None, None]
        self.heard: list[int | None] = [None, None]
        self.ended = 0

    def reach(self, clock: int, limits: Limits) -> None:
        """It is that clock (ns): a connection that was silent for long enough by then is over, whether it has left the table or not."""
        over = self.ended & RST or self.ended == _BOTH_FINS
        if clock - self.clock >= (limits.linger if over else limits.idle_timeout):
            self.forget()

    def saw(self, direction: int, number: int) -> None:
        """A row that is no RST; number: the wire number behind it."""
        for known in (self.numbers[direction], self.strays[direction]):
            if known is not None and abs(unwrap(number, known, 0)) <= WINDOW:
                break
        else:
            if self.numbers[direction] is not None:
                self.strays[direction] = number
                return
        self.numbers[direction], self.strays[direction] = number, None

    def goes_on(self, direction: int, seq: int, ack: int, flags: int) -> bool:
        """Whether a row goes on with what is known: with both numbers, as far as they are known, and at least with one; a SYN-ACK with what it
        acknowledges, since its own numbers begin there.
        """
        told = [] if flags & (SYN | ACK) == SYN | ACK else [(direction, seq + bool(flags & SYN))]
        if flags & ACK:
            told.append((1 - direction, ack))
        distances = [abs(unwrap(number, known, 0)) for d, number in told if (known := self._known(d)) is not None]
        return bool(distances) and max(distances) <= WINDOW

    def _known(self, direction: int) -> int | None:
        number = self.numbers[direction]
        return self.heard[direction] if number is None else number


class _Rows:
    """The rows of a block sorted by pair of ends. order: int64 (n,), where each is in the columns; starts: int64 (groups,)."""

    def __init__(self, columns: SegmentColumns, clock: npt.NDArray[np.int64]) -> None:
        """clock: int64 (packets of the block,)."""
        keys, swap = connection_keys(columns)
        bare = keys.copy()
        bare["tag"] &= np.uint64(IPV6_TAG)
        self.order, self.starts = groups_of(bare)
        self.bounds = [*self.starts.tolist(), len(columns)]
        raw = keys[self.order[self.starts]].tobytes()
        self.keys = [raw[i : i + KEY.itemsize] for i in range(0, len(raw), KEY.itemsize)]
        """Of the first row of each group."""
        self.tag = columns.tag[self.order]
        self.seq, self.ack, self.flags = (column[self.order] for column in (columns.seq, columns.ack, columns.flags))
        self.direction = swap[self.order].astype(np.int64)
        self.number = (self.seq + columns.payload_len[self.order] + ((self.flags & SYN) != 0) + (self.flags & FIN)) & 0xFFFFFFFF
        self.ended = self.flags & RST | (self.flags & FIN) << self.direction
        self.clock = clock[columns.row[self.order]]

    def several(self) -> list[bool]:
        """Of each group, whether it has several tags."""
        starts = self.starts
        same = self.tag == np.repeat(self.tag[starts], np.diff(self.bounds))
        return [not alike for alike in np.logical_and.reduceat(same, starts).tolist()]

    def silent(self, silence: int) -> list[bool]:
        """Of each group, whether it has a silence of so many ns."""
        quiet = np.diff(self.clock, prepend=self.clock[0]) >= silence
        quiet[self.starts] = False
        return np.logical_or.reduceat(quiet, self.starts).tolist()  # type: ignore[no-any-return]

    def last(self) -> list[_Last]:
        """Of each group, what its rows say last where nothing is between them."""
        counts = self.flags & RST == 0
        place = np.arange(len(self.order))
        steady = np.ones(len(self.order), dtype=bool)
        columns = []
        for values, which in ((self.number, counts), (self.ack, counts & (self.flags & ACK != 0))):
            for d in (0, 1):
                rows = which & (self.direction == d)
                last = np.maximum.reduceat(np.where(rows, place, -1), self.starts)
                columns.append(np.where(last < 0, -1, values[last]).tolist())
                if values is self.number:
                    steady &= ~rows | (np.abs(difference(values, np.repeat(values[last], np.diff(self.bounds)))) <= WINDOW // 2)
        columns.append(np.logical_and.reduceat(steady, self.starts).tolist())
        ended = np.bitwise_or.reduceat(self.ended, self.starts).tolist()
        return list(map(_Last._make, zip(*columns, ended, self.clock[np.array(self.bounds[1:]) - 1].tolist(), strict=True)))


class _Last(NamedTuple):
    """The last numbers and acknowledgements of both directions, -1 for none; whether all numbers are near the last ones; which of `_OVER` there were, and
    the last clock.
    """

    number_0: int
    number_1: int
    ack_0: int
    ack_1: int
    steady: bool
    ended: int
    clock: int

    def goes_on(self, ends: _Ends) -> bool:
        """Whether none of the rows is a stray one to what is known: then `add_to` is what they come to."""
        known = zip(ends.numbers, (self.number_0, self.number_1), strict=True)
        return self.steady and all(a is None or b < 0 or abs(unwrap(b, a, 0)) <= WINDOW // 2 for a, b in known)

    def add_to(self, ends: _Ends) -> None:
        """What rows that follow one another say comes to what is known."""
        for d, number, ack in ((0, self.number_0, self.ack_0), (1, self.number_1, self.ack_1)):
            if number >= 0:
                ends.numbers[d], ends.strays[d] = number, None
            if ack >= 0:
                ends.heard[1 - d] = ack
        ends.ended |= self.ended
        ends.clock = self.clock


class Vlans:
    """One run's decisions."""

    __slots__ = ("_ctx", "_ends", "_half_open", "_mode", "_one", "_reserved", "_table")

    def __init__(self, ctx: Context, mode: VlanKey, table: Mapping[bytes, Connection], half_open: Waiting) -> None:
        self._ctx = ctx
        self._mode = mode
        self._table = table
        self._half_open = half_open
        self._one: int | None = -1
        """The only VLAN ids seen so far; -1 for no packet yet, None for several."""
        self._ends: dict[bytes, _Ends] = {}
        """By key without VLAN ids, oldest first."""
        self._reserved = 0

    def release(self) -> None:
        """The capture ended."""
        self._ends = {}
        self._ctx.ledger.connections.release(self._reserved)
        self._reserved = 0

    def first_other(self, columns: SegmentColumns) -> int:
        """The row of the block before which it is to be parted, because a second tag comes there for the first time; 0 for not at all."""
        if self._mode is not VlanKey.AUTO or self._one is None:
            return 0
        ids = columns.tag >> np.uint64(1)
        others = ids != (ids[0] if self._one < 0 else self._one)
        return int(columns.row[others.argmax()]) if others.any() else 0

    def resolve(self, columns: SegmentColumns) -> SegmentColumns:
        """The same columns, each row with the tag of its connection; the same value where none has another."""
        if self._mode is VlanKey.ON:
            return columns
        if self._mode is VlanKey.OFF:
            return replace(columns, tag=columns.tag & np.uint64(IPV6_TAG))
        return columns if self._one is not None else self._several(columns)

    def see(self, columns: SegmentColumns) -> None:
        """These rows come, those of other shards too: a second tag in any of them is one for all."""
        if self._mode is VlanKey.AUTO and self._one is not None:
            ids = int(columns.tag[0]) >> 1
            if self._one not in (-1, ids):
                self._begin()
            else:
                self._one = ids  # of all rows: see first_other

    def _begin(self) -> None:
        """A second tag comes: from here on the pairs of ends are kept, first those that are known."""
        self._one = None
        for key, connection in self._table.items():
            ends = self._remember(key, connection.last_clock)
            if ends is not None:
                for d, stream in enumerate(connection.streams):
                    ends.numbers[d] = wrap(stream.top, stream.base) if stream.base >= 0 else None
                    ends.heard[d] = None if stream.expected is None else stream.expected.last
                    ends.ended |= (FIN << d) * (stream.fin >= 0)
                if connection.closed or connection.reset is not None:
                    ends.ended |= RST
                if connection.asked is not None:
                    ends.numbers[connection.asked.direction] = connection.asked.base
        for key, syn in self._half_open.items():
            ends = self._remember(key, syn.last_clock)
            if ends is not None:
                ends.numbers[syn.direction] = syn.base
                ends.heard[1 - syn.direction] = None if syn.ack < 0 else syn.ack

    def _several(self, columns: SegmentColumns) -> SegmentColumns:
        limits = self._ctx.limits
        rows = _Rows(columns, self._ctx.block.clock)
        tags: npt.NDArray[np.uint64] = rows.tag.copy()
        several, silent, last = rows.several(), rows.silent(min(limits.linger, limits.idle_timeout)), rows.last()
        begins = rows.clock[rows.starts].tolist()
        for g in np.argsort(rows.order[rows.starts]).tolist():
            key, part = rows.keys[g], slice(rows.bounds[g], rows.bounds[g + 1])
            ends = self._ends.get(untagged(key)) or self._remember(key, begins[g])
            if ends is None:
                continue
            if not silent[g] and self._alike(ends, rows, part, several=several[g]):
                tags[part] = tag_of(ends.first)
                ends.reach(begins[g], limits)
                if last[g].goes_on(ends):
                    last[g].add_to(ends)
                    continue
            self._walk(ends, rows, part, tags)
        if (tags == rows.tag).all():
            return columns
        resolved = columns.tag.copy()
        resolved[rows.order] = tags
        return replace(columns, tag=resolved)

    def _alike(self, ends: _Ends, rows: _Rows, part: slice, *, several: bool) -> bool:
        """Whether all of those rows are known to be of the connection that came first."""
        tags = np.unique(rows.tag[part]).tolist() if several else [int(rows.tag[part.start])]
        first = ends.first
        return all((key := tagged(first, tag)) == first or ends.belongs.get(key) == first for tag in tags)

    def _walk(self, ends: _Ends, rows: _Rows, part: slice, tags: npt.NDArray[np.uint64]) -> None:
        """Take those rows one by one, which is the meaning of it; what they resolve to goes into tags, uint64 (n,)."""
        limits = self._ctx.limits
        first = tag_of(ends.first)
        resolved = {first: first}
        columns = (rows.tag, rows.direction, rows.seq, rows.number, rows.ack, rows.flags, rows.ended, rows.clock)
        for i, (tag, d, seq, number, ack, flags, ended, clock) in enumerate(
            zip(*(column[part].tolist() for column in columns), strict=True), part.start
        ):
            found = resolved.get(tag)
            if found is None:
                ends.reach(clock, limits)
                found = resolved[tag] = self._decide(ends, tag, d, seq, ack, flags)
            tags[i] = found
            if found != first:
                continue
            ends.reach(clock, limits)
            ends.clock = clock
            ends.ended |= ended
            if not flags & RST:
                ends.saw(d, number)
                if flags & ACK:
                    ends.heard[1 - d] = ack

    def _decide(self, ends: _Ends, tag: int, direction: int, seq: int, ack: int, flags: int) -> int:
        """The tag of the connection to which rows with that tag belong, of which this is the first, or which was decided on before."""
        key = tagged(ends.first, tag)
        found = ends.belongs.get(key)
        if found is None:
            if len(ends.belongs) >= _TAGS_MAX:
                return tag
            found = ends.first if ends.goes_on(direction, seq, ack, flags) else key
            if self._reserve(untagged(key)):
                ends.belongs[key] = found
        return tag_of(found)

    def _remember(self, key: bytes, clock: int) -> _Ends | None:
        """A new pair of ends, whose first row has that key; None where there is no memory for it."""
        bare = untagged(key)
        while len(self._ends) >= self._ctx.limits.max_vlan_pairs:
            self._ctx.ledger.pressure = True  # who leaves depends on what comes together
            self._forget(next(iter(self._ends)))
        if not self._reserve(bare):
            return None
        ends = self._ends[bare] = _Ends(key, clock)
        return ends

    def _reserve(self, spare: bytes) -> bool:
        """Room for one more, at the cost of the oldest, but not of `spare`; False where there is none."""
        while not self._ctx.ledger.connections.reserve(PAIR_BYTES):
            oldest = next(iter(self._ends), spare)
            if oldest == spare:
                return False
            self._forget(oldest)
        self._reserved += PAIR_BYTES
        return True

    def _forget(self, bare: bytes) -> None:
        ends = self._ends.pop(bare)
        cost = (1 + len(ends.belongs)) * PAIR_BYTES
        self._ctx.ledger.connections.release(cost)
        self._reserved -= cost
