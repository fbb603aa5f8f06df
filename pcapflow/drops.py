"""Every reason for which pcapflow gives something up, in one enumeration.

A drop ends one stream, message or body; the run goes on and the others are unharmed. Each member has its sentence
here, its line in docs/drops.md (printed from here) and a test that causes it. A gap is no drop: see `GapCause`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class GapCause(StrEnum):
    """Why bytes of a stream were given up as missing."""

    SNAPPED = "snapped"
    ACKNOWLEDGED = "acknowledged"
    RING_FULL = "ring_full"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    END = "end"

    @property
    def sentence(self) -> str:
        return _CAUSES[self]


_CAUSES = {
    GapCause.SNAPPED: "The packet is there, and the capture cut it short (snap length): its tail is missing.",
    GapCause.ACKNOWLEDGED: "The receiver acknowledged the bytes, so it has them and the capture does not.",
    GapCause.RING_FULL: "What waited behind the hole filled the stream's ring or its table of ranges.",
    GapCause.TIMEOUT: "Data waited behind the hole for gap_timeout of capture time.",
    GapCause.MEMORY: "Memory was short: this stream held most, or more than its share and for longest.",
    GapCause.END: "The connection or the capture ended before the bytes came.",
}


class DropReason(StrEnum):
    """Why a stream, a message or a body was given up."""

    CHECKSUM_WRONG = "checksum_wrong"
    CONNECTION_MEMORY = "connection_memory"
    HOLE_MEMORY = "hole_memory"
    HTTP_HEAD_TOO_LARGE = "http_head_too_large"
    HTTP_TOO_MANY_HEADERS = "http_too_many_headers"
    HTTP_HEADER_LINE_TOO_LONG = "http_header_line_too_long"
    HTTP_MALFORMED_HEAD = "http_malformed_head"
    HTTP_CHUNK_LINE_TOO_LONG = "http_chunk_line_too_long"
    HTTP_MALFORMED_CHUNK = "http_malformed_chunk"
    HTTP_AMBIGUOUS_LENGTH = "http_ambiguous_length"
    HTTP_MEMORY = "http_memory"
    CONTENT_UNSUPPORTED = "content_unsupported"
    CONTENT_MALFORMED = "content_malformed"
    CONTENT_TOO_LARGE = "content_too_large"
    CONTENT_RATIO = "content_ratio"
    CONTENT_MEMORY = "content_memory"
    JSON_SCALAR_TOO_LARGE = "json_scalar_too_large"
    JSON_NUMBER_UNSUPPORTED = "json_number_unsupported"
    JSON_VALUE_TOO_LARGE = "json_value_too_large"
    JSON_TOO_DEEP = "json_too_deep"
    JSON_TOO_MANY_EVENTS = "json_too_many_events"
    JSON_MEMORY = "json_memory"
    MULTIPART_HEAD_TOO_LARGE = "multipart_head_too_large"
    YAML_SCALAR_TOO_LARGE = "yaml_scalar_too_large"
    YAML_TOO_DEEP = "yaml_too_deep"
    YAML_TOO_MANY_DIRECTIVES = "yaml_too_many_directives"
    PLUGIN_FAILED = "plugin_failed"
    PLUGIN_MESSAGE_TOO_LARGE = "plugin_message_too_large"
    PLUGIN_REREADS = "plugin_rereads"
    PLUGIN_MEMORY = "plugin_memory"

    @property
    def layer(self) -> str:
        """`decode`, `reassembly`, `http`, `content`, `json`, `multipart`, `yaml` or `plugin`: who gave up."""
        head = self.value.split("_", 1)[0]
        return {"checksum": "decode", "connection": "reassembly", "hole": "reassembly"}.get(head, head)

    @property
    def sentence(self) -> str:
        return _REASONS[self]


_REASONS = {
    DropReason.CHECKSUM_WRONG: "The segment's TCP checksum is wrong, and --verify-checksums was asked for; one record a packet that had any.",
    DropReason.CONNECTION_MEMORY: "A new connection could not be tracked: no connection could be evicted for it.",
    DropReason.HOLE_MEMORY: "Memory was short, the stream held most, and --overload drop was asked for.",
    DropReason.HTTP_HEAD_TOO_LARGE: "A message head went on beyond http_head_max_bytes.",
    DropReason.HTTP_TOO_MANY_HEADERS: "A message head had more lines than http_head_max_lines.",
    DropReason.HTTP_HEADER_LINE_TOO_LONG: "A line of a message head was longer than http_head_line_max_bytes.",
    DropReason.HTTP_MALFORMED_HEAD: "A message did not begin with a request line or a status line.",
    DropReason.HTTP_CHUNK_LINE_TOO_LONG: "A chunk-size or trailer line went on beyond http_chunk_line_max_bytes.",
    DropReason.HTTP_MALFORMED_CHUNK: "A chunk did not begin with its size, or did not end with a line break.",
    DropReason.HTTP_AMBIGUOUS_LENGTH: "A head says two lengths, none that is a number, or, in a request, a transfer coding that has none.",
    DropReason.HTTP_MEMORY: "The http account or the memory limit refused a partial head or a waiting request.",
    DropReason.CONTENT_UNSUPPORTED: "The body's content coding is none that this installation can undo.",
    DropReason.CONTENT_MALFORMED: "The body is not what its content coding says.",
    DropReason.CONTENT_TOO_LARGE: "The decoded body went on beyond content_max_bytes.",
    DropReason.CONTENT_RATIO: "The body decoded to more than content_max_ratio times its size.",
    DropReason.CONTENT_MEMORY: "The content account or the memory limit refused a decompressor.",
    DropReason.JSON_SCALAR_TOO_LARGE: "A string or number went on beyond json_scalar_max_bytes.",
    DropReason.JSON_NUMBER_UNSUPPORTED: "A number has more digits or a larger exponent than Python converts.",
    DropReason.JSON_VALUE_TOO_LARGE: "A value that extract was to give went on beyond extract_value_max_bytes.",
    DropReason.JSON_TOO_DEEP: "Arrays and objects nest deeper than json_max_depth.",
    DropReason.JSON_TOO_MANY_EVENTS: "A document went on beyond json_document_max_events.",
    DropReason.JSON_MEMORY: "The json account or the memory limit refused a parser's bytes.",
    DropReason.MULTIPART_HEAD_TOO_LARGE: "The head of a part went on beyond multipart_head_max_bytes; nothing behind it is read.",
    DropReason.YAML_SCALAR_TOO_LARGE: "A scalar, a comment or blanks went on beyond yaml_scalar_max_bytes.",
    DropReason.YAML_TOO_DEEP: "Sequences and mappings nest deeper than yaml_max_depth.",
    DropReason.YAML_TOO_MANY_DIRECTIVES: "More than 64 lines that begin with % came before a document.",
    DropReason.PLUGIN_FAILED: "A plug-in raised an exception: it reads no more of the conversation, or of the body; its bytes stay delivered.",
    DropReason.PLUGIN_MESSAGE_TOO_LARGE: "A message of a plug-in's protocol, or what a plug-in says of one, went on beyond plugin_message_max_bytes.",
    DropReason.PLUGIN_REREADS: "A plug-in looked at the bytes of a conversation more than plugin_rereads_max times over.",
    DropReason.PLUGIN_MEMORY: "The plugins account or the memory limit refused what waits for a plug-in, or what it found.",
}


class Drop(NamedTuple):
    """What was given up. A parser returns it; nobody raises it."""

    reason: DropReason
    limit_name: str
    limit_value: int
    detail: str
    subject: str = ""
    """What `detail` is about, where somebody counts by it: a content coding."""
