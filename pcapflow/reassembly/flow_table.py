"""The table of connections, and the column path that takes whole runs.

Contract: `process` takes the columns of one block and hands stream events to consumers; `finish` ends what is left. Rows of
one connection are taken in packet order; connections one after the other, in the order of their first packet in the block.

The column path: where a test on the columns (`runs.Runs`) shows that a connection's rows in the block are contiguous data, both
directions are handed over as one run each. A connection of which only a SYN was seen is a row in `half_open.HalfOpen`.
Everything else is walked, row by row (`Connection.walk`), which is the meaning of it; the tests hold the ways against each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

import numpy as np

from pcapflow.capture.block import PacketBlock
from pcapflow.decode.segments import ACK, MULTIPATH, SegmentColumns
from pcapflow.policy import VlanKey
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.brief import ASKED, CLIENT, DONE, Brief, BriefReader, Facts, begins_anew, events, goes_on, wholes
from pcapflow.reassembly.closed_connections import Finals
from pcapflow.reassembly.connection import CONNECTION_BYTES, Connection
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.growing_list import Growing, first_keys
from pcapflow.reassembly.half_open import SYN_BYTES, HalfOpen
from pcapflow.reassembly.keys import endpoints
from pcapflow.reassembly.runs import Runs, Sorted
from pcapflow.reassembly.table_observer import TableObserver
from pcapflow.reassembly.vlans import Vlans

_Own = Callable[[SegmentColumns], SegmentColumns]
_number, _last_clock = attrgetter("number"), attrgetter("last_clock")


class FlowTable:
    """Every connection that is tracked."""

    def __init__(
        self,
        ctx: Context,
        observer: TableObserver,
        own: _Own = lambda c: c,
        *,
        reader: BriefReader | None = None,
        walk_all: bool = False,
        vlan_key: VlanKey = VlanKey.AUTO,
    ) -> None:
        """own: of the segments those whose connections this table has, both directions of each; reader: reads those that lie whole in a block, if it can, before the observer hears of them."""
        self.ctx = ctx
        self._own = own
        self._observer = observer
        self._reader = reader
        self._walk_all = walk_all
        self._table: dict[bytes, Connection] = {}
        self._open: OrderedDict[bytes, Connection] = OrderedDict()
        """By last packet, as far as the blocks before tell."""
        self._closed: OrderedDict[bytes, Connection] = OrderedDict()
        self._victims: tuple[Iterator[bytes], Iterator[bytes], Iterator[bytes]] | None = None
        """Keys of those that may leave: closed before the block, closed in it (which goes on as more are), silent since before it."""
        self._half_open = HalfOpen(ctx, observer.half_open)
        self._finals = Finals(ctx, observer.repeated)
        self._vlans = Vlans(ctx, vlan_key, self._table, self._half_open)

    def __len__(self) -> int:
        return len(self._table) + len(self._half_open)

    def process(self, block: PacketBlock, columns: SegmentColumns) -> None:
        """Take the segments of one block."""
        at = self._vlans.first_other(columns) if len(columns) else 0
        if at:
            before = int(np.searchsorted(columns.row, at))
            parts = columns.take(slice(before)), columns.take(slice(before, None))
            parts[1].row = parts[1].row - at
            self._process(block.rows(0, at), parts[0])
            self._process(block.rows(at, len(block)), parts[1])
        else:
            self._process(block, columns)

    def _process(self, block: PacketBlock, columns: SegmentColumns) -> None:
        ctx = self.ctx
        clock = block.clock
        assert clock is not None
        ctx.block.enter(block, clock)
        for connection in self._due():
            connection.arm(ctx)
        self._victims = None
        touched: list[bytes] = []
        if len(columns):
            self._vlans.see(columns)
            columns = self._own(columns)
        if len(columns):
            resolved = self._vlans.resolve(columns)
            touched = self._segments(Sorted(resolved, block, clock, None if resolved is columns else columns.tag))
        for connection in self._due():
            if connection.catch_up(ctx, ctx.block.last_packet):
                packet = connection.over_at(ctx)
                self._remove(connection, connection.end, packet, ctx.block.ts_of(packet))
            else:
                connection.flush(ctx)
        self._put_in_order(dict.fromkeys((*touched, *ctx.closed)))
        self._sweep(int(clock[-1]))
        ctx.leave()

    def finish(self, packet: int, ts: int) -> None:
        """The capture ended at that packet: so does every connection."""
        self._half_open.finish(packet, ts)
        for connection in sorted(self._table.values(), key=_number):
            self._remove(connection, "end_of_capture", packet, ts)
        self._finals.finish()
        self._vlans.release()

    # --- one block

    def _segments(self, s: Sorted) -> list[bytes]:
        """Take the rows of a block; the keys of the connections that had some. Nothing here holds on to a connection that leaves the table."""
        ctx = self.ctx
        get = self._table.get
        connections = [get(key) for key in s.keys]
        ctx.here = set(s.keys)
        groups, runs = self._runs(s, connections) if not self._walk_all and s.told_apart() else (list(range(len(s.keys))), None)
        known = [0 if c is None else c.number for c in connections]
        del connections
        touched: list[bytes] = []
        starts, ends = s.starts, s.ends
        offers = (s.flags & MULTIPATH) != 0
        multipath = frozenset(np.flatnonzero(offers[np.minimum(starts + 1, ends)]).tolist() if offers.any() else ())
        firsts = s.packet[starts].tolist()
        bases = runs.expected.tolist() if runs is not None else []
        began = list(zip(firsts, s.ts[starts].tolist(), s.clock[starts].tolist(), s.direction[starts].tolist(), strict=True))
        whole = wholes(s, runs) if runs is not None and self._reader is not None else {}
        last = list(zip(s.packet[ends].tolist(), s.ts[ends].tolist(), s.clock[ends].tolist(), (ends - starts + 1).tolist(), strict=True))
        for g in sorted(groups, key=firsts.__getitem__):
            key = s.keys[g]
            connection = get(key)
            if (
                runs is None
                or runs.bad[g]
                or (0 if connection is None else connection.number) != known[g]  # evicted since, or made by a group of the same key before
                or (
                    connection is not None
                    and not goes_on(connection, began[g][2], ctx.limits.idle_timeout)
                    and not (runs.begins[g] and begins_anew(connection, began[g][3], bases[g]))
                )
            ):
                if self._walk(s, g):
                    touched.append(key)
                continue
            if connection is None or connection.closed:
                packet, ts, clock, direction = began[g]
                if connection is not None:
                    self._expire(connection, packet, ts)
                if not self._make_room(packet, ts):
                    self._observer.untracked(packet, ts, int(s.n[starts[g] : ends[g] + 1].sum()))
                    continue
                if self._reader is not None and g in whole and g not in multipath:
                    self._brief(key, runs, g, whole[g], self._reader)
                    touched.append(key)
                    continue
                connection = self._create(key, packet, ts, clock)
                connection.begin(direction, bases[g], multipath=g in multipath)
                connection.shook_hands(*runs.handshakes[g])
            self._take(connection, s, runs, g, last[g])
            touched.append(key)
        return touched

    def _runs(self, s: Sorted, connections: list[Connection | None]) -> tuple[list[int], Runs | None]:
        """Take the SYNs that nobody answers. The groups that are left, and which of them are runs; None for no group."""
        limits = self.ctx.limits
        groups = list(range(len(s.keys)))
        unknown = np.array([c is None for c in connections])
        syns = np.flatnonzero(s.half_open(limits.idle_timeout) & unknown)
        if len(syns):
            for g in syns.tolist() if self._finals else ():
                self._finals.forget(s.keys[g])
            others = self._half_open.add(s, syns)
            rest = np.ones(len(s.keys), dtype=bool)
            rest[syns] = False
            rest[others] = True
            groups = np.flatnonzero(rest).tolist()
        if not groups:
            return groups, None
        expected = np.array([(-1, -1) if c is None else c.expects() for c in connections], dtype=np.int64)
        if len(self._half_open):
            unknown &= np.array([key not in self._half_open for key in s.keys])
        # a closed connection's ports may be used again
        closed = np.array([c is not None and c.closed for c in connections])
        return groups, Runs(s, expected, unknown | closed, limits.linger, limits.idle_timeout, self.ctx.reach)

    def _take(self, connection: Connection, s: Sorted, runs: Runs, g: int, last: tuple[int, int, int, int]) -> None:
        """The column path: hand both directions of a group over as a run each. last: packet, ts, clock and count of its rows."""
        ctx = self.ctx
        packet, connection.last_ts, connection.last_clock, count = last
        connection.last_packet = packet
        connection.packets += count
        streams = connection.streams
        if streams[0].base < 0 or streams[1].base < 0:
            acks = s.starts[g] + np.flatnonzero(s.flags[s.starts[g] : s.ends[g] + 1] & ACK)
            if len(acks):
                connection.hear(int(s.ack[acks[0]]), int(s.clock[acks[0]]), int(s.ack[acks[-1]]))
        if s.tags is None:
            connection.seen |= s.senders[g]
        elif connection.seen != s.senders[g]:
            rows = slice(int(s.starts[g]), int(s.ends[g]) + 1)
            for d, tag in zip(s.direction[rows].tolist(), s.tags[rows].tolist(), strict=True):
                connection.saw_tag(d, tag)
        if connection.answered >= 0:
            rows = slice(int(s.starts[g]), int(s.ends[g]) + 1)
            confirms = np.flatnonzero((s.direction[rows] == connection.client) & ((s.flags[rows] & ACK) != 0))
            if len(confirms):
                connection.confirmed(int(s.ts[rows][confirms[0]]))
        before = [0, 0]
        runs.repeats.tell(ctx, g, streams)
        for d in (0, 1):
            stream = g * 2 + d
            before[d] = streams[d].next
            data = runs.data(ctx.block.view, stream, before[d])
            fin = runs.fins.get(stream)
            if data is not None:
                ctx.ledger.at(data.packet(-1), data.time(-1))
                connection.streams[d].append_whole(ctx, data, ends=fin is not None)
            if fin is not None:
                connection.hand_fin(ctx, d, fin.packet, fin.ts)
        if not connection.closed:
            for d in (0, 1):
                streams[d].acked = max(streams[d].acked, before[d] + runs.acked(g, d))
        connection.flush(ctx)

    def _due(self) -> list[Connection]:
        """The connections one of whose timers may run out in the block."""
        armed = (self._table[key] for key in self.ctx.armed)
        return [connection for connection in armed if connection.due <= self.ctx.block.last_clock]

    def _put_in_order(self, touched: Iterable[bytes]) -> None:
        """Bring both orders of silence up to the end of the block."""
        here = [connection for key in touched if (connection := self._table.get(key)) is not None]
        here.sort(key=_last_clock)
        for connection in here:
            order, other = (self._closed, self._open) if connection.closed else (self._open, self._closed)
            other.pop(connection.key, None)
            order[connection.key] = connection
            order.move_to_end(connection.key)

    def _walk(self, s: Sorted, g: int) -> bool:
        """Take a group row by row. Whether the connection that its last row belongs to could be tracked."""
        ctx = self.ctx
        key = s.keys[g]
        rows, at, end = s.rows(g, 0 if self._walk_all else min(ctx.limits.linger, ctx.limits.idle_timeout))
        connection = self._table.get(key)
        if connection is None:
            syn = self._half_open.take(key)
            if syn is not None:
                connection = self._begun(key, syn, rows.packet[at], rows.ts[at])
        while True:
            if connection is None:
                at += self._finals.repeated(key, rows, at, end)
                if at == end:
                    return False
                if not self._make_room(rows.packet[at], rows.ts[at]):
                    self._observer.untracked(rows.packet[at], rows.ts[at], sum(rows.n[at:end]))
                    return False
                connection = self._create(key, rows.packet[at], rows.ts[at], rows.clock[at])
            at = connection.walk(ctx, rows, at, end)
            if at == end:
                connection.flush(ctx)
                return True
            asked = None
            if connection.end == "reused":
                asked, connection.asked = connection.asked, None
            self._expire(connection, rows.packet[at], rows.ts[at])
            connection = self._begun(key, asked, rows.packet[at], rows.ts[at]) if asked is not None else None

    def _begun(self, key: bytes, syn: Syn, packet: int, ts: int) -> Connection | None:
        """At that packet more of a connection comes of which only a SYN, or a SYN-ACK, was seen; None where there is no room for it."""
        if not self._make_room(packet, ts):
            self._observer.half_open([(key, syn, packet, ts)], "evicted")
            return None
        connection = self._create(key, syn.number, syn.first_ts, syn.last_clock)
        client = None if syn.ack < 0 else 1 - syn.direction
        connection.begin(syn.direction, [syn.base, -1] if syn.direction == 0 else [-1, syn.base], client=client, multipath=syn.multipath)
        connection.synchronised(syn.last_ts, syn.last_packet, answer=syn.ack >= 0)
        connection.packets, connection.last_packet, connection.last_ts = syn.packets, syn.last_packet, syn.last_ts
        connection.saw_tag(syn.direction, syn.tag)
        return connection

    def _expire(self, connection: Connection, packet: int, ts: int) -> None:
        """A row showed that this connection is over: by reuse of its ports at that row, or by silence before it."""
        ctx = self.ctx
        over = connection.over_at(ctx)
        if over < packet:
            packet, ts = over, ctx.block.ts_of(over)
        self._remove(connection, connection.end, packet, ts)

    # --- the table

    def _make_room(self, packet: int, ts: int) -> bool:
        """Reserve what one more connection takes, at that packet; False where no other could make room for it."""
        ctx = self.ctx
        ctx.ledger.at(packet, ts)
        account = ctx.ledger.connections
        while len(self._table) >= ctx.limits.max_connections or not account.reserve(CONNECTION_BYTES):
            if len(self._table) < ctx.limits.max_connections and self._finals.evict():
                continue
            ctx.ledger.pressure = True
            if len(self._table) >= ctx.limits.max_connections:
                ctx.ledger.refused = "max_connections"
            elif self._half_open.evict(-(-CONNECTION_BYTES // SYN_BYTES), packet, ts):
                continue
            victim = self._victim()
            if victim is None:
                return False
            at = ctx.present(victim, packet)
            if victim.catch_up(ctx, at):
                at = victim.over_at(ctx)
            else:
                ctx.needs.evicted += not victim.closed
            self._remove(victim, victim.end or "evicted", at, ctx.block.ts_of(at))
        return True

    def _create(self, key: bytes, number: int, ts: int, clock: int) -> Connection:
        """A connection that began at packet `number`, for which there is room."""
        ends, inside = endpoints(key)
        connection = Connection(key, ends, inside, number, ts, clock)
        if self._finals:
            self._finals.forget(key)
        self._table[key] = connection
        self._open[key] = connection
        return connection

    def _brief(self, key: bytes, runs: Runs, g: int, facts: Facts, reader: BriefReader) -> None:
        """Take a connection that lies whole in the block, for which there is room."""
        if self._finals:
            self._finals.forget(key)
        view, client = self.ctx.block.view, g * 2 + facts[CLIENT]
        connection = self._table[key] = Brief(key, facts, reader)
        self.ctx.closed.append(key)
        self.ctx.ledger.at(*facts[ASKED : ASKED + 2] if facts[CLIENT] else facts[DONE : DONE + 2])
        ask, said = runs.said(view, client), runs.said(view, client ^ 1)
        if reader.take(ask, said, facts):
            return
        connection.begin_to_read(facts)
        if not reader.read(connection, ask, said, facts):
            connection.read(self.ctx, events(view, runs, g, facts))

    def _victim(self) -> Connection | None:
        """Who leaves for a new connection: the one that was closed longest, else silent longest; open ones of this block come last.
        The search goes on where it stopped, so that a block's evictions together go over the table once.
        """
        ctx = self.ctx
        here, table = ctx.here, self._table
        if self._victims is None:
            self._victims = first_keys(self._closed), Growing(ctx.closed), first_keys(self._open)
        before, closed, silent = self._victims
        for keys in (before, closed, silent):
            for key in keys:
                connection = table.get(key)
                if connection is not None and (
                    connection.closed if keys is closed else connection.key not in here and connection.last_packet < ctx.block.first_packet
                ):
                    return connection
        return table[next(iter(self._closed or self._open))] if table else None

    def _remove(self, connection: Connection, end: str, packet: int, ts: int) -> None:
        self.ctx.ledger.at(packet, ts)
        del self._table[connection.key]
        self.ctx.here.discard(connection.key)
        self._open.pop(connection.key, None)
        self._closed.pop(connection.key, None)
        if self._reader is not None and type(connection) is Brief and connection.facts is not None:
            self._reader.gone(connection.facts)
        else:
            connection.finish(self.ctx, end, packet, ts)
            self._observer.gone(connection, packet, ts)
            connection.let_go(self.ctx)
        self.ctx.ledger.connections.release(CONNECTION_BYTES)
        if connection.closed and end != "end_of_capture":
            self._finals.keep(connection)
        if connection.asked is not None:
            # nothing came after that SYN: what it asked for ends here too
            begun = self._begun(connection.key, connection.asked, packet, ts)
            if begun is not None:
                later = begun.last_packet > packet  # who asks for memory may have been captured before
                self._remove(begun, end or "idle", *((begun.last_packet, begun.last_ts) if later else (packet, ts)))

    def _sweep(self, now: int) -> None:
        """Remove what has been closed or silent long enough at the end of the block, each at the packet where it was."""
        ctx = self.ctx
        self._half_open.sweep(now)
        self._finals.sweep(now)
        for order, silence, end in ((self._closed, ctx.limits.linger, ""), (self._open, ctx.limits.idle_timeout, "idle")):
            while order:
                connection = next(iter(order.values()))
                if now - connection.last_clock < silence:
                    break
                packet = connection.over_at(ctx)
                self._remove(connection, end, packet, ctx.block.ts_of(packet))
