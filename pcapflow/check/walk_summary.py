"""Walks over the summary, field by field (see `changes`), and the summary without what differs between equal runs."""

from __future__ import annotations

from pathlib import PurePath

from msgspec.structs import replace

from pcapflow.check.changes import Out, counts, each, each_key, lines, perhaps
from pcapflow.check.walk_connection import endpoint
from pcapflow.check.walk_contents import payload_summary
from pcapflow.check.walk_tables import http_endpoint, network, problem
from pcapflow.fields import PacketTime
from pcapflow.limits import Limits
from pcapflow.summary import (
    Bodies,
    Capture,
    Component,
    Decode,
    DropCount,
    Drops,
    DuplicatedByPlace,
    HttpSummary,
    JsonSummary,
    LossyStream,
    Memory,
    NotRead,
    PayloadBytes,
    Process,
    Run,
    Spoken,
    Summary,
    Tcp,
    UnreadBytes,
)


def packet_time(at: str, a: PacketTime, b: PacketTime, out: Out) -> None:
    """Walks `PacketTime`."""
    out(f"{at}.ts", a.ts, b.ts)
    out(f"{at}.packet", a.packet, b.packet)


def capture(at: str, a: Capture, b: Capture, out: Out) -> None:
    """Walks `Capture`."""
    out(f"{at}.path", a.path, b.path)
    out(f"{at}.format", a.format, b.format)
    out(f"{at}.compression", a.compression, b.compression)
    out(f"{at}.link_types", a.link_types, b.link_types)
    out(f"{at}.snaplen", a.snaplen, b.snaplen)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.packets", a.packets, b.packets)
    out(f"{at}.first_ts", a.first_ts, b.first_ts)
    out(f"{at}.last_ts", a.last_ts, b.last_ts)
    out(f"{at}.cut_short", a.cut_short, b.cut_short)
    out(f"{at}.damaged_at", a.damaged_at, b.damaged_at)
    out(f"{at}.dropped_by_capture", a.dropped_by_capture, b.dropped_by_capture)
    out(f"{at}.skipped_bytes", a.skipped_bytes, b.skipped_bytes)
    out(f"{at}.decryption_secrets", a.decryption_secrets, b.decryption_secrets)


def duplicated_by_place(at: str, a: DuplicatedByPlace, b: DuplicatedByPlace, out: Out) -> None:
    """Walks `DuplicatedByPlace`."""
    out(f"{at}.file", a.file, b.file)
    out(f"{at}.interface", a.interface, b.interface)
    out(f"{at}.vlan", a.vlan, b.vlan)
    out(f"{at}.same", a.same, b.same)


def not_read(at: str, a: NotRead, b: NotRead, out: Out) -> None:
    """Walks `NotRead`."""
    out(f"{at}.packets", a.packets, b.packets)
    out(f"{at}.bytes", a.bytes, b.bytes)


def decode(at: str, a: Decode, b: Decode, out: Out) -> None:
    """Walks `Decode`."""
    out(f"{at}.packets", a.packets, b.packets)
    out(f"{at}.tcp", a.tcp, b.tcp)
    out(f"{at}.udp", a.udp, b.udp)
    out(f"{at}.other", a.other, b.other)
    out(f"{at}.malformed", a.malformed, b.malformed)
    out(f"{at}.unsupported_link", a.unsupported_link, b.unsupported_link)
    out(f"{at}.ip", a.ip, b.ip)
    out(f"{at}.fragments", a.fragments, b.fragments)
    out(f"{at}.datagrams", a.datagrams, b.datagrams)
    out(f"{at}.fragments_dropped", a.fragments_dropped, b.fragments_dropped)
    out(f"{at}.fragments_overlapping", a.fragments_overlapping, b.fragments_overlapping)
    out(f"{at}.filtered_out", a.filtered_out, b.filtered_out)
    out(f"{at}.snapped", a.snapped, b.snapped)
    out(f"{at}.duplicated", a.duplicated, b.duplicated)
    out(f"{at}.duplicated_bytes", a.duplicated_bytes, b.duplicated_bytes)
    duplicated_by_place(f"{at}.duplicated_by_place", a.duplicated_by_place, b.duplicated_by_place, out)
    out(f"{at}.bytes", a.bytes, b.bytes)
    each_key(f"{at}.not_read", a.not_read, b.not_read, out, not_read)
    out(f"{at}.oversized", a.oversized, b.oversized)
    out(f"{at}.backwards", a.backwards, b.backwards)
    out(f"{at}.checksums_checked", a.checksums_checked, b.checksums_checked)
    out(f"{at}.checksums_wrong", a.checksums_wrong, b.checksums_wrong)


