"""Connections of which nothing but a SYN was seen: a row in a table each, not an object.

A scan or a flood is a million of them. Contract: `add` takes the groups of a block that are nothing but one SYN, perhaps sent
again; `take` gives one back when something else of it comes, and the caller makes a `Connection` of it. The oldest leave first:
when there are more than `max_half_open`, when the `connections` account has no room, or after `idle_timeout` of silence.
Invariant: the table is in the order of the last SYN, and SYN_BYTES are reserved for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np
import numpy.typing as npt

from pcapflow.decode.segments import MULTIPATH
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.runs import Sorted

SYN_BYTES = 512
"""Reserved for each row in the `connections` account: key, numbers and its place in the table, as
tests/reassembly/test_connection_memory.py measures it."""


class HalfOpen:
    """The table."""

    __slots__ = ("_ctx", "_table", "_told")

    def __init__(self, ctx: Context, told: Callable[[list[tuple[bytes, Syn, int, int]], str], None]) -> None:
        """told: hears of rows that are over, see `table_observer.TableObserver.half_open`."""
        self._ctx = ctx
        self._told = told
        self._table: dict[bytes, Syn] = {}

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: bytes) -> bool:
        return key in self._table

    def items(self) -> Iterable[tuple[bytes, Syn]]:
        """All of them by key."""
        return self._table.items()

    def add(self, s: Sorted, groups: npt.NDArray[np.int64]) -> list[int]:
        """Take those groups of a block. The groups that go on with another connection on the same ports are given back."""
        groups = groups[np.argsort(s.packet[s.ends[groups]])]
        first, last = s.starts[groups], s.ends[groups]
        offers = np.logical_or.reduceat((s.flags & MULTIPATH) != 0, s.starts)
        tags = s.tag[groups] if s.tags is None else s.tags[first]
        columns = (
            s.packet[first], s.ts[first], last - first + 1, s.packet[last], s.ts[last], s.clock[last], s.direction[first], s.seq[first],
            np.full(len(first), -1), offers[groups], tags,
        )  # fmt: skip
        syns: Iterable[Syn] = map(Syn, *(column.tolist() for column in columns))
        keys = [s.keys[g] for g in groups.tolist()]
        others: list[int] = []
        if self._table.keys().isdisjoint(keys):
            fresh = dict(zip(keys, syns, strict=True))
        else:
            fresh = {}
            begun = s.clock[first].tolist()
            for g, key, syn, at in zip(groups.tolist(), keys, syns, begun, strict=True):
                known = self._table.get(key)
                if known is None:
                    fresh[key] = syn
                elif known.same(syn) and at - known.last_clock < self._ctx.limits.idle_timeout:
                    del self._table[key]
                    fresh[key] = known.again(syn)
                    self._ctx.ledger.connections.release(SYN_BYTES)
                else:
                    others.append(g)
        self._insert(fresh)
        return others

    def _insert(self, fresh: dict[bytes, Syn]) -> None:
        ctx = self._ctx
        packet = ctx.block.last_packet
        ts = ctx.block.ts_of(packet)
        ctx.ledger.at(packet, ts)
        self._table.update(fresh)
        over = len(self._table) - ctx.limits.max_half_open
        reserved = len(fresh)
        if over > 0:
            # as many reservations as rows that leave go over to the new ones
            ctx.ledger.pressure = True
            reserved -= over
        account = ctx.ledger.connections
        while reserved > 0 and not account.reserve(reserved * SYN_BYTES):
            reserved //= 2
        if reserved < 0:
            account.release(-reserved * SYN_BYTES)
        self._leave(len(fresh) - reserved, packet, ts)

    def evict(self, n: int, packet: int, ts: int) -> bool:
        """The n oldest leave, at that packet; False where there is none."""
        gone = self._leave(n, packet, ts)
        self._ctx.ledger.connections.release(gone * SYN_BYTES)
        return gone > 0

    def _leave(self, n: int, packet: int, ts: int) -> int:
        """The n oldest leave; how many did. Their reservations stay."""
        gone = self._gone([(key, syn, packet, ts) for key, syn in islice(self._table.items(), n)], "evicted")
        self._ctx.needs.half_open += gone
        return gone

    def _gone(self, gone: list[tuple[bytes, Syn, int, int]], end: str) -> int:
        """The one way out for rows that are over: key, what was seen, and the packet and time (ns) of it. How many they are."""
        for key, *_ in gone:
            del self._table[key]
        if gone:
            self._told(gone, end)
        return len(gone)

    def take(self, key: bytes) -> Syn | None:
        """Something else of this connection comes: it is no longer of this table."""
        syn = self._table.pop(key, None)
        if syn is not None:
            self._ctx.ledger.connections.release(SYN_BYTES)
        return syn

    def sweep(self, now: int) -> None:
        """Those that have been silent long enough at the end of the block are gone, each at the packet where it was."""
        ctx = self._ctx
        silence = ctx.limits.idle_timeout
        gone: list[tuple[bytes, Syn, int, int]] = []
        for key, syn in self._table.items():
            if now - syn.last_clock < silence:
                break
            packet = ctx.block.packet_at_clock(syn.last_clock + silence)
            gone.append((key, syn, packet, ctx.block.ts_of(packet)))
        ctx.ledger.connections.release(self._gone(gone, "idle") * SYN_BYTES)

    def finish(self, packet: int, ts: int) -> None:
        """The capture ended at that packet."""
        gone = [(key, syn, packet, ts) for key, syn in self._table.items()]
        self._ctx.ledger.connections.release(self._gone(gone, "end_of_capture") * SYN_BYTES)
