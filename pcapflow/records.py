"""The report's records, as types: one definition for encoding, decoding, JSON Schema and the field reference (docs/report.md).

These are pcapflow's public interface (docs/report.md). Invariant: a key is never missing; what is absent is null. Times
are seconds since the epoch, rounded to microseconds; byte counts are integers. A field that comes later has a default, so that
reports from before it can still be read.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from pcapflow.anomalies import Anomaly, NoResponse
from pcapflow.contents import (
    BOM,
    BROKEN,
    DEPTH,
    DOCUMENTS,
    DUPLICATES,
    ENCODING,
    ERROR,
    EVENTS,
    JSON_BYTES,
    JSON_DROP,
    JSON_STATUS,
    KEYS,
    PASSED,
    PREFIX,
    SHAPE,
    TOP,
    VALUES,
    JsonError,
    JsonValues,
)
from pcapflow.drops import GapCause
from pcapflow.fields import REASONS, STREAM_STATUS, Endpoint, Number, Packet, Sequence, Side, Time, counts, instant, says, says_or_null
from pcapflow.messages import Request, Response
from pcapflow.summary import Summary
from pcapflow.unread import Unread

_PROTOCOLS = ("http", "json", "websocket", "tls", "http2", "proxy", "socks", "opaque", "empty")
_LAYERS = ("decode", "reassembly", "http", "content", "json", "multipart", "yaml", "plugin")


class Stream(msgspec.Struct):
    """One direction of a connection. captured = delivered + retransmitted + conflicting + late + out_of_window + dropped."""

    captured_bytes: Annotated[int, counts("Payload bytes in the capture, after filters, in segments decoded as TCP.")]
    delivered_bytes: Annotated[int, counts("Bytes passed on to the parsers, in order, once.")]
    retransmitted_bytes: Annotated[int, counts("Bytes already delivered or buffered that were identical, or could no longer be compared.")]
    conflicting_bytes: Annotated[int, counts("Bytes already delivered or buffered that differed.")]
    late_bytes: Annotated[
        int, counts("Bytes that fill a gap already given up, or precede the point at which the capture joined the stream.")
    ]
    out_of_window_bytes: Annotated[int, counts("Bytes that cannot belong to the stream.")]
    dropped_bytes: Annotated[int, counts("Bytes discarded because reassembly gave up on the stream.")]
    missing_bytes: Annotated[int, counts("Bytes within the stream's span that were never delivered.")]
    gaps: Annotated[int, counts("Holes that were given up.")]
    holes_filled: Annotated[int, counts("Holes whose bytes arrived later.")]
    out_of_order_segments: Annotated[int, counts("Segments that started beyond the next expected offset on arrival.")]
    ring_peak_bytes: Annotated[int, counts("Peak number of bytes buffered out of order, at packet granularity.")]
    status: Annotated[
        str,
        says(
            "The first that applies: `dropped`, `gapped`, `partial` (no SYN, neither FIN nor RST reached, or at least 1% of the captured bytes cannot belong to the stream), `complete`.",
            *STREAM_STATUS,
        ),
    ]
    drop_reason: Annotated[str | None, says_or_null("Why the stream was dropped.", *REASONS)]
    ambiguous_under: Annotated[
        list[str], says("`--overlap` policies that would have delivered different bytes; if any, the stream is ambiguous.")
    ]
    read_bytes: Annotated[int, counts("Delivered bytes that were read as part of a message, a handshake or a JSON text.")] = 0
    unread: Annotated[
        list[Unread], says("Delivered bytes that were not read, by reason; with `read_bytes` they add up to `delivered_bytes`.")
    ] = []


class Streams(msgspec.Struct):
    """Both directions of a connection."""

    client: Annotated[Stream, says("Bytes sent by the client.")]
    server: Annotated[Stream, says("Bytes sent by the server.")]


class StreamNetwork(msgspec.Struct, frozen=True):
    """Network effects on one direction ([how they are determined](network.md))."""

    retransmitted_segments: Annotated[int, counts("Segments with bytes that the capture already had.")] = 0
    lost: Annotated[
        int, counts("Holes filled by retransmissions: the network lost the first copies before they reached the capture point.")
    ] = 0
    lost_segments: Annotated[int, counts("Retransmitted segments that filled holes; one hole may span several.")] = 0
    reordered: Annotated[
        int, counts("Holes filled by segments that were only reordered; `lost` and `reordered` add up to `holes_filled`.")
    ] = 0
    stalled: Annotated[float, counts("Seconds that data waited behind segments that the network lost.")] = 0.0
    zero_windows: Annotated[int, counts("How often the receiver of these bytes advertised a zero window.")] = 0
    closed: Annotated[float, counts("Seconds during which that window stayed at zero.")] = 0.0
    duplicate_acknowledgements: Annotated[
        int, counts("Duplicate ACKs from the receiver of these bytes, sent while data was in flight.")
    ] = 0
    resets: Annotated[int, counts("RSTs from the sender of these bytes.")] = 0


NO_NETWORK = StreamNetwork()


class Network(msgspec.Struct, frozen=True):
    """Network effects on a connection."""

    round_trip: Annotated[
        float | None,
        says("Seconds from SYN to SYN-ACK: the round trip between the capture point and the server; null if not captured."),
    ] = None
    client_round_trip: Annotated[
        float | None,
        says("Seconds from SYN-ACK to its acknowledgement: the round trip between the capture point and the client; null if not captured."),
    ] = None
    client: Annotated[StreamNetwork, says("Bytes sent by the client.")] = NO_NETWORK
    server: Annotated[StreamNetwork, says("Bytes sent by the server.")] = NO_NETWORK


class Tls(msgspec.Struct):
    """Cleartext information from a TLS handshake."""

    server_name: Annotated[str | None, says("Server name that the client requested (SNI).")]
    version: Annotated[str | None, says("TLS version that the server selected; null if not captured.")]
    alpn: Annotated[str | None, says("Protocol that the server selected (ALPN); null if not captured, or encrypted (TLS 1.3).")]
    offered: Annotated[list[str], says("Protocols that the client offered (ALPN).")]


class ProxiedEnd(msgspec.Struct, frozen=True):
    """An endpoint, as named by a proxy."""

    ip: Annotated[str | None, says("IPv4 or IPv6 address; null if a host name was given.")]
    name: Annotated[str | None, says("Host name; null if an address was given.")]
    port: Annotated[int, counts("TCP port.")]


class Proxied(msgspec.Struct, frozen=True):
    """The endpoints behind a proxy."""

    by: Annotated[str, says("Source of this information: a PROXY protocol header or a SOCKS handshake.", "proxy", "socks")]
    client: Annotated[ProxiedEnd | None, says("The client behind the proxy; null for SOCKS, where it is the connection's own client.")]
    server: Annotated[ProxiedEnd | None, says("The requested destination.")]


_COMMUNITY_ID = says("Community ID of the flow (version 1, seed 0), as other tools compute it.")


class Connection(msgspec.Struct, tag="connection", tag_field="record"):
    """A TCP connection, written when no more packets can belong to it."""

    record: ClassVar[Literal["connection"]] = "connection"

    connection: Number
    client: Annotated[Endpoint, says("The client's end.")]
    server: Annotated[Endpoint, says("The server's end.")]
    vlan: Annotated[list[int], says("VLAN IDs in the client's direction, outermost first.")]
    tunnel: Annotated[str | None, says("The innermost tunnel, with its ID.")]
    roles: Annotated[str, says("How the client was identified.", "syn", "synack", "content", "port", "order")]
    start: Annotated[str, says("Whether the capture has the start of the connection.", "syn", "midstream")]
    end: Annotated[
        str, says("How the connection ended: the first that applies.", "fin", "rst", "reused", "evicted", "idle", "end_of_capture")
    ]
    first_ts: Annotated[float, instant("Capture time of its first packet, seconds since the epoch.")]
    last_ts: Annotated[float, instant("Capture time of its last packet.")]
    packets: Annotated[int, counts("Packets in both directions.")]
    protocol: Annotated[
        str,
        says(
            f"Protocol spoken when the connection ended: {', '.join(f'`{name}`' for name in _PROTOCOLS)}, or the name of a plug-in's protocol; inside a CONNECT tunnel or after an Upgrade, the inner "
            "protocol, if known."
        ),
    ]
    streams: Annotated[Streams, says("Both directions.")]
    tls: Annotated[Tls | None, says("The TLS handshake; null if there was none.")] = None
    vlan_server: Annotated[list[int] | None, says("VLAN IDs in the server's direction, if they differ from the client's.")] = None
    multipath: Annotated[
        bool, says("Whether the handshake offers Multipath TCP, which may spread one application's data over several connections.")
    ] = False
    proxied: Annotated[Proxied | None, says("Endpoints named by a PROXY protocol header or a SOCKS handshake; null if there is none.")] = (
        None
    )
    community_id: Annotated[str | None, _COMMUNITY_ID] = None
    network: Annotated[Network | None, says("Network effects on the connection.")] = None


class Http(msgspec.Struct, tag="http", tag_field="record"):
    """An HTTP exchange: a request and its final response, or only one of them."""

    record: ClassVar[Literal["http"]] = "http"

    connection: Number
    exchange: Annotated[int, counts("Position of the exchange on its connection, by start, from 0.")]
    ts: Annotated[float, instant("Time of the first byte of the request, or of the response if the request is missing.")]
    duration: Annotated[
        float | None, says("Seconds from the first byte of the request to the last byte of the response; null if either is missing.")
    ]
    anomalies: Annotated[
        list[Annotated[str, says("", *(anomaly.value for anomaly in Anomaly))]],
        says("Suspicious properties of the exchange ([table](http.md))."),
    ]
    resynchronised: Annotated[bool, says("Whether the exchange was found by searching after a gap, or paired by acknowledgement numbers.")]
    request: Annotated[Request | None, says("The request.")]
    response: Annotated[Response | None, says("The response.")]
    client: Annotated[Endpoint | None, says("The client's end.")] = None
    server: Annotated[Endpoint | None, says("The server's end.")] = None
    community_id: Annotated[str | None, _COMMUNITY_ID] = None
    wait: Annotated[
        float | None,
        says(
            "Seconds from the last byte of the request to the first byte of the response, 0 if the response started earlier; null if either is missing."
        ),
    ] = None
    stalled: Annotated[
        float | None,
        says(
            "Seconds of the exchange during which bytes waited behind segments that the network lost ([how this is determined](network.md))."
        ),
    ] = None
    unanswered: Annotated[
        str | None,
        says_or_null("Why there is no response ([table](http.md#no-response)); null if there is one.", *(why.value for why in NoResponse)),
    ] = None


class Json(msgspec.Struct, tag="json", tag_field="record"):
    """A JSON body, or the JSON in a raw stream, as a separate record; the fields after `ts` are those of `JsonBody`."""

    record: ClassVar[Literal["json"]] = "json"

    connection: Number
    stream: Side
    source: Annotated[str, says("Where the JSON text came from.", "http-response", "http-request", "raw")]
    exchange: Annotated[int | None, says("Number of the exchange, as in the `http` record; null for a raw JSON stream.")]
    ts: Annotated[float, instant("Time of the first byte of the message or stream.")]
    documents: Annotated[int, DOCUMENTS]
    events: Annotated[int, EVENTS]
    keys: Annotated[int, KEYS]
    max_depth: Annotated[int, DEPTH]
    top_level: Annotated[str | None, TOP]
    bytes: Annotated[int, JSON_BYTES]
    status: Annotated[str, JSON_STATUS]
    encoding: Annotated[str, ENCODING]
    bom: Annotated[bool, BOM]
    prefix: Annotated[str | None, PREFIX]
    broken: Annotated[int, BROKEN]
    skipped: Annotated[int, PASSED]
    duplicate_keys: Annotated[int | None, DUPLICATES]
    error: Annotated[JsonError | None, ERROR]
    drop_reason: Annotated[str | None, JSON_DROP]
    shape: Annotated[list[str] | None, SHAPE] = None
    values: Annotated[list[JsonValues] | None, VALUES] = None


class LimitValue(msgspec.Struct):
    """A limit and its value."""

    name: Annotated[str, says("Name of the limit, as in `limits` ([all limits](limits.md)).")]
    value: Annotated[int, counts("Value of the limit in this run.")]


_FILE = says("The capture that contains `packet`, as in `captures[].path`; null unless the trace has several captures.")
_FRAME = says("Wireshark's `frame.number` of `packet` in that capture; null unless the trace has several captures.")
_ASKED = says("The connection whose memory request reached the limit, if it is another connection.")


class Gap(msgspec.Struct, tag="gap", tag_field="record"):
    """Bytes of a stream that were given up as missing."""

    record: ClassVar[Literal["gap"]] = "gap"

    connection: Number
    stream: Side
    stream_offset: Annotated[int, counts("Stream offset of the first missing byte.")]
    bytes: Annotated[int, counts("Number of missing bytes.")]
    cause: Annotated[str, says("Why the bytes were given up ([causes](drops.md)).", *(cause.value for cause in GapCause))]
    ts: Time
    packet: Annotated[
        int,
        counts(
            "The packet at which pcapflow knew that the bytes are missing and stopped waiting, such as the one that acknowledged them; often a later packet than those around the gap, and perhaps of another connection. Wireshark's `frame.number` for a single capture."
        ),
    ]
    last_offset: Annotated[int, counts("Stream offset of the last missing byte.")]
    sequence: Annotated[int | None, says("TCP sequence number of the first missing byte.")]
    last_sequence: Annotated[int | None, says("TCP sequence number of the last missing byte.")]
    held_bytes: Annotated[int, counts("Bytes buffered out of order at that moment.")]
    limit: Annotated[LimitValue | None, says("The limit that was reached, if the cause is a limit.")]
    requested_by: Annotated[int | None, _ASKED]
    file: Annotated[str | None, _FILE] = None
    frame: Annotated[int | None, _FRAME] = None


class Range(msgspec.Struct):
    """A range of stream offsets."""

    start: Annotated[int, says("First stream offset.")]
    end: Annotated[int, says("Stream offset after the last one.")]


class Conflict(msgspec.Struct, tag="conflict", tag_field="record"):
    """Bytes that were received again with different contents ([overlaps](overlaps.md))."""

    record: ClassVar[Literal["conflict"]] = "conflict"

    connection: Number
    stream: Side
    stream_offset: Annotated[int, says("Stream offset at which the overlap starts.")]
    bytes: Annotated[int, counts("Number of bytes that differ.")]
    segment: Annotated[Range, says("Range of the later segment.")]
    original: Annotated[Range, says("Range of the bytes that it overlapped.")]
    kept: Annotated[str, says("Which copy is delivered; `both` if part of each is.", "original", "new", "both")]
    ts: Time
    packet: Packet
    sequence: Sequence
    file: Annotated[str | None, _FILE] = None
    frame: Annotated[int | None, _FRAME] = None


class Drop(msgspec.Struct, tag="drop", tag_field="record"):
    """Something that pcapflow gave up on purpose."""

    record: ClassVar[Literal["drop"]] = "drop"

    connection: Number
    stream: Side
    layer: Annotated[str, says("Layer that gave up.", *_LAYERS)]
    reason: Annotated[str, says("Why ([reasons](drops.md)).", *REASONS)]
    ts: Time
    packet: Packet
    stream_offset: Annotated[int, counts("Stream offset at which the drop starts.")]
    bytes: Annotated[int, counts("Bytes buffered at that moment.")]
    limit: Annotated[LimitValue | None, says("The limit that was reached, if the reason is a limit.")]
    detail: Annotated[str, says("Further details.")]
    sequence: Annotated[int | None, says("TCP sequence number at `stream_offset`.")]
    requested_by: Annotated[int | None, _ASKED]
    resumes: Annotated[bool, says("Whether reading resumes at the stream's next message.")]
    file: Annotated[str | None, _FILE] = None
    frame: Annotated[int | None, _FRAME] = None


class Plugin(msgspec.Struct):
    """A plug-in's result ([extending](extending.md)): a message of its protocol, or a body of its media types."""

    record: Annotated[str, msgspec.Meta(pattern=r"^plugin\.", description="`plugin.` followed by the plug-in's name.")]
    connection: Number
    stream: Side
    exchange: Annotated[int | None, says("Number of the exchange that the body belongs to; null for a protocol message.")]
    ts: Annotated[float, instant("Time of the first byte of the message.")]
    packet: Annotated[int, counts("The packet that carried the first byte.")]
    stream_offset: Annotated[int, counts("Stream offset of the message.")]
    fields: Annotated[dict[str, Any], says("Fields reported by the plug-in.")]
    file: Annotated[str | None, _FILE] = None
    frame: Annotated[int | None, _FRAME] = None