def payload_bytes(at: str, a: PayloadBytes, b: PayloadBytes, out: Out) -> None:
    """Walks `PayloadBytes`."""
    out(f"{at}.captured", a.captured, b.captured)
    out(f"{at}.delivered", a.delivered, b.delivered)
    out(f"{at}.retransmitted", a.retransmitted, b.retransmitted)
    out(f"{at}.conflicting", a.conflicting, b.conflicting)
    out(f"{at}.late", a.late, b.late)
    out(f"{at}.out_of_window", a.out_of_window, b.out_of_window)
    out(f"{at}.dropped", a.dropped, b.dropped)
    out(f"{at}.balanced", a.balanced, b.balanced)


def whole(at: str, a: list[int], b: list[int], out: Out) -> None:
    """Compares a value as one."""
    out(at, a, b)


def spoken(at: str, a: Spoken, b: Spoken, out: Out) -> None:
    """Walks `Spoken`."""
    out(f"{at}.connections", a.connections, b.connections)
    out(f"{at}.delivered_bytes", a.delivered_bytes, b.delivered_bytes)


def unread(at: str, a: UnreadBytes, b: UnreadBytes, out: Out) -> None:
    """Walks `UnreadBytes`."""
    out(f"{at}.streams", a.streams, b.streams)
    out(f"{at}.bytes", a.bytes, b.bytes)
    counts(f"{at}.by_name", a.by_name, b.by_name, out)


def tcp(at: str, a: Tcp, b: Tcp, out: Out) -> None:
    """Walks `Tcp`."""
    out(f"{at}.connections", a.connections, b.connections)
    out(f"{at}.segments", a.segments, b.segments)
    out(f"{at}.syn", a.syn, b.syn)
    out(f"{at}.fin", a.fin, b.fin)
    out(f"{at}.rst", a.rst, b.rst)
    payload_bytes(f"{at}.payload_bytes", a.payload_bytes, b.payload_bytes, out)
    out(f"{at}.missing_bytes", a.missing_bytes, b.missing_bytes)
    out(f"{at}.gaps", a.gaps, b.gaps)
    counts(f"{at}.gaps_by_cause", a.gaps_by_cause, b.gaps_by_cause, out)
    each_key(f"{at}.spoken", a.spoken, b.spoken, out, spoken)
    out(f"{at}.holes_filled", a.holes_filled, b.holes_filled)
    out(f"{at}.out_of_order_segments", a.out_of_order_segments, b.out_of_order_segments)
    out(f"{at}.conflicts", a.conflicts, b.conflicts)
    out(f"{at}.ambiguous_streams", a.ambiguous_streams, b.ambiguous_streams)
    out(f"{at}.acknowledged_missing_bytes", a.acknowledged_missing_bytes, b.acknowledged_missing_bytes)
    out(f"{at}.half_open_connections", a.half_open_connections, b.half_open_connections)
    out(f"{at}.one_directional_connections", a.one_directional_connections, b.one_directional_connections)
    out(f"{at}.evicted_connections", a.evicted_connections, b.evicted_connections)
    out(f"{at}.early_acknowledgements", a.early_acknowledgements, b.early_acknowledgements)
    out(f"{at}.snapped_missing_bytes", a.snapped_missing_bytes, b.snapped_missing_bytes)
    out(f"{at}.multipath_connections", a.multipath_connections, b.multipath_connections)
    out(f"{at}.streams_out_of_window", a.streams_out_of_window, b.streams_out_of_window)
    out(f"{at}.clock_skew", a.clock_skew, b.clock_skew)
    if all(one.read_bytes or one.unread or not one.payload_bytes.delivered for one in (a, b)):  # else from before they were counted
        out(f"{at}.read_bytes", a.read_bytes, b.read_bytes)
        each_key(f"{at}.unread", a.unread, b.unread, out, unread)
    each_key(f"{at}.examples", a.examples, b.examples, out, whole)
    out(f"{at}.resets_ignored", a.resets_ignored, b.resets_ignored)
    out(f"{at}.repeated_after_close", a.repeated_after_close, b.repeated_after_close)


def bodies(at: str, a: Bodies, b: Bodies, out: Out) -> None:
    """Walks `Bodies`."""
    out(f"{at}.complete", a.complete, b.complete)
    out(f"{at}.gapped", a.gapped, b.gapped)
    out(f"{at}.truncated", a.truncated, b.truncated)
    out(f"{at}.dropped", a.dropped, b.dropped)


def http_summary(at: str, a: HttpSummary, b: HttpSummary, out: Out) -> None:
    """Walks `HttpSummary`."""
    out(f"{at}.requests", a.requests, b.requests)
    out(f"{at}.responses", a.responses, b.responses)
    counts(f"{at}.by_method", a.by_method, b.by_method, out)
    counts(f"{at}.by_status", a.by_status, b.by_status, out)
    bodies(f"{at}.bodies", a.bodies, b.bodies, out)
    counts(f"{at}.anomalies", a.anomalies, b.anomalies, out)
    counts(f"{at}.codings_missing", a.codings_missing, b.codings_missing, out)


