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
    payload: Annotated[
        Other | None, says("What was in it, where that is read and is not JSON; `format` tells what it is ([payloads](payloads.md)).")
    ] = None


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
    operations: Annotated[
        list[str] | None,
        says(
            "What it asks for by GraphQL (`query Orders`) or JSON-RPC (the method), 16 at the most ([payloads](payloads.md)); null for neither."
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
    body: Annotated[Body, says("Its body.")]
    headers: Annotated[list[Header] | None, _HEADERS] = None
    trailers: Annotated[list[Header] | None, _TRAILERS] = None
    packet: Annotated[int | None, _FIRST_PACKET] = None
    file: Annotated[str | None, _FIRST_FILE] = None
    frame: Annotated[int | None, _FIRST_FRAME] = None
    ts: Annotated[float | None, _FIRST_TS] = None
    end_ts: Annotated[float | None, _END_TS] = None
