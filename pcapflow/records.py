"""The report's records, as types: one definition for encoding, decoding, JSON Schema and the field reference (docs/report.md).

These are pcapflow's public interface (docs/report.md). Invariant: a key is never missing; what is absent is null. Times
are seconds since the epoch, rounded to microseconds; byte counts are integers. A field that comes later has a default, so that
reports from before it can still be read.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from pcapflow.anomalies import Anomaly
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

    captured_bytes: Annotated[int, counts("Payload bytes present in the file, after filters, in segments decoded as TCP.")]
    delivered_bytes: Annotated[int, counts("Handed to the stream's consumer, in order, once.")]
    retransmitted_bytes: Annotated[int, counts("Already delivered or held: the same bytes, or no longer at hand to compare.")]
    conflicting_bytes: Annotated[int, counts("Already delivered or held with other bytes.")]
    late_bytes: Annotated[int, counts("Fill a gap that was given up, or lie before a capture's beginning in the middle of the stream.")]
    out_of_window_bytes: Annotated[int, counts("Cannot belong to the stream.")]
    dropped_bytes: Annotated[int, counts("Reassembly gave up on the stream: everything after that.")]
    missing_bytes: Annotated[int, counts("Stream offsets inside the span that were never delivered.")]
    gaps: Annotated[int, counts("Holes that were given up.")]
    holes_filled: Annotated[int, counts("Holes whose bytes came after all.")]
    out_of_order_segments: Annotated[int, counts("Segments that began beyond the next expected offset when they arrived.")]
    ring_peak_bytes: Annotated[int, counts("Most bytes held behind holes at one time, at packet granularity.")]
    status: Annotated[
        str,
        says(
            "The first that applies: `dropped`, `gapped`, `partial` (no SYN, or neither FIN nor RST reached, or 1% of the captured bytes cannot belong to it), `complete`.",
            *STREAM_STATUS,
        ),
    ]
    drop_reason: Annotated[str | None, says_or_null("Why it was dropped.", *REASONS)]
    ambiguous_under: Annotated[
        list[str], says("`--overlap` policies under which other bytes would have been delivered: the stream is ambiguous.")
    ]
    read_bytes: Annotated[int, counts("Of `delivered_bytes`, those that were read as part of a message, a handshake or a JSON text.")] = 0
    unread: Annotated[list[Unread], says("The others, by reason: `read_bytes` and the bytes here are `delivered_bytes`.")] = []


class Streams(msgspec.Struct):
    """Both directions of a connection."""

    client: Annotated[Stream, says("Bytes sent by the client.")]
    server: Annotated[Stream, says("Bytes sent by the server.")]


class StreamNetwork(msgspec.Struct, frozen=True):
    """What the network did to one direction ([how it is told](network.md))."""

    retransmitted_segments: Annotated[int, counts("Segments with bytes that were in the capture already.")] = 0
    lost: Annotated[
        int, counts("Holes that were filled by segments sent again: the first copies were lost before they came to the capture.")
    ] = 0
    lost_segments: Annotated[int, counts("Segments that were sent again into holes: a hole may be of several.")] = 0
    reordered: Annotated[
        int, counts("Holes that were filled by segments that had only been overtaken; with `lost`, all of `holes_filled`.")
    ] = 0
    stalled: Annotated[float, counts("Seconds in which data waited behind what had been lost.")] = 0.0
    zero_windows: Annotated[int, counts("How often the receiver of these bytes said that it has no room.")] = 0
    closed: Annotated[float, counts("Seconds until it had room again.")] = 0.0
    duplicate_acknowledgements: Annotated[
        int, counts("Acknowledgements of their receiver that said again what the one before said, while more was under way.")
    ] = 0
    resets: Annotated[int, counts("RSTs that the sender of these bytes sent.")] = 0


NO_NETWORK = StreamNetwork()


class Network(msgspec.Struct, frozen=True):
    """What the network did to a connection."""

    round_trip: Annotated[
        float | None,
        says(
            "Seconds from the SYN to the SYN-ACK: to the server and back, from where the capture was taken; null where that was not seen."
        ),
    ] = None
    client_round_trip: Annotated[float | None, says("Seconds from the SYN-ACK to its acknowledgement: to the client and back.")] = None
    client: Annotated[StreamNetwork, says("Bytes sent by the client.")] = NO_NETWORK
    server: Annotated[StreamNetwork, says("Bytes sent by the server.")] = NO_NETWORK


class Tls(msgspec.Struct):
    """What a TLS handshake says in the clear."""

    server_name: Annotated[str | None, says("The name the client asked for.")]
    version: Annotated[str | None, says("As the server chose it; null where that was not seen.")]
    alpn: Annotated[str | None, says("The protocol the server chose; null where that was not seen, or is encrypted (TLS 1.3).")]
    offered: Annotated[list[str], says("Protocols that the client proposed.")]


class ProxiedEnd(msgspec.Struct, frozen=True):
    """An end of a connection as a proxy names it."""

    ip: Annotated[str | None, says("IPv4 or IPv6 address; null where it was named.")]
    name: Annotated[str | None, says("The host's name; null where it was an address.")]
    port: Annotated[int, counts("TCP port.")]


class Proxied(msgspec.Struct, frozen=True):
    """Whose connection a proxy hands on, or where to."""

    by: Annotated[str, says("What says so: a PROXY protocol header, or a SOCKS handshake.", "proxy", "socks")]
    client: Annotated[ProxiedEnd | None, says("The end for which the proxy speaks; null for SOCKS, where it is the client.")]
    server: Annotated[ProxiedEnd | None, says("The end that was asked for.")]


_COMMUNITY_ID = says("Its flow as other tools name it: Community ID, version 1, seed 0.")


class Connection(msgspec.Struct, tag="connection", tag_field="record"):
    """A TCP connection, written when nothing more can belong to it."""

    record: ClassVar[Literal["connection"]] = "connection"

    connection: Number
    client: Annotated[Endpoint, says("The client's end.")]
    server: Annotated[Endpoint, says("The server's end.")]
    vlan: Annotated[list[int], says("VLAN ids of the client's direction, outermost first.")]
    tunnel: Annotated[str | None, says("The innermost tunnel, with its id.")]
    roles: Annotated[str, says("How it was told who the client is.", "syn", "synack", "content", "port", "order")]
    start: Annotated[str, says("Whether the capture has its beginning.", "syn", "midstream")]
    end: Annotated[str, says("The first that applies.", "fin", "rst", "reused", "evicted", "idle", "end_of_capture")]
    first_ts: Annotated[float, instant("Capture time of its first packet, seconds since the epoch.")]
    last_ts: Annotated[float, instant("Capture time of its last packet.")]
    packets: Annotated[int, counts("Packets of both directions.")]
    protocol: Annotated[
        str,
        says(
            f"What it spoke, at its end: {', '.join(f'`{name}`' for name in _PROTOCOLS)}, or a plug-in's protocol by its name; in a CONNECT tunnel or behind an Upgrade the next "
            "protocol, where it is known."
        ),
    ]
    streams: Annotated[Streams, says("Both directions.")]
    tls: Annotated[Tls | None, says("The TLS handshake, where there was one.")] = None
    vlan_server: Annotated[list[int] | None, says("VLAN ids of the server's direction, where they are not those of the client's.")] = None
    multipath: Annotated[
        bool, says("The handshake offers Multipath TCP: what one application sends may be spread over several connections.")
    ] = False
    proxied: Annotated[
        Proxied | None, says("The ends as a PROXY protocol header or a SOCKS handshake has them; null where there is none.")
    ] = None
    community_id: Annotated[str | None, _COMMUNITY_ID] = None
    network: Annotated[Network | None, says("What the network did to it.")] = None


class Http(msgspec.Struct, tag="http", tag_field="record"):
    """An HTTP exchange: a request and its final response, or one of them alone."""

    record: ClassVar[Literal["http"]] = "http"

    connection: Number
    exchange: Annotated[int, counts("The order in which it began on its connection, from 0.")]
    ts: Annotated[float, instant("First byte of the request (of the response, where the request is not there).")]
    duration: Annotated[float | None, says("Seconds to the last byte of the response; null where one of them is not there.")]
    anomalies: Annotated[
        list[Annotated[str, says("", *(anomaly.value for anomaly in Anomaly))]], says("What is suspicious in it ([table](http.md)).")
    ]
    resynchronised: Annotated[bool, says("Found by a search after a loss, or paired by acknowledgement numbers.")]
    request: Annotated[Request | None, says("The request.")]
    response: Annotated[Response | None, says("The response.")]
    client: Annotated[Endpoint | None, says("The client's end.")] = None
    server: Annotated[Endpoint | None, says("The server's end.")] = None
    community_id: Annotated[str | None, _COMMUNITY_ID] = None
    wait: Annotated[
        float | None,
        says(
            "Seconds from the last byte of the request to the first of the response, 0 where that came earlier; null where one of them is not there."
        ),
    ] = None
    stalled: Annotated[
        float | None, says("Seconds of it in which bytes waited behind what the network had lost ([how it is told](network.md)).")
    ] = None


class Json(msgspec.Struct, tag="json", tag_field="record"):
    """A body of JSON, or what a raw stream held, as a record of its own: the fields behind `ts` are those of `JsonBody`."""

    record: ClassVar[Literal["json"]] = "json"

    connection: Number
    stream: Side
    source: Annotated[str, says("Where the text came from.", "http-response", "http-request", "raw")]
    exchange: Annotated[int | None, says("The number of its exchange, as in the `http` record; null for a stream of JSON.")]
    ts: Annotated[float, instant("First byte of the message or stream.")]
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
    """A limit and what it was."""

    name: Annotated[str, says("Its name, as in `limits` ([all](limits.md)).")]
    value: Annotated[int, counts("Its value in this run.")]


_FILE = says("The capture that has `packet`, as in `captures[].path`; null unless the trace has several.")
_FRAME = says("Wireshark's `frame.number` of `packet` in that capture; null unless the trace has several.")
_ASKED = says("The connection whose request for memory reached the limit, where it is another's.")


class Gap(msgspec.Struct, tag="gap", tag_field="record"):
    """Bytes of a stream that were given up as missing."""

    record: ClassVar[Literal["gap"]] = "gap"

    connection: Number
    stream: Side
    stream_offset: Annotated[int, counts("Stream offset of the first of them.")]
    bytes: Annotated[int, counts("How many.")]
    cause: Annotated[str, says("Why they were given up ([causes](drops.md)).", *(cause.value for cause in GapCause))]
    ts: Time
    packet: Packet
    last_offset: Annotated[int, counts("Stream offset of the last of them.")]
    sequence: Annotated[int | None, says("The TCP sequence number of the first of them on the wire.")]
    last_sequence: Annotated[int | None, says("The sequence number of the last.")]
    held_bytes: Annotated[int, counts("What waited behind the stream's holes then.")]
    limit: Annotated[LimitValue | None, says("What was reached, where the cause is a limit.")]
    requested_by: Annotated[int | None, _ASKED]
    file: Annotated[str | None, _FILE] = None
    frame: Annotated[int | None, _FRAME] = None


class Range(msgspec.Struct):
    """Stream offsets."""

    start: Annotated[int, says("The first.")]
    end: Annotated[int, says("One behind the last.")]


class Conflict(msgspec.Struct, tag="conflict", tag_field="record"):
    """Bytes that came again and were others ([overlaps](overlaps.md))."""

    record: ClassVar[Literal["conflict"]] = "conflict"

    connection: Number
    stream: Side
    stream_offset: Annotated[int, says("Where the overlap begins.")]
    bytes: Annotated[int, counts("How many differ.")]
    segment: Annotated[Range, says("The later copy.")]
    original: Annotated[Range, says("What it overlapped.")]
    kept: Annotated[str, says("Whose copy is delivered; `both` where each has a part.", "original", "new", "both")]
    ts: Time
    packet: Packet
    sequence: Sequence
    file: Annotated[str | None, _FILE] = None
    frame: Annotated[int | None, _FRAME] = None


class Drop(msgspec.Struct, tag="drop", tag_field="record"):
    """Something that was given up on purpose."""

    record: ClassVar[Literal["drop"]] = "drop"

    connection: Number
    stream: Side
    layer: Annotated[str, says("Who gave up.", *_LAYERS)]
    reason: Annotated[str, says("Why ([reasons](drops.md)).", *REASONS)]
    ts: Time
    packet: Packet
    stream_offset: Annotated[int, counts("Stream offset at which it begins.")]
    bytes: Annotated[int, counts("What was held at that moment.")]
    limit: Annotated[LimitValue | None, says("What was reached, where the reason is a limit.")]
    detail: Annotated[str, says("What there is to add.")]
    sequence: Annotated[int | None, says("The sequence number that `stream_offset` has on the wire.")]
    requested_by: Annotated[int | None, _ASKED]
    resumes: Annotated[bool, says("The stream is picked up at its next message.")]
    file: Annotated[str | None, _FILE] = None
    frame: Annotated[int | None, _FRAME] = None


class Plugin(msgspec.Struct):
    """What a plug-in found ([extending](extending.md)): a message of its protocol, or a body of its media types."""

    record: Annotated[str, msgspec.Meta(pattern=r"^plugin\.", description="`plugin.` and the plug-in's name.")]
    connection: Number
    stream: Side
    exchange: Annotated[int | None, says("The exchange whose body it is; null for a message of a protocol.")]
    ts: Annotated[float, instant("First byte of the message.")]
    packet: Annotated[int, counts("The packet that brought its first byte.")]
    stream_offset: Annotated[int, counts("Stream offset of the message.")]
    fields: Annotated[dict[str, Any], says("What the plug-in says of it.")]
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
