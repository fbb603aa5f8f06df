"""An HTTP exchange as it was sent, for whoever writes it whole (HAR): field lists, and the beginning of each body. Values.

Contract: `ExchangeFound` is made when nothing more comes of an exchange. Texts are as the wire had them, with U+FFFD for what is no UTF-8.
"""

from __future__ import annotations

import msgspec

from pcapflow.fields import Endpoint
from pcapflow.messages import Body


class Field(msgspec.Struct, frozen=True):
    """A header field."""

    name: str
    value: str


class BodyText(msgspec.Struct, frozen=True):
    """The beginning of a body, content codings undone."""

    text: bytes
    size: int
    """Bytes that came out of the codings, up to the first gap."""
    notes: list[str]
    """What was lost of it."""
    whole: bool
    """Whether all of it came and was decoded."""


class MessageFound(msgspec.Struct, frozen=True):
    """What both kinds of message have."""

    version: str
    fields: list[Field]
    """In the order of the wire; repeated ones stay apart."""
    head_bytes: int
    """Of its head, 0 where there was none."""
    content_type: str | None
    coded: bool
    """Whether a content or transfer coding was to be undone."""
    body: Body | None
    """Its record; None where it has no body."""
    kept: BodyText | None
    """None where nothing of it was kept."""


class RequestFound(msgspec.Struct, frozen=True):
    """A request."""

    method: str
    target: str
    host: str | None
    message: MessageFound


class ResponseFound(msgspec.Struct, frozen=True):
    """A final response."""

    status: int
    reason: str
    message: MessageFound


class ExchangeFound(msgspec.Struct, frozen=True):
    """A request and its final response, or one of them alone."""

    connection: int
    server: Endpoint
    times: tuple[int, int, int, int]
    """When the first and the last byte of the request, and the first and the last byte of the response were captured (ns); 0 where there is none."""
    resynchronised: bool
    anomalies: list[str]
    request: RequestFound | None
    response: ResponseFound | None
