"""Walks over the summary's tables, field by field (see `changes`)."""

from __future__ import annotations

from pcapflow.check.changes import Out, perhaps
from pcapflow.check.walk_records import file_name
from pcapflow.tables import ExchangePlace, HttpEndpoint, Latency, NetworkSummary, Parts, Problem


def latency(at: str, a: Latency, b: Latency, out: Out) -> None:
    """Walks `Latency`."""
    out(f"{at}.p50", a.p50, b.p50)
    out(f"{at}.p95", a.p95, b.p95)
    out(f"{at}.max", a.max, b.max)


def network(at: str, a: NetworkSummary, b: NetworkSummary, out: Out) -> None:
    """Walks `NetworkSummary`."""
    out(f"{at}.handshakes", a.handshakes, b.handshakes)
    perhaps(f"{at}.round_trip", a.round_trip, b.round_trip, out, latency)
    perhaps(f"{at}.client_round_trip", a.client_round_trip, b.client_round_trip, out, latency)
    out(f"{at}.retransmitted_segments", a.retransmitted_segments, b.retransmitted_segments)
    out(f"{at}.lost", a.lost, b.lost)
    out(f"{at}.lost_segments", a.lost_segments, b.lost_segments)
    out(f"{at}.reordered", a.reordered, b.reordered)
    out(f"{at}.stalled", a.stalled, b.stalled)
    out(f"{at}.stalled_connections", a.stalled_connections, b.stalled_connections)
    out(f"{at}.zero_windows", a.zero_windows, b.zero_windows)
    out(f"{at}.closed", a.closed, b.closed)
    out(f"{at}.duplicate_acknowledgements", a.duplicate_acknowledgements, b.duplicate_acknowledgements)


def exchange_place(at: str, a: ExchangePlace, b: ExchangePlace, out: Out) -> None:
    """Walks `ExchangePlace`."""
    out(f"{at}.url", a.url, b.url)
    out(f"{at}.connection", a.connection, b.connection)
    out(f"{at}.exchange", a.exchange, b.exchange)
    out(f"{at}.packet", a.packet, b.packet)
    out(f"{at}.file", file_name(a.file), file_name(b.file))
    out(f"{at}.frame", a.frame, b.frame)


def parts(at: str, a: Parts, b: Parts, out: Out) -> None:
    """Walks `Parts`."""
    out(f"{at}.exchanges", a.exchanges, b.exchanges)
    out(f"{at}.upload", a.upload, b.upload)
    out(f"{at}.server", a.server, b.server)
    out(f"{at}.network", a.network, b.network)
    out(f"{at}.transfer", a.transfer, b.transfer)


def http_endpoint(at: str, a: HttpEndpoint, b: HttpEndpoint, out: Out) -> None:
    """Walks `HttpEndpoint`."""
    out(f"{at}.name", a.name, b.name)
    out(f"{at}.exchanges", a.exchanges, b.exchanges)
    out(f"{at}.client_errors", a.client_errors, b.client_errors)
    out(f"{at}.server_errors", a.server_errors, b.server_errors)
    out(f"{at}.unanswered", a.unanswered, b.unanswered)
    out(f"{at}.response_bytes", a.response_bytes, b.response_bytes)
    perhaps(f"{at}.duration", a.duration, b.duration, out, latency)
    perhaps(f"{at}.parts", a.parts, b.parts, out, parts)
    perhaps(f"{at}.slowest", a.slowest, b.slowest, out, exchange_place)


def problem(at: str, a: Problem, b: Problem, out: Out) -> None:
    """Walks `Problem`."""
    out(f"{at}.kind", a.kind, b.kind)
    out(f"{at}.endpoint", a.endpoint, b.endpoint)
    out(f"{at}.detail", a.detail, b.detail)
    out(f"{at}.sender", a.sender, b.sender)
    out(f"{at}.ip", a.ip, b.ip)
    out(f"{at}.count", a.count, b.count)
    out(f"{at}.place", a.place, b.place)
    perhaps(f"{at}.first", a.first, b.first, out, exchange_place)
