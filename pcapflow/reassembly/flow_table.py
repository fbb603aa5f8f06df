"""The table of connections, and the column path that takes whole runs.

Contract: `process` takes the columns of one block and hands stream events to consumers; `finish` ends what is left. Rows of
one connection are taken in packet order; connections one after the other, in the order of their first packet in the block.

The column path: within a block the rows are sorted by connection and then by direction. If a test on the columns shows
that a connection's rows hold nothing but contiguous data that begins at `next`, and no acknowledgement past what had
been captured at that row, both directions are handed over as one run each. Everything else is walked, row by row
(`Connection.walk`), which is the meaning of it; tests/reassembly/test_paths_agree.py holds the two against each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import PacketBlock
from pcapflow.decode.segments import ACK, CONTROL, IPV6_TAG, SegmentColumns, vlan_ids
from pcapflow.reassembly.clock import CaptureClock
from pcapflow.reassembly.connection import CONNECTION_BYTES, Connection, Endpoint, Rows
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.events import StreamData
from pcapflow.reassembly.seqspace import difference, wrap

_I64 = npt.NDArray[np.int64]
_KEY = np.dtype([("a_hi", ">u8"), ("a_lo", ">u8"), ("b_hi", ">u8"), ("b_lo", ">u8"), ("a_port", ">u2"), ("b_port", ">u2"), ("tag", ">u8")])


class _Sorted:
    """The segments of a block sorted by connection: columns, group bounds and keys."""

    __slots__ = ("ack", "at", "bounds", "clock", "direction", "flags", "group", "keys", "n", "packet", "seq", "snapped", "ts")

    def __init__(self, columns: SegmentColumns, block: PacketBlock, clock: _I64) -> None:
        c = columns
        swap = (c.src_lo > c.dst_lo) | ((c.src_lo == c.dst_lo) & (c.sport > c.dport))
        if c.src_hi.any() or c.dst_hi.any():
            swap = (c.src_hi > c.dst_hi) | ((c.src_hi == c.dst_hi) & swap)
        keys = np.empty(len(c), dtype=_KEY)
        for name, low, high in (("hi", c.src_hi, c.dst_hi), ("lo", c.src_lo, c.dst_lo), ("port", c.sport, c.dport)):
            keys[f"a_{name}"] = np.where(swap, high, low)
            keys[f"b_{name}"] = np.where(swap, low, high)
        keys["tag"] = c.tag
        words = keys.view(np.uint8).reshape(len(c), _KEY.itemsize)[:, : _KEY.itemsize // 4 * 4].copy().view(np.uint32).astype(np.uint64)
        # sorts, never identifies: groups break on the whole key
        mixed = (words * _MIX).sum(axis=1, dtype=np.uint64)
        order = np.argsort(mixed, kind="stable")
        keys = keys[order]
        words = words[order]
        change = np.empty(len(c), dtype=bool)
        change[0] = True
        np.any(words[1:] != words[:-1], axis=1, out=change[1:])
        starts = np.flatnonzero(change)
        self.bounds = [*starts.tolist(), len(c)]
        self.group = np.cumsum(change) - 1
        raw = keys[starts].tobytes()
        self.keys = [raw[i : i + _KEY.itemsize] for i in range(0, len(raw), _KEY.itemsize)]
        self.packet = c.packet[order]
        row = c.row[order]
        self.ts = block.ts[row]
        self.clock = clock[row]
        self.direction = swap[order].astype(np.int64)
        self.flags = c.flags[order]
        self.seq = c.seq[order]
        self.ack = c.ack[order]
        self.at = c.payload_at[order]
        self.n = c.payload_len[order]
        self.snapped = c.snapped[order]

    def rows(self, begin: int, end: int) -> Rows:
        return Rows(
            *(
                column[begin:end].tolist()
                for column in (
                    self.packet, self.ts, self.clock, self.direction, self.flags, self.seq, self.ack, self.at, self.n, self.snapped,
                )
            )
        )  # fmt: skip


_MIX = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB,
     0x8EBC6AF09C88C6E3, 0x589965CC75374CC3, 0x1D8E4E27C47D124F, 0xEB44ACCAB455D165, 0x2127599BF4325C37],
    dtype=np.uint64,
)  # fmt: skip


class _Runs:
    """The data rows of a block sorted by connection and direction, and which connections the column path can take."""

    __slots__ = ("acks", "at", "bad", "before", "first_seq", "high", "low", "packets", "stops", "sums", "times")

    def __init__(self, s: _Sorted, expected: _I64, idle_timeout: int) -> None:
        """expected: int64 (groups, 2), the wire number of the next byte of each direction, -1 where there is none."""
        groups = len(s.keys)
        data = np.flatnonzero(s.n > 0)
        stream = s.group[data] * 2 + s.direction[data]
        order = np.argsort(stream, kind="stable")
        data = data[order]
        stream = stream[order]
        seq, n = s.seq[data], s.n[data]
        after = seq + n
        self.sums = np.cumsum(n)
        self.before = self.sums - n
        bounds = np.searchsorted(stream, np.arange(groups * 2 + 1))
        self.low, self.high = bounds[:-1].tolist(), bounds[1:].tolist()
        self.at, self.packets, self.times, self.acks = s.at[data], s.packet[data], s.ts[data], s.ack[data]
        self.stops = self.at + n
        # a direction seen for the first time gets its offset 0 from whatever its first row is
        bad = ((s.flags & CONTROL) != 0) | (s.snapped > 0) | (expected[s.group, s.direction] < 0)
        if len(data) > 1:
            broken = (stream[1:] == stream[:-1]) & (difference(seq[1:], after[:-1]) != 0)
            bad[data[1:][broken]] = True
        if len(data):
            # each run begins where its stream is
            begin = np.empty(len(data), dtype=bool)
            begin[0] = True
            begin[1:] = stream[1:] != stream[:-1]
            first = np.flatnonzero(begin)
            bad[data[first][difference(seq[first], expected.reshape(-1)[stream[first]]) != 0]] = True
        # an acknowledgement past what of the peer had been captured at that row
        starts = np.array(s.bounds[:-1], dtype=np.int64)[s.group]
        index = np.arange(len(s.n))
        ends = s.seq + s.n
        for d in (0, 1):
            last = np.maximum.accumulate(np.where((s.direction == d) & (s.n > 0), index, -1))
            seen = last >= starts
            have = expected[s.group, d]
            reached = np.where(seen, ends[last], have)
            past = (s.direction != d) & ((s.flags & ACK) != 0) & (have >= 0) & (difference(s.ack, reached) > 0)
            bad |= past
        if len(s.clock) and int(s.clock.max() - s.clock.min()) >= idle_timeout:
            bad[1:] |= (s.group[1:] == s.group[:-1]) & (np.diff(s.clock) >= idle_timeout)
        self.bad: list[bool] = np.logical_or.reduceat(bad, s.bounds[:-1]).tolist()

    def data(self, view: memoryview, stream: int, start: int) -> StreamData | None:
        """The run of a stream (group * 2 + direction) as an event whose first byte has offset start."""
        low, high = self.low[stream], self.high[stream]
        if low == high:
            return None
        before = int(self.before[low])
        ends = self.sums[low:high] - before
        run = slice(low, high)
        return StreamData(
            view, start, int(ends[-1]), self.at[run], ends, self.packets[run], self.times[run], self.acks[run], self.stops[run]
        )


class FlowTable:
    """Every connection that is tracked."""

    def __init__(self, ctx: Context, *, walk_all: bool = False) -> None:
        self.ctx = ctx
        self.clock = CaptureClock()
        self._walk_all = walk_all
        self._table: dict[bytes, Connection] = {}
        self._open: OrderedDict[Connection, None] = OrderedDict()
        """By last packet, as far as the blocks before tell."""
        self._closed: OrderedDict[Connection, None] = OrderedDict()
        self._here: set[Connection | None] = set()
        self._victims: Iterator[Connection] | None = None

    def __len__(self) -> int:
        return len(self._table)

    def process(self, block: PacketBlock, columns: SegmentColumns) -> None:
        """Take the segments of one block."""
        ctx = self.ctx
        clock = self.clock.advance(block.ts)
        ctx.enter(block, clock)
        for connection in list(ctx.armed):
            connection.arm(ctx)
        self._victims = None
        touched = self._segments(_Sorted(columns, block, clock)) if len(columns) else []
        for connection in list(ctx.armed):
            if connection.catch_up(ctx, ctx.last_packet):
                packet = connection.over_at(ctx)
                self._remove(connection, connection.end, packet, ctx.ts_of(packet))
            else:
                connection.flush(ctx)
                if connection.closed and connection not in self._closed:
                    touched.append(connection)
        self._put_in_order(touched)
        self._sweep(int(clock[-1]))
        ctx.leave()

    def finish(self, packet: int, ts: int) -> None:
        """The capture ended at that packet: so does every connection."""
        for connection in sorted(self._table.values(), key=_number):
            self._remove(connection, "end_of_capture", packet, ts)

    # --- one block

    def _segments(self, s: _Sorted) -> list[Connection]:
        """Take the rows of a block; the connections that had some."""
        ctx = self.ctx
        idle_timeout = ctx.limits.idle_timeout
        get = self._table.get
        connections = [get(key) for key in s.keys]
        self._here = set(connections)
        groups = range(len(s.keys))
        runs: _Runs | None = None
        # two keys whose hashes are the same may lie interleaved, as several groups each: those are walked
        told_apart = len(set(s.keys)) == len(s.keys)
        if not self._walk_all and told_apart and any(c is not None for c in connections):
            expected = np.array([_expected(c) for c in connections], dtype=np.int64)
            runs = _Runs(s, expected, idle_timeout)
        touched: list[Connection] = []
        bounds = s.bounds
        firsts = s.packet[bounds[:-1]].tolist()
        lasts = np.array(bounds[1:]) - 1
        last = list(zip(s.packet[lasts].tolist(), s.ts[lasts].tolist(), s.clock[lasts].tolist(), strict=True))
        clocks = s.clock[bounds[:-1]].tolist()
        for g in sorted(groups, key=firsts.__getitem__):
            connection = connections[g]
            if (
                runs is None
                or connection is None
                or runs.bad[g]
                or connection.closed
                or not (connection.streams[0].plain and connection.streams[1].plain)
                or clocks[g] - connection.last_clock >= idle_timeout
                or self._table.get(s.keys[g]) is not connection
            ):
                # evicted since, or made by a group of the same key before
                walked = self._walk(s, g)
                if walked is not None:
                    touched.append(walked)
                continue
            streams = connection.streams
            for d in (0, 1):
                data = runs.data(ctx.view, g * 2 + d, streams[d].next)
                if data is not None:
                    ctx.ledger.at(data.packet(-1), data.time(-1))
                    connection.hand_run(ctx, d, data)
            connection.packets += bounds[g + 1] - bounds[g]
            connection.last_packet, connection.last_ts, connection.last_clock = last[g]
            connection.flush(ctx)
            touched.append(connection)
        return touched

    def _put_in_order(self, touched: list[Connection]) -> None:
        """Bring both orders of silence up to the end of the block."""
        touched.sort(key=_last_clock)
        for connection in touched:
            if self._table.get(connection.key) is not connection:
                continue
            if connection.closed:
                self._open.pop(connection, None)
                self._closed[connection] = None
                self._closed.move_to_end(connection)
            else:
                self._open.move_to_end(connection)

    def _walk(self, s: _Sorted, g: int) -> Connection | None:
        """Take a group row by row. Returns the connection that its last row belongs to, None where it could not be tracked."""
        ctx = self.ctx
        key = s.keys[g]
        rows = s.rows(s.bounds[g], s.bounds[g + 1])
        count = len(rows.packet)
        connection = self._table.get(key)
        at = 0
        while True:
            if connection is None:
                connection = self._create(key, rows, at)
                if connection is None:
                    ctx.observer.untracked(rows.packet[at], rows.ts[at], sum(rows.n[at:]))
                    return None
            at = connection.walk(ctx, rows, at, count)
            if at == count:
                connection.flush(ctx)
                return connection
            self._expire(connection, rows.packet[at], rows.ts[at])
            connection = None

    def _expire(self, connection: Connection, packet: int, ts: int) -> None:
        """A row showed that this connection is over: by reuse of its ports at that row, or by silence before it."""
        ctx = self.ctx
        over = connection.over_at(ctx)
        if over < packet:
            packet, ts = over, ctx.ts_of(over)
        self._remove(connection, connection.end, packet, ts)

    # --- the table

    def _create(self, key: bytes, rows: Rows, at: int) -> Connection | None:
        ctx = self.ctx
        packet, ts = rows.packet[at], rows.ts[at]
        ctx.ledger.at(packet, ts)
        account = ctx.ledger.connections
        while len(self._table) >= ctx.limits.max_connections or not account.reserve(CONNECTION_BYTES):
            ctx.ledger.pressure = True
            victim = self._victim()
            if victim is None:
                return None
            self._remove(victim, "evicted", packet, ts)
        endpoints, vlan = _endpoints(key)
        connection = Connection(key, endpoints, vlan, packet, ts, rows.clock[at])
        self._table[key] = connection
        self._open[connection] = None
        return connection

    def _victim(self) -> Connection | None:
        """Who leaves for a new connection: the one that was closed longest, else silent longest; those of this block come last.
        The search goes on where it stopped, so that a block's evictions together go over the table once.
        """
        if self._victims is None:
            self._victims = iter([c for c in (*self._closed, *self._open) if c not in self._here])
        for connection in self._victims:
            if self._table.get(connection.key) is connection:
                return connection
        return next(iter(self._closed), None) or next(iter(self._open), None)

    def _remove(self, connection: Connection, end: str, packet: int, ts: int) -> None:
        self.ctx.ledger.at(packet, ts)
        del self._table[connection.key]
        self._open.pop(connection, None)
        self._closed.pop(connection, None)
        connection.finish(self.ctx, end, packet, ts)
        self.ctx.ledger.connections.release(CONNECTION_BYTES)

    def _sweep(self, now: int) -> None:
        """Remove what has been closed or silent long enough at the end of the block, each at the packet where it was."""
        ctx = self.ctx
        for order, silence, end in ((self._closed, ctx.limits.linger, ""), (self._open, ctx.limits.idle_timeout, "idle")):
            while order:
                connection = next(iter(order))
                if now - connection.last_clock < silence:
                    break
                packet = connection.over_at(ctx)
                self._remove(connection, end, packet, ctx.ts_of(packet))


def _expected(connection: Connection | None) -> tuple[int, int]:
    if connection is None:
        return (-1, -1)
    a, b = connection.streams
    return (wrap(a.next, a.base) if a.base >= 0 else -1, wrap(b.next, b.base) if b.base >= 0 else -1)


def _endpoints(key: bytes) -> tuple[tuple[Endpoint, Endpoint], list[int]]:
    fields: Any = np.frombuffer(key, dtype=_KEY)[0]
    tag = int(fields["tag"])
    is_ipv6 = bool(tag & IPV6_TAG)
    a = Endpoint(int(fields["a_hi"]) << 64 | int(fields["a_lo"]), int(fields["a_port"]), is_ipv6)
    b = Endpoint(int(fields["b_hi"]) << 64 | int(fields["b_lo"]), int(fields["b_port"]), is_ipv6)
    return (a, b), vlan_ids(tag)


def _number(connection: Connection) -> int:
    return connection.number


def _last_clock(connection: Connection) -> int:
    return connection.last_clock
