"""Request and response heads of HTTP/1 (RFC 9112 sections 3 to 6), as values.

Contract: `parse_request` and `parse_response` take a head from its first byte to the empty line and return what framing and
report need, or None where the first line is none. They are tolerant where clients and servers are (bare LF, obsolete
folding) and name what is suspicious in `anomalies`. Heads repeat, so both are behind a bounded cache keyed by the bytes.
Invariant: the same bytes give the same value; a value is never changed after it was made.
"""

from __future__ import annotations

import re
from typing import TypeVar, cast

import msgspec

from pcapflow.records import Body, Request, Response, text

METHOD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}"
REQUEST_LINE = re.compile(rb"(?:\r?\n)*(" + METHOD + rb")[ \t]+([^\s]+)[ \t]+HTTP/(1\.[0-9])[ \t]*\r?\n")
STATUS_LINE = re.compile(rb"(?:\r?\n)*HTTP/(1\.[0-9])[ \t]+([1-9][0-9]{2})(?:[ \t]+([^\r\n]*?))?[ \t]*\r?\n")
HEAD_END = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_BAD_LINE_END = re.compile(rb"(?<!\r)\n")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_JSON_TYPE = re.compile(r"(?:application|text)/(?:[a-z0-9!#$&^_.+-]+\+)?(?:json|x-ndjson|ndjson|jsonl|jsonlines|x-jsonlines|json-seq)\Z")

CACHED_HEAD_BYTES = 1 << 10
CACHED_HEADS = 512
"""Heads kept parsed, of each kind: half a megabyte at the most, a fixed cost (docs/memory.md)."""

NOTHING: list[str] = []
"""No anomalies: one list for all, never changed."""
NO_BODY = Body("none", 0, None, 0, None, None, "complete", None, None)


R = TypeVar("R", Request, Response)


class Head:
    """What both kinds of head have.

    framing: `none`, `length`, `chunked` or `close`, before the rules that depend on the other side; length: -1 where unknown;
    coding: the content coding to undo, None for none; json: whether the content type says JSON.
    """

    __slots__ = ("anomalies", "coding", "content_encoding", "content_type", "empty", "framing", "json", "length", "version")

    anomalies: list[str]
    coding: str | None
    content_encoding: str | None
    content_type: str | None
    empty: Body
    framing: str
    json: bool
    length: int
    version: str


class RequestHead(Head):
    """A request line and its fields."""

    __slots__ = ("bodiless", "connect", "host", "method", "target", "upgrade")

    method: str
    target: str
    host: str | None
    connect: bool
    upgrade: bool
    bodiless: Request
    """The record of this request where it has no body: made once, shared by all."""


class ResponseHead(Head):
    """A status line and its fields."""

    __slots__ = ("bodiless", "reason", "status", "status_text", "upgrade")

    bodiless: Response
    """The record of this response where it has no body: made once, shared by all."""

    status: int
    status_text: str
    reason: str
    upgrade: str

    def with_body(self, body: Body) -> Response:
        """The record of this response."""
        return Response(self.status, self.reason, self.version, body)


def encoded(record: R) -> R:
    """A record that is written many times, encoded once: msgspec puts a Raw value into what it encodes as it is. Typed as what
    it stands for; nobody reads its fields.
    """
    return cast("R", msgspec.Raw(msgspec.json.encode(record)))


def parse_request(head: bytes) -> RequestHead | None:
    """A request head; None where it does not begin with a request line."""
    cached = known_requests.get(head)
    if cached is not None:
        return cached
    line = REQUEST_LINE.match(head)
    if line is None:
        return None
    result = RequestHead()
    fields = _fields(head, line.end(), result)
    result.method = text(line[1])
    result.target = text(line[2])
    result.version = text(line[3])
    host = fields.get(b"host")
    result.host = text(host) if host is not None else None
    result.connect = result.method == "CONNECT"
    result.upgrade = b"upgrade" in fields and b"upgrade" in fields.get(b"connection", b"").lower()
    if result.framing == "close":
        result.framing = "none"  # a request without a length has no body (RFC 9112 section 6.3, rule 7)
    result.bodiless = encoded(Request(result.method, result.target, result.host, result.version, result.empty))
    _keep(known_requests, head, result)
    return result


