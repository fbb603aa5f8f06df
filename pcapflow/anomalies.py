"""What is suspicious in HTTP/1 messages, in one enumeration: request smuggling is what a trace is searched for.

Vocabulary: knows nobody. Each member has its sentence here, saying what pcapflow does, its line in docs/http.md (printed from here) and a
row in tests/protocols/test_against_peers.py. Sections are those of RFC 9112 where no other is named.
"""

from __future__ import annotations

from enum import StrEnum


class Anomaly(StrEnum):
    """A name in an exchange's `anomalies`."""

    BARE_LF = "bare_lf"
    BARE_CR = "bare_cr"
    OBSOLETE_FOLDING = "obsolete_folding"
    SPACE_BEFORE_COLON = "space_before_colon"
    SPACE_BEFORE_FIRST_FIELD = "space_before_first_field"
    LINE_WITHOUT_COLON = "line_without_colon"
    MALFORMED_FIELD_NAME = "malformed_field_name"
    CONTROL_CHARACTER = "control_character"
    LENGTH_AND_CHUNKED = "length_and_chunked"
    REPEATED_LENGTH = "repeated_length"
    CONFLICTING_LENGTHS = "conflicting_lengths"
    MALFORMED_LENGTH = "malformed_length"
    UNKNOWN_TRANSFER_ENCODING = "unknown_transfer_encoding"
    REPEATED_CHUNKED = "repeated_chunked"
    TRANSFER_ENCODING_IN_HTTP_1_0 = "transfer_encoding_in_http_1_0"
    MISSING_HOST = "missing_host"
    REPEATED_HOST = "repeated_host"
    FRAMING_IN_BODILESS = "framing_in_bodiless"
    CHUNK_BARE_LF = "chunk_bare_lf"
    CHUNK_SPACE = "chunk_space"
    CHUNK_BARE_CR = "chunk_bare_cr"
    FRAMING_IN_TRAILER = "framing_in_trailer"
    BODY_NOT_SENT = "body_not_sent"
    HEAD_CUT = "head_cut"
    MALFORMED_VERSION = "malformed_version"
    MISSING_TARGET = "missing_target"
    SPACE_IN_TARGET = "space_in_target"
    MALFORMED_STATUS = "malformed_status"
    MORE_THAN_LENGTH = "more_than_length"
    ANSWERED_EARLY = "answered_early"

    @property
    def sentence(self) -> str:
        """What it is, and what is done with it."""
        return _SENTENCES[self]

    @property
    def refuses(self) -> bool:
        """Whether a request's length cannot be known for it."""
        return self in (Anomaly.CONFLICTING_LENGTHS, Anomaly.MALFORMED_LENGTH)


_SENTENCES = {
    Anomaly.BARE_LF: "A line of the head ends without CR: accepted (2.2).",
    Anomaly.BARE_CR: "A CR within a line: kept as it is (2.2 forbids it).",
    Anomaly.OBSOLETE_FOLDING: "A field goes on in the next line: joined by a space (5.2).",
    Anomaly.SPACE_BEFORE_COLON: "White space between a field's name and its colon: the field counts (5.1 has servers refuse it).",
    Anomaly.SPACE_BEFORE_FIRST_FIELD: "White space between the first line and the first field: such lines are skipped (2.2).",
    Anomaly.LINE_WITHOUT_COLON: "A line of the head that is no field: skipped.",
    Anomaly.MALFORMED_FIELD_NAME: "A field's name is no token: the field is skipped (RFC 9110 5.1).",
    Anomaly.CONTROL_CHARACTER: "NUL or another control character in the head: kept as it is (RFC 9110 5.5).",
    Anomaly.LENGTH_AND_CHUNKED: "Both Content-Length and Transfer-Encoding: Transfer-Encoding decides (6.3).",
    Anomaly.REPEATED_LENGTH: "Content-Length more than once, with one value: accepted (6.3).",
    Anomaly.CONFLICTING_LENGTHS: "Content-Length with several values: a response is read until close, a request is refused (6.3).",
    Anomaly.MALFORMED_LENGTH: "A Content-Length that is no number of up to 18 digits: a response is read until close, a request is refused (6.3).",
    Anomaly.UNKNOWN_TRANSFER_ENCODING: "Transfer-Encoding does not end in chunked: a response is read until close, a request is refused (6.3).",
    Anomaly.REPEATED_CHUNKED: "chunked more than once: undone once (7.1 forbids it).",
    Anomaly.TRANSFER_ENCODING_IN_HTTP_1_0: "Transfer-Encoding in HTTP/1.0: accepted (6.1 calls the framing faulty).",
    Anomaly.MISSING_HOST: "A request of HTTP/1.1 without Host (3.2).",
    Anomaly.REPEATED_HOST: "Host more than once; the record has them all (3.2).",
    Anomaly.FRAMING_IN_BODILESS: "A 1xx or 204 answer with a Content-Length other than 0, or Transfer-Encoding: no body follows (6.3).",
    Anomaly.CHUNK_BARE_LF: "A line break without CR behind a chunk's size or data: accepted.",
    Anomaly.CHUNK_SPACE: "White space around a chunk's size: accepted.",
    Anomaly.CHUNK_BARE_CR: "A CR within a chunk extension: skipped.",
    Anomaly.FRAMING_IN_TRAILER: "Content-Length or Transfer-Encoding in a trailer: skipped (RFC 9110 6.5.1).",
    Anomaly.BODY_NOT_SENT: "A body that its head announces was never sent: after a final answer instead of 100, or of an answer to an unseen HEAD.",
    Anomaly.MALFORMED_VERSION: "The version is none of HTTP/1, or missing, or something follows it: the head is read as one of HTTP/1 (3, 4).",
    Anomaly.MISSING_TARGET: "A request line without a target: the target is empty (3.2).",
    Anomaly.SPACE_IN_TARGET: "White space in the request target: it is part of the target (3.2 has servers refuse it).",
    Anomaly.MALFORMED_STATUS: "The status code has not three digits: it is taken as it is (4).",
    Anomaly.MORE_THAN_LENGTH: "Bytes follow the message, in the packet of its last one, that are of no other: they are unread, `malformed` (6.3).",
    Anomaly.ANSWERED_EARLY: "The first byte of the answer came before the last byte of the request: `wait` is 0 (9110, 7.5, has clients expect it).",
    Anomaly.HEAD_CUT: "The head goes on where bytes are missing or the stream ends: what its whole lines say is reported.",
}
