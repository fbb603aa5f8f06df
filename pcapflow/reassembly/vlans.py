"""Which VLAN tags keep connections apart, and which are two views of one.

VLAN ids keep networks apart that use the same addresses; but on many mirrors each direction has a tag of its own, or one has none. Contract: `resolve`
takes the columns of a block and gives a second tag of the same addresses, ports and tunnel the tag of the connection that it belongs to. It is decided
once, at the first packet with that tag: it belongs where sequence and acknowledgement numbers go on with those seen under the first tag, and is another
connection where they do not. Never merged afterwards. Invariant: decisions on at most `max_vlan_pairs` pairs of ends are kept, PAIR_BYTES reserved for each in
the `connections` account, the oldest leave first; a block all of whose packets have the one known tag costs two comparisons of a column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pcapflow.decode.segments import ACK, FIN, IPV6_TAG, RST, SYN, SegmentColumns
from pcapflow.policy import VlanKey
from pcapflow.reassembly.beliefs import WINDOW, Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.keys import connection_keys, groups_of, tag_of, untagged
from pcapflow.reassembly.seqspace import unwrap, wrap

PAIR_BYTES = 512
"""Reserved for each pair of ends, and for each further tag of it: keys, and places in tables."""


class Waiting(Protocol):
    """Connections of which only a SYN was seen."""

    def get(self, key: bytes) -> Syn | None: ...

    def __iter__(self) -> Iterator[bytes]: ...


class _Ends:
    """What was decided of one pair of ends: the key that came first, and that of the connection to which each other key belongs (its own where it is
    apart).
    """

    __slots__ = ("belongs", "first")

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.belongs: dict[bytes, bytes] = {}


Numbers = tuple[list[int], list[int]]
"""Of both directions, wire numbers of which one should be near."""


class Vlans:
    """One run's decisions."""

    __slots__ = ("_ctx", "_ends", "_mode", "_one", "_reserved", "_table", "_unanswered")

    def __init__(self, ctx: Context, mode: VlanKey, table: Mapping[bytes, Connection], unanswered: Waiting) -> None:
        self._ctx = ctx
        self._mode = mode
        self._table = table
        self._unanswered = unanswered
        self._one: int | None = -1
        """The only tag seen so far; -1 for none, None for several."""
        self._ends: dict[bytes, _Ends] = {}
        """By key without VLAN ids, oldest first."""
        self._reserved = 0

    def release(self) -> None:
        """The capture ended."""
        self._ends = {}
        self._ctx.ledger.connections.release(self._reserved)
        self._reserved = 0

    def resolve(self, columns: SegmentColumns) -> SegmentColumns:
        """The same columns, each row with the tag of its connection; the same value where none has another."""
        if self._mode is VlanKey.ON:
            return columns
        if self._mode is VlanKey.OFF:
            return replace(columns, tag=columns.tag & np.uint64(IPV6_TAG))
        ids = columns.tag >> np.uint64(1)
        lowest, highest = int(ids.min()), int(ids.max())
        if lowest == highest and self._one in (-1, lowest):
            self._one = lowest
            return columns
        if self._one is not None:
            for key in chain(self._table, self._unanswered):
                self._remember(untagged(key), key)
            self._one = None
        return self._several(columns, ids)

    def _several(self, columns: SegmentColumns, ids: npt.NDArray[np.uint64]) -> SegmentColumns:
        keys, swap = connection_keys(columns)
        bare = keys.copy()
        bare["tag"] &= np.uint64(IPV6_TAG)
        order, starts = groups_of(bare)
        tags = columns.tag.copy()
        ends = np.append(starts[1:], len(order))
        firsts = keys[order[starts]]
        mixed = np.logical_or.reduceat(ids[order] != np.repeat(ids[order[starts]], ends - starts), starts).tolist()
        raw, size = firsts.tobytes(), keys.itemsize
        for g, (low, high) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            rows = order[low:high]
            if not mixed[g]:
                key = raw[g * size : (g + 1) * size]
                found = self._belongs(key, columns, swap, tags, rows, 0)
                if found != key:
                    tags[rows] = tag_of(found)
                continue
            _, first = np.unique(ids[rows], return_index=True)
            for at in sorted(first.tolist()):
                key = keys[rows[at]].tobytes()
                found = self._belongs(key, columns, swap, tags, rows, at)
                if found != key:
                    tags[rows[ids[rows] == ids[rows[at]]]] = tag_of(found)
        return replace(columns, tag=tags) if (tags != columns.tag).any() else columns

    def _belongs(
        self, key: bytes, columns: SegmentColumns, swap: npt.NDArray[np.bool_], tags: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64], at: int
    ) -> bytes:
        """The key of the connection to which rows with that key belong, the first of which is rows[at]. tags: as far as they are resolved."""
        bare = untagged(key)
        ends = self._ends.get(bare)
        if ends is None:
            self._remember(bare, key)
            return key
        if ends.first == key:
            return key
        found = ends.belongs.get(key)
        if found is None and len(ends.belongs) >= _TAGS_MAX:
            return key
        if found is None:
            direction = int(swap[rows[at]])
            before = rows[:at][tags[rows[:at]] == np.uint64(tag_of(ends.first))]
            numbers = self._numbers(ends.first, columns, swap, before, int(self._ctx.clock[columns.row[rows[at]]]))
            found = ends.first if _fit(numbers, columns, int(rows[at]), direction) else key
            if self._reserve(bare):
                ends.belongs[key] = found
        return found

    def _remember(self, bare: bytes, key: bytes) -> None:
        while len(self._ends) >= self._ctx.limits.max_vlan_pairs:
            self._ctx.ledger.pressure = True  # who leaves depends on what comes together
            self._forget(next(iter(self._ends)))
        if self._reserve(bare):
            self._ends[bare] = _Ends(key)

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

    def _numbers(self, key: bytes, columns: SegmentColumns, swap: npt.NDArray[np.bool_], before: npt.NDArray[np.int64], now: int) -> Numbers:
        """What was seen of a connection, as the block found it and by its rows before. now: the clock (ns): one that has been silent for long enough by
        then is over, whether it has left the table or not.
        """
        numbers: Numbers = ([], [])
        connection, syn = self._table.get(key), self._unanswered.get(key)
        over = self._silences(connection, syn, columns, swap, before, now)
        if len(over):
            connection = syn = None
            before = before[over[-1] :]
        if connection is not None:
            for known, stream in zip(numbers, connection.streams, strict=True):
                if stream.base >= 0:
                    known.append(wrap(stream.top, stream.base))
                elif stream.expected is not None:
                    known.append(stream.expected.last)
            syn = connection.asked
        if syn is not None:
            numbers[syn.direction].append(syn.base)
        for d in (0, 1):
            rows = before[swap[before] == bool(d)][-_LOOK_BACK:]
            flags = columns.flags[rows]
            numbers[d].extend((columns.seq[rows] + columns.payload_len[rows] + ((flags & SYN) != 0) + (flags & FIN)).tolist())
            if not numbers[1 - d]:
                numbers[1 - d].extend(columns.ack[rows[(flags & ACK) != 0]].tolist())
        return numbers


    def _silences(
        self, connection: Connection | None, syn: Syn | None, columns: SegmentColumns, swap: npt.NDArray[np.bool_], before: npt.NDArray[np.int64], now: int
    ) -> npt.NDArray[np.int64]:
        """Before which of these rows, the number of them for now, the connection was silent for so long that it is over; ascending."""
        limits = self._ctx.limits
        clocks = self._ctx.clock[columns.row[before]]
        known = connection.last_clock if connection is not None else syn.last_clock if syn is not None else clocks[0] if len(clocks) else now
        flags = columns.flags[before]
        ended = [np.logical_or.accumulate(np.append(connection is not None and connection.closed, which)) for which in (
            (flags & RST) != 0, ((flags & FIN) != 0) & swap[before], ((flags & FIN) != 0) & ~swap[before])]  # fmt: skip
        silence = np.where(ended[0] | (ended[1] & ended[2]), limits.linger, limits.idle_timeout)
        return np.flatnonzero(np.diff(np.concatenate(([known], clocks, [now]))) >= silence)


_TAGS_MAX = 64
"""Tags of one pair of ends that are decided on; a further one is another connection."""
_LOOK_BACK = 256
"""Rows of each direction in the block, before the one in question, that are looked at."""


def _fit(numbers: Numbers, columns: SegmentColumns, row: int, direction: int) -> bool:
    """Whether a row goes on with those numbers: with those of both directions, as far as they are known, and at least with one; a SYN-ACK with what it
    acknowledges, since its own numbers begin there.
    """
    flags = int(columns.flags[row])
    answer = flags & (SYN | ACK) == SYN | ACK
    told = [(numbers[direction], int(columns.seq[row]) + bool(flags & SYN))] if not answer else []
    if flags & ACK:
        told.append((numbers[1 - direction], int(columns.ack[row])))
    known = [(seen, number) for seen, number in told if seen]
    return bool(known) and all(any(abs(unwrap(number, n, 0)) <= WINDOW for n in seen) for seen, number in known)
