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

    path: Annotated[str, says("As it was given.")]
    format: Annotated[str, says("`pcap`, `pcapng` or `snoop`.")]
    compression: Annotated[str | None, says("What it is compressed with.")]
    link_types: Annotated[list[str], says("Link types, as tcpdump names them.")]
    snaplen: Annotated[int, counts("Longest packet it holds, 0 for no limit.")]
    bytes: Annotated[int, counts("Of the capture, decompressed.")]
    packets: Annotated[int, counts("Packets read.")]
    first_ts: Annotated[float | None, instant_or_null("Capture time of its first packet.")]
    last_ts: Annotated[float | None, instant_or_null("Capture time of its last packet.")]
    cut_short: Annotated[bool, says("Its last record is cut, as a killed tcpdump leaves it.")]
    damaged_at: Annotated[int | None, says("The byte, decompressed, at which it is damaged.")]
    dropped_by_capture: Annotated[int | None, says("Packets that it says it lost.")]
    skipped_bytes: Annotated[int, counts("Between damage and the next record that proved itself.")] = 0
    decryption_secrets: Annotated[int, counts("Blocks of them; they are not used.")] = 0


class DuplicatedByPlace(msgspec.Struct):
    """Copies of packets by where they were captured."""

    file: Annotated[int, counts("In another capture of the trace.")] = 0
    interface: Annotated[int, counts("On another interface, or going the other way through it.")] = 0
    vlan: Annotated[int, counts("With another VLAN tag.")] = 0
    same: Annotated[int, counts("At the same place, at once.")] = 0


class NotRead(msgspec.Struct):
    """Packets of one kind that are not read."""

    packets: Annotated[int, counts("How many.")] = 0
    bytes: Annotated[int, counts("Their bytes on the wire.")] = 0


class Decode(msgspec.Struct):
    """What became of the packets: tcp + udp + other + malformed + unsupported_link = packets."""

    packets: Annotated[int, counts("All.")] = 0
    tcp: Annotated[int, counts("TCP segments.")] = 0
    udp: Annotated[int, counts("UDP datagrams.")] = 0
    other: Annotated[int, counts("Of other protocols.")] = 0
    malformed: Annotated[int, counts("Whose headers are not what they say.")] = 0
    unsupported_link: Annotated[int, counts("Of a link type that is not read.")] = 0
    bytes: Annotated[int, counts("Bytes of all packets on the wire.")] = 0
    not_read: Annotated[
        dict[str, NotRead],
        says(
            "What `udp` and `other` are, by EtherType, IP protocol and UDP service; most bytes first, `map_keys` names, `...` for the rest."
        ),
    ] = msgspec.field(default_factory=dict)
    ip: Annotated[int, counts("Packets of IPv4 and IPv6.")] = 0
    fragments: Annotated[int, counts("IP fragments.")] = 0
    datagrams: Annotated[int, counts("Put together from fragments, each counted at its last one; the others are under `other`.")] = 0
    fragments_dropped: Annotated[int, counts("Fragments that came to nothing.")] = 0
    fragments_overlapping: Annotated[int, counts("Datagrams given up since their fragments overlap.")] = 0
    filtered_out: Annotated[int, counts("TCP segments outside `--from`, `--to` or `--filter`.")] = 0
    snapped: Annotated[int, counts("Packets cut by the snap length, or by who sliced the capture.")] = 0
    duplicated: Annotated[
        int,
        counts(
            "Copies: the same packet captured again, at another place or at once. They are in `tcp`, and neither in `tcp.segments` nor captured."
        ),
    ] = 0
    duplicated_bytes: Annotated[int, counts("Payload of the copies.")] = 0
    duplicated_by_place: Annotated[DuplicatedByPlace, says("The copies by what differs from the first.")] = msgspec.field(
        default_factory=DuplicatedByPlace
    )
    oversized: Annotated[int, counts("Segments with more payload than a packet of 1,500 bytes.")] = 0
    backwards: Annotated[int, counts("Packets older than the one before.")] = 0
    checksums_checked: Annotated[int, counts("TCP checksums looked at: one packet in 256, or all with `--verify-checksums`.")] = 0
    checksums_wrong: Annotated[int, counts("Of those, wrong.")] = 0


