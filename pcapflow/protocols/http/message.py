"""Request and response heads of HTTP, of any version, as values: what framing, pairing and report need of one (RFC 9110).

Contract: whoever reads a version's heads fills these in and calls `finished`. Invariant: what a head says is never changed after that; `cost` is what it
takes, as Python holds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from sys import getsizeof
from typing import Any, TypeVar, cast

import msgspec

from pcapflow.body_options import MOST_CODINGS
from pcapflow.header_options import NO_HEADERS, Headers
from pcapflow.messages import Body, Header, Request, Response
from pcapflow.records import text
from pcapflow.redaction import chosen

_NO_CODINGS = frozenset(("", "identity", "none", "utf-8", "utf8", "binary", "8bit", "7bit"))
"""What servers write where there is no coding: a charset, or how mail is sent."""
FOLD = re.compile(rb"\r?\n[ \t]+")
_OBJECT_BYTES = 520
"""A head's object, its record where it has no body, and the lists of both, beside their texts."""

LARGE_HEAD = 8 << 10
"""Bytes that a head takes for which there must be room at once, and not at the end of a block."""
BODILESS = frozenset((204, 304))
"""Statuses of answers that have no body, whatever their fields say (RFC 9112 section 6.3, rule 1)."""
NOTHING: list[str] = []
"""No anomalies: one list for all, never changed."""


class MessagePlace(msgspec.Struct):
    """Where and when a message was captured: the last fields of `Request` and `Response`."""

    packet: int | None = None
    file: str | None = None
    frame: int | None = None
    ts: float | None = None
    end_ts: float | None = None


_NO_PLACE = b"," + msgspec.json.encode(MessagePlace())[1:]
NO_BODY = Body("none", 0, None, 0, None, None, "complete", None, None)


R = TypeVar("R", Request, Response)
FormOf = Callable[[str | None], str]
"""What kind of payload a content type is."""


class HeadRules:
    """What of heads somebody wants."""

    __slots__ = ("form_of", "headers", "keep_raw")

    def __init__(self, form_of: FormOf, headers: Headers = NO_HEADERS, *, keep_raw: bool = False) -> None:
        """form_of: what kind of payload a content type is; headers: which fields are recorded; keep_raw: heads keep their bytes."""
        self.form_of = form_of
        self.headers = headers
        self.keep_raw = keep_raw

    def recorded(self, lines: bytes) -> Any:
        """The fields in some lines, as they are written, encoded; None where nobody asked."""
        if not self.headers.some:
            return None
        return msgspec.Raw(msgspec.json.encode([Header(*field) for field in chosen(self.headers, fields_of(lines))]))


def fields_of(lines: bytes) -> list[tuple[str, str]]:
    """The fields in the lines behind a first line, or of a trailer."""
    found = []
    for line in FOLD.sub(b" ", lines).split(b"\n"):
        name, colon, value = line.strip(b"\r").partition(b":")
        if colon:
            found.append((text(name.strip()), text(value.strip())))
    return found


class Head:
    """What both kinds of head have.

    framing: `none`, `length`, `chunked`, `close` or `refused`, before the rules that depend on the other side; length: -1 where unknown;
    raw: its bytes, where somebody asked for them and it has any; codings: the content and transfer codings to undo, in that order, one more than are undone at the
    most; cost: bytes that it takes, as Python holds it; cached, holders: who reserves them (`cache`): its number there, from 1, 0 for none, and how many others; form: what kind of payload its content type says
    (`payload.registry`), empty for one that nobody reads.
    """

    __slots__ = (
        "anomalies",
        "cached",
        "codings",
        "content_encoding",
        "content_type",
        "cost",
        "empty",
        "form",
        "framing",
        "headers",
        "holders",
        "length",
        "raw",
        "version",
    )

    anomalies: list[str]
    cached: int
    codings: tuple[str, ...]
    content_encoding: str | None
    content_type: str | None
    cost: int
    empty: Body
    form: str
    framing: str
    headers: Any
    """Its fields as they are recorded, encoded; None where nobody asked."""
    holders: int
    length: int
    raw: bytes
    version: str

    def header_list(self) -> list[tuple[str, str]]:
        """Its fields, in the order of the wire, repeated ones apart; empty where its bytes were not kept."""
        return fields_of(self.raw.partition(b"\n")[2])

    def body_of(self, status: str, reason: str | None = None) -> Body:
        """A body of which nothing is known but that there is one."""
        return Body("none", 0, None, 0, self.content_type, self.content_encoding, status, reason, None)


