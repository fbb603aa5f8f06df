"""What an HTTP exchange consists of, as the report has it: messages, bodies, and what was in bodies of JSON.

Contract and invariant are those of `records`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pcapflow.contents import JsonBody, Other
from pcapflow.fields import REASONS, counts, instant_or_null, says, says_or_null

_BODY = ("complete", "gapped", "truncated", "dropped")


class Body(msgspec.Struct):
    """The body of an HTTP message."""

    framing: Annotated[str, says("How the length was determined.", "none", "length", "chunked", "close")]
    bytes: Annotated[int, counts("Body size without chunk framing, before content codings are undone.")]
    decoded_bytes: Annotated[int | None, says("Body size after content codings are undone; null if the body was not decoded.")]
    missing_bytes: Annotated[int, counts("Bytes of the body that were never delivered.")]
    content_type: Annotated[str | None, says("Value of Content-Type.")]
    content_encoding: Annotated[str | None, says("Value of Content-Encoding.")]
    status: Annotated[str, says("The first that applies: `dropped`, `gapped`, `truncated`, `complete`.", *_BODY)]
    drop_reason: Annotated[str | None, says_or_null("Why the body was dropped.", *REASONS)]
    json: Annotated[JsonBody | None, says("Contents, if the body is JSON.")]
    sha256: Annotated[
        str | None, says("SHA-256 of the body's `bytes`, in hexadecimal; null without `--hash-bodies` or if the body is incomplete.")
    ] = None
    expected_bytes: Annotated[int | None, says("Length announced in the head; null if none was announced.")] = None
    payload: Annotated[
        Other | None, says("Contents, if the body is of another supported format; `format` names it ([payloads](payloads.md)).")
    ] = None


_FIRST_PACKET = says("The packet that carried the first byte; Wireshark's `frame.number` for a single capture.")
_FIRST_FILE = says("The capture that contains `packet`, as in `captures[].path`; null unless the trace has several captures.")
_FIRST_FRAME = says("Wireshark's `frame.number` of `packet` in that capture; null unless the trace has several captures.")
_FIRST_TS = instant_or_null("Capture time of the first byte.")
_END_TS = instant_or_null("Capture time of the last byte that was captured.")


class Header(msgspec.Struct):
    """A header or trailer field."""

    name: Annotated[str, says("Field name, as sent.")]
    value: Annotated[str | None, says("Field value, or `[32 bytes]` for a secret of that length; null with `--headers names`.")]


_HEADERS = says("Header fields in the order sent; null unless requested with `--headers`.")
_TRAILERS = says("Trailer fields after a chunked body, likewise; null if there were none.")


class Request(msgspec.Struct):
    """An HTTP request."""

    method: Annotated[str, says("The method.")]
    target: Annotated[str, says("The request target, as sent.")]
    host: Annotated[str | None, says("Value of Host.")]
    version: Annotated[str, says("HTTP version: `1.1`.")]
    body: Annotated[Body, says("The message body.")]
    headers: Annotated[list[Header] | None, _HEADERS] = None
    trailers: Annotated[list[Header] | None, _TRAILERS] = None
    operations: Annotated[
        list[str] | None,
        says(
            "GraphQL operations (`query Orders`) or JSON-RPC methods that the request calls, at most 16 ([payloads](payloads.md)); null if neither."
        ),
    ] = None
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
    body: Annotated[Body, says("The message body.")]
    headers: Annotated[list[Header] | None, _HEADERS] = None
    trailers: Annotated[list[Header] | None, _TRAILERS] = None
    packet: Annotated[int | None, _FIRST_PACKET] = None
    file: Annotated[str | None, _FIRST_FILE] = None
    frame: Annotated[int | None, _FIRST_FRAME] = None
    ts: Annotated[float | None, _FIRST_TS] = None
    end_ts: Annotated[float | None, _END_TS] = None