class PayloadBytes(msgspec.Struct):
    """The conservation law over all streams; the buckets are those of `Stream`."""

    captured: Annotated[int, counts("All of it.")] = 0
    delivered: Annotated[int, counts("In order, once.")] = 0
    retransmitted: Annotated[int, counts("Again, the same.")] = 0
    conflicting: Annotated[int, counts("Again, others.")] = 0
    late: Annotated[int, counts("After their gap was given up.")] = 0
    out_of_window: Annotated[int, counts("Cannot belong to their stream.")] = 0
    dropped: Annotated[int, counts("Of streams that were given up, or were never tracked.")] = 0
    balanced: Annotated[
        bool,
        says(
            "Whether captured is the sum of the others, for each stream and the whole, each span is delivered + missing, and delivered is read + unread."
        ),
    ] = True


class Spoken(msgspec.Struct):
    """Connections that spoke one protocol."""

    connections: Annotated[int, counts("How many.")] = 0
    delivered_bytes: Annotated[int, counts("What both sides of them said, as far as it was delivered.")] = 0


class UnreadBytes(msgspec.Struct):
    """Delivered bytes that are not read, for one reason."""

    streams: Annotated[int, counts("Streams that have some: a stream is one direction of a connection.")] = 0
    bytes: Annotated[int, counts("How many.")] = 0
    by_name: Annotated[dict[str, int], says("The same by protocol, where the reason is `not_supported`.")] = msgspec.field(
        default_factory=dict
    )


class Tcp(msgspec.Struct):
    """What the reassembly saw."""

    connections: Annotated[int, counts("Connections, half-open ones too.")] = 0
    segments: Annotated[int, counts("Segments looked at.")] = 0
    syn: Annotated[int, counts("With SYN.")] = 0
    fin: Annotated[int, counts("With FIN.")] = 0
    rst: Annotated[int, counts("With RST.")] = 0
    payload_bytes: Annotated[PayloadBytes, says("Where every byte went.")] = msgspec.field(default_factory=PayloadBytes)
    missing_bytes: Annotated[int, counts("Stream offsets that were never delivered.")] = 0
    gaps: Annotated[int, counts("Holes that were given up.")] = 0
    gaps_by_cause: Annotated[dict[str, int], keyed("The same by cause.", [cause.value for cause in GapCause])] = msgspec.field(
        default_factory=dict
    )
    holes_filled: Annotated[int, counts("Holes whose bytes came after all.")] = 0
    out_of_order_segments: Annotated[int, counts("Beyond the next expected offset when they arrived.")] = 0
    conflicts: Annotated[int, counts("Segments that brought other bytes than were there.")] = 0
    ambiguous_streams: Annotated[int, counts("Streams of which another overlap policy would deliver other bytes.")] = 0
    acknowledged_missing_bytes: Annotated[int, counts("Missing bytes that their receiver acknowledged: what the capture lost.")] = 0
    snapped_missing_bytes: Annotated[int, counts("Missing bytes at the end of packets that the capture cut short.")] = 0
    half_open_connections: Annotated[int, counts("Nothing but a SYN, or what one side says without data.")] = 0
    one_directional_connections: Annotated[int, counts("Data or more of one direction alone.")] = 0
    evicted_connections: Annotated[int, counts("That left the full table for others.")] = 0
    early_acknowledgements: Annotated[int, counts("Captured before the data they acknowledge.")] = 0
    multipath_connections: Annotated[int, counts("Connections whose handshake offers Multipath TCP.")] = 0
    streams_out_of_window: Annotated[
        int, counts("Streams of whose captured bytes 1% or more cannot belong to them; their status is `partial`.")
    ] = 0
    clock_skew: Annotated[
        float | None,
        says(
            "Seconds by which acknowledgements were captured before their data, where three or more were by about as much: the clocks of two capture points differ."
        ),
    ] = None
    spoken: Annotated[
        dict[str, Spoken], says("What connections spoke, by `protocol` of their records; `empty` are those that said nothing.")
    ] = msgspec.field(default_factory=dict)
    read_bytes: Annotated[
        int, counts("Of the delivered bytes, those that were read: with those of `unread` they are all of `payload_bytes.delivered`.")
    ] = 0
    unread: Annotated[
        dict[str, UnreadBytes],
        keyed("The others by reason ([table](report.md#read-and-unread)).", [reason.value for reason in UnreadReason]),
    ] = msgspec.field(default_factory=dict)
    examples: Annotated[
        dict[str, list[int]], keyed("Connections that `advice` speaks of, by their numbers: the lowest, three at the most.", EXAMPLES)
    ] = msgspec.field(default_factory=dict)
    resets_ignored: Annotated[int, counts("RSTs that ended nothing: out of the window, or their connection went on.")] = 0
    repeated_after_close: Annotated[
        int,
        counts(
            "Segments of connections that had closed and whose record was written: sent again, with nothing new. Their bytes are `retransmitted`."
        ),
    ] = 0


