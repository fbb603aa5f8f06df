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
        "drop `http_head_too_large`; the stream is picked up at its next message",
        "a request or response head; servers accept 8 to 32 KiB",
    )
    http_head_max_lines: int = limit(
        256,
        "lines",
        "drop `http_too_many_headers`; the stream is picked up at its next message",
        "header lines of one head; servers accept about 100",
    )
    http_head_line_max_bytes: int = limit(
        32 * KIB,
        "bytes",
        "drop `http_header_line_too_long`; the stream is picked up at its next message",
        "one line of a head, the first included; servers accept 8 KiB, some cookies want more",
    )
    http_chunk_line_max_bytes: int = limit(
        4 * KIB,
        "bytes",
        "drop `http_chunk_line_too_long`; the stream is picked up at its next message",
        "a chunk-size line with extensions, or one trailer line",
    )
    http_resync_max_bytes: int = limit(
        256 * KIB,
        "bytes",
        "less is recovered: what lies further back than this when a chunked body goes on is unread, `behind_loss`",
        "of a chunked body behind a hole in it, while two more chunk lines have to confirm the first; servers flush chunks of 64 KiB and less",
    )
    http_pipeline_max: int = limit(
        256,
        "requests",
        "the oldest request is reported without a response",
        "requests of one connection that wait for their response; a one-directional capture never shows any",
    )
    tls_hello_max_bytes: int = limit(
        32 * KIB,
        "bytes",
        "the connection's `tls` says nothing of that side",
        "the first message of a TLS handshake, each way; with post-quantum keys a few KiB",
    )
    http_total: int = limit(16 * MIB, "bytes", "drop `http_memory`", "the account of partial heads and of requests that wait")
    content_max_bytes: int = limit(
        1024 * MIB,
        "bytes",
        "drop `content_too_large`",
        "decoded bytes of one compressed body; bounds time, since nothing decoded is kept",
    )
    content_max_ratio: int = limit(
        200,
        "decoded bytes per encoded byte",
        "drop `content_ratio`",
        "DEFLATE reaches 1,032 on zeros; JSON of the most repetitive kind stays under 100",
    )
    content_ratio_floor: int = limit(
        64 * KIB,
        "bytes",
        "the ratio begins to count",
        "small bodies may repeat themselves; a body of so many bytes costs no more than some hundred times what its packets take",
    )
    content_total: int = limit(16 * MIB, "bytes", "drop `content_memory`", "the account of decompressors: about 350 at one time")
    json_slice: int = limit(
        16 * KIB,
        "bytes",
        "the slice goes to ijson",
        "ijson is fastest while its event list stays in the cache; slices begin at fixed offsets of the body",
    )
    json_scalar_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "drop `json_scalar_too_large`",
        "one string or number; ijson keeps an unfinished one whole",
    )
    json_whole_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "the text goes to ijson, from its first byte on",
        "a text that is kept until it is whole is read 2 to 11 times as fast as by ijson; with half of the account `json` seven of the largest fit at one time",
    )
    json_max_depth: int = limit(512, "levels", "drop `json_too_deep`", "nesting; other parsers stop between 100 and 1,000")
    json_document_max_events: int = limit(
        1_000_000_000,
        "events",
        "drop `json_too_many_events`",
        "ijson's events of one document; bounds time, since none is kept: some 100 s, 8 GB of ordinary JSON",
    )
    json_path_max_depth: int = limit(
        32,
        "levels",
        "the path in an error message ends there",
        "levels of the path that an error message names",
    )
    extract_value_max_bytes: int = limit(
        8 * MIB,
        "bytes",
        "drop `json_value_too_large`; the next value is read",
        "one value that `extract` gives, which must be kept until it is whole",
    )
    json_total: int = limit(16 * MIB, "bytes", "drop `json_memory`", "the account of parsers: unfinished slices and scalars")
    yaml_max_depth: int = limit(
        512, "levels", "drop `yaml_too_deep`", "nesting, as of JSON; libyaml takes time quadratic in it, and stops at 1,000"
    )
    yaml_scalar_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "drop `yaml_scalar_too_large`",
        "one scalar, which libyaml keeps whole; counted in slices of 4 KiB, with comments and blanks before it",
    )
    multipart_head_max_bytes: int = limit(
        16 * KIB,
        "bytes",
        "drop `multipart_head_too_large`; nothing behind it is read",
        "the head of one part; browsers write some hundred bytes",
    )
    parts_max: int = limit(
        1_000,
        "parts or fields",
        "further ones are counted, and not looked into",
        "parts of one multipart body, and fields of one form, whose content is read as a payload of its own",
    )
    operation_max_bytes: int = limit(
        256 * KIB,
        "bytes",
        "the request's operation is not named",
        "a request's body of JSON that is kept until it is whole, to name its GraphQL or JSON-RPC operation",
    )
    output_total: int = limit(
        16 * MIB,
        "bytes",
        "records of a block go to a temporary file until they are put in order",
        "records that wait for the end of their block, and what `--html`, `--har` and `--parquet` keep, each in a share of its own",
    )
    plugins_total: int = limit(
        8 * MIB,
        "bytes",
        "drop `plugin_memory`",
        "the account of what waits for plug-ins, and of what they found in bodies whose exchange is not over",
    )
    plugin_message_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "drop `plugin_message_too_large`; the next message that can be found is read",
        "one message of a plug-in's protocol, which is kept until it is whole",
    )
    plugin_rereads_max: int = limit(
        64,
        "times the bytes that came",
        "drop `plugin_rereads`; no more of the conversation is read",
        "a plug-in that begins a message again with each segment takes time quadratic in it; beyond 16 times it is asked when a quarter more has come, or the other side speaks",
    )
    gap_fill_max_bytes: int = limit(
        256 * MIB,
        "bytes",
        "further gaps are not filled, and a warning says how many bytes are left out; a body ends there",
        "what `follow --gap-fill` writes for missing bytes in all, and `bodies --gaps fill` for those of one body: a capture of some KiB can miss gigabytes",
    )
    bodies_max_files: int = limit(
        10_000,
        "files",
        "further bodies are left out, and `index.ndjson` and a line say so",
        "files that `bodies -o` writes: what a folder is still listed with",
    )
    bodies_max_bytes: int = limit(
        16 * GIB,
        "bytes",
        "further bodies are left out, and `index.ndjson` and a line say so",
        "what `bodies` writes in all: a small capture of compressed zeros can hold a disk of them",
    )
    har_body_max_bytes: int = limit(
        64 * KIB,
        "bytes",
        "the body's text in the HAR file ends there, and a comment says so",
        "what `--har` keeps of one body, in the account of output: a page of text; a thousand exchanges at one time fit beside the records",
    )
    page_rows: int = limit(
        1_000,
        "rows",
        "the rows that lost or took least are left out, and the page says of how many",
        "connections, exchanges and losses, each, on the page of `--html`: what a browser sorts at once",
    )
    worst_streams: int = limit(
        10,
        "streams",
        "the one that lost least is left out",
        "streams that the summary names one by one: a screen's worth",
    )
    table_rows: int = limit(
        200,
        "rows",
        "further ones are counted together in a last one: of all that come, those with the smallest hashes stay, whatever their order",
        "endpoints and problems, each, that the report tells apart: 8 KB for one of both, in the account of output; fewer where that is small",
    )
    map_keys: int = limit(
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