Record = Connection | Http | Json | Gap | Conflict | Drop | Summary
"""What pcapflow itself finds: msgspec tells them apart by `record`."""
AnyRecord = Record | Plugin


@cache
def _decoders() -> tuple[msgspec.json.Decoder[Record], msgspec.json.Decoder[Plugin]]:
    return msgspec.json.Decoder(Record), msgspec.json.Decoder(Plugin)


def decode(line: bytes | str) -> AnyRecord:
    """A record from its JSON; raises `msgspec.ValidationError` and `msgspec.DecodeError`."""
    ours, plugged = _decoders()
    try:
        return ours.decode(line)
    except msgspec.ValidationError as e:
        if "plugin." not in str(e):
            raise
        return plugged.decode(line)


def converted(value: Any) -> AnyRecord:
    """A record from what a parser of JSON made of it; raises `msgspec.ValidationError`."""
    plugged = isinstance(value, dict) and str(value.get("record")).startswith("plugin.")
    found: AnyRecord = msgspec.convert(value, Plugin if plugged else Record)
    return found


def seconds(ns: int) -> float:
    """Nanoseconds as seconds, rounded to microseconds."""
    return (ns + 500) // 1000 / 1_000_000


def text(raw: bytes) -> str:
    """Bytes from the wire as UTF-8, with U+FFFD for what is not."""
    return raw.decode("utf-8", "replace")
