"""What an HTTP exchange consists of, as the report has it: messages, bodies, and what was in bodies of JSON.

Contract and invariant are those of `records`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pcapflow.fields import REASONS, counts, instant_or_null, says, says_or_null
from pcapflow.json_problems import JsonProblem

_BODY = ("complete", "gapped", "truncated", "dropped")
_JSON = ("complete", "invalid", "partial", "truncated", "gapped", "dropped")


class JsonError(msgspec.Struct):
    """Where a JSON text broke."""

    message: Annotated[str, says("What was expected and what was found, in words.")]
    offset: Annotated[int, counts("Bytes from the beginning of its document.")]
    path: Annotated[
        str,
        says(
            "The path to it, the same for every element of an array: `items[].address`, as jq says it; of a long one the last 1,024 characters."
        ),
    ]
    location: Annotated[str, says("The path as jq would say it: `items[412].address`; of a long one the last 1,024 characters.")]
    document: Annotated[int, counts("Which document of the body, from 0.")]
    kind: Annotated[str, says("What is wrong; empty in reports of earlier versions.", *(problem.value for problem in JsonProblem), "")] = ""


DOCUMENTS = counts("JSON documents that came whole.")
EVENTS = counts("Events as ijson's `basic_parse` counts them.")
KEYS = counts("Keys of objects.")
DEPTH = counts("Deepest nesting; a scalar's is 0.")
TOP = says_or_null("What the documents are; null where there is none.", "object", "array", "string", "number", "boolean", "null", "mixed")
JSON_BYTES = counts("Bytes, content codings undone.")
JSON_STATUS = says(
    "Body whole and JSON unfinished is `invalid`, or `partial` where the answer says that it is a part (206); body cut is `truncated`; body gapped is `gapped`, unless it was "
    "invalid before.",
    *_JSON,
)
ENCODING = says("As it was sent.", "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be")
BOM = says("A byte order mark came first.")
PREFIX = says("What stood before the text against hijacking.")
BROKEN = counts("Documents given up while others could be read (NDJSON, JSON text sequences, server-sent events).")
PASSED = counts("Events or texts that are no JSON.")
DUPLICATES = msgspec.Meta(description="Keys that their object had already; null where nobody counted (`--duplicate-keys`).")
ERROR = says("The first error.")
VALUES = says("Values at the paths that `check` is to compare; null where nobody asked.")
SHAPE = says(
    "The paths in it and their types, `items[].id: integer`; null where nobody asked (`--shapes`), and where not all of it is there ([how it is written](json.md))."
)
JSON_DROP = says_or_null("Why it was dropped.", *REASONS)


class JsonValues(msgspec.Struct):
    """Values at a path of a body."""

    path: Annotated[str, says("The path that was asked for.")]
    values: Annotated[list[str], says("The first of them, as the text that was sent.")]


class JsonBody(msgspec.Struct):
    """What was found in a body of JSON."""

    documents: Annotated[int, DOCUMENTS]
    events: Annotated[int, EVENTS]
    keys: Annotated[int, KEYS]
    max_depth: Annotated[int, DEPTH]
    top_level: Annotated[str | None, TOP]
    bytes: Annotated[int, JSON_BYTES]
    status: Annotated[str, JSON_STATUS]
    encoding: Annotated[str, ENCODING] = "utf-8"
    bom: Annotated[bool, BOM] = False
    prefix: Annotated[str | None, PREFIX] = None
    broken: Annotated[int, BROKEN] = 0
    skipped: Annotated[int, PASSED] = 0
    duplicate_keys: Annotated[int | None, DUPLICATES] = None
    error: Annotated[JsonError | None, ERROR] = None
    drop_reason: Annotated[str | None, JSON_DROP] = None
    shape: Annotated[list[str] | None, SHAPE] = None
    values: Annotated[list[JsonValues] | None, VALUES] = None


class Body(msgspec.Struct):
    """The body of an HTTP message."""

    framing: Annotated[str, says("What told its length.", "none", "length", "chunked", "close")]
    bytes: Annotated[int, counts("Without chunk framing, before content codings are undone.")]
    decoded_bytes: Annotated[int | None, says("After content codings are undone; null where nobody looked.")]
    missing_bytes: Annotated[int, counts("Of its bytes, those the capture does not have.")]
    content_type: Annotated[str | None, says("Content-Type.")]
    content_encoding: Annotated[str | None, says("Content-Encoding.")]
    status: Annotated[str, says("The first that applies: `dropped`, `gapped`, `truncated`, `complete`.", *_BODY)]
    drop_reason: Annotated[str | None, says_or_null("Why it was dropped.", *REASONS)]
    json: Annotated[JsonBody | None, says("What was in it, where it is JSON.")]
    sha256: Annotated[str | None, says("Of `bytes`, hexadecimal, where `--hash-bodies` asked and all of them came.")] = None
    expected_bytes: Annotated[int | None, says("How many its head announced; null where it announced none.")] = None


_FIRST_PACKET = says("The packet that carried its first byte; Wireshark's `frame.number` for a single capture.")
_FIRST_FILE = says("The capture that has `packet`, as in `captures[].path`; null unless the trace has several.")
_FIRST_FRAME = says("Wireshark's `frame.number` of `packet` in that capture; null unless the trace has several.")
_FIRST_TS = instant_or_null("When its first byte was captured.")
_END_TS = instant_or_null("When the last of its bytes was captured that came.")


class Header(msgspec.Struct):
    """A field of a head or a trailer."""

    name: Annotated[str, says("As it was sent.")]
    value: Annotated[str | None, says("Its value, `[32 bytes]` for a secret of that length; null with `--headers names`.")]


_HEADERS = says("Its fields in the order in which they were sent, where `--headers` asked; null else.")
_TRAILERS = says("The fields behind a chunked body, likewise; null where there were none.")


class Request(msgspec.Struct):
    """An HTTP request."""

    method: Annotated[str, says("The method.")]
    target: Annotated[str, says("The request target, as it was sent.")]
    host: Annotated[str | None, says("Host.")]
    version: Annotated[str, says("HTTP version: `1.1`.")]
    body: Annotated[Body, says("Its body.")]
    headers: Annotated[list[Header] | None, _HEADERS] = None
    trailers: Annotated[list[Header] | None, _TRAILERS] = None
    packet: Annotated[int | None, _FIRST_PACKET] = None
    file: Annotated[str | None, _FIRST_FILE] = None
    frame: Annotated[int | None, _FIRST_FRAME] = None
    ts: Annotated[float | None, _FIRST_TS] = None
    end_ts: Annotated[float | None, _END_TS] = None


class Response(msgspec.Struct):
    """A final HTTP response."""

    status: Annotated[int, counts("The status code.")]
    reason: Annotated[str, says("The reason phrase.")]
    version: Annotated[str, says("HTTP version.")]
    body: Annotated[Body, says("Its body.")]
    headers: Annotated[list[Header] | None, _HEADERS] = None
    trailers: Annotated[list[Header] | None, _TRAILERS] = None
    packet: Annotated[int | None, _FIRST_PACKET] = None
    file: Annotated[str | None, _FIRST_FILE] = None
    frame: Annotated[int | None, _FIRST_FRAME] = None
    ts: Annotated[float | None, _FIRST_TS] = None
    end_ts: Annotated[float | None, _END_TS] = None
