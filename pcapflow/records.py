"""The report's records, as types: one definition for encoding, decoding and JSON Schema.

These are pcapflow's public interface (docs/report.md). Invariant: a key is never missing; what is absent is null. Times
are seconds since the epoch, rounded to microseconds; byte counts are integers.
"""

from __future__ import annotations

import msgspec


class Endpoint(msgspec.Struct, frozen=True):
    """An address and a port."""

    ip: str
    port: int


class Stream(msgspec.Struct):
    """One direction of a connection. Byte counts are explained in docs/report.md; they obey the conservation law."""

    captured_bytes: int
    delivered_bytes: int
    retransmitted_bytes: int
    conflicting_bytes: int
    late_bytes: int
    out_of_window_bytes: int
    dropped_bytes: int
    missing_bytes: int
    gaps: int
    holes_filled: int
    out_of_order_segments: int
    ring_peak_bytes: int
    status: str
    drop_reason: str | None
    reads_differently: list[str]


class Streams(msgspec.Struct):
    """Both directions: bytes sent by the client, bytes sent by the server."""

    client: Stream
    server: Stream


class Tls(msgspec.Struct):
    """What a TLS handshake says in the clear. version, alpn: as the server chose them, None where it was not seen or says so under encryption
    only (the protocol, in TLS 1.3); offered: the protocols that the client proposed.
    """

    server_name: str | None
    version: str | None
    alpn: str | None
    offered: list[str]


class Connection(msgspec.Struct, tag="connection", tag_field="record"):
    """A TCP connection, written when nothing more can belong to it. protocol: what it spoke, at its end: within a CONNECT tunnel or behind an Upgrade the next
    protocol, where it is known.
    """

    connection: int
    client: Endpoint
    server: Endpoint
    vlan: list[int]
    tunnel: str | None
    roles: str
    start: str
    end: str
    first_ts: float
    last_ts: float
    packets: int
    protocol: str
    streams: Streams
    tls: Tls | None = None


class JsonError(msgspec.Struct):
    """Where a JSON text broke: offset in the document that was open (the document-th, from 0), and the path to it: as an ijson prefix
    (`items.item.address`), and as jq would say it (`items[412].address`).
    """

    message: str
    offset: int
    path: str
    location: str
    document: int


class JsonBody(msgspec.Struct):
    """What was found in a body of JSON. top_level: what its documents are: `object`, `array`, `string`, `number`, `boolean`, `null`, or `mixed`; None for no
    document. encoding: as it was sent (UTF-16 and UTF-32 are read too); bom: a byte order mark came first; prefix: what stood before the text against hijacking; broken: documents
    that were given up while others could be read (NDJSON, JSON text sequences, server-sent events); passed_over: events or texts that are no JSON; duplicate_keys: keys that their
    object had already, None where nobody counted.
    """

    documents: int
    events: int
    keys: int
    max_depth: int
    top_level: str | None
    bytes: int
    status: str
    encoding: str = "utf-8"
    bom: bool = False
    prefix: str | None = None
    broken: int = 0
    passed_over: int = 0
    duplicate_keys: int | None = None
    error: JsonError | None = None
    drop_reason: str | None = None


class Body(msgspec.Struct):
    """The body of a message. bytes: without chunk framing, before the content coding is undone; decoded_bytes: after, None where nobody looked; sha256: of `bytes`, in hexadecimal, where
    --hash-bodies asked and all of them came.
    """

    framing: str
    bytes: int
    decoded_bytes: int | None
    missing_bytes: int
    content_type: str | None
    content_encoding: str | None
    status: str
    drop_reason: str | None
    json: JsonBody | None
    sha256: str | None = None


class Request(msgspec.Struct):
    """An HTTP request."""

    method: str
    target: str
    host: str | None
    version: str
    body: Body


class Response(msgspec.Struct):
    """An HTTP response."""

    status: int
    reason: str
    version: str
    body: Body


class Http(msgspec.Struct, tag="http", tag_field="record"):
    """An HTTP exchange: a request and its final response, or one of them alone."""

    connection: int
    index: int
    ts: float
    duration: float | None
    anomalies: list[str]
    resynchronised: bool
    request: Request | None
    response: Response | None


