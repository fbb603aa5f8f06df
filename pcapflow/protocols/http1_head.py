"""Request and response heads of HTTP/1 (RFC 9112 sections 3 to 6), as values.

Contract: `parse_request` and `parse_response` take a head from its first byte to the empty line and return what framing and
report need, or None where the first line is none. They are tolerant where clients and servers are, strict where ambiguity is an
attack, and name what is suspicious in `anomalies` (`pcapflow.anomalies`). White space is SP and HTAB, nothing else. Invariant: the
same bytes give the same value; what a head says is never changed after it was made; time is linear in the head.
"""

from __future__ import annotations

import re
from sys import getsizeof
from typing import Any, TypeVar, cast

import msgspec

from pcapflow.anomalies import Anomaly
from pcapflow.body_options import MOST_CODINGS
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.records import Body, Request, Response, text

METHOD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}+"
REQUEST_LINE = re.compile(rb"(?:\r?\n)*+(" + METHOD + rb")[ \t]++([^ \t\r\n]++)[ \t]++HTTP/(1\.[0-9])[ \t]*+\r?\n")
SIMPLE_REQUEST_LINE = re.compile(rb"(?:\r?\n)*+GET[ \t]++(/[^ \t\r\n]*+)[ \t]*+\r?\n")
"""A request of HTTP/0.9 is one line (RFC 1945 section 4.1)."""
STATUS_LINE = re.compile(rb"(?:\r?\n)*+HTTP/(1\.[0-9])[ \t]++([1-9][0-9]{2})(?:[ \t]++([^\r\n]*+))?\r?\n")
HEAD_END = re.compile(rb"\n\r?\n")
FOLD = re.compile(rb"\r?\n[ \t]+")
_BAD_LINE_END = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_BLANK = b" \t"
_FORMS = (
    (re.compile(r"[a-z0-9.+-]+/(?:[a-z0-9!#$&^_.+-]+\+)?json\Z|application/(?:x-amz-json-1\.[0-9]|csp-report)\Z"), "json"),
    (re.compile(r"(?:application|text)/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines|json-stream)\Z"), "ndjson"),
    (re.compile(r"application/(?:[a-z0-9!#$&^_.+-]+\+)?json-seq\Z"), "json-seq"),
    (re.compile(r"text/event-stream\Z"), "sse"),
)

CACHED_HEAD_BYTES = 1 << 10
"""Longer heads are not kept parsed (`http1_cache`)."""
_OBJECT_BYTES = 520
"""A head's object, its record where it has no body, and the lists of both, beside their texts."""

NOTHING: list[str] = []
"""No anomalies: one list for all, never changed."""
NO_BODY = Body("none", 0, None, 0, None, None, "complete", None, None)


R = TypeVar("R", Request, Response)


