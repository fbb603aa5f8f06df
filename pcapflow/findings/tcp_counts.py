"""What the summary says of TCP: connections and streams that are over, added up.

Contract: `TcpCounts` takes each connection once, when it is over, and both of its streams. Invariant: the conservation law is checked for each stream; of those that break
it, `UNBALANCED_MAX` are named.
"""

from __future__ import annotations

from collections.abc import Sequence

from pcapflow.drops import GapCause
from pcapflow.findings.adding import EXAMPLES_MAX
from pcapflow.findings.streams import outside, protocol_of
from pcapflow.protocols.stack import Stack
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.streams.events import StreamGap
from pcapflow.summary import EXAMPLES, Drops, Spoken, Tcp, UnreadBytes
from pcapflow.unread import Reading, UnreadReason

UNBALANCED_MAX = 100
"""Streams whose account does not balance that are named: a defect of ours, which may be in each."""


class TcpCounts:
    """One run's."""

    def __init__(self, drops: Drops) -> None:
        """drops: where bytes of streams that were given up are counted."""
        self.tcp = Tcp()
        self.unbalanced: list[str] = []
        """Streams whose account does not balance."""
        self._drops = drops

    def connection(self, connection: Connection) -> None:
        """A connection is over."""
        tcp = self.tcp
        tcp.connections += 1
        first, second = connection.streams
        self._spoke(protocol_of(connection), 1, first.delivered + second.delivered)
        if connection.multipath:
            tcp.multipath_connections += 1
            self._example("multipath", connection.number)
        if any(stream.path is not None and stream.path.stalled for stream in connection.streams):
            self._example("stalled", connection.number)
        if connection.end == "evicted":
            tcp.evicted_connections += 1
        unseen = 0 if first.base < 0 else 1 if second.base < 0 else -1
        if unseen >= 0 and (connection.reset is None or connection.reset.direction != unseen):
            seen = connection.streams[1 - unseen]
            if seen.syn and not seen.captured and seen.fin < 0 and connection.reset is None:
                tcp.half_open_connections += 1
            else:
                tcp.one_directional_connections += 1
                self._example("one_directional", connection.number)

    def read_whole(self, protocol: str, connections: int, delivered: int) -> None:
        """So many connections are over of which all was delivered and read, so many bytes together, and nothing else is to be said."""
        tcp = self.tcp
        tcp.connections += connections
        tcp.payload_bytes.captured += delivered
        tcp.payload_bytes.delivered += delivered
        tcp.read_bytes += delivered
        self._spoke(protocol, connections, delivered)

    def _spoke(self, protocol: str, connections: int, delivered: int) -> None:
        spoken = self.tcp.spoken.get(protocol)
        if spoken is None:
            spoken = self.tcp.spoken[protocol] = Spoken()
        spoken.connections += connections
        spoken.delivered_bytes += delivered

    def gap(self, gap: StreamGap) -> None:
        """Bytes of a stream are missing."""
        causes = self.tcp.gaps_by_cause
        causes[gap.cause] = causes.get(gap.cause, 0) + 1
        if gap.cause is GapCause.ACKNOWLEDGED:
            self.tcp.acknowledged_missing_bytes += gap.length
        elif gap.cause is GapCause.SNAPPED:
            self.tcp.snapped_missing_bytes += gap.length

    def close(self) -> None:
        """The run is over: in an order that does not depend on which connection ended first."""
        unread = self.tcp.unread
        self.tcp.unread = {reason.value: unread[reason] for reason in UnreadReason if reason in unread}
        for one in unread.values():
            one.by_name = dict(sorted(one.by_name.items(), key=lambda named: (-named[1], named[0])))
        spoken = self.tcp.spoken
        self.tcp.spoken = {
            name: spoken[name] for name in sorted(spoken, key=lambda name: (name == "empty", -spoken[name].delivered_bytes, name))
        }

    def stream(self, connection: Connection, direction: int) -> None:
        """One of its streams."""
        stream = connection.streams[direction]
        tcp, total = self.tcp, self.tcp.payload_bytes
        total.captured += stream.captured
        total.delivered += stream.delivered
        total.retransmitted += stream.retransmitted
        total.conflicting += stream.conflicting
        total.late += stream.late
        total.out_of_window += stream.out_of_window
        total.dropped += stream.dropped
        tcp.missing_bytes += stream.missing
        tcp.gaps += stream.gaps
        tcp.holes_filled += stream.filled
        tcp.out_of_order_segments += stream.out_of_order
        if stream.differs:
            tcp.ambiguous_streams += 1
        if stream.drop_reason is not None:
            self._drops.bytes += stream.dropped
        if stream.out_of_window and outside(stream):
            tcp.streams_out_of_window += 1
            self._example("out_of_window", connection.number)
        reading = connection.readings[direction]
        tcp.read_bytes += reading.read
        read = reading.read
        if reading.unread is not None:
            self._unread(connection, reading)
            read = reading.total()
        if not stream.balanced() or stream.held or (stream.delivered != read and isinstance(connection.consumer, Stack)):
            total.balanced = False
            if len(self.unbalanced) < UNBALANCED_MAX:
                self.unbalanced.append(f"connection {connection.number}, {connection.stream_name(direction)}")

    def _unread(self, connection: Connection, reading: Reading) -> None:
        """What of a stream is not read."""
        for one in reading.entries():
            total = self.tcp.unread.get(one.reason)
            if total is None:
                total = self.tcp.unread[one.reason] = UnreadBytes()
            total.streams += 1
            total.bytes += one.bytes
            if one.reason in EXAMPLES:
                self._example(one.reason, connection.number)
            if one.name is not None:
                total.by_name[one.name] = total.by_name.get(one.name, 0) + one.bytes

    def half_open(self, syns: Sequence[Syn], end: str) -> None:
        """Connections of which only a SYN was seen are over."""
        self.tcp.connections += len(syns)
        self.tcp.half_open_connections += len(syns)
        if syns:
            self._spoke("empty", len(syns), 0)
        for syn in syns:
            if syn.multipath:
                self.tcp.multipath_connections += 1
                self._example("multipath", syn.number)
        if end == "evicted":
            self.tcp.evicted_connections += len(syns)

    def _example(self, name: str, connection: int) -> None:
        """A connection of which the advice may speak: the lowest numbers stay, whatever the order."""
        numbers = self.tcp.examples.setdefault(name, [])
        if connection not in numbers:
            numbers.append(connection)
            numbers.sort()
            del numbers[EXAMPLES_MAX:]