class Json(msgspec.Struct, tag="json", tag_field="record"):
    """A body of JSON, or what a raw stream held, as a record of its own: the fields behind `ts` are those of `JsonBody`."""

    connection: int
    stream: str
    source: str
    http_index: int | None
    ts: float
    documents: int
    events: int
    keys: int
    max_depth: int
    top_level: str | None
    bytes: int
    status: str
    encoding: str
    bom: bool
    prefix: str | None
    broken: int
    passed_over: int
    duplicate_keys: int | None
    error: JsonError | None
    drop_reason: str | None


class LimitValue(msgspec.Struct):
    """A limit and what it was."""

    name: str
    value: int


class Gap(msgspec.Struct, tag="gap", tag_field="record"):
    """Bytes of a stream that were given up as missing, from stream_offset to last_offset; sequence and last_sequence are the
    numbers that those two have on the wire. held_bytes: what waited behind the stream's holes then. limit: what was reached, where the cause
    is one; requested_by: the connection whose request for memory reached it.
    """

    connection: int
    stream: str
    stream_offset: int
    bytes: int
    cause: str
    ts: float
    packet: int
    last_offset: int
    sequence: int
    last_sequence: int
    held_bytes: int
    limit: LimitValue | None
    requested_by: int | None


class Range(msgspec.Struct):
    """Stream offsets from start up to, not including, end."""

    start: int
    end: int


class Conflict(msgspec.Struct, tag="conflict", tag_field="record"):
    """Bytes that came again and were others, `bytes` of them, the first overlap at stream_offset. segment: the later copy; original: what
    it overlapped; kept: `original`, `new`, or `both` where each has a part (docs/overlaps.md).
    """

    connection: int
    stream: str
    stream_offset: int
    bytes: int
    segment: Range
    original: Range
    kept: str
    ts: float
    packet: int
    sequence: int


class Drop(msgspec.Struct, tag="drop", tag_field="record"):
    """Something that was given up on purpose. sequence: the number that stream_offset has on the wire; requested_by: the connection
    whose request for memory reached the limit, where it is another's; resumes: the stream is picked up at its next message.
    """

    connection: int
    stream: str
    layer: str
    reason: str
    ts: float
    packet: int
    stream_offset: int
    bytes: int
    limit: LimitValue | None
    detail: str
    sequence: int | None
    requested_by: int | None
    resumes: bool


class PacketTime(msgspec.Struct):
    """A packet and its capture time."""

    ts: float
    packet: int


class Capture(msgspec.Struct):
    """One capture file. bytes, damaged_at: of the capture, decompressed; dropped_by_capture: packets that it says it lost; skipped_bytes: between
    damage and the next record that proved itself; decryption_secrets: blocks of them.
    """

    path: str
    format: str
    compression: str | None
    link_types: list[str]
    snaplen: int
    bytes: int
    packets: int
    first_ts: float | None
    last_ts: float | None
    cut_short: bool
    damaged_at: int | None
    dropped_by_capture: int | None
    skipped_bytes: int = 0
    decryption_secrets: int = 0


class Decode(msgspec.Struct):
    """What became of the packets: the first five after `packets` sum to it. left_out: TCP segments outside --from, --to or --filter; duplicated: segments that came twice at once; oversized: with
    more payload than a packet of 1,500 bytes; ip: packets of IPv4 and IPv6; datagrams: put together from fragments, each counted at its last one, the others under `other`;
    fragments_dropped: that came to nothing; fragments_overlapping: datagrams given up since theirs overlap; backwards: packets older than the one before; checksums: one packet in 256 is looked at.
    """

    packets: int = 0
    tcp: int = 0
    udp: int = 0
    other: int = 0
    malformed: int = 0
    unsupported_link: int = 0
    ip: int = 0
    fragments: int = 0
    datagrams: int = 0
    fragments_dropped: int = 0
    fragments_overlapping: int = 0
    left_out: int = 0
    snapped: int = 0
    duplicated: int = 0
    oversized: int = 0
    backwards: int = 0
    checksums_checked: int = 0
    checksums_wrong: int = 0


class PayloadBytes(msgspec.Struct):
    """The conservation law over all streams."""

    captured: int = 0
    delivered: int = 0
    retransmitted: int = 0
    conflicting: int = 0
    late: int = 0
    out_of_window: int = 0
    dropped: int = 0
    balanced: bool = True