def parse_response(head: bytes) -> ResponseHead | None:
    """A response head; None where it does not begin with a status line."""
    cached = known_responses.get(head)
    if cached is not None:
        return cached
    line = STATUS_LINE.match(head)
    if line is None:
        return None
    result = ResponseHead()
    fields = _fields(head, line.end(), result)
    result.version = text(line[1])
    result.status = int(line[2])
    result.status_text = str(result.status)
    result.reason = text(line[3] or b"")
    result.upgrade = text(fields.get(b"upgrade", b"")).lower()
    result.bodiless = encoded(result.with_body(result.empty))
    _keep(known_responses, head, result)
    return result


known_requests: dict[bytes, RequestHead] = {}
"""Heads by their bytes."""
known_responses: dict[bytes, ResponseHead] = {}


_H = TypeVar("_H", bound=Head)


def _keep(cache: dict[bytes, _H], head: bytes, value: _H) -> None:
    if len(head) <= CACHED_HEAD_BYTES:
        if len(cache) >= CACHED_HEADS:
            cache.clear()
        cache[head] = value


def _fields(head: bytes, at: int, result: Head) -> dict[bytes, bytes]:
    """Fills in what the fields say of the body; returns the fields by lower-case name, repeated ones joined by a comma."""
    anomalies: list[str] = []
    rest = head[at:]
    if _BAD_LINE_END.search(head):
        anomalies.append("bare_lf")
    if b"\n " in rest or b"\n\t" in rest:
        rest = _FOLD.sub(b" ", rest)
        anomalies.append("obsolete_folding")
    fields: dict[bytes, bytes] = {}
    lengths: list[bytes] = []
    for line in rest.split(b"\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            if line.strip():
                anomalies.append("line_without_colon")
            continue
        bare = name.rstrip()
        if bare != name:
            anomalies.append("space_before_colon")
        key = bare.lower()
        value = value.strip()
        if key == b"content-length":
            lengths.append(value)
        fields[key] = fields[key] + b", " + value if key in fields else value
    _framing(fields, lengths, result, anomalies)
    content_type = fields.get(b"content-type")
    encoding = fields.get(b"content-encoding")
    result.content_type = text(content_type) if content_type is not None else None
    result.content_encoding = text(encoding) if encoding is not None else None
    coding = (result.content_encoding or "").strip().lower()
    result.coding = None if coding in ("", "identity") else coding
    result.json = content_type is not None and is_json((result.content_type or "").partition(";")[0].strip().lower())
    result.anomalies = list(dict.fromkeys(anomalies)) if anomalies else NOTHING
    result.empty = (
        Body("none", 0, None, 0, result.content_type, result.content_encoding, "complete", None, None)
        if content_type is not None or encoding is not None
        else NO_BODY
    )
    return fields


def _framing(fields: dict[bytes, bytes], lengths: list[bytes], result: Head, anomalies: list[str]) -> None:
    """RFC 9112 section 6.3, the rules that one side alone decides. A length that cannot be trusted is `close`."""
    result.framing, result.length = "close", -1
    codings = fields.get(b"transfer-encoding")
    if codings is not None:
        if lengths:
            anomalies.append("length_and_chunked")
        if codings.rpartition(b",")[2].strip().lower() == b"chunked":
            result.framing = "chunked"
        else:
            anomalies.append("unknown_transfer_encoding")
        return
    if lengths:
        values = {part.strip() for value in lengths for part in value.split(b",")}
        if len(lengths) > 1 or b"," in lengths[0]:
            anomalies.append("repeated_length")
        if len(values) > 1:
            anomalies.append("conflicting_lengths")
            return
        value = values.pop()
        if not _DIGITS.fullmatch(value):
            anomalies.append("malformed_length")
            return
        result.framing, result.length = "length", int(value)


def is_json(media_type: str) -> bool:
    """Whether a media type, in lower case and without parameters, says JSON (RFC 8259, RFC 6839, NDJSON, JSON Lines)."""
    return _JSON_TYPE.match(media_type) is not None
