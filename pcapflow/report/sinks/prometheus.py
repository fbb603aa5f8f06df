"""The run's counters and high-water marks in Prometheus' text format, for node_exporter's textfile collector.

Contract: `exposition` takes a summary and returns the file's bytes. Every reason and cause is there, at 0 where it did not occur, so that a rate
over them has a first value. Names end in their unit, counters in `_total` (Prometheus' naming conventions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from pcapflow.contents import FORMATS
from pcapflow.drops import DropReason, GapCause
from pcapflow.report.sinks.base import Out, Sink
from pcapflow.summary import DropCount, Summary, UnreadBytes
from pcapflow.tables import PROBLEMS, Latency
from pcapflow.unread import UnreadReason


class Prometheus(Sink):
    """Writes the file when the run is over."""

    kinds = frozenset()

    def __init__(self, out: Out) -> None:
        self._out = out

    def summary(self, summary: Summary) -> None:
        """See `Sink`."""
        self._out(exposition(summary))


def exposition(summary: Summary) -> bytes:
    """The whole file."""
    registry = CollectorRegistry()
    registry.register(_Run(summary))
    return generate_latest(registry)


_Family = type[CounterMetricFamily] | type[GaugeMetricFamily]


def _one(kind: _Family, name: str, text: str, value: float) -> Metric:
    return kind(f"pcapflow_{name}", text, value=value)


def _several(kind: _Family, name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = kind(f"pcapflow_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


_counter = partial(_one, CounterMetricFamily)
_counters = partial(_several, CounterMetricFamily)
_gauge = partial(_one, GaugeMetricFamily)
_gauges = partial(_several, GaugeMetricFamily)


class _Run(Collector):
    """One run's metrics."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        s = self._summary
        yield InfoMetricFamily(
            "pcapflow_run", "The program and schema version of this report.", value={"version": s.pcapflow, "schema": s.schema}
        )
        yield _gauge("run_interrupted", "Whether the run was interrupted.", s.interrupted)
        yield _gauge("run_duration_seconds", "Wall clock time of the run.", s.run.seconds)
        yield from _captures(s)
        yield from _tcp(s)
        yield from _network(s)
        yield from _messages(s)
        yield from _endpoints(s)
        yield from _memory(s)


def _captures(s: Summary) -> Iterator[Metric]:
    d = s.decode
    yield _counter("capture_bytes", "Bytes of the captures, decompressed.", sum(c.bytes for c in s.captures))
    times = [c.last_ts for c in s.captures if c.last_ts is not None]
    if times:
        yield _gauge("capture_last_packet_timestamp_seconds", "Capture time of the last packet, since the epoch.", max(times))
    yield _gauge("captures_damaged", "Captures that are damaged.", sum(c.damaged_at is not None for c in s.captures))
    yield _counters(
        "packets", "Packets, by kind.", "kind",
        {"tcp": d.tcp, "udp": d.udp, "other": d.other, "malformed": d.malformed, "unsupported_link": d.unsupported_link},
    )  # fmt: skip
    yield _counter("packets_snapped", "Packets truncated by the snap length.", d.snapped)
    yield _counter(
        "capture_dropped_packets",
        "Packets that the capturing system dropped, according to the captures.",
        sum(c.dropped_by_capture or 0 for c in s.captures),
    )


def _tcp(s: Summary) -> Iterator[Metric]:
    tcp, payload = s.tcp, s.tcp.payload_bytes
    yield _counter("connections", "TCP connections.", tcp.connections)
    yield _counter("connections_evicted", "Connections removed from the full connection table.", tcp.evicted_connections)
    yield _counter("payload_captured_bytes", "TCP payload bytes captured.", payload.captured)
    yield _counters(
        "payload_bytes", "Captured payload bytes by outcome; they add up to pcapflow_payload_captured_bytes_total.", "bucket",
        {
            "delivered": payload.delivered, "retransmitted": payload.retransmitted, "conflicting": payload.conflicting, "late": payload.late,
            "out_of_window": payload.out_of_window, "dropped": payload.dropped,
        },
    )  # fmt: skip
    yield _counter("payload_read_bytes", "Delivered bytes that were read: part of a message, a handshake or a JSON text.", tcp.read_bytes)
    none = UnreadBytes()
    yield _counters(
        "payload_unread_bytes", "Delivered bytes that were not read.", "reason",
        {reason.value: tcp.unread.get(reason.value, none).bytes for reason in UnreadReason},
    )  # fmt: skip
    yield _gauge("payload_balanced", "Whether the payload byte counts add up.", payload.balanced)
    yield _counter("missing_bytes", "Bytes missing from the streams.", tcp.missing_bytes)
    yield _counters("gaps", "Gaps, by cause.", "cause", {cause.value: tcp.gaps_by_cause.get(cause.value, 0) for cause in GapCause})
    nothing = DropCount()
    reasons = {reason.value: s.drops.by_reason.get(reason.value, nothing) for reason in DropReason}
    yield _counters("drops", "Drops, by reason.", "reason", {name: count.count for name, count in reasons.items()})
    yield _counters(
        "drop_held_bytes",
        "Bytes held at the time of the drop, by reason.",
        "reason",
        {name: count.bytes for name, count in reasons.items()},
    )
    yield _counter("streams_dropped", "Streams dropped.", s.drops.streams)


