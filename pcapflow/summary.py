"""The report's summary, as types: the last record of a run, and the document without its records.

Contract and invariant are those of `records`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from pcapflow.anomalies import Anomaly
from pcapflow.budget import Ledger
from pcapflow.contents import FORMATS
from pcapflow.drops import GapCause
from pcapflow.fields import REASONS, STREAM_STATUS, Endpoint, Number, PacketTime, Side, counts, instant_or_null, keyed, says, says_or_null
from pcapflow.limits import Limits
from pcapflow.tables import HttpEndpoint, NetworkSummary, Problem
from pcapflow.unread import UnreadReason

SCHEMA = "pcapflow.report/2"
EXAMPLES = ("stalled", "one_directional", "out_of_window", "multipath", "before_protocol", "behind_loss", "malformed")


class Capture(msgspec.Struct):
    """One capture file."""

    path: Annotated[str, says("Path, as given.")]
    format: Annotated[str, says("`pcap`, `pcapng` or `snoop`.")]
    compression: Annotated[str | None, says("Compression format; null if uncompressed.")]
    link_types: Annotated[list[str], says("Link types, as tcpdump names them.")]
    snaplen: Annotated[int, counts("Snap length: the longest packet it can hold; 0 for no limit.")]
    bytes: Annotated[int, counts("Size of the decompressed capture.")]
    packets: Annotated[int, counts("Packets read.")]
    first_ts: Annotated[float | None, instant_or_null("Capture time of the first packet.")]
    last_ts: Annotated[float | None, instant_or_null("Capture time of the last packet.")]
    cut_short: Annotated[bool, says("Whether the last record is truncated, as when tcpdump is killed.")]
    damaged_at: Annotated[int | None, says("Offset of the damage in the decompressed capture.")]
    dropped_by_capture: Annotated[int | None, says("Packets that the capture itself reports as dropped.")]
    skipped_bytes: Annotated[int, counts("Bytes skipped between damage and the next verified record.")] = 0
    decryption_secrets: Annotated[int, counts("Decryption Secrets Blocks; they are not used.")] = 0


class DuplicatedByPlace(msgspec.Struct):
    """Packet copies by where they were captured."""

    file: Annotated[int, counts("Copies in another capture of the trace.")] = 0
    interface: Annotated[int, counts("Copies on another interface, or in the other direction through the same one.")] = 0
    vlan: Annotated[int, counts("Copies with another VLAN tag.")] = 0
    same: Annotated[int, counts("Copies at the same place, immediately after the first.")] = 0


class NotRead(msgspec.Struct):
    """Packets of one kind that pcapflow does not read."""

    packets: Annotated[int, counts("Number of packets.")] = 0
    bytes: Annotated[int, counts("Bytes of these packets on the wire.")] = 0


class Decode(msgspec.Struct):
    """Packet counts: tcp + udp + other + malformed + unsupported_link = packets."""

    packets: Annotated[int, counts("All packets.")] = 0
    tcp: Annotated[int, counts("TCP segments.")] = 0
    udp: Annotated[int, counts("UDP datagrams.")] = 0
    other: Annotated[int, counts("Packets of other protocols.")] = 0
    malformed: Annotated[int, counts("Packets with malformed headers.")] = 0
    unsupported_link: Annotated[int, counts("Packets with an unsupported link type.")] = 0
    bytes: Annotated[int, counts("Bytes of all packets on the wire.")] = 0
    not_read: Annotated[
        dict[str, NotRead],
        says(
            "Breakdown of `udp` and `other` by EtherType, IP protocol and UDP service, most bytes first; at most `map_keys` names, `...` for the rest."
        ),
    ] = msgspec.field(default_factory=dict)
    ip: Annotated[int, counts("IPv4 and IPv6 packets.")] = 0
    fragments: Annotated[int, counts("IP fragments.")] = 0
    datagrams: Annotated[
        int, counts("Datagrams reassembled from fragments, each counted at its last fragment; the other fragments count under `other`.")
    ] = 0
    fragments_dropped: Annotated[int, counts("Fragments that could not be reassembled.")] = 0
    fragments_overlapping: Annotated[int, counts("Datagrams given up because their fragments overlap.")] = 0
    filtered_out: Annotated[int, counts("TCP segments outside `--from`, `--to` or `--filter`.")] = 0
    snapped: Annotated[int, counts("Packets truncated by the snap length, or by a tool that sliced the capture.")] = 0
    duplicated: Annotated[
        int,
        counts(
            "Copies: the same packet captured again, at another place or immediately after. They count in `tcp`, but not in `tcp.segments` or as captured bytes."
        ),
    ] = 0
    duplicated_bytes: Annotated[int, counts("Payload bytes of the copies.")] = 0
    duplicated_by_place: Annotated[DuplicatedByPlace, says("Copies by how they differ from the first.")] = msgspec.field(
        default_factory=DuplicatedByPlace
    )
    oversized: Annotated[int, counts("Segments with more payload than fits in a 1,500-byte packet.")] = 0
    backwards: Annotated[int, counts("Packets with an earlier timestamp than the packet before.")] = 0
    checksums_checked: Annotated[int, counts("TCP checksums verified: one packet in 256, or all with `--verify-checksums`.")] = 0
    checksums_wrong: Annotated[int, counts("Verified checksums that are wrong.")] = 0


class PayloadBytes(msgspec.Struct):
    """Payload accounting over all streams, in the same categories as `Stream`: captured is the sum of the others."""

    captured: Annotated[int, counts("All captured payload bytes.")] = 0
    delivered: Annotated[int, counts("Bytes passed on to the parsers, in order, once.")] = 0
    retransmitted: Annotated[int, counts("Bytes received again, identical.")] = 0
    conflicting: Annotated[int, counts("Bytes received again, different.")] = 0
    late: Annotated[
        int, counts("Bytes that arrived after their gap was given up, or that precede the point at which the capture joined the stream.")
    ] = 0
    out_of_window: Annotated[int, counts("Bytes that cannot belong to their stream.")] = 0
    dropped: Annotated[int, counts("Bytes of streams that were given up or never tracked.")] = 0
    balanced: Annotated[
        bool,
        says(
            "Whether, for each stream and overall, captured is the sum of the others, each span is delivered + missing, and delivered is read + unread."
        ),
    ] = True


class Spoken(msgspec.Struct):
    """Connections that spoke one protocol."""

    connections: Annotated[int, counts("Number of connections.")] = 0
    delivered_bytes: Annotated[int, counts("Bytes delivered from both sides.")] = 0


class UnreadBytes(msgspec.Struct):
    """Delivered bytes that were not read, for one reason."""

    streams: Annotated[int, counts("Streams with such bytes; a stream is one direction of a connection.")] = 0
    bytes: Annotated[int, counts("Number of bytes.")] = 0
    by_name: Annotated[dict[str, int], says("Bytes by protocol, if the reason is `not_supported`.")] = msgspec.field(default_factory=dict)


class Tcp(msgspec.Struct):
    """TCP reassembly statistics."""

    connections: Annotated[int, counts("Connections, including half-open ones.")] = 0
    segments: Annotated[int, counts("Segments processed.")] = 0
    syn: Annotated[int, counts("Segments with SYN.")] = 0
    fin: Annotated[int, counts("Segments with FIN.")] = 0
    rst: Annotated[int, counts("Segments with RST.")] = 0
    payload_bytes: Annotated[PayloadBytes, says("What became of every payload byte.")] = msgspec.field(default_factory=PayloadBytes)
    missing_bytes: Annotated[int, counts("Bytes within the streams' spans that were never delivered.")] = 0
    gaps: Annotated[int, counts("Holes that were given up.")] = 0
    gaps_by_cause: Annotated[dict[str, int], keyed("Gaps by cause.", [cause.value for cause in GapCause])] = msgspec.field(
        default_factory=dict
    )
    holes_filled: Annotated[int, counts("Holes whose bytes arrived later.")] = 0
    out_of_order_segments: Annotated[int, counts("Segments that started beyond the next expected offset on arrival.")] = 0
    conflicts: Annotated[int, counts("Segments whose bytes differ from those already there.")] = 0
    ambiguous_streams: Annotated[int, counts("Streams for which another overlap policy would deliver different bytes.")] = 0
    acknowledged_missing_bytes: Annotated[int, counts("Missing bytes that the receiver acknowledged, so the capture lost them.")] = 0
    snapped_missing_bytes: Annotated[int, counts("Missing bytes at the end of packets that the capture truncated.")] = 0
    half_open_connections: Annotated[int, counts("Connections with only a SYN, or with packets from one side only and no data.")] = 0
    one_directional_connections: Annotated[int, counts("Other connections of which only one direction was captured.")] = 0
    evicted_connections: Annotated[int, counts("Connections evicted from the full table to make room for others.")] = 0
    early_acknowledgements: Annotated[int, counts("Acknowledgements captured before the data they acknowledge.")] = 0
    multipath_connections: Annotated[int, counts("Connections whose handshake offers Multipath TCP.")] = 0
    streams_out_of_window: Annotated[
        int,
        counts(
            "Streams where at least 1% of the captured bytes cannot belong to the stream; unless dropped or gapped, their status is `partial`."
        ),
    ] = 0
    clock_skew: Annotated[
        float | None,
        says(
            "Seconds by which acknowledgements precede their data, if three or more do so by about the same amount: the clocks of two capture points differ."
        ),
    ] = None
    spoken: Annotated[dict[str, Spoken], says("Connections by `protocol`, as in their records; `empty` are those without data.")] = (
        msgspec.field(default_factory=dict)
    )
    read_bytes: Annotated[int, counts("Delivered bytes that were read; with `unread` they add up to `payload_bytes.delivered`.")] = 0
    unread: Annotated[
        dict[str, UnreadBytes],
        keyed(
            "Delivered bytes that were not read, by reason ([table](report.md#read-and-unread)).", [reason.value for reason in UnreadReason]
        ),
    ] = msgspec.field(default_factory=dict)
    examples: Annotated[
        dict[str, list[int]], keyed("Numbers of connections that `advice` refers to: the lowest, at most three.", EXAMPLES)
    ] = msgspec.field(default_factory=dict)
    resets_ignored: Annotated[
        int, counts("RSTs that did not end a connection: they were out of the window, or the connection continued.")
    ] = 0
    repeated_after_close: Annotated[
        int,
        counts(
            "Segments retransmitted, with no new data, after their connection had closed and its record was written. Their bytes count as `retransmitted`."
        ),
    ] = 0


class Bodies(msgspec.Struct):
    """HTTP bodies by status."""

    complete: Annotated[int, counts("Complete bodies.")] = 0
    gapped: Annotated[int, counts("Bodies with missing bytes.")] = 0
    truncated: Annotated[int, counts("Bodies that ended before their framing indicated.")] = 0
    dropped: Annotated[int, counts("Bodies given up.")] = 0


class HttpSummary(msgspec.Struct):
    """HTTP statistics. Maps are sorted by count, highest first; they have registered names and up to `map_keys` others, and `...` counts the rest."""

    requests: Annotated[int, counts("Requests.")] = 0
    responses: Annotated[int, counts("Responses, including 1xx.")] = 0
    by_method: Annotated[dict[str, int], says("Requests by method.")] = msgspec.field(default_factory=dict)
    by_status: Annotated[dict[str, int], says("Responses by status code.")] = msgspec.field(default_factory=dict)
    bodies: Annotated[Bodies, says("Bodies by status.")] = msgspec.field(default_factory=Bodies)
    anomalies: Annotated[dict[str, int], keyed("Exchanges by anomaly ([table](http.md)).", [anomaly.value for anomaly in Anomaly])] = (
        msgspec.field(default_factory=dict)
    )
    codings_missing: Annotated[
        dict[str, int], says("Bodies not decoded because this installation does not support their content coding, by coding.")
    ] = msgspec.field(default_factory=dict)


class JsonSummary(msgspec.Struct):
    """JSON statistics."""

    bodies: Annotated[int, counts("Bodies and raw streams.")] = 0
    documents: Annotated[int, counts("Complete documents.")] = 0
    events: Annotated[int, counts("Parser events.")] = 0
    keys: Annotated[int, counts("Object keys.")] = 0
    broken: Annotated[int, counts("Documents given up while others in the same body could still be read.")] = 0
    duplicate_keys: Annotated[int, counts("Duplicate keys within an object, where counted.")] = 0
    bytes: Annotated[int, counts("Bytes after content codings are undone.")] = 0
    complete: Annotated[int, counts("Bodies with status `complete`.")] = 0
    invalid: Annotated[int, counts("Bodies that are not valid JSON, with no byte before the error missing.")] = 0
    partial: Annotated[int, counts("Partial texts in 206 (Partial Content) responses.")] = 0
    truncated: Annotated[int, counts("Truncated bodies.")] = 0
    gapped: Annotated[int, counts("Bodies with missing bytes.")] = 0
    dropped: Annotated[int, counts("Bodies given up.")] = 0
    not_looked_at: Annotated[
        int, counts("HTTP bodies that start like JSON but have another Content-Type, or none; `--sniff-json` reads them.")
    ] = 0
    backend: Annotated[str, says("The ijson backend; `yajl2_c` is the fast one.")] = ""


class PayloadSummary(msgspec.Struct):
    """Bodies of one format that is not JSON."""

    bodies: Annotated[int, counts("Bodies, including parts of multipart bodies.")] = 0
    pieces: Annotated[int, counts("YAML documents, form fields, or parts of multipart bodies.")] = 0
    bytes: Annotated[int, counts("Bytes after content codings are undone.")] = 0
    complete: Annotated[int, counts("Bodies with status `complete`.")] = 0
    invalid: Annotated[int, counts("Bodies that are not valid in their format, with no byte before the error missing.")] = 0
    partial: Annotated[int, counts("Partial texts in 206 (Partial Content) responses.")] = 0
    truncated: Annotated[int, counts("Truncated bodies.")] = 0
    gapped: Annotated[int, counts("Bodies with missing bytes.")] = 0
    dropped: Annotated[int, counts("Bodies given up.")] = 0
    not_read: Annotated[int, counts("Bodies that this installation cannot read.")] = 0


class DropCount(msgspec.Struct):
    """Drops for one reason."""

    count: Annotated[int, counts("Number of drops.")] = 0
    bytes: Annotated[int, counts("Bytes buffered when the drops occurred.")] = 0


class Drops(msgspec.Struct):
    """All drops."""

    streams: Annotated[int, counts("Streams given up, permanently or until their next message.")] = 0
    bytes: Annotated[int, counts("Bytes that reassembly dropped.")] = 0
    by_reason: Annotated[dict[str, DropCount], keyed("Drops by reason ([reasons](drops.md)).", REASONS)] = msgspec.field(
        default_factory=dict
    )


class Component(msgspec.Struct):
    """One account of the memory budget."""

    peak_bytes: Annotated[int, counts("High-water mark.")]
    limit_bytes: Annotated[int, counts("Limit of the account.")]
    at_end_bytes: Annotated[int, counts("Bytes still reserved at the end; always 0.")]
    peak_at: Annotated[PacketTime | None, says("When the high-water mark was reached.")]


class Process(msgspec.Struct):
    """Resident memory of the process."""

    peak_rss_bytes: Annotated[int, counts("Peak resident memory.")]
    start_rss_bytes: Annotated[int, counts("Resident memory before the first capture was opened.")]


class Memory(msgspec.Struct):
    """High-water marks ([what is counted](memory.md))."""

    limit_bytes: Annotated[int, counts("`--memory-limit`.")]
    peak_bytes: Annotated[int, counts("Peak of all accounts together.")]
    peak_at: Annotated[PacketTime | None, says("When that peak was reached.")]
    pressure: Annotated[bool, says("Whether a limit shared between connections was reached.")]
    components: Annotated[dict[str, Component], keyed("Each account.", Ledger.NAMES)]
    process: Annotated[Process, says("Process memory as reported by the system; differs between runs.")]


class Run(msgspec.Struct):
    """Run time and throughput; with `memory.process`, the only part that differs between identical runs."""

    seconds: Annotated[float, counts("Wall-clock time.")]
    packets_per_second: Annotated[int, counts("Packets read per second.")]
    bytes_per_second: Annotated[int, counts("Capture bytes read per second.")]
    workers: Annotated[int, counts("Processes that shared the work on the trace.")]


class LossyStream(msgspec.Struct):
    """One of the streams with the most missing or dropped bytes."""

    connection: Number
    stream: Side
    client: Annotated[Endpoint, says("The client's end.")]
    server: Annotated[Endpoint, says("The server's end.")]
    status: Annotated[str, says("Stream status, as in the `connection` record.", *STREAM_STATUS)]
    drop_reason: Annotated[str | None, says_or_null("Why the stream was dropped.", *REASONS)]
    missing_bytes: Annotated[int, counts("Bytes that were never delivered.")]
    dropped_bytes: Annotated[int, counts("Bytes dropped by reassembly.")]
    gaps: Annotated[int, counts("Holes that were given up.")]


class Summary(msgspec.Struct, tag="summary", tag_field="record"):
    """The last record of a run; also the JSON document without its records."""

    record: ClassVar[Literal["summary"]] = "summary"

    schema: Annotated[str, says("`pcapflow.report/2`.")]
    pcapflow: Annotated[str, says("Version of pcapflow.")]
    interrupted: Annotated[bool, says("Whether the run was interrupted; the report then covers only what was read.")]
    captures: Annotated[list[Capture], says("Capture files, in chronological order.")]
    decode: Annotated[Decode, says("What became of the packets.")]
    tcp: Annotated[Tcp, says("TCP reassembly statistics.")]
    http: Annotated[HttpSummary, says("HTTP statistics.")]
    json: Annotated[JsonSummary, says("JSON statistics.")]
    drops: Annotated[Drops, says("Data given up.")]
    memory: Annotated[Memory, says("High-water marks.")]
    advice: Annotated[list[str], says("Recommendations for the next run or capture ([how they are derived](report.md)).")]
    limits: Annotated[dict[str, int], keyed("Every limit ([table](limits.md)).", Limits().as_dict())]
    run: Annotated[Run, says("Run time and throughput.")]
    worst_streams: Annotated[
        list[LossyStream], says("Streams with the most missing or dropped bytes, worst first; at most `worst_streams`.")
    ] = msgspec.field(default_factory=list)
    network: Annotated[NetworkSummary, says("Network effects on the connections.")] = NetworkSummary()
    endpoints: Annotated[
        list[HttpEndpoint],
        says("HTTP endpoints, slowest first by 95th percentile of duration; at most `table_rows`, plus one row for the rest."),
    ] = msgspec.field(default_factory=list)
    problems: Annotated[
        list[Problem],
        says(
            "HTTP problems: errors first, then broken bodies, then incomplete exchanges; at most `table_rows`, plus one row for the rest."
        ),
    ] = msgspec.field(default_factory=list)
    payloads: Annotated[
        dict[str, PayloadSummary],
        keyed("Statistics of bodies that are not JSON, by `format` ([payloads](payloads.md)).", FORMATS),
    ] = msgspec.field(default_factory=dict)
    not_written: Annotated[
        dict[str, int],
        keyed(
            "Records that a database did not accept, by type (`--sink-overload drop`).",
            ("conflict", "connection", "drop", "gap", "http", "json"),
        ),
    ] = msgspec.field(default_factory=dict)
    plugins: Annotated[dict[str, int], says("Plug-in records, by plug-in name ([extending](extending.md)).")] = msgspec.field(
        default_factory=dict
    )