class Bodies(msgspec.Struct):
    """HTTP bodies by status."""

    complete: Annotated[int, counts("Whole.")] = 0
    gapped: Annotated[int, counts("With missing bytes.")] = 0
    truncated: Annotated[int, counts("Ended before their framing said so.")] = 0
    dropped: Annotated[int, counts("Given up.")] = 0


class HttpSummary(msgspec.Struct):
    """What was said over HTTP. Maps have most first; they hold registered names and `map_keys` others, and `...` counts the rest."""

    requests: Annotated[int, counts("Requests.")] = 0
    responses: Annotated[int, counts("Responses, 1xx too.")] = 0
    by_method: Annotated[dict[str, int], says("Requests by method.")] = msgspec.field(default_factory=dict)
    by_status: Annotated[dict[str, int], says("Responses by status code.")] = msgspec.field(default_factory=dict)
    bodies: Annotated[Bodies, says("Bodies by status.")] = msgspec.field(default_factory=Bodies)
    anomalies: Annotated[
        dict[str, int], keyed("Exchanges by what is suspicious in them ([table](http.md)).", [anomaly.value for anomaly in Anomaly])
    ] = msgspec.field(default_factory=dict)
    codings_missing: Annotated[dict[str, int], says("Bodies not looked into since this installation cannot undo their content coding.")] = (
        msgspec.field(default_factory=dict)
    )


class JsonSummary(msgspec.Struct):
    """What was in the JSON bodies."""

    bodies: Annotated[int, counts("Bodies, and raw streams.")] = 0
    documents: Annotated[int, counts("Documents that came whole.")] = 0
    events: Annotated[int, counts("Events.")] = 0
    keys: Annotated[int, counts("Keys of objects.")] = 0
    broken: Annotated[int, counts("Documents given up while others of their body could be read.")] = 0
    duplicate_keys: Annotated[int, counts("Keys that their object had already, where they were counted.")] = 0
    bytes: Annotated[int, counts("Bytes, content codings undone.")] = 0
    complete: Annotated[int, counts("Bodies by status.")] = 0
    invalid: Annotated[int, counts("Came whole, and are no JSON.")] = 0
    partial: Annotated[int, counts("Parts of a text that was asked for in parts (206).")] = 0
    truncated: Annotated[int, counts("Were cut.")] = 0
    gapped: Annotated[int, counts("Have missing bytes.")] = 0
    dropped: Annotated[int, counts("Were given up.")] = 0
    not_looked_at: Annotated[int, counts("HTTP bodies that begin like JSON and say something else: `--sniff-json` looks at them.")] = 0
    backend: Annotated[str, says("ijson's: `yajl2_c` is the fast one.")] = ""


class PayloadSummary(msgspec.Struct):
    """Bodies of one format that is not JSON."""

    bodies: Annotated[int, counts("Bodies, parts of multipart bodies too.")] = 0
    pieces: Annotated[int, counts("Documents of YAML, fields of forms, parts of multipart bodies.")] = 0
    bytes: Annotated[int, counts("Bytes, content codings undone.")] = 0
    complete: Annotated[int, counts("Bodies by status.")] = 0
    invalid: Annotated[int, counts("Came whole, and are not what they say.")] = 0
    partial: Annotated[int, counts("Parts of a text that was asked for in parts (206).")] = 0
    truncated: Annotated[int, counts("Were cut.")] = 0
    gapped: Annotated[int, counts("Have missing bytes.")] = 0
    dropped: Annotated[int, counts("Were given up.")] = 0
    not_read: Annotated[int, counts("Are not read by this installation.")] = 0


class DropCount(msgspec.Struct):
    """A reason's part in the drops."""

    count: Annotated[int, counts("How often it occurred.")] = 0
    bytes: Annotated[int, counts("Bytes held when it did.")] = 0


class Drops(msgspec.Struct):
    """All drops."""

    streams: Annotated[int, counts("Streams given up, for good or until their next message.")] = 0
    bytes: Annotated[int, counts("Bytes that reassembly dropped.")] = 0
    by_reason: Annotated[dict[str, DropCount], keyed("By reason ([reasons](drops.md)).", REASONS)] = msgspec.field(default_factory=dict)


class Component(msgspec.Struct):
    """One account of the memory budget."""

    peak_bytes: Annotated[int, counts("High-water mark.")]
    limit_bytes: Annotated[int, counts("Its limit.")]
    at_end_bytes: Annotated[int, counts("Reserved at the end: 0.")]
    peak_at: Annotated[PacketTime | None, says("Where the high-water mark was reached.")]


