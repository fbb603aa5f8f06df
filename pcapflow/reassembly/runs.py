"""The segments of a block sorted by connection, and the test that tells which connections may be taken whole.

Contract: `Sorted` takes the columns of a block and groups them by connection, rows in packet order. `Runs` says of each group
whether the column path may take it: both directions hold nothing but contiguous data that begins where the stream is, perhaps
a FIN at its end, no acknowledgement passes what had been captured at its row, and a connection that is new begins with a SYN
and its SYN-ACK. Everything else is `bad` and is walked. Invariant: taking a group whole gives what walking it gives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import PacketBlock
from pcapflow.decode.segments import ACK, FIN, RST, SYN, ZERO_WINDOW, SegmentColumns
from pcapflow.reassembly.duplicate_acks import NO_REPEAT, NOTHING_HEARD, Repeats, heard_columns
from pcapflow.reassembly.keys import KEY, grouped
from pcapflow.reassembly.pending_run import Rows
from pcapflow.reassembly.seqspace import difference
from pcapflow.streams.events import StreamData

_I64 = npt.NDArray[np.int64]
_LISTING = 200
"""What lists for walking cost before their first row, in rows."""


class Sorted:
    """The segments of a block sorted by connection: columns, group bounds and keys."""

    __slots__ = (
        "_buffer", "_listed", "_lists", "ack", "at", "bounds", "clock", "direction", "ends", "flags", "group", "ident", "keys", "n", "options", "packet", "senders", "seq", "snapped", "starts", "tag", "tags", "ts",
    )  # fmt: skip

    def __init__(self, columns: SegmentColumns, block: PacketBlock, clock: _I64, tags: npt.NDArray[np.uint64] | None = None) -> None:
        """clock: int64 (packets of the block,), the capture clock at each; tags: uint64 (rows,), as they were captured, where the columns' are those of
        their connections.
        """
        c = columns
        order, change, swap, keys = grouped(c)
        self.starts = np.append(0, change.nonzero()[0])
        """int64 (groups,), the first row of each group."""
        self.ends = np.append(self.starts[1:], len(c)) - 1
        """int64 (groups,), the last row of each group."""
        self.bounds = [*self.starts.tolist(), len(c)]
        self.group = np.cumsum(change)
        """int64 (n,), that of each row."""
        raw = keys.tobytes()
        self.keys = [raw[i : i + KEY.itemsize] for i in range(0, len(raw), KEY.itemsize)]
        self.tag = keys["tag"].astype(np.uint64)
        """uint64 (groups,), the tag in the key of each group."""
        self.packet = c.packet[order]
        row = c.row[order]
        self.ts = block.ts[row]
        self.clock = clock[row]
        self.direction = swap[order].astype(np.int64)
        self.senders: list[int] = np.bitwise_or.reduceat(self.direction + 1, self.starts).tolist()
        """Of each group, which directions sent something: 1, 2, or both bits."""
        self.flags = c.flags[order]
        self.seq = c.seq[order]
        self.ack = c.ack[order]
        self.options = c.options[order]
        self.at = c.payload_at[order]
        self.n = c.payload_len[order]
        self.snapped = c.snapped[order]
        self.ident = c.ip_id, order
        """int64 (rows of the block,), IP identifications, and which row of the block each row is."""
        self.tags = tags[order] if tags is not None else None
        self._buffer = block.buffer
        self._lists: Rows | None = None
        self._listed = 0
        """What lists of single groups have cost, in rows."""

    def heard(self, rows: _I64 | slice) -> _I64:
        """int64 (rows,), see `duplicate_acks`."""
        return heard_columns(self._buffer, self.ack[rows], self.at[rows] - self.options[rows])

    def rows(self, g: int, silence: int) -> tuple[Rows, int, int]:
        """Rows as lists, for walking, and from where and up to where those of group g are: its own, or where many groups of the block are walked all rows, made once.
        silence: ns of it end a connection, perhaps.
        """
        begin, end = self.bounds[g], self.bounds[g + 1]
        if self._lists is None:
            self._listed += _LISTING + end - begin
            if self._listed < len(self.n):
                return self._as_lists(slice(begin, end), silence), 0, end - begin
            self._lists = self._as_lists(slice(None), silence)
        return self._lists, begin, end

    def _as_lists(self, some: slice, silence: int) -> Rows:
        flags = self.flags[some]
        ids, order = self.ident
        heard = np.where((flags & (ACK | SYN)) == ACK, self.heard(some), NOTHING_HEARD)
        columns = (
            self.packet[some], self.ts[some], self.clock[some], self.direction[some], flags, self.seq[some], self.ack[some], self.options[some], self.at[some], self.n[some],
            self.snapped[some], self._until(some, silence), ids[order[some]], heard,
        )  # fmt: skip
        return Rows(*(column.tolist() for column in columns))._replace(tags=None if self.tags is None else self.tags[some].tolist())

    def _until(self, some: slice, silence: int) -> _I64:
        """int64 (rows,), see `Rows.until`."""
        n, seq, flags = self.n[some], self.seq[some], self.flags[some]
        plain = (n > 0) & (self.snapped[some] == 0) & ((flags & (SYN | FIN | RST | ZERO_WINDOW)) == 0)
        goes_on = plain[1:] & plain[:-1] & (difference(seq[1:], seq[:-1] + n[:-1]) == 0)
        for alike in (self.group[some], self.direction[some], self.ack[some], flags & ACK):
            goes_on &= alike[1:] == alike[:-1]
        goes_on &= np.diff(self.clock[some]) < silence
        ends = np.append(np.flatnonzero(~goes_on) + 1, len(n))
        return np.repeat(ends, np.diff(ends, prepend=0))

    def told_apart(self) -> bool:
        """Whether every key is one group. Two keys whose hashes are the same may lie interleaved, as several groups each."""
        return len(set(self.keys)) == len(self.keys)

    def half_open(self, idle_timeout: int) -> npt.NDArray[np.bool_]:
        """bool (groups,): all rows of the group are the same SYN of the same side, without data and without a silence of idle_timeout (ns)."""
        at = self.starts
        if not (self.flags & SYN).any():
            return np.zeros(len(at), dtype=bool)
        pure = ((self.flags & (SYN | ACK | RST | FIN)) == SYN) & (self.n == 0) & (self.snapped == 0)
        alike = (self.seq == self.seq[at][self.group]) & (self.direction == self.direction[at][self.group])
        result: npt.NDArray[np.bool_] = np.logical_and.reduceat(pure & alike, at) & (self.clock[self.ends] - self.clock[at] < idle_timeout)
        return result


_NOTHING = -(1 << 40)
_FAR = 1 << 30
_SORTED_FAST = 1 << 15
"""Connections whose streams have numbers of 16 bits, which numpy sorts faster."""
_SHORT = 16
"""Data rows a connection in a block, below which the columns of runs become lists at once."""


class Fin(NamedTuple):
    """A FIN that ends a run."""

    packet: int
    ts: int


class Sent(NamedTuple):
    """The rows of a block that take sequence numbers, by stream. keys: int64 (rows,), ascending, stream * n + row; ends: int64 (rows,), wire numbers where they end; n: rows of
    the block.
    """

    keys: _I64
    ends: _I64
    n: int

    def before(self, streams: _I64, rows: _I64, otherwise: _I64) -> _I64:
        """int64 (k,): of each stream, up to where it was captured before a row, as its last segment there says. otherwise: int64 (k,), the same where there was none."""
        if not len(self.keys) or not len(rows):
            return otherwise
        first = streams * self.n
        at = self.keys.searchsorted(first + rows) - 1
        result: _I64 = np.where((at >= 0) & (self.keys[at] >= first), self.ends[at], otherwise)
        return result


class Runs:
    """The data rows of a block sorted by connection and direction, and which connections the column path can take."""

    __slots__ = (
        "_ahead", "_columns", "bad", "begins", "bounds", "expected", "fin_rows", "fins", "handshakes", "high", "low", "repeats", "rows", "short", "sums",
    )  # fmt: skip

    def __init__(self, s: Sorted, expected: _I64, new: npt.NDArray[np.bool_], linger: int, idle_timeout: int, reach: int) -> None:
        """expected: int64 (groups, 2), the wire number of the next byte of each direction, -1 where there is none; of the groups
        that are `new` and begin with a handshake it is filled in from that. linger, idle_timeout: ns of silence that end a connection. reach: bytes from where its stream is
        within which a segment can stand.
        """
        groups = len(s.keys)
        control = s.flags & (SYN | FIN | RST)
        bad = (s.flags & (RST | ZERO_WINDOW)).astype(bool) | (s.snapped > 0)
        self.handshakes: dict[int, tuple[int, int, int]] = {}
        """Of each group that begins so: when SYN, SYN-ACK and the acknowledgement of that were captured (ns), -1 where that is not the third row."""
        self.begins = self._shake_hands(s, expected, new, control, bad).tolist()
        """bool of each group: it begins with a SYN and the SYN-ACK to it."""
        self.expected = expected
        streams = stream = s.group * 2 + s.direction
        wanted = expected.reshape(-1)[stream]
        # a direction seen for the first time gets its offset 0 from whatever its first row is; what stands where no segment can stand says nothing, which
        # walking it knows: the stream moves by less than the other half within a block
        bad |= (wanted < 0) | (np.abs(difference(s.seq, wanted)) > reach // 2)

        fin = control & FIN
        length = s.n + fin  # a FIN takes a number of its own (RFC 9293 section 3.4); FIN is 1
        taken = np.flatnonzero(length > 0)
        stream = stream[taken]
        order = np.argsort(stream.astype(np.uint16) if groups <= _SORTED_FAST else stream, kind="stable")
        taken = taken[order]
        stream = stream[order]
        if len(taken):
            seq = s.seq[taken]
            same = stream[1:] == stream[:-1]
            # each row goes on where the one before ended, and nothing comes after a FIN
            broken = same & ((difference(seq[1:], seq[:-1] + length[taken[:-1]]) != 0) | (fin[taken[:-1]] != 0))
            bad[taken[1:][broken]] = True
            first = np.flatnonzero(np.concatenate(([True], ~same)))
            bad[taken[first][difference(seq[first], wanted[taken[first]]) != 0]] = True
        self.fins: dict[int, Fin] = {}
        """By stream (group * 2 + direction)."""
        self.fin_rows = np.full(groups * 2, -1)
        """int64 (streams,), the row of that, -1 for none."""
        ended = np.flatnonzero(fin[taken])
        if len(ended):
            at = taken[ended]
            self.fin_rows[stream[ended]] = at
            fins = zip(s.packet[at].tolist(), s.ts[at].tolist(), strict=True)
            self.fins = dict(zip(stream[ended].tolist(), map(Fin._make, fins), strict=True))

        self._acknowledged(s, streams, Sent(stream * len(s.n) + taken, s.seq[taken] + length[taken], len(s.n)), bad)
        if len(s.clock) and int(s.clock.max() - s.clock.min()) >= min(linger, idle_timeout):
            silence = min(linger, idle_timeout) if len(ended) else idle_timeout
            bad[1:] |= (s.group[1:] == s.group[:-1]) & (np.diff(s.clock) >= silence)
        self.bad: list[bool] = np.logical_or.reduceat(bad, s.starts).tolist()

        data = s.n[taken] > 0
        self._collect(s, *((taken, stream) if data.all() else (taken[data], stream[data])))

    def _collect(self, s: Sorted, taken: _I64, stream: _I64) -> None:
        """The rows with data, by stream, and the stream of each."""
        n = s.n[taken]
        self.rows = taken
        """int64, the rows with data, by stream."""
        self.sums = sums = np.cumsum(n)
        """int64, bytes up to and with each of those."""
        self.bounds = bounds = np.searchsorted(stream, np.arange(len(s.keys) * 2 + 1))
        """int64 (streams + 1,), where those of each stream begin."""
        self.low, self.high = bounds[:-1].tolist(), bounds[1:].tolist()
        at = s.at[taken]
        # whole columns for runs that nobody may look into; lists, made at once, where runs are short and each is looked at
        self.short = len(taken) < _SHORT * len(s.keys)
        columns = (at, at + n, s.packet[taken], s.ts[taken], s.ack[taken], sums - n, sums)
        self._columns: tuple[Any, ...] = tuple(c.tolist() for c in columns) if self.short else columns

    def _shake_hands(
        self, s: Sorted, expected: _I64, new: npt.NDArray[np.bool_], control: _I64, bad: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """A group that is new may begin with a SYN and the SYN-ACK to it; any other SYN is bad. Which groups do."""
        begins = np.zeros(len(s.keys), dtype=bool)
        syn = (control & SYN) != 0
        if not syn.any():
            return begins
        one = s.starts[new & (s.ends > s.starts)]
        two = one + 1
        pure = (control == SYN) & (s.n == 0)
        acks = (s.flags & ACK) != 0
        good = pure[one] & ~acks[one] & pure[two] & acks[two] & (s.direction[one] != s.direction[two])
        good &= difference(s.ack[two], s.seq[one] + 1) == 0
        one, two = one[good], two[good]
        syn[one] = syn[two] = False
        for row in (one, two):
            expected[s.group[row], s.direction[row]] = (s.seq[row] + 1) & 0xFFFF_FFFF
        group = s.group[one]
        begins[group] = True
        bad |= syn
        three = np.minimum(one + 2, s.ends[group])
        confirms = acks[three] & (s.direction[three] == s.direction[one])
        times = zip(s.ts[one].tolist(), s.ts[two].tolist(), np.where(confirms, s.ts[three], -1).tolist(), strict=True)
        self.handshakes = dict(zip(group.tolist(), times, strict=True))
        return begins

    def _acknowledged(self, s: Sorted, streams: _I64, sent: Sent, bad: npt.NDArray[np.bool_]) -> None:
        """An acknowledgement past what of the peer had been captured at that row is bad; how far they go, and which say again what was said. streams: int64 (n,), that of
        each row. Looked at are the rows that tell something: data that acknowledges what the row before did, of the same stream, does not, since no less of the
        peer's is there by now.
        """
        self.repeats = Repeats(len(s.keys))
        acks = (s.flags & ACK) != 0
        tells = acks.copy()
        again = (s.n[1:] > 0) & (s.ack[1:] == s.ack[:-1]) & (streams[1:] == streams[:-1])
        tells[1:] &= ~(again & acks[:-1])
        wanted = self.expected.reshape(-1)
        ahead = np.full(len(wanted), _NOTHING)
        rows = tells.nonzero()[0]
        peers = streams[rows] ^ 1
        known = wanted[peers]
        if (known < 0).any():
            rows, peers, known = rows[known >= 0], peers[known >= 0], known[known >= 0]
        beyond = difference(s.ack[rows], sent.before(peers, rows, known))
        # one so far behind would be beyond some rows further on
        bad[rows[(beyond > 0) | (beyond < -_FAR)]] = True
        np.maximum.at(ahead, peers, difference(s.ack[rows], known))
        self._ahead: list[int] = ahead.tolist()
        maybe = rows[(beyond < 0) & (s.n[rows] == 0) & ((s.flags[rows] & NO_REPEAT) == 0)]
        own = streams[maybe]
        maybe = maybe[difference(s.seq[maybe], sent.before(own, maybe, wanted[own])) >= 0]  # else its sender's own data has overtaken it
        self.repeats.look(s, streams, acks, maybe)

    def acked(self, g: int, direction: int) -> int:
        """How far beyond where a stream stood at the block's beginning its peer acknowledged it in a group that can be taken whole; far below for not at all."""
        return self._ahead[g * 2 + direction]

    def said(self, view: memoryview, stream: int) -> bytes:
        """The bytes of a stream (group * 2 + direction) that has some, where runs are `short`."""
        low, high = self.low[stream], self.high[stream]
        at, stops = self._columns[0], self._columns[1]
        if high - low == 1:
            return bytes(view[at[low] : stops[low]])
        return b"".join([view[at[i] : stops[i]] for i in range(low, high)])

    def data(self, view: memoryview, stream: int, start: int) -> StreamData | None:
        """The run of a stream (group * 2 + direction) as an event whose first byte has offset start."""
        low, high = self.low[stream], self.high[stream]
        if low == high:
            return None
        at, stops, packets, times, acks, begins, sums = self._columns
        if self.short and high - low == 1:
            n = sums[low] - begins[low]
            return StreamData(view, start, n, [at[low]], [n], [packets[low]], [times[low]], [acks[low]], [stops[low]])
        run = slice(low, high)
        before = begins[low]
        if self.short:
            ends: Any = [end - before for end in sums[run]]
            length = ends[-1]
        else:
            ends = sums[run] - before
            length = int(ends[-1])
        return StreamData(view, start, length, at[run], ends, packets[run], times[run], acks[run], stops[run])
