"""What is suspicious in HTTP/1 messages, and why a request has no response, in an enumeration each: request smuggling is what a trace is searched for.

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
    Anomaly.BARE_LF: "A line of the head ends in LF without CR: accepted (2.2).",
    Anomaly.BARE_CR: "A line of the head contains a bare CR: kept unchanged (2.2 forbids it).",
    Anomaly.OBSOLETE_FOLDING: "A field continues on the next line: the lines are joined with a space (5.2).",
    Anomaly.SPACE_BEFORE_COLON: "White space between a field name and its colon: the field is accepted (5.1 requires servers to reject it).",
    Anomaly.SPACE_BEFORE_FIRST_FIELD: "Lines that start with white space come before the first field: they are skipped (2.2).",
    Anomaly.LINE_WITHOUT_COLON: "A line of the head is not a field: skipped.",
    Anomaly.MALFORMED_FIELD_NAME: "A field name is not a token: the field is skipped (RFC 9110 5.1).",
    Anomaly.CONTROL_CHARACTER: "The head contains NUL or another control character: kept unchanged (RFC 9110 5.5).",
    Anomaly.LENGTH_AND_CHUNKED: "Both Content-Length and Transfer-Encoding are present: Transfer-Encoding applies (6.3).",
    Anomaly.REPEATED_LENGTH: "Content-Length is repeated with the same value: accepted (6.3).",
    Anomaly.CONFLICTING_LENGTHS: "Content-Length has several values: a response is read until close, the body of a request is dropped (6.3).",
    Anomaly.MALFORMED_LENGTH: "Content-Length is not a number of up to 18 digits: a response is read until close, the body of a request is dropped (6.3).",
    Anomaly.UNKNOWN_TRANSFER_ENCODING: "Transfer-Encoding does not end in chunked: a response is read until close, the body of a request is dropped (6.3).",
    Anomaly.REPEATED_CHUNKED: "chunked is applied more than once: decoded once (7.1 forbids it).",
    Anomaly.TRANSFER_ENCODING_IN_HTTP_1_0: "Transfer-Encoding in an HTTP/1.0 message: accepted (6.1 calls the framing faulty).",
    Anomaly.MISSING_HOST: "An HTTP/1.1 request has no Host field (3.2).",
    Anomaly.REPEATED_HOST: "Host is repeated: the record has all values (3.2).",
    Anomaly.FRAMING_IN_BODILESS: "A 1xx or 204 response has a nonzero Content-Length, or Transfer-Encoding: read without a body (6.3).",
    Anomaly.CHUNK_BARE_LF: "The line break after a chunk's size or data has no CR: accepted.",
    Anomaly.CHUNK_SPACE: "White space surrounds a chunk size: accepted.",
    Anomaly.CHUNK_BARE_CR: "A chunk extension contains a bare CR: skipped.",
    Anomaly.FRAMING_IN_TRAILER: "A trailer contains Content-Length or Transfer-Encoding: skipped (RFC 9110 6.5.1).",
    Anomaly.BODY_NOT_SENT: "The body announced in the head was never sent: the server sent a final response instead of 100, or the response answers an unseen HEAD.",
    Anomaly.MALFORMED_VERSION: "The version is not HTTP/1, is missing, or is followed by other text: the head is read as HTTP/1 (3, 4).",
    Anomaly.MISSING_TARGET: "The request line has no target: the target is reported as empty (3.2).",
    Anomaly.SPACE_IN_TARGET: "The request target contains white space: kept as part of the target (3.2 requires servers to reject it).",
    Anomaly.MALFORMED_STATUS: "The status code does not have three digits: kept unchanged (4).",
    Anomaly.MORE_THAN_LENGTH: "Bytes that belong to no message follow the last byte of this one in the same packet: they are unread, `malformed` (6.3).",
    Anomaly.ANSWERED_EARLY: "The response started before the request ended: `wait` is 0 (RFC 9110 7.5 tells clients to expect it).",
    Anomaly.HEAD_CUT: "The head is cut by missing bytes or the end of the stream: its complete lines are reported.",
}


class NoResponse(StrEnum):
    """Why an exchange has no response."""

    GAP = "gap"
    RESET = "reset"
    CLOSED = "closed"
    OPEN = "open"
    UNREAD = "unread"
    LIMIT = "limit"

    @property
    def sentence(self) -> str:
        """What it means, for users."""
        return _WITHOUT[self]


_WITHOUT = {
    NoResponse.GAP: "Bytes of the server's stream are missing where the response should be.",
    NoResponse.RESET: "The connection was reset before a response.",
    NoResponse.CLOSED: "The server closed its side of the connection without a response.",
    NoResponse.OPEN: "The connection was still open when the capture ended, or when pcapflow stopped following it (idle, evicted, ports reused).",
    NoResponse.UNREAD: "The server sent bytes that pcapflow could not read as a response.",
    NoResponse.LIMIT: "pcapflow stopped waiting for the response because a limit was reached.",
}