class Process(msgspec.Struct):
    """Resident memory of the process."""

    peak_rss_bytes: Annotated[int, counts("At its highest.")]
    start_rss_bytes: Annotated[int, counts("Before the first capture was opened.")]


class Memory(msgspec.Struct):
    """High-water marks ([what is counted](memory.md))."""

    limit_bytes: Annotated[int, counts("`--memory-limit`.")]
    peak_bytes: Annotated[int, counts("Most that all accounts held together.")]
    peak_at: Annotated[PacketTime | None, says("Where that was reached.")]
    pressure: Annotated[bool, says("A limit shared between connections was reached.")]
    components: Annotated[dict[str, Component], keyed("Account by account.", Ledger.NAMES)]
    process: Annotated[Process, says("The process as the system sees it; differs between runs.")]


class Run(msgspec.Struct):
    """How long it took; the only part, with `memory.process`, that differs between equal runs."""

    seconds: Annotated[float, counts("Wall clock.")]
    packets_per_second: Annotated[int, counts("Packets over seconds.")]
    bytes_per_second: Annotated[int, counts("Bytes of the captures over seconds.")]
    workers: Annotated[int, counts("Processes that read one trace.")]


class LossyStream(msgspec.Struct):
    """One of the streams that lost most."""

    connection: Number
    stream: Side
    client: Annotated[Endpoint, says("The client's end.")]
    server: Annotated[Endpoint, says("The server's end.")]
    status: Annotated[str, says("As in its connection's record.", *STREAM_STATUS)]
    drop_reason: Annotated[str | None, says_or_null("Why it was dropped.", *REASONS)]
    missing_bytes: Annotated[int, counts("Never delivered.")]
    dropped_bytes: Annotated[int, counts("Dropped by reassembly.")]
    gaps: Annotated[int, counts("Holes that were given up.")]


class Summary(msgspec.Struct, tag="summary", tag_field="record"):
    """The last record of a run, and the document without its records."""

    record: ClassVar[Literal["summary"]] = "summary"

    schema: Annotated[str, says("`pcapflow.report/2`.")]
    pcapflow: Annotated[str, says("Version of pcapflow.")]
    interrupted: Annotated[bool, says("The run was interrupted: this covers what was read.")]
    captures: Annotated[list[Capture], says("Files, in the order in which they were taken.")]
    decode: Annotated[Decode, says("What became of the packets.")]
    tcp: Annotated[Tcp, says("What the reassembly saw.")]
    http: Annotated[HttpSummary, says("What was said over HTTP.")]
    json: Annotated[JsonSummary, says("What was in the JSON bodies.")]
    drops: Annotated[Drops, says("What was given up.")]
    memory: Annotated[Memory, says("High-water marks.")]
    advice: Annotated[list[str], says("What to do next time ([how it is found](report.md)).")]
    limits: Annotated[dict[str, int], keyed("Every limit ([table](limits.md)).", Limits().as_dict())]
    run: Annotated[Run, says("How long it took.")]
    worst_streams: Annotated[list[LossyStream], says("The streams that lost most bytes, worst first; `worst_streams` of them at most.")] = (
        msgspec.field(default_factory=list)
    )
    network: Annotated[NetworkSummary, says("What the network did to the connections.")] = NetworkSummary()
    endpoints: Annotated[
        list[HttpEndpoint],
        says(
            "What was asked for over HTTP, slowest first by the time that 95% did not exceed; `table_rows` of them at most, and the rest."
        ),
    ] = msgspec.field(default_factory=list)
    problems: Annotated[
        list[Problem],
        says(
            "What went wrong over HTTP: errors first, then broken JSON, then what did not come whole; `table_rows` of them at most, and the rest."
        ),
    ] = msgspec.field(default_factory=list)
    payloads: Annotated[
        dict[str, PayloadSummary],
        keyed("What was in bodies that are not JSON, by `format` ([payloads](payloads.md)).", FORMATS),
    ] = msgspec.field(default_factory=dict)
    not_written: Annotated[
        dict[str, int],
        keyed(
            "Records that a database did not take, by type (`--sink-overload drop`).",
            ("conflict", "connection", "drop", "gap", "http", "json"),
        ),
    ] = msgspec.field(default_factory=dict)
    plugins: Annotated[dict[str, int], says("Records of plug-ins, by the plug-in's name ([extending](extending.md)).")] = msgspec.field(
        default_factory=dict
    )
