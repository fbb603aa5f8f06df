"""Connections that lie whole in one block: what is known of them as a row of numbers, and a connection that is made of that when somebody asks.

Contract: `wholes` gives the rows of those groups of a block that are a handshake, one segment of the client, few of the server behind it, and both FINs, so that the column path would
take each at once and close it. `Brief` is such a connection: closed, and what `Connection` has beyond what its readers ask for is made, as the column path would have left it, when somebody asks
for it. `read` hands on what it said. Invariant: whoever looks at a `Brief` sees what he would see of the connection that the column path makes: tests hold both against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pcapflow.decode.segments import ACK
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.keys import endpoints
from pcapflow.reassembly.runs import Runs, Sorted
from pcapflow.reassembly.seqspace import difference, wrap
from pcapflow.streams.conversation import Consumer, Conversation, Events
from pcapflow.streams.events import NEVER, StreamEnd
from pcapflow.unread import Reading

Facts = list[int]
"""A connection that lies whole in a block, by the columns below. Times are ns."""
(
    NUMBER, ASKED, ASKED_TS, ANSWERED, ANSWERED_TS, DONE, DONE_TS, ROUND_TRIP, CLIENT_ROUND_TRIP, BYTES, CLIENT, BASES, _, LENGTHS, _, FIN_TIMES, _, HEARD, _, SYN_TS, SYN_ACK_TS, CONFIRMED_TS, LAST,
    LAST_TS, LAST_CLOCK, PACKETS,
) = range(26)  # fmt: skip
"""Its number; packet and time of what the client said, of the first segment of the answer and of its last; both round trips; bytes of both directions; the client's direction;
by direction the first number, bytes, when the FIN came and what was heard last (`HalfStream.heard`); when the handshake came; its last packet, and how many there were.
"""
COUNTED = CLIENT
"""So many columns come first that say what counts of a connection when it is over."""
_MOST_PIECES = 16
_MOST_BYTES = 64 << 10
"""Of an answer."""


class BriefReader(Protocol):
    """Who reads what is said in connections that lie whole in a block."""

    consumer: Consumer
    """Who has read it, as `Connection.consumer`."""

    def take(self, ask: bytes, said: bytes, facts: Facts) -> bool:
        """What the client said in one segment, and the server behind it: whether it is known, and all of it told as if the events of the connection had been read."""
        ...

    def read(self, conversation: Conversation, ask: bytes, said: bytes, facts: Facts) -> bool:
        """The same of what is not known."""
        ...

    def is_done(self, consumer: Consumer) -> bool:
        """Whether a connection that was handed to that consumer, and all of which was read, is for `gone`: nothing is to be said of it but that."""
        ...

    def gone(self, facts: Facts) -> None:
        """A connection that was read so is over, and nobody else looked at it."""
        ...


class Brief(Connection):
    """One of them. Every attribute of `Connection` that is not set yet is asked for once, by `__getattr__`."""

    __slots__ = ("_read", "_reader", "facts")

    def __init__(self, key: bytes, facts: Facts, reader: BriefReader) -> None:
        self.facts: Facts | None = facts
        """None when all that a connection has is made of them."""
        self._reader = reader
        self._read: tuple[Consumer, tuple[Reading, Reading]] | None = None
        """Who reads its events, and what became of them."""
        self.key = key
        self.number = self.happened = facts[NUMBER]
        self.last_packet, self.last_clock = facts[LAST], facts[LAST_CLOCK]
        self.closed = True
        self.end = ""
        self.due = self.fire = NEVER
        self.asked = None

    if not TYPE_CHECKING:  # else every attribute is one

        def __getattr__(self, name: str) -> Any:
            """What `Connection` has and nobody asked for so far."""
            if self.facts is None:
                raise AttributeError(name)
            self._make(self.facts)
            return getattr(self, name)

    def _make(self, facts: Facts) -> None:
        self.facts = None
        happened, end, read = self.happened, self.end, self._read
        Connection.__init__(self, self.key, *endpoints(self.key), facts[NUMBER], facts[SYN_TS], facts[LAST_CLOCK])
        self.happened, self.end = happened, end
        self.begin(facts[CLIENT], facts[BASES : BASES + 2])
        self.shook_hands(facts[SYN_TS], facts[SYN_ACK_TS], facts[CONFIRMED_TS])
        self.last_packet, self.last_ts, self.packets = facts[LAST], facts[LAST_TS], facts[PACKETS]
        self.closed = True
        self.seen = 3
        if read is not None:
            self.consumer, self.readings = read
        else:
            self.consumer = self._reader.consumer
            for d, reading in enumerate(self.readings):
                reading.read = facts[LENGTHS + d]
        for d, stream in enumerate(self.streams):
            stream.next = stream.captured = stream.delivered = stream.fin = facts[LENGTHS + d]
            stream.fin_ts, stream.heard = facts[FIN_TIMES + d], facts[HEARD + d]
            stream.ended = "fin"

    def begin_to_read(self, facts: Facts) -> None:
        """Somebody reads what was said: what he may ask for is set."""
        self.client = facts[CLIENT]
        self.start = self.roles = "syn"
        self.round_trip, self.round_trip_packet = facts[ROUND_TRIP], 0

    def read(self, ctx: Context, events: Events) -> None:
        """Hand what was said to whoever reads connections."""
        a, b = self.readings = (Reading(), Reading())
        self.consumer = consumer = ctx.observer.consumer(self)
        self._read = consumer, self.readings
        consumer.consume(self, events)
        facts = self.facts
        if facts is None:
            return
        if a.read == facts[LENGTHS] and b.read == facts[LENGTHS + 1] and a.unread is b.unread is None and self._reader.is_done(consumer):
            self.consumer, self._read = None, None
        else:
            self._make(facts)

    def began(self, direction: int) -> bool:
        """See `Conversation`."""
        return True

    def wire_sequence(self, direction: int, offset: int) -> int:
        """See `Conversation`."""
        facts = self.facts
        return Connection.wire_sequence(self, direction, offset) if facts is None else wrap(offset, facts[BASES + direction])

    def expects(self) -> tuple[int, int]:
        """See `Sides`."""
        facts = self.facts
        if facts is None:
            return Connection.expects(self)
        return wrap(facts[LENGTHS], facts[BASES]), wrap(facts[LENGTHS + 1], facts[BASES + 1])

    def ends_at(self) -> tuple[int, int]:
        """See `Sides`."""
        facts = self.facts
        if facts is None:
            return Connection.ends_at(self)
        return wrap(facts[LENGTHS] + 1, facts[BASES]), wrap(facts[LENGTHS + 1] + 1, facts[BASES + 1])

    def leaves_ports(self, direction: int, base: int) -> bool:
        """See `Sides`."""
        facts = self.facts
        return Connection.leaves_ports(self, direction, base) if facts is None else facts[BASES + direction] != base


def wholes(s: Sorted, runs: Runs) -> dict[int, Facts]:
    """What is known of the groups that are such connections, by group."""
    if not runs.short or not runs.fins or s.tags is not None:
        return {}
    ends = runs.fin_rows
    good = np.array(runs.begins) & ~np.array(runs.bad) & (ends[::2] >= 0) & (ends[1::2] >= 0)
    for stream in runs.repeats.counts:
        good[stream // 2] = False
    g = np.flatnonzero(good)
    pieces = np.diff(runs.bounds)
    client = g * 2 + s.direction[s.starts[g]]
    answers = pieces[client ^ 1]
    few = (pieces[client] == 1) & (answers > 0) & (answers <= _MOST_PIECES)
    g, client = g[few], client[few]
    server = client ^ 1
    syn = s.starts[g]
    first, done, asked = runs.rows[runs.bounds[server]], runs.rows[runs.bounds[server + 1] - 1], runs.rows[runs.bounds[client]]
    sent = np.diff(np.append(0, runs.sums)[runs.bounds])
    good = ((s.flags[syn + 2] & s.flags[first] & ACK) != 0) & (s.direction[syn + 2] == client & 1) & (sent[server] <= _MOST_BYTES)
    good &= (s.packet[first] > s.packet[asked]) & (s.ts[first] >= s.ts[asked])
    good &= difference(s.ack[first], runs.expected[g, client & 1]) > 0
    rows = [g, client, syn, asked, first, done]
    g, client, syn, asked, first, done = (column[good] for column in rows)
    if not len(g):
        return {}
    ts, last, a, b = s.ts, s.ends[g], g * 2, g * 2 + 1
    heard = np.array(runs.repeats.last)
    table = np.stack((
        s.packet[syn], s.packet[asked], ts[asked], s.packet[first], ts[first], s.packet[done], ts[done], np.maximum(ts[syn + 1] - ts[syn], 0), np.maximum(ts[syn + 2] - ts[syn + 1], 0), sent[a] + sent[b],
        client & 1, runs.expected[g, 0], runs.expected[g, 1], sent[a], sent[b], ts[ends[a]], ts[ends[b]], heard[a], heard[b], ts[syn], ts[syn + 1], ts[syn + 2], s.packet[last], ts[last],
        s.clock[last], last - syn + 1,
    ), axis=1)  # fmt: skip
    return dict(zip(g.tolist(), table.tolist(), strict=True))


def events(view: memoryview, runs: Runs, g: int, facts: Facts) -> Events:
    """What was said in such a group, as the column path hands it on."""
    found: Events = ([], [])
    for d in (0, 1):
        data, fin = runs.data(view, g * 2 + d, 0), runs.fins[g * 2 + d]
        if data is not None:
            found[d].append(data)
        found[d].append(StreamEnd("fin", fin.packet, fin.ts, facts[LENGTHS + d]))
    return found


def goes_on(connection: Connection, clock: int, idle_timeout: int) -> bool:
    """Whether a run that comes at that time can be taken whole, as far as the connection tells."""
    if connection.closed or connection.reset is not None or connection.asked is not None:
        return False
    a, b = connection.streams
    return a.plain and b.plain and clock - connection.last_clock < idle_timeout


def begins_anew(connection: Connection, direction: int, bases: list[int]) -> bool:
    """Whether a SYN of that direction, and the answer, are another connection's on the ports of one that is closed; bases: the first number of each direction."""
    return connection.closed and connection.asked is None and connection.leaves_ports(direction, bases[direction])
