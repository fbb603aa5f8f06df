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
    GapCause.SNAPPED: "The capture truncated the packet (snap length), so its tail is missing.",
    GapCause.ACKNOWLEDGED: "The receiver acknowledged the bytes, so it received them but the capture did not.",
    GapCause.RING_FULL: "Data buffered behind the hole filled the stream's ring or its range table.",
    GapCause.TIMEOUT: "Data waited behind the hole for gap_timeout, in capture time.",
    GapCause.MEMORY: "Memory ran short, and this stream held the most, or held more than its share for the longest time.",
    GapCause.END: "The connection or the capture ended before the bytes arrived.",
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
    DropReason.CHECKSUM_WRONG: "The segment's TCP checksum is wrong, and --verify-checksums is set; one record per such packet.",
    DropReason.CONNECTION_MEMORY: "A new connection could not be tracked, because no other connection could be evicted.",
    DropReason.HOLE_MEMORY: "Memory ran short, this stream held the most, and --overload drop is set.",
    DropReason.HTTP_HEAD_TOO_LARGE: "A message head exceeds http_head_max_bytes.",
    DropReason.HTTP_TOO_MANY_HEADERS: "A message head has more than http_head_max_lines lines.",
    DropReason.HTTP_HEADER_LINE_TOO_LONG: "A line of a message head exceeds http_head_line_max_bytes.",
    DropReason.HTTP_MALFORMED_HEAD: "A message does not start with a request line or a status line.",
    DropReason.HTTP_CHUNK_LINE_TOO_LONG: "A chunk-size or trailer line exceeds http_chunk_line_max_bytes.",
    DropReason.HTTP_MALFORMED_CHUNK: "A chunk does not start with its size, or does not end with a line break.",
    DropReason.HTTP_AMBIGUOUS_LENGTH: "A head gives conflicting lengths, a length that is not a number, or, in a request, a transfer coding that does not determine the length.",
    DropReason.HTTP_MEMORY: "The http account or the memory limit had no room for a partial head or a pending request.",
    DropReason.CONTENT_UNSUPPORTED: "This installation cannot decode the body's content coding.",
    DropReason.CONTENT_MALFORMED: "The body is not valid in its content coding.",
    DropReason.CONTENT_TOO_LARGE: "The decoded body exceeds content_max_bytes.",
    DropReason.CONTENT_RATIO: "The body decoded to more than content_max_ratio times its size.",
    DropReason.CONTENT_MEMORY: "The content account or the memory limit had no room for a decompressor.",
    DropReason.JSON_SCALAR_TOO_LARGE: "A string or number exceeds json_scalar_max_bytes.",
    DropReason.JSON_NUMBER_UNSUPPORTED: "A number has more digits or a larger exponent than Python can convert.",
    DropReason.JSON_VALUE_TOO_LARGE: "A value selected by extract exceeds extract_value_max_bytes.",
    DropReason.JSON_TOO_DEEP: "Arrays and objects are nested deeper than json_max_depth.",
    DropReason.JSON_TOO_MANY_EVENTS: "A document exceeds json_document_max_events.",
    DropReason.JSON_MEMORY: "The json account or the memory limit had no room for a parser's data.",
    DropReason.MULTIPART_HEAD_TOO_LARGE: "The head of a part exceeds multipart_head_max_bytes; nothing after it is read.",
    DropReason.YAML_SCALAR_TOO_LARGE: "A scalar, a comment or white space exceeds yaml_scalar_max_bytes.",
    DropReason.YAML_TOO_DEEP: "Sequences and mappings are nested deeper than yaml_max_depth.",
    DropReason.YAML_TOO_MANY_DIRECTIVES: "More than 64 lines that start with % precede a document.",
    DropReason.PLUGIN_FAILED: "A plug-in raised an exception. It reads no more of the conversation or the body; the bytes still count as delivered.",
    DropReason.PLUGIN_MESSAGE_TOO_LARGE: "A message of a plug-in's protocol, or a plug-in's result for one, exceeds plugin_message_max_bytes.",
    DropReason.PLUGIN_REREADS: "A plug-in reread the bytes of a conversation more than plugin_rereads_max times.",
    DropReason.PLUGIN_MEMORY: "The plugins account or the memory limit had no room for data waiting for a plug-in, or for its results.",
}


class Drop(NamedTuple):
    """What was given up. A parser returns it; nobody raises it."""

    reason: DropReason
    limit_name: str
    limit_value: int
    detail: str
    subject: str = ""
    """What `detail` is about, where somebody counts by it: a content coding."""
    requested_by: int = 0
    """The connection that needed the memory, where one gave it up for another."""