def json_summary(at: str, a: JsonSummary, b: JsonSummary, out: Out) -> None:
    """Walks `JsonSummary`."""
    out(f"{at}.bodies", a.bodies, b.bodies)
    out(f"{at}.documents", a.documents, b.documents)
    out(f"{at}.events", a.events, b.events)
    out(f"{at}.keys", a.keys, b.keys)
    out(f"{at}.broken", a.broken, b.broken)
    out(f"{at}.duplicate_keys", a.duplicate_keys, b.duplicate_keys)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.complete", a.complete, b.complete)
    out(f"{at}.invalid", a.invalid, b.invalid)
    out(f"{at}.partial", a.partial, b.partial)
    out(f"{at}.not_looked_at", a.not_looked_at, b.not_looked_at)
    out(f"{at}.truncated", a.truncated, b.truncated)
    out(f"{at}.gapped", a.gapped, b.gapped)
    out(f"{at}.dropped", a.dropped, b.dropped)
    out(f"{at}.backend", a.backend, b.backend)


def drop_count(at: str, a: DropCount, b: DropCount, out: Out) -> None:
    """Walks `DropCount`."""
    out(f"{at}.count", a.count, b.count)
    out(f"{at}.bytes", a.bytes, b.bytes)


def drops(at: str, a: Drops, b: Drops, out: Out) -> None:
    """Walks `Drops`."""
    out(f"{at}.streams", a.streams, b.streams)
    out(f"{at}.bytes", a.bytes, b.bytes)
    each_key(f"{at}.by_reason", a.by_reason, b.by_reason, out, drop_count)


def component(at: str, a: Component, b: Component, out: Out) -> None:
    """Walks `Component`."""
    out(f"{at}.peak_bytes", a.peak_bytes, b.peak_bytes)
    out(f"{at}.limit_bytes", a.limit_bytes, b.limit_bytes)
    out(f"{at}.at_end_bytes", a.at_end_bytes, b.at_end_bytes)
    perhaps(f"{at}.peak_at", a.peak_at, b.peak_at, out, packet_time)


def process(at: str, a: Process, b: Process, out: Out) -> None:
    """Walks `Process`."""
    out(f"{at}.peak_rss_bytes", a.peak_rss_bytes, b.peak_rss_bytes)
    out(f"{at}.start_rss_bytes", a.start_rss_bytes, b.start_rss_bytes)


def memory(at: str, a: Memory, b: Memory, out: Out) -> None:
    """Walks `Memory`."""
    out(f"{at}.limit_bytes", a.limit_bytes, b.limit_bytes)
    out(f"{at}.peak_bytes", a.peak_bytes, b.peak_bytes)
    perhaps(f"{at}.peak_at", a.peak_at, b.peak_at, out, packet_time)
    out(f"{at}.pressure", a.pressure, b.pressure)
    each_key(f"{at}.components", a.components, b.components, out, component)
    process(f"{at}.process", a.process, b.process, out)


def run(at: str, a: Run, b: Run, out: Out) -> None:
    """Walks `Run`."""
    out(f"{at}.seconds", a.seconds, b.seconds)
    out(f"{at}.packets_per_second", a.packets_per_second, b.packets_per_second)
    out(f"{at}.bytes_per_second", a.bytes_per_second, b.bytes_per_second)
    out(f"{at}.workers", a.workers, b.workers)


def lossy_stream(at: str, a: LossyStream, b: LossyStream, out: Out) -> None:
    """Walks `LossyStream`."""
    out(f"{at}.connection", a.connection, b.connection)
    out(f"{at}.stream", a.stream, b.stream)
    endpoint(f"{at}.client", a.client, b.client, out)
    endpoint(f"{at}.server", a.server, b.server, out)
    out(f"{at}.status", a.status, b.status)
    out(f"{at}.drop_reason", a.drop_reason, b.drop_reason)
    out(f"{at}.missing_bytes", a.missing_bytes, b.missing_bytes)
    out(f"{at}.dropped_bytes", a.dropped_bytes, b.dropped_bytes)
    out(f"{at}.gaps", a.gaps, b.gaps)


