"""Every bound of pcapflow, in one frozen value.

Invariant: nothing that a capture controls is kept, repeated or recursed into without a field here that bounds it. Each field says its unit, why the default is what
it is, and what happens when it is reached; `docs/limits.md` is printed from these fields. Sizes are bytes, durations are nanoseconds of capture time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from pcapflow.errors import UsageError
from pcapflow.memory_scale import bounds_under
from pcapflow.stream_limits import GIB, KIB, MIB, StreamLimits, limit
from pcapflow.terminal_text import brief

MOST = (1 << 62) - 1  # twice as much still fits in what columns and reports hold


@dataclass(frozen=True, slots=True)
class Limits(StreamLimits):
    """The bounds of one run. Change some with `dataclasses.replace(Limits(), ring_size=...)`."""

    http_head_max_bytes: int = limit(
        64 * KIB,
        "bytes",
        "drop `http_head_too_large`; reading resumes at the next message",
        "one request or response head; servers accept 8 to 32 KiB",
    )
    http_head_max_lines: int = limit(
        256,
        "lines",
        "drop `http_too_many_headers`; reading resumes at the next message",
        "header lines in one head; servers accept about 100",
    )
    http_head_line_max_bytes: int = limit(
        32 * KIB,
        "bytes",
        "drop `http_header_line_too_long`; reading resumes at the next message",
        "one line of a head, including the first; servers accept 8 KiB, some cookies need more",
    )
    http_chunk_line_max_bytes: int = limit(
        4 * KIB,
        "bytes",
        "drop `http_chunk_line_too_long`; reading resumes at the next message",
        "one chunk-size line with extensions, or one trailer line",
    )
    http_resync_max_bytes: int = limit(
        256 * KIB,
        "bytes",
        "less is recovered: bytes further back than this when the chunked body resumes are unread, `behind_loss`",
        "bytes of a chunked body buffered after a hole until two more chunk lines confirm the first; servers flush chunks of 64 KiB or less",
    )
    http_pipeline_max: int = limit(
        256,
        "requests",
        "the oldest request is reported without a response",
        "requests waiting for their response on one connection; in a one-directional capture none ever arrives",
    )
    tls_hello_max_bytes: int = limit(
        32 * KIB,
        "bytes",
        "the connection's `tls` has no information from that side",
        "first message of a TLS handshake, in each direction; a few KiB with post-quantum keys",
    )
    http_total: int = limit(16 * MIB, "bytes", "drop `http_memory`", "account of partial heads and pending requests")
    content_max_bytes: int = limit(
        1024 * MIB,
        "bytes",
        "drop `content_too_large`",
        "decoded bytes of one compressed body; limits time, since no decoded data is kept",
    )
    content_max_ratio: int = limit(
        200,
        "decoded bytes per encoded byte",
        "drop `content_ratio`",
        "expansion of one compressed body, with the compressed parts within it; DEFLATE reaches 1,032 on zeros, the most repetitive JSON stays below 100",
    )
    content_ratio_floor: int = limit(
        64 * KIB,
        "bytes",
        "content_max_ratio applies from here on",
        "decoded size of a message up to which the ratio is not checked, since small bodies may be repetitive; one of this size costs at most a few hundred times as much as its packets",
    )
    content_total: int = limit(
        16 * MIB,
        "bytes",
        "drop `content_memory`",
        "account of decompressors: about 350 gzip bodies at a time, 70 zstd bodies, fewer brotli bodies",
    )
    json_slice: int = limit(
        16 * KIB,
        "bytes",
        "the slice is passed to ijson",
        "input per ijson call; ijson is fastest while its event list stays in the cache; slices start at fixed offsets in the body",
    )
    json_scalar_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "drop `json_scalar_too_large`",
        "one string or number; ijson buffers an unfinished one completely",
    )
    json_whole_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "the text is passed to ijson, from its first byte",
        "a text buffered until complete; it is read 2 to 11 times as fast as with ijson; half of the `json` account holds seven of the largest at a time",
    )
    json_max_depth: int = limit(512, "levels", "drop `json_too_deep`", "nesting; other parsers stop between 100 and 1,000")
    json_document_max_events: int = limit(
        1_000_000_000,
        "events",
        "drop `json_too_many_events`",
        "ijson events in one document; limits time, since no events are kept; about 100 s, or 8 GB of ordinary JSON",
    )
    json_path_max_depth: int = limit(
        32,
        "levels",
        "the path in an error message ends there",
        "path levels shown in an error message",
    )
    extract_value_max_bytes: int = limit(
        8 * MIB,
        "bytes",
        "drop `json_value_too_large`; the next value is read",
        "one value printed by `extract`, which must be buffered until complete",
    )
    json_total: int = limit(16 * MIB, "bytes", "drop `json_memory`", "account of parsers: unfinished slices and scalars")
    yaml_max_depth: int = limit(
        512, "levels", "drop `yaml_too_deep`", "nesting, as for JSON; libyaml takes quadratic time in the depth, and stops at 1,000"
    )
    yaml_scalar_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "drop `yaml_scalar_too_large`",
        "one scalar, which libyaml buffers completely; counted in 4 KiB slices, including preceding comments and white space",
    )
    multipart_head_max_bytes: int = limit(
        16 * KIB,
        "bytes",
        "drop `multipart_head_too_large`; nothing after it is read",
        "head of one part; browsers send a few hundred bytes",
    )
    parts_max: int = limit(
        1_000,
        "parts or fields",
        "further parts and fields are counted but not read",
        "parts of one multipart body, or fields of one form, whose content is read as a separate payload",
    )
    operation_max_bytes: int = limit(
        256 * KIB,
        "bytes",
        "the request's operation is not reported",
        "JSON request body buffered until complete, to identify its GraphQL or JSON-RPC operation",
    )
    output_total: int = limit(
        16 * MIB,
        "bytes",
        "the records of a block go to a temporary file until they are sorted",
        "records waiting for the end of their block, and the data that `--html`, `--har` and `--parquet` keep, each with its own share",
    )
    plugins_total: int = limit(
        8 * MIB,
        "bytes",
        "drop `plugin_memory`",
        "account of data waiting for plug-ins, and of their results for bodies of unfinished exchanges",
    )
    plugin_message_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "drop `plugin_message_too_large`; reading resumes at the next message that can be found",
        "one message of a plug-in's protocol, buffered until complete",
    )
    plugin_rereads_max: int = limit(
        64,
        "times the bytes that came",
        "drop `plugin_rereads`; no more of the conversation is read",
        "limits the quadratic time of a plug-in that restarts a message with each segment; after 16 times it is called only when a quarter more data has arrived, or the other side sends",
    )
    gap_fill_max_bytes: int = limit(
        256 * MIB,
        "bytes",
        "further gaps are not filled, and a warning reports how many bytes are omitted; a body ends there",
        "fill bytes that `follow --gap-fill` writes in total, and `bodies --gaps fill` per body; a capture of a few KiB can lack gigabytes",
    )
    bodies_max_files: int = limit(
        10_000,
        "files",
        "further bodies are omitted, and reported in `index.ndjson` and in a message",
        "files that `bodies -o` writes; a folder of this size can still be listed",
    )
    bodies_max_bytes: int = limit(
        16 * GIB,
        "bytes",
        "further bodies are omitted, and reported in `index.ndjson` and in a message",
        "bytes that `bodies` writes in total; a small capture of compressed zeros can fill a disk",
    )
    har_body_max_bytes: int = limit(
        64 * KIB,
        "bytes",
        "the body text in the HAR file ends there, with a comment",
        "bytes that `--har` keeps of one body, in the account of output, which has 2 MiB for the bodies of incomplete exchanges: 32 of this size, or a thousand of 2 KiB",
    )
    page_rows: int = limit(
        1_000,
        "rows",
        "the rows with the fewest missing bytes or the least time are omitted, and the page shows the total",
        "rows of each table (connections, exchanges, losses) on the `--html` page; a browser sorts this many instantly",
    )
    worst_streams: int = limit(
        10,
        "streams",
        "the stream with the fewest missing bytes is omitted",
        "streams that the summary lists individually; about a screenful",
    )
    table_rows: int = limit(
        200,
        "rows",
        "the others are combined in a last row; the rows with the smallest hashes are kept, regardless of order",
        "endpoints, and problems, with their own row in the report; 8 KB for one of each, in the account of output; fewer if that account is small",
    )
    map_keys: int = limit(
        64,
        "keys",
        "the others are counted under `...`; the keys with the smallest hashes are kept, regardless of order",
        "keys per report map that come from the traffic, such as request methods, in addition to registered ones",
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