class Tcp(msgspec.Struct):
    """What the reassembly saw. holes_filled: holes whose bytes came after all; conflicts: segments that brought other bytes than were there; streams_reading_differently: under another overlap
    policy; acknowledged_missing_bytes: what the capture lost; unanswered: nothing but a SYN, or what one side says without data;
    one_sided: data or more of one direction alone; early_acknowledgements: captured before the data they acknowledge.
    """

    connections: int = 0
    segments: int = 0
    syn: int = 0
    fin: int = 0
    rst: int = 0
    payload_bytes: PayloadBytes = msgspec.field(default_factory=PayloadBytes)
    missing_bytes: int = 0
    gaps: int = 0
    gaps_by_cause: dict[str, int] = msgspec.field(default_factory=dict)
    holes_filled: int = 0
    out_of_order_segments: int = 0
    conflicts: int = 0
    streams_reading_differently: int = 0
    acknowledged_missing_bytes: int = 0
    unanswered_connections: int = 0
    one_sided_connections: int = 0
    evicted_connections: int = 0
    early_acknowledgements: int = 0


class Bodies(msgspec.Struct):
    """HTTP bodies by status."""

    complete: int = 0
    gapped: int = 0
    truncated: int = 0
    dropped: int = 0


class HttpSummary(msgspec.Struct):
    """What was said over HTTP. responses counts 1xx answers too; anomalies: exchanges by what is suspicious in them; codings_missing: bodies that were not looked into since
    this installation cannot undo their content coding.
    """

    requests: int = 0
    responses: int = 0
    by_method: dict[str, int] = msgspec.field(default_factory=dict)
    by_status: dict[str, int] = msgspec.field(default_factory=dict)
    bodies: Bodies = msgspec.field(default_factory=Bodies)
    anomalies: dict[str, int] = msgspec.field(default_factory=dict)
    codings_missing: dict[str, int] = msgspec.field(default_factory=dict)


class JsonSummary(msgspec.Struct):
    """What was in the JSON bodies. broken: documents that were given up while others of their body could be read."""

    bodies: int = 0
    documents: int = 0
    events: int = 0
    keys: int = 0
    broken: int = 0
    duplicate_keys: int = 0
    bytes: int = 0
    complete: int = 0
    invalid: int = 0
    truncated: int = 0
    gapped: int = 0
    dropped: int = 0
    backend: str = ""


class DropCount(msgspec.Struct):
    """How often a reason occurred, and how many bytes were held when it did."""

    count: int = 0
    bytes: int = 0


class Drops(msgspec.Struct):
    """All drops by reason."""

    streams: int = 0
    bytes: int = 0
    by_reason: dict[str, DropCount] = msgspec.field(default_factory=dict)


class Component(msgspec.Struct):
    """One account of the memory budget."""

    peak_bytes: int
    limit_bytes: int
    at_end_bytes: int
    peak_at: PacketTime | None


class Process(msgspec.Struct):
    """Resident memory of the process: at its highest, and before the first capture was opened."""

    peak_rss_bytes: int
    start_rss_bytes: int


class Memory(msgspec.Struct):
    """High-water marks. pressure: a limit shared between connections was reached."""

    limit_bytes: int
    peak_bytes: int
    peak_at: PacketTime | None
    pressure: bool
    components: dict[str, Component]
    process: Process


class Run(msgspec.Struct):
    """How long it took; the only part with `memory.process` that differs between equal runs."""

    seconds: float
    packets_per_second: int
    bytes_per_second: int
    workers: int


class Summary(msgspec.Struct, tag="summary", tag_field="record"):
    """The last record of a run, and the document without its records."""

    schema: str
    pcapflow: str
    interrupted: bool
    captures: list[Capture]
    decode: Decode
    tcp: Tcp
    http: HttpSummary
    json: JsonSummary
    drops: Drops
    memory: Memory
    advice: list[str]
    limits: dict[str, int]
    run: Run


Record = Connection | Http | Json | Gap | Conflict | Drop | Summary

SCHEMA = "pcapflow.report/1"


def seconds(ns: int) -> float:
    """Nanoseconds as seconds, rounded to microseconds."""
    return (ns + 500) // 1000 / 1_000_000


def text(raw: bytes) -> str:
    """Bytes from the wire as UTF-8, with U+FFFD for what is not."""
    return raw.decode("utf-8", "replace")