def _messages(s: Summary) -> Iterator[Metric]:
    http, json = s.http, s.json
    yield _counters("http_requests", "HTTP requests.", "method", http.by_method)
    yield _counters("http_responses", "HTTP responses.", "code", http.by_status)
    bodies = http.bodies
    yield _counters(
        "http_bodies", "HTTP bodies, by status.", "status",
        {"complete": bodies.complete, "gapped": bodies.gapped, "truncated": bodies.truncated, "dropped": bodies.dropped},
    )  # fmt: skip
    yield _counters("http_anomalies", "HTTP exchanges with anomalies, by anomaly.", "anomaly", http.anomalies)
    yield _counters(
        "json_bodies", "JSON bodies, by status.", "status",
        {"complete": json.complete, "invalid": json.invalid, "partial": json.partial, "truncated": json.truncated, "gapped": json.gapped, "dropped": json.dropped},
    )  # fmt: skip
    yield _counter("json_documents", "JSON documents.", json.documents)
    yield _counter("json_bytes", "Bytes of JSON.", json.bytes)
    yield _counters("records_not_written", "Records that the database rejected.", "table", s.not_written)
    yield _counters(
        "payload_bodies",
        "Bodies that are not JSON, by format.",
        "format",
        {name: s.payloads[name].bodies if name in s.payloads else 0 for name in FORMATS},
    )


def _network(s: Summary) -> Iterator[Metric]:
    n = s.network
    yield _counter("network_retransmitted_segments", "Segments with bytes that had already been captured.", n.retransmitted_segments)
    yield _counter("network_holes_lost", "Gaps that retransmitted segments filled.", n.lost)
    yield _counter("network_holes_reordered", "Gaps that reordered segments filled.", n.reordered)
    yield _counter("network_stalled_seconds", "Time that data waited for lost segments.", n.stalled)
    if n.round_trip is not None:
        yield _gauges("network_round_trip_seconds", "From SYN to SYN-ACK.", "quantile", _quantiles(n.round_trip))


def _quantiles(latency: Latency) -> dict[str, float]:
    return {"0.5": latency.p50, "0.95": latency.p95, "1": latency.max}


def _endpoints(s: Summary) -> Iterator[Metric]:
    rows = s.endpoints
    yield _counters("http_endpoint_exchanges", "HTTP requests, by endpoint.", "endpoint", {row.name: row.exchanges for row in rows})
    yield _counters("http_endpoint_unanswered", "Unanswered requests, by endpoint.", "endpoint", {row.name: row.unanswered for row in rows})
    errors = CounterMetricFamily(
        "pcapflow_http_endpoint_errors", "Responses with status 400 and above, by endpoint.", labels=["endpoint", "class"]
    )
    times = GaugeMetricFamily(
        "pcapflow_http_endpoint_duration_seconds", "Duration of exchanges, by endpoint.", labels=["endpoint", "quantile"]
    )
    parts = CounterMetricFamily(
        "pcapflow_http_endpoint_seconds", "Time spent in each part of the exchanges, by endpoint.", labels=["endpoint", "part"]
    )
    for row in rows:
        errors.add_metric([row.name, "4xx"], row.client_errors)
        errors.add_metric([row.name, "5xx"], row.server_errors)
        if row.duration is not None:
            for quantile, value in _quantiles(row.duration).items():
                times.add_metric([row.name, quantile], value)
        if row.parts is not None:
            for part in ("upload", "server", "network", "transfer"):
                parts.add_metric([row.name, part], getattr(row.parts, part))
    yield from (errors, times, parts)
    counts = dict.fromkeys(PROBLEMS, 0)
    for problem in s.problems:
        counts[problem.kind] += problem.count
    yield _counters("problems", "HTTP problems, by kind.", "kind", counts)


def _memory(s: Summary) -> Iterator[Metric]:
    memory = s.memory
    yield _gauge("memory_peak_bytes", "High-water mark of all accounts together.", memory.peak_bytes)
    yield _gauge("memory_limit_bytes", "Limit of all accounts together.", memory.limit_bytes)
    yield _gauge("memory_pressure", "Whether a limit shared between connections was reached.", memory.pressure)
    yield _gauges(
        "memory_account_peak_bytes",
        "High-water mark of each account.",
        "account",
        {name: c.peak_bytes for name, c in memory.components.items()},
    )
    yield _gauges(
        "memory_account_limit_bytes", "Limit of each account.", "account", {name: c.limit_bytes for name, c in memory.components.items()}
    )
    yield _gauge("process_resident_memory_peak_bytes", "Peak resident memory of the process.", memory.process.peak_rss_bytes)