class RequestHead(Head):
    """A request line and its fields."""

    __slots__ = ("bodiless", "connect", "endpoint", "expects", "host", "method", "target", "upgrade")

    endpoint: str
    """What it asks for, ids folded (`endpoint_names`)."""
    method: str
    target: str
    host: str | None
    connect: bool
    expects: bool
    upgrade: bool
    bodiless: Request
    """The record of this request where it has no body: made once, shared by all."""

    def with_body(self, body: Body, trailers: Any = None, operations: list[str] | None = None) -> Request:
        """The record of this request; trailers: encoded (`HeadRules.recorded`)."""
        return Request(self.method, self.target, self.host, self.version, body, self.headers, trailers, operations=operations)


class ResponseHead(Head):
    """A status line and its fields."""

    __slots__ = ("bodiless", "reason", "status", "status_text", "upgrade")

    bodiless: Response
    """The record of this response where it has no body: made once, shared by all."""

    status: int
    status_text: str
    reason: str
    upgrade: str

    def with_body(self, body: Body, trailers: Any = None) -> Response:
        """The record of this response; trailers: encoded (`HeadRules.recorded`)."""
        return Response(self.status, self.reason, self.version, body, self.headers, trailers)


class HeadRead(msgspec.Struct, gc=False):
    """A head, whole, and where its message begins."""

    head: Head
    size: int
    """Its bytes; 0 where a version has none of its own."""
    offset: int
    """Stream offset, packet that carried it, time (ns) and raw acknowledgement number of its first byte."""
    packet: int
    ts: int
    ack: int
    last_packet: int
    """Packet and time (ns) of its last."""
    last_ts: int


def encoded(record: R) -> R:
    """A record that is written many times, encoded once: msgspec puts a Raw value into what it encodes as it is. Typed as what
    it stands for; nobody reads its fields. Its place, which is another each time, is added where it is written.
    """
    line = msgspec.json.encode(record)
    assert line.endswith(_NO_PLACE)
    return cast("R", msgspec.Raw(line[: -len(_NO_PLACE)] + b"}"))


_H = TypeVar("_H", RequestHead, ResponseHead)


def finished(result: _H, anomalies: list[str], first: str, second: str, third: str | None) -> _H:
    """The head with what follows from the rest. first, second, third: the texts that its kind has."""
    result.anomalies = [str(name) for name in dict.fromkeys(anomalies)] if anomalies else NOTHING
    bodiless: Any = encoded(result.with_body(result.empty))
    result.bodiless = bodiless
    result.cached, result.holders = 0, 0
    codings = result.codings
    result.cost = (
        _OBJECT_BYTES + memoryview(bodiless).nbytes + (memoryview(result.headers).nbytes if result.headers is not None else 0) + (getsizeof(result.endpoint) if isinstance(result, RequestHead) else 0) + getsizeof(first) + getsizeof(second) + getsizeof(third) + getsizeof(result.version)
        + getsizeof(result.content_type) + getsizeof(result.content_encoding) + getsizeof(result.raw) + 60 * len(result.anomalies)
        + (getsizeof(codings) + sum(map(getsizeof, codings)) if codings else 0)
    )  # fmt: skip
    return result


def codings_of(content_encoding: str | None, transfercodings_of: list[str]) -> tuple[str, ...]:
    """What is to be undone, the last that was applied first; of too many to be undone, no more than tells so."""
    named = (content_encoding or "").lower().split(",") + transfercodings_of
    found = [coding for part in reversed(named) if (coding := part.strip(" \t")) not in _NO_CODINGS]
    return tuple(found[: MOST_CODINGS + 1])
