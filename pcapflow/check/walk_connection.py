"""Walks over a connection's record, field by field (see `changes`)."""

from __future__ import annotations

from pcapflow.check.changes import Out, each, perhaps
from pcapflow.fields import Endpoint
from pcapflow.records import Connection, Network, Proxied, ProxiedEnd, Stream, StreamNetwork, Streams, Tls
from pcapflow.unread import Unread


def endpoint(at: str, a: Endpoint, b: Endpoint, out: Out) -> None:
    """Walks `Endpoint`."""
    out(f"{at}.ip", a.ip, b.ip)
    out(f"{at}.port", a.port, b.port)


def unread(at: str, a: Unread, b: Unread, out: Out) -> None:
    """Walks `Unread`."""
    out(f"{at}.reason", a.reason, b.reason)
    out(f"{at}.name", a.name, b.name)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.stream_offset", a.stream_offset, b.stream_offset)
    out(f"{at}.packet", a.packet, b.packet)


def stream(at: str, a: Stream, b: Stream, out: Out) -> None:
    """Walks `Stream`."""
    out(f"{at}.captured_bytes", a.captured_bytes, b.captured_bytes)
    out(f"{at}.delivered_bytes", a.delivered_bytes, b.delivered_bytes)
    out(f"{at}.retransmitted_bytes", a.retransmitted_bytes, b.retransmitted_bytes)
    out(f"{at}.conflicting_bytes", a.conflicting_bytes, b.conflicting_bytes)
    out(f"{at}.late_bytes", a.late_bytes, b.late_bytes)
    out(f"{at}.out_of_window_bytes", a.out_of_window_bytes, b.out_of_window_bytes)
    out(f"{at}.dropped_bytes", a.dropped_bytes, b.dropped_bytes)
    out(f"{at}.missing_bytes", a.missing_bytes, b.missing_bytes)
    out(f"{at}.gaps", a.gaps, b.gaps)
    out(f"{at}.holes_filled", a.holes_filled, b.holes_filled)
    out(f"{at}.out_of_order_segments", a.out_of_order_segments, b.out_of_order_segments)
    out(f"{at}.ring_peak_bytes", a.ring_peak_bytes, b.ring_peak_bytes)
    out(f"{at}.status", a.status, b.status)
    out(f"{at}.drop_reason", a.drop_reason, b.drop_reason)
    out(f"{at}.ambiguous_under", a.ambiguous_under, b.ambiguous_under)
    if all(one.read_bytes or one.unread or not one.delivered_bytes for one in (a, b)):  # else from before they were counted
        out(f"{at}.read_bytes", a.read_bytes, b.read_bytes)
        each(f"{at}.unread", a.unread, b.unread, out, unread)


def streams(at: str, a: Streams, b: Streams, out: Out) -> None:
    """Walks `Streams`."""
    stream(f"{at}.client", a.client, b.client, out)
    stream(f"{at}.server", a.server, b.server, out)


def stream_network(at: str, a: StreamNetwork, b: StreamNetwork, out: Out) -> None:
    """Walks `StreamNetwork`."""
    out(f"{at}.retransmitted_segments", a.retransmitted_segments, b.retransmitted_segments)
    out(f"{at}.lost", a.lost, b.lost)
    out(f"{at}.lost_segments", a.lost_segments, b.lost_segments)
    out(f"{at}.reordered", a.reordered, b.reordered)
    out(f"{at}.stalled", a.stalled, b.stalled)
    out(f"{at}.zero_windows", a.zero_windows, b.zero_windows)
    out(f"{at}.closed", a.closed, b.closed)
    out(f"{at}.duplicate_acknowledgements", a.duplicate_acknowledgements, b.duplicate_acknowledgements)
    out(f"{at}.resets", a.resets, b.resets)


def network(at: str, a: Network, b: Network, out: Out) -> None:
    """Walks `Network`."""
    out(f"{at}.round_trip", a.round_trip, b.round_trip)
    out(f"{at}.client_round_trip", a.client_round_trip, b.client_round_trip)
    stream_network(f"{at}.client", a.client, b.client, out)
    stream_network(f"{at}.server", a.server, b.server, out)


def tls(at: str, a: Tls, b: Tls, out: Out) -> None:
    """Walks `Tls`."""
    out(f"{at}.server_name", a.server_name, b.server_name)
    out(f"{at}.version", a.version, b.version)
    out(f"{at}.alpn", a.alpn, b.alpn)
    out(f"{at}.offered", a.offered, b.offered)


def proxied_end(at: str, a: ProxiedEnd, b: ProxiedEnd, out: Out) -> None:
    """Walks `ProxiedEnd`."""
    out(f"{at}.ip", a.ip, b.ip)
    out(f"{at}.name", a.name, b.name)
    out(f"{at}.port", a.port, b.port)


def proxied(at: str, a: Proxied, b: Proxied, out: Out) -> None:
    """Walks `Proxied`."""
    out(f"{at}.by", a.by, b.by)
    perhaps(f"{at}.client", a.client, b.client, out, proxied_end)
    perhaps(f"{at}.server", a.server, b.server, out, proxied_end)


def connection(at: str, a: Connection, b: Connection, out: Out) -> None:
    """Walks `Connection`."""
    out(f"{at}.connection", a.connection, b.connection)
    endpoint(f"{at}.client", a.client, b.client, out)
    endpoint(f"{at}.server", a.server, b.server, out)
    out(f"{at}.vlan", a.vlan, b.vlan)
    out(f"{at}.tunnel", a.tunnel, b.tunnel)
    out(f"{at}.roles", a.roles, b.roles)
    out(f"{at}.start", a.start, b.start)
    out(f"{at}.end", a.end, b.end)
    out(f"{at}.first_ts", a.first_ts, b.first_ts)
    out(f"{at}.last_ts", a.last_ts, b.last_ts)
    out(f"{at}.packets", a.packets, b.packets)
    out(f"{at}.protocol", a.protocol, b.protocol)
    streams(f"{at}.streams", a.streams, b.streams, out)
    perhaps(f"{at}.tls", a.tls, b.tls, out, tls)
    out(f"{at}.vlan_server", a.vlan_server, b.vlan_server)
    out(f"{at}.multipath", a.multipath, b.multipath)
    perhaps(f"{at}.proxied", a.proxied, b.proxied, out, proxied)
    if a.community_id is not None and b.community_id is not None:
        out(f"{at}.community_id", a.community_id, b.community_id)
    if a.network is not None and b.network is not None:
        network(f"{at}.network", a.network, b.network, out)
