"""Every bound of pcapflow, in one frozen value.

Invariant: nothing that a capture controls is kept, repeated or recursed into without a field here that bounds it. Each field says its unit, why the default is what
it is, and what happens when it is reached; `docs/limits.md` is printed from these fields. Sizes are bytes, durations are nanoseconds of capture time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from pcapflow.errors import UsageError
from pcapflow.memory_scale import bounds_under
from pcapflow.terminal_text import brief

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SECOND, MILLISECOND = 1_000_000_000, 1_000_000


def _limit(default: int, unit: str, reached: str, reason: str) -> Any:
    return field(default=default, metadata={"unit": unit, "reached": reached, "reason": reason})


MOST = (1 << 62) - 1  # twice as much still fits in what columns and reports hold


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one run. Change some with `dataclasses.replace(Limits(), ring_size=...)`."""

    memory_limit: int = _limit(
        64 * MIB,
        "bytes",
        "the stream that holds most gives up its oldest hole (gap cause `memory`)",
        "the sum of all accounts; leaves a 128 MB container room for Python and numpy",
    )
    block_size: int = _limit(
        2 * MIB,
        "bytes",
        "the next block begins",
        "one read of the capture; large enough that the cost per block vanishes, small enough for the processor's cache; less where the memory limit is less than 24 MiB",
    )
    block_packets: int = _limit(
        8_192,
        "packets",
        "the next block begins",
        "bounds the columns of a block of tiny packets to about 4 MB, and its records; as block_size fewer where the memory limit is less than 24 MiB",
    )
    record_max_bytes: int = _limit(
        1 * MIB,
        "bytes",
        "the capture is damaged there: reading stops, exit status 4",
        "the largest packet record believed; tcpdump and Wireshark write at most 256 KiB",
    )
    decompress_max_bytes: int = _limit(
        16 * MIB,
        "bytes",
        "the capture is refused, exit status 3; decompress it first",
        "the window that a compressed capture may ask for, reserved in the account of blocks: xz -6 takes 9 MiB, zstd -19 8 MiB",
    )
    decompress_max_ratio: int = _limit(
        10_000,
        "decompressed bytes per compressed byte",
        "the capture is damaged there: reading stops, exit status 4",
        "counts beyond 16 MiB; gzip reaches 1,032, packets of 64 KiB that hold nothing but zeros about 8,000, and a file of empty records over 11,000",
    )
    fragment_timeout: int = _limit(
        30 * SECOND,
        "nanoseconds",
        "the datagram is given up; its fragments are counted (`fragments_dropped`)",
        "capture time within which a datagram's fragments must come; as Linux's",
    )
    fragments_total: int = _limit(
        4 * MIB,
        "bytes",
        "the oldest datagram is given up (`fragments_dropped`)",
        "the account of datagrams that are not whole: 50 of the largest, 2,000 of two packets",
    )
    max_connections: int = _limit(
        10_000,
        "connections",
        "closed connections leave first, then the one that was silent longest (`end`: `evicted`)",
        "connections tracked at one time; each may cost 3 to 4 KB",
    )
    max_half_open: int = _limit(
        16_384,
        "connections",
        "the one whose last SYN is oldest leaves (`end`: `evicted`)",
        "connections of which only a SYN was seen, beside max_connections, so that a flood pushes out nothing that lives; 512 bytes each",
    )
    idle_timeout: int = _limit(
        3600 * SECOND,
        "nanoseconds",
        "the connection is reported with `end`: `idle`; later packets begin a new one",
        "longer than the keep-alive interval of common stacks would be 2 h; an hour of silence is rarely the same work",
    )
    linger: int = _limit(
        5 * SECOND,
        "nanoseconds",
        "the record of a closed connection is written",
        "late retransmissions after the FIN belong to the connection; 5 s covers several retransmission timeouts",
    )
    copies_window: int = _limit(
        16_384,
        "packets",
        "an older packet's copy counts as retransmitted",
        "segments remembered to tell copies of a packet from retransmissions, one a slot, a power of two of them: 16 ms at a million packets a second; 112 bytes each",
    )
    max_vlan_pairs: int = _limit(
        16_384,
        "pairs of ends",
        "the oldest are forgotten; a further VLAN tag of theirs is decided on anew",
        "pairs of addresses and ports for which it is kept which VLAN tags belong together, in captures with several tags; 768 bytes each",
    )
    max_finals: int = _limit(
        16_384,
        "connections",
        "the oldest are forgotten: what one of them sends again begins a connection of its own",
        "closed connections whose record is written and whose last sequence numbers are kept; 400 bytes each, and only as long as nobody needs the room",
    )
    final_timeout: int = _limit(
        120 * SECOND,
        "nanoseconds",
        "as max_finals",
        "capture time for which last sequence numbers are kept: a sender repeats its last segments after 14, 28 and 57 s, each counted from the one before",
    )
    ring_size: int = _limit(
        4 * MIB,
        "bytes",
        "the stream's oldest hole is given up (gap cause `ring_full`)",
        "data held behind holes in one stream: a receive window of a fast path (Linux grows it to 3 MiB), since a loss puts one behind the hole",
    )
    ring_ranges: int = _limit(
        1024,
        "ranges",
        "the stream's oldest hole is given up (gap cause `ring_full`)",
        "disjoint ranges held in one stream; a window of 4 MiB in which every third segment is missing has 960",
    )
    rings_total: int = _limit(
        32 * MIB,
        "bytes",
        "as memory_limit",
        "the account of all rings; half of the memory limit, so that holes never starve the parsers",
    )
    soft_percent: int = _limit(
        75,
        "percent",
        "of the streams that hold more than their share, those whose holes have waited longest give one up (gap cause `memory`)",
        "part of rings_total beyond which holes go early, so that the hard limit is not met by whoever happens to come then",
    )
    overlap_bytes: int = _limit(
        64 * KIB,
        "bytes",
        "the stream is said to be ambiguous under every other overlap policy",
        "copies of contested bytes kept of one stream while they wait behind a hole, to tell under which policies the stream is ambiguous",
    )
    overlap_ranges: int = _limit(
        256,
        "copies",
        "as overlap_bytes",
        "contested ranges and their copies kept of one stream; an attack needs one",
    )
    overlap_copies: int = _limit(
        64,
        "segments",
        "as overlap_bytes, and what was held stays",
        "segments over one contested byte that are told apart; a sender tries about 15 times",
    )
    gap_timeout: int = _limit(
        30 * SECOND,
        "nanoseconds",
        "the hole is given up (gap cause `timeout`)",
        "capture time that data waits behind a hole; longer than the retransmission back-off of a live transfer",
    )
    ack_grace: int = _limit(
        1 * MILLISECOND,
        "nanoseconds",
        "a hole that the peer acknowledged is given up (gap cause `acknowledged`)",
        "an acknowledgement can be captured before its data; in lossy captures by at most 22 packets and 19 us",
    )
    ack_grace_packets: int = _limit(
        64,
        "packets",
        "a hole that the peer acknowledged is given up (gap cause `acknowledged`)",
        "as ack_grace; both must have passed",
    )
    late_ranges: int = _limit(
        64,
        "ranges",
        "bytes for an older gap count as retransmitted",
        "gaps of one stream remembered, to tell late data from retransmitted data",
    )
    history_bytes: int = _limit(
        4 * KIB,
        "bytes",
        "an older retransmission is counted without being compared",
        "delivered bytes of one stream kept to compare retransmissions with; the last segments are the ones retransmitted",
    )
    history_total: int = _limit(
        8 * MIB,
        "bytes",
        "retransmissions of that stream are counted without being compared",
        "the account of all histories: 2,000 streams with a full one",
    )
    connections_total: int = _limit(
        40 * MIB,
        "bytes",
        "as max_connections",
        "the account of the connection table: max_connections and max_half_open together",
    )
    http_head_max_bytes: int = _limit(
        64 * KIB,
        "bytes",
        "drop `http_head_too_large`; the stream is picked up at its next message",
        "a request or response head; servers accept 8 to 32 KiB",
    )
    http_head_max_lines: int = _limit(
        256,
        "lines",
        "drop `http_too_many_headers`; the stream is picked up at its next message",
        "header lines of one head; servers accept about 100",
    )
    http_head_line_max_bytes: int = _limit(
        32 * KIB,
        "bytes",
        "drop `http_header_line_too_long`; the stream is picked up at its next message",
        "one line of a head, the first included; servers accept 8 KiB, some cookies want more",
    )
    http_chunk_line_max_bytes: int = _limit(
        4 * KIB,
        "bytes",
        "drop `http_chunk_line_too_long`; the stream is picked up at its next message",
        "a chunk-size line with extensions, or one trailer line",
    )
    http_resync_max_bytes: int = _limit(
        256 * KIB,
        "bytes",
        "less is recovered: what lies further back than this when a chunked body goes on is unread, `behind_loss`",
        "of a chunked body behind a hole in it, while two more chunk lines have to confirm the first; servers flush chunks of 64 KiB and less",
    )
    http_pipeline_max: int = _limit(
        256,
        "requests",
        "the oldest request is reported without a response",
        "requests of one connection that wait for their response; a one-directional capture never shows any",
    )
    tls_hello_max_bytes: int = _limit(
        32 * KIB,
        "bytes",
        "the connection's `tls` says nothing of that side",
        "the first message of a TLS handshake, each way; with post-quantum keys a few KiB",
    )
    http_total: int = _limit(16 * MIB, "bytes", "drop `http_memory`", "the account of partial heads and of requests that wait")
    content_max_bytes: int = _limit(
        1024 * MIB,
        "bytes",
        "drop `content_too_large`",
        "decoded bytes of one compressed body; bounds time, since nothing decoded is kept",
    )
    content_max_ratio: int = _limit(
        200,
        "decoded bytes per encoded byte",
        "drop `content_ratio`",
        "DEFLATE reaches 1,032 on zeros; JSON of the most repetitive kind stays under 100",
    )
    content_ratio_floor: int = _limit(
        64 * KIB,
        "bytes",
        "the ratio begins to count",
        "small bodies may repeat themselves; a body of so many bytes costs no more than some hundred times what its packets take",
    )
    content_total: int = _limit(16 * MIB, "bytes", "drop `content_memory`", "the account of decompressors: about 350 at one time")
    json_slice: int = _limit(
        16 * KIB,
        "bytes",
        "the slice goes to ijson",
        "ijson is fastest while its event list stays in the cache; slices begin at fixed offsets of the body",
    )
    json_scalar_max_bytes: int = _limit(
        1 * MIB,
        "bytes",
        "drop `json_scalar_too_large`",
        "one string or number; ijson keeps an unfinished one whole",
    )
    json_whole_max_bytes: int = _limit(
        1 * MIB,
        "bytes",
        "the text goes to ijson, from its first byte on",
        "a text that is kept until it is whole is read 2 to 11 times as fast as by ijson; with half of the account `json` seven of the largest fit at one time",
    )
    json_max_depth: int = _limit(512, "levels", "drop `json_too_deep`", "nesting; other parsers stop between 100 and 1,000")
    json_document_max_events: int = _limit(
        1_000_000_000,
        "events",
        "drop `json_too_many_events`",
        "ijson's events of one document; bounds time, since none is kept: some 100 s, 8 GB of ordinary JSON",
    )
    json_path_max_depth: int = _limit(
        32,
        "levels",
        "the path in an error message ends there",
        "levels of the path that an error message names",
    )
    extract_value_max_bytes: int = _limit(
        8 * MIB,
        "bytes",
        "drop `json_value_too_large`; the next value is read",
        "one value that `extract` gives, which must be kept until it is whole",
    )
    json_total: int = _limit(16 * MIB, "bytes", "drop `json_memory`", "the account of parsers: unfinished slices and scalars")
    output_total: int = _limit(
        16 * MIB,
        "bytes",
        "records of a block go to a temporary file until they are put in order",
        "records that wait for the end of their block, and what `--html`, `--har` and `--parquet` keep, each in a share of its own",
    )
    plugins_total: int = _limit(
        8 * MIB,
        "bytes",
        "drop `plugin_memory`",
        "the account of what waits for plug-ins, and of what they found in bodies whose exchange is not over",
    )
    plugin_message_max_bytes: int = _limit(
        1 * MIB,
        "bytes",
        "drop `plugin_message_too_large`; the next message that can be found is read",
        "one message of a plug-in's protocol, which is kept until it is whole",
    )
    plugin_rereads_max: int = _limit(
        64,
        "times the bytes that came",
        "drop `plugin_rereads`; no more of the conversation is read",
        "a plug-in that begins a message again with each segment takes time quadratic in it; beyond 16 times it is asked when a quarter more has come, or the other side speaks",
    )
    gap_fill_max_bytes: int = _limit(
        256 * MIB,
        "bytes",
        "further gaps are not filled, and a warning says how many bytes are left out; a body ends there",
        "what `follow --gap-fill` writes for missing bytes in all, and `bodies --gaps fill` for those of one body: a capture of some KiB can miss gigabytes",
    )
    bodies_max_files: int = _limit(
        10_000,
        "files",
        "further bodies are left out, and `index.ndjson` and a line say so",
        "files that `bodies -o` writes: what a folder is still listed with",
    )
    bodies_max_bytes: int = _limit(
        16 * GIB,
        "bytes",
        "further bodies are left out, and `index.ndjson` and a line say so",
        "what `bodies` writes in all: a small capture of compressed zeros can hold a disk of them",
    )
    har_body_max_bytes: int = _limit(
        64 * KIB,
        "bytes",
        "the body's text in the HAR file ends there, and a comment says so",
        "what `--har` keeps of one body, in the account of output: a page of text; a thousand exchanges at one time fit beside the records",
    )
    page_rows: int = _limit(
        1_000,
        "rows",
        "the rows that lost or took least are left out, and the page says of how many",
        "connections, exchanges and losses, each, on the page of `--html`: what a browser sorts at once",
    )
    worst_streams: int = _limit(
        10,
        "streams",
        "the one that lost least is left out",
        "streams that the summary names one by one: a screen's worth",
    )
    table_rows: int = _limit(
        200,
        "rows",
        "further ones are counted together in a last one: of all that come, those with the smallest hashes stay, whatever their order",
        "endpoints and problems, each, that the report tells apart: 8 KB for one of both, in the account of output; fewer where that is small",
    )
    map_keys: int = _limit(
        64,
        "keys",
        "further keys are counted under `...`: of all that come, those with the smallest hashes stay, whatever their order",
        "keys of a map in the report that the traffic chooses, such as request methods, beside those that are registered",
    )

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            wrong = f"more than {MOST}, the most that a limit may be" if value > MOST else "not above zero" if value <= 0 else ""
            if wrong:
                raise UsageError(f"{name}: {brief(value)} is {wrong}")

    def with_memory(self, memory_limit: int) -> Limits:
        """The same under another memory limit (`memory_scale`)."""
        return replace(self, **bounds_under(memory_limit, self.as_dict()))

    def as_dict(self) -> dict[str, int]:
        """Name to value, in the order of this page; `limits` in the report."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
