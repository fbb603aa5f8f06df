"""A connection's streams as the report has them, and the streams that lost most.

Contract: functions and `Worst` take connections that are over. Invariant: `Worst` keeps `worst_streams` entries at most.
"""

from __future__ import annotations

import heapq

from pcapflow.decode.segments import vlan_ids
from pcapflow.findings.ends import community_id, endpoint
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.protocols.prefix import Prefix
from pcapflow.protocols.stack import Stack
from pcapflow.protocols.tls.handshake import Handshake
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.half_stream import HalfStream
from pcapflow.reassembly.keys import endpoints, vlans_of
from pcapflow.reassembly.path import Path
from pcapflow.records import NO_NETWORK, Network, Stream, StreamNetwork, Streams, seconds
from pcapflow.records import Connection as ConnectionRecord
from pcapflow.summary import LossyStream
from pcapflow.unread import Unread

NOTHING: list[str] = []
_ALL_READ: list[Unread] = []
NOTHING_SAID = Streams(*(Stream(*(0,) * 12, "partial", None, NOTHING) for _ in range(2)))
"""Both streams of a connection of which only a SYN was seen."""


_OUTSIDE = 100
"""One byte in so many that cannot belong to its stream says that something is not understood."""


def outside(stream: HalfStream) -> bool:
    """Whether so much of what was captured cannot belong to a stream that something of it is not understood."""
    return stream.out_of_window > 0 and stream.out_of_window * _OUTSIDE >= stream.captured


def stream_record(connection: Connection, direction: int) -> Stream:
    """One direction of a connection that is over. direction: 0 or 1, as in `Connection.streams`."""
    stream, reading = connection.streams[direction], connection.readings[direction]
    reason = stream.drop_reason or stream.protocol_drop
    if reason is not None:
        status = "dropped"
    elif stream.missing:
        status = "gapped"
    elif not stream.syn or stream.ended not in ("fin", "rst") or outside(stream):
        status = "partial"
    else:
        status = "complete"
    return Stream(
        stream.captured,
        stream.delivered,
        stream.retransmitted,
        stream.conflicting,
        stream.late,
        stream.out_of_window,
        stream.dropped,
        stream.missing,
        stream.gaps,
        stream.filled,
        stream.out_of_order,
        stream.ring_peak,
        status,
        reason.value if reason is not None else None,
        [policy.value for policy in Policy if policy in stream.differs] if stream.differs else NOTHING,
        reading.read,
        reading.entries() if reading.unread is not None else _ALL_READ,
    )


def protocol_of(connection: Connection) -> str:
    """What it speaks; `empty` where it said nothing."""
    reader = connection.consumer
    return reader.protocol if isinstance(reader, Stack) else "empty"


def connection_record(connection: Connection) -> ConnectionRecord:
    """One that is over."""
    reader = connection.consumer
    tls, proxied = None, None
    for layer in reader.layers if isinstance(reader, Stack) else ():
        if type(layer) is Handshake:
            tls = layer.tls
        elif isinstance(layer, Prefix):
            proxied = layer.proxied or proxied
    client = connection.client
    vlan, vlan_server = (connection.inside.vlan, None) if connection.other_vlans is None else connection.vlans()
    return ConnectionRecord(
        connection.number,
        endpoint(connection.endpoints[client]),
        endpoint(connection.endpoints[1 - client]),
        vlan,
        connection.inside.tunnel,
        connection.roles,
        connection.start,
        connection.end,
        seconds(connection.first_ts),
        seconds(connection.last_ts),
        connection.packets,
        protocol_of(connection),
        Streams(stream_record(connection, client), stream_record(connection, 1 - client)),
        tls,
        vlan_server,
        connection.multipath,
        proxied,
        community_id(*connection.endpoints),
        network_of(connection),
    )


def half_open_record(key: bytes, syn: Syn, end: str) -> ConnectionRecord:
    """One of which only a SYN was seen and that is over."""
    ends, inside = endpoints(key)
    vlan, vlan_server = vlans_of(inside, {syn.direction: vlan_ids(syn.tag)}, syn.direction)
    return ConnectionRecord(
        syn.number,
        endpoint(ends[syn.direction]),
        endpoint(ends[1 - syn.direction]),
        vlan,
        inside.tunnel,
        "syn",
        "syn",
        end,
        seconds(syn.first_ts),
        seconds(syn.last_ts),
        syn.packets,
        "empty",
        NOTHING_SAID,
        vlan_server=vlan_server,
        multipath=syn.multipath,
        community_id=community_id(*ends),
        network=Network(),
    )


def network_of(connection: Connection) -> Network:
    """What the network did to one that is over."""
    client = connection.client
    to_server, to_client = connection.round_trip, connection.client_round_trip
    a, b = connection.streams[client], connection.streams[1 - client]
    return Network(
        seconds(to_server) if to_server >= 0 else None,
        seconds(to_client) if to_client >= 0 else None,
        NO_NETWORK if a.path is None else _network(a, a.path, connection.last_ts),
        NO_NETWORK if b.path is None else _network(b, b.path, connection.last_ts),
    )


def _network(stream: HalfStream, path: Path, end: int) -> StreamNetwork:
    times = seconds(path.stalled), path.zero_windows, seconds(closed_of(stream, path, end))
    return StreamNetwork(path.retransmitted, path.lost, path.lost_segments, path.reordered, *times, path.duplicate_acks, path.resets)


def closed_of(stream: HalfStream, path: Path, end: int) -> int:
    """How long its receiver had no room up to the connection's end (ns)."""
    return path.closed + (max(0, end - stream.closed_since) if stream.closed_since >= 0 else 0)


class Worst:
    """The streams that lost most bytes: missing, or dropped by reassembly."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.worst_streams
        self._heap: list[tuple[int, int, int, LossyStream]] = []

    def add(self, connection: Connection) -> None:
        """A connection is over."""
        for direction, stream in enumerate(connection.streams):
            lost = stream.missing + stream.dropped
            if not lost or (len(self._heap) == self._most and lost < self._heap[0][0]):
                continue
            name = connection.stream_name(direction)
            record = stream_record(connection, direction)
            entry = (
                lost,
                -connection.number,
                -(name == "server"),
                LossyStream(
                    connection.number,
                    name,
                    endpoint(connection.endpoints[connection.client]),
                    endpoint(connection.endpoints[1 - connection.client]),
                    record.status,
                    record.drop_reason,
                    record.missing_bytes,
                    record.dropped_bytes,
                    record.gaps,
                ),
            )
            self._keep(entry)

    def _keep(self, entry: tuple[int, int, int, LossyStream]) -> None:
        (heapq.heappush if len(self._heap) < self._most else heapq.heappushpop)(self._heap, entry)

    def merge(self, other: Worst) -> None:
        """Those of another shard too."""
        for entry in other._heap:
            self._keep(entry)

    def streams(self) -> list[LossyStream]:
        """Worst first; of equals, the earlier connection, its client's stream before its server's."""
        return [entry[-1] for entry in sorted(self._heap, key=lambda entry: entry[:3], reverse=True)]