class Head:
    """What both kinds of head have.

    framing: `none`, `length`, `chunked`, `close` or `refused`, before the rules that depend on the other side; length: -1 where unknown;
    raw: its bytes, where somebody asked for them; codings: the content and transfer codings to undo, in that order, one more than are undone at the
    most; cost: bytes that it takes, as Python holds it; cached, holders: who reserves them (`http1_cache`); form: how its JSON comes (`json`, `ndjson`, `json-seq`,
    `sse`), empty where the content type says none.
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
        "holders",
        "length",
        "raw",
        "version",
    )

    anomalies: list[str]
    cached: bool
    codings: tuple[str, ...]
    content_encoding: str | None
    content_type: str | None
    cost: int
    empty: Body
    form: str
    framing: str
    holders: int
    length: int
    raw: bytes
    version: str

    def body_of(self, status: str, reason: str | None = None) -> Body:
        """A body of which nothing is known but that there is one."""
        return Body("none", 0, None, 0, self.content_type, self.content_encoding, status, reason, None)


class RequestHead(Head):
    """A request line and its fields."""

    __slots__ = ("bodiless", "connect", "expects", "host", "method", "target", "upgrade")

    method: str
    target: str
    host: str | None
    connect: bool
    expects: bool
    upgrade: bool
    bodiless: Request
    """The record of this request where it has no body: made once, shared by all."""

    def with_body(self, body: Body) -> Request:
        """The record of this request."""
        return Request(self.method, self.target, self.host, self.version, body)


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


def beyond_limits(head: bytes, limits: Limits) -> Drop | None:
    """What makes a whole head one that is not read: more lines, or a longer line, than the limits say."""
    lines = head.count(b"\n") - 2
    if lines > limits.http_head_max_lines:
        return Drop(DropReason.HTTP_TOO_MANY_HEADERS, "http_head_max_lines", limits.http_head_max_lines, f"{lines} header lines")
    most = limits.http_head_line_max_bytes
    if len(head) > most and any(len(line) > most for line in head.split(b"\n")):
        return Drop(DropReason.HTTP_HEADER_LINE_TOO_LONG, "http_head_line_max_bytes", most, f"a line of more than {most} bytes")
    return None


def encoded(record: R) -> R:
    """A record that is written many times, encoded once: msgspec puts a Raw value into what it encodes as it is. Typed as what
    it stands for; nobody reads its fields.
    """
    return cast("R", msgspec.Raw(msgspec.json.encode(record)))


def parse_request(head: bytes, *, keep_raw: bool = False) -> RequestHead | None:
    """A request head; None where it does not begin with a request line. keep_raw: with its bytes."""
    line = REQUEST_LINE.match(head)
    if line is None:
        return None
    result = RequestHead()
    result.version = text(line[3])
    anomalies: list[str] = []
    fields = _fields(head, line.end(), result, anomalies)
    result.method = text(line[1])
    result.target = text(line[2])
    host = fields.get(b"host")
    result.host = text(host) if host is not None else None
    if host is None and result.version != "1.0":
        anomalies.append(Anomaly.MISSING_HOST)
    result.connect = result.method == "CONNECT"
    result.upgrade = b"upgrade" in fields and b"upgrade" in fields.get(b"connection", b"").lower()
    result.expects = fields.get(b"expect", b"").lower() == b"100-continue"
    if result.framing == "close":
        # a request without a length has no body (section 6.3, rule 7); one whose coding does not say its length is refused (rule 4)
        result.framing = "refused" if Anomaly.UNKNOWN_TRANSFER_ENCODING in anomalies else "none"
    result.raw = head if keep_raw else b""
    return _finished(result, anomalies, result.method, result.target, result.host)


def simple_request(target: bytes) -> RequestHead:
    """A request of HTTP/0.9: one line, no fields."""
    result = RequestHead()
    result.version = "0.9"
    _fields(b"", 0, result, [])
    result.method, result.target, result.host = "GET", text(target), None
    result.connect = result.upgrade = result.expects = False
    result.framing = "none"
    result.raw = b""
    return _finished(result, [], result.method, result.target, None)


def parse_response(head: bytes, *, keep_raw: bool = False) -> ResponseHead | None:
    """A response head; None where it does not begin with a status line. keep_raw: with its bytes."""
    line = STATUS_LINE.match(head)
    if line is None:
        return None
    result = ResponseHead()
    result.version = text(line[1])
    anomalies: list[str] = []
    fields = _fields(head, line.end(), result, anomalies)
    result.status = int(line[2])
    result.status_text = str(result.status)
    result.reason = text((line[3] or b"").rstrip(_BLANK))
    result.upgrade = text(fields.get(b"upgrade", b"")).lower()
    bodiless = result.status < 200 or result.status == 204
    if bodiless and (b"transfer-encoding" in fields or fields.get(b"content-length", b"0").strip(b"0, \t")):
        anomalies.append(Anomaly.FRAMING_IN_BODILESS)
    result.raw = head if keep_raw else b""
    return _finished(result, anomalies, result.reason, result.upgrade, None)


def cut_head(head: bytes, side: str) -> RequestHead | ResponseHead | None:
    """What the whole lines say of a head of which no more will come; None where its first line is not there. side: `client` or `server`."""
    lines = head[: head.rfind(b"\n") + 1]
    if not lines and side == "server":
        lines = head + b"\r\n"  # a status says enough without its line's end
    found = parse_request(lines + b"\r\n") if side == "client" else parse_response(lines + b"\r\n")
    if found is not None:
        found.anomalies = [*(name for name in found.anomalies if name != Anomaly.MISSING_HOST), Anomaly.HEAD_CUT.value]
    return found


def simple_response() -> ResponseHead:
    """What stands for the head that an answer of HTTP/0.9 does not have: the body begins at once and ends with the stream."""
    result = ResponseHead()
    result.version = "0.9"
    _fields(b"", 0, result, [])
    result.status, result.status_text, result.reason, result.upgrade = 0, "0", "", ""
    result.raw = b""
    return _finished(result, [], result.reason, result.upgrade, None)


_H = TypeVar("_H", RequestHead, ResponseHead)


def _finished(result: _H, anomalies: list[str], first: str, second: str, third: str | None) -> _H:
    """The head with what follows from the rest. first, second, third: the texts that its kind has."""
    result.anomalies = [str(name) for name in dict.fromkeys(anomalies)] if anomalies else NOTHING
    bodiless = msgspec.json.encode(result.with_body(result.empty))
    result.bodiless = cast("Any", msgspec.Raw(bodiless))
    result.cached, result.holders = False, 0
    codings = result.codings
    result.cost = (
        _OBJECT_BYTES + len(bodiless) + getsizeof(first) + getsizeof(second) + getsizeof(third) + getsizeof(result.version)
        + getsizeof(result.content_type) + getsizeof(result.content_encoding) + getsizeof(result.raw) + 60 * len(result.anomalies)
        + (getsizeof(codings) + sum(map(getsizeof, codings)) if codings else 0)
    )  # fmt: skip
    return result


def _fields(head: bytes, at: int, result: Head, anomalies: list[str]) -> dict[bytes, bytes]:
    """Fills in what the fields say of the body; returns the fields by lower-case name, repeated ones joined by a comma."""
    rest = head[at:]
    if _BAD_LINE_END.search(head):
        anomalies.append(Anomaly.BARE_LF)
    if _BARE_CR.search(head):
        anomalies.append(Anomaly.BARE_CR)
    controls = _CONTROL.search(head) is not None
    if controls and _CONTROL.search(head, 0, at):
        anomalies.append(Anomaly.CONTROL_CHARACTER)
    while rest[:1] in (b" ", b"\t"):
        anomalies.append(Anomaly.SPACE_BEFORE_FIRST_FIELD)
        rest = rest.partition(b"\n")[2]
    if b"\n " in rest or b"\n\t" in rest:
        rest = FOLD.sub(b" ", rest)
        anomalies.append(Anomaly.OBSOLETE_FOLDING)
    fields: dict[bytes, bytes] = {}
    for line in rest.split(b"\n"):
        line = line.removesuffix(b"\r")
        name, colon, value = line.partition(b":")
        if not colon:
            if line:
                anomalies.append(Anomaly.LINE_WITHOUT_COLON)
            continue
        bare = name.rstrip(_BLANK)
        if not _NAME.fullmatch(bare):
            anomalies.append(Anomaly.MALFORMED_FIELD_NAME)
            continue
        if bare != name:
            anomalies.append(Anomaly.SPACE_BEFORE_COLON)
        key = bare.lower()
        value = value.strip(_BLANK)
        if controls and _CONTROL.search(value):
            anomalies.append(Anomaly.CONTROL_CHARACTER)
        if key == b"host" and key in fields:
            anomalies.append(Anomaly.REPEATED_HOST)
        fields[key] = fields[key] + b", " + value if key in fields else value
    transfer_codings = _framing(fields, result, anomalies)
    content_type = fields.get(b"content-type")
    encoding = fields.get(b"content-encoding")
    result.content_type = text(content_type) if content_type is not None else None
    result.content_encoding = text(encoding) if encoding is not None else None
    result.codings = _codings(result.content_encoding, transfer_codings) if encoding is not None or transfer_codings else ()
    result.form = form_of(result.content_type)
    result.empty = result.body_of("complete") if content_type is not None or encoding is not None else NO_BODY
    return fields


def _codings(content_encoding: str | None, transfer_codings: list[str]) -> tuple[str, ...]:
    """What is to be undone, the last that was applied first; of too many to be undone, no more than tells so."""
    named = (content_encoding or "").lower().split(",") + transfer_codings
    found = [coding for part in reversed(named) if (coding := part.strip(" \t")) not in ("", "identity")]
    return tuple(found[: MOST_CODINGS + 1])


def _framing(fields: dict[bytes, bytes], result: Head, anomalies: list[str]) -> list[str]:
    """RFC 9112 section 6.3, the rules that one side alone decides. Returns the transfer codings before the chunks."""
    result.framing, result.length = "close", -1
    length = fields.get(b"content-length")
    codings = fields.get(b"transfer-encoding")
    if codings is not None:
        if length is not None:
            anomalies.append(Anomaly.LENGTH_AND_CHUNKED)
        if result.version == "1.0":
            anomalies.append(Anomaly.TRANSFER_ENCODING_IN_HTTP_1_0)
        names = [text(name) for part in codings.split(b",") if (name := part.strip(_BLANK).lower())]
        if not names or names[-1] != "chunked":
            anomalies.append(Anomaly.UNKNOWN_TRANSFER_ENCODING)
            return []
        if names.count("chunked") > 1:
            anomalies.append(Anomaly.REPEATED_CHUNKED)
        result.framing = "chunked"
        return [name for name in names if name != "chunked"]
    if length is not None:
        values = [part.strip(_BLANK) for part in length.split(b",")]
        result.framing = "refused"
        if not all(_DIGITS.fullmatch(value) for value in values):
            anomalies.append(Anomaly.MALFORMED_LENGTH)
        elif len({int(value) for value in values}) > 1:
            anomalies.append(Anomaly.CONFLICTING_LENGTHS)
        else:
            if len(values) > 1:
                anomalies.append(Anomaly.REPEATED_LENGTH)
            result.framing, result.length = "length", int(values[0])
    return []


def form_of(content_type: str | None) -> str:
    """How JSON comes under a content type: `json` (RFC 8259, RFC 6839), `ndjson`, `json-seq` (RFC 7464), `sse`; empty for no JSON."""
    if content_type is None:
        return ""
    media_type = content_type.partition(";")[0].strip().lower()
    return next((form for pattern, form in _FORMS if pattern.match(media_type)), "")