def summary(at: str, a: Summary, b: Summary, out: Out) -> None:
    """Walks `Summary`."""
    out(f"{at}.schema", a.schema, b.schema)
    out(f"{at}.pcapflow", a.pcapflow, b.pcapflow)
    out(f"{at}.interrupted", a.interrupted, b.interrupted)
    each(f"{at}.captures", a.captures, b.captures, out, capture)
    decode(f"{at}.decode", a.decode, b.decode, out)
    tcp(f"{at}.tcp", a.tcp, b.tcp, out)
    http_summary(f"{at}.http", a.http, b.http, out)
    json_summary(f"{at}.json", a.json, b.json, out)
    counts(f"{at}.not_written", a.not_written, b.not_written, out)
    if a.payloads and b.payloads:  # else from before they were counted
        each_key(f"{at}.payloads", a.payloads, b.payloads, out, payload_summary)
    drops(f"{at}.drops", a.drops, b.drops, out)
    memory(f"{at}.memory", a.memory, b.memory, out)
    lines(f"{at}.advice", a.advice, b.advice, out)
    counts(f"{at}.limits", a.limits, b.limits, out)
    run(f"{at}.run", a.run, b.run, out)
    each(f"{at}.worst_streams", a.worst_streams, b.worst_streams, out, lossy_stream)
    if all(one.endpoints or not one.http.requests for one in (a, b)):  # else from before there were tables
        network(f"{at}.network", a.network, b.network, out)
        each(f"{at}.endpoints", a.endpoints, b.endpoints, out, http_endpoint)
        each(f"{at}.problems", a.problems, b.problems, out, problem)
    counts(f"{at}.plugins", a.plugins, b.plugins, out)


_NO_RUN = Run(0.0, 0, 0, 0)
_NO_PROCESS = Process(0, 0)
_USUAL_ONCE = {"content_ratio_floor": 1 << 20}
"""Limits of earlier versions."""
_USUAL = Limits().as_dict()
"""What a limit is that a report does not have: a baseline has those alone that are others, and one of an earlier version not those that came since."""


def comparable(old: Summary, new: Summary) -> tuple[Summary, Summary]:
    """Both settled, and without what follows from limits that differ: the limits themselves say it. Where blocks had other sizes, memory may differ too
    (docs/report.md).
    """
    old, new = settled(old), settled(new)
    old, new = _as_counted_then(old, new), _as_counted_then(new, old)
    if not old.memory.components or not new.memory.components:  # of a baseline: what memory took is for budgets to bound
        old = replace(old, memory=replace(new.memory, pressure=old.memory.pressure))
    if old.limits == new.limits:
        return old, new
    # limits of accounts follow from memory_limit: one line says it
    follows = {
        name for name in new.limits if name.endswith("_total") and old.limits.get("memory_limit") != new.limits.get("memory_limit")
    } | {"block_size"}
    limits = {name: old.limits.get(name, value) if name in follows else value for name, value in new.limits.items()}
    memory = new.memory
    if any(old.limits.get(name) != new.limits.get(name) for name in ("block_size", "memory_limit")):
        memory = replace(old.memory, pressure=new.memory.pressure)  # blocks and shares are others
    parts = {
        name: replace(part, limit_bytes=old.memory.components[name].limit_bytes if name in old.memory.components else part.limit_bytes)
        for name, part in memory.components.items()
    }
    return old, replace(new, memory=replace(memory, limit_bytes=old.memory.limit_bytes, components=parts), limits=limits)


def _as_counted_then(summary: Summary, other: Summary) -> Summary:
    """A summary with what an earlier version did not count yet taken from the other one, and limits that were or are usual as they are now."""
    limits = {name: summary.limits.get(name, value) for name, value in _USUAL.items()}
    limits |= {name: _USUAL[name] for name, value in _USUAL_ONCE.items() if limits[name] == value}
    summary = replace(summary, limits=limits)
    if not summary.decode.bytes and summary.decode.packets:
        summary = replace(summary, decode=replace(summary.decode, bytes=other.decode.bytes))
    if not summary.tcp.spoken and summary.tcp.connections:
        examples = {name: other.tcp.examples.get(name, summary.tcp.examples.get(name, [])) for name in other.tcp.examples}
        summary = replace(summary, tcp=replace(summary.tcp, spoken=other.tcp.spoken, examples=examples), advice=other.advice)
    return summary


def of_baseline(summary: Summary) -> Summary:
    """What a baseline holds of a summary: settled, without what memory took, and of the limits those that are not as usual."""
    summary = settled(summary)
    memory = replace(summary.memory, limit_bytes=0, peak_bytes=0, peak_at=None, components={})
    return replace(summary, memory=memory, limits={name: value for name, value in summary.limits.items() if _USUAL.get(name) != value})


def settled(summary: Summary) -> Summary:
    """The same without what may differ between two runs, or two machines: run, memory.process, the version, paths' folders, json.backend."""
    return replace(
        summary,
        pcapflow="",
        captures=[replace(one, path=PurePath(one.path).name) for one in summary.captures],
        json=replace(summary.json, backend=""),
        memory=replace(summary.memory, process=_NO_PROCESS),
        run=_NO_RUN,
    )
