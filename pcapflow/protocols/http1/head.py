"""Request and response heads of HTTP/1 (RFC 9112 sections 3 to 6), as values.

Contract: `parse_request` and `parse_response` take a head from its first byte to the empty line and return what framing and
report need, or None where the first line is none. They are tolerant where clients and servers are, strict where ambiguity is an
attack, and name what is suspicious in `anomalies` (`pcapflow.anomalies`). White space is SP and HTAB, nothing else. Invariant: the
same bytes give the same value; what a head says is never changed after it was made; time is linear in the head.
"""

from __future__ import annotations

import re

import msgspec

from pcapflow.anomalies import Anomaly
from pcapflow.drops import DropReason
from pcapflow.endpoint_names import endpoint_of
from pcapflow.limits import Limits
from pcapflow.protocols.host import Host
from pcapflow.protocols.http.message import FOLD, NO_BODY, Head, HeadRules, RequestHead, ResponseHead, codings_of, finished
from pcapflow.protocols.http1.first_line import SIMPLE_REQUEST_LINE, request_line, status_line
from pcapflow.protocols.http1.state import Refusal
from pcapflow.records import text
from pcapflow.redaction import target_shown

HEAD_END = re.compile(rb"\n\r?\n")
_BAD_LINE_END = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_BLANK = b" \t"


def _unread(_content_type: str | None) -> str:
    """What kind of payload a content type is, to somebody who reads none."""
    return ""


_PLAIN = HeadRules(_unread)
"""Nobody wants anything of it."""


class HeadFound(msgspec.Struct, gc=False):
    """What stands where a head should."""

    stop: int
    """Where it ends in view; without a head, how far view was consumed."""
    head: Head | None = None
    refusal: Refusal | None = None
    """Neither of both: more bytes are needed."""


def read_head(view: bytes, at: int, searched: int, *, client: bool, simple: bool, services: Host) -> HeadFound:
    """The head at `at` of view, a request's where client. searched: where its end is looked for from on; simple: it may be a request of HTTP/0.9."""
    limits, heads = services.limits, services.heads
    most = limits.http_head_max_bytes
    if simple:
        line = SIMPLE_REQUEST_LINE.match(view, at)
        if line is not None:
            return HeadFound(line.end(), simple_request(line[1], heads.rules))
    found = HEAD_END.search(view, searched)
    stop = found.end() if found is not None else len(view)
    if stop - at > most:
        reason = DropReason.HTTP_HEAD_TOO_LARGE
        return HeadFound(at + most, None, Refusal(reason, "http_head_max_bytes", most, most + 1, f"no end within {most} bytes"))
    if found is None:
        return HeadFound(at)
    raw = view[at:stop]
    known: Head | None = heads.requests.get(raw) if client else heads.responses.get(raw)
    if known is not None:
        return HeadFound(stop, known)
    refusal = beyond_limits(raw, limits)
    if refusal is not None:
        return HeadFound(stop, None, refusal)
    head = (parse_request if client else parse_response)(raw, heads.rules)
    if head is None:
        return HeadFound(stop, None, Refusal(DropReason.HTTP_MALFORMED_HEAD, "", 0, len(raw), repr(raw[:40])))
    if not (client and SIMPLE_REQUEST_LINE.match(raw)):  # what that is depends on where it stands, so it is read again each time
        heads.keep(raw, head)
    return HeadFound(stop, head)


def beyond_limits(head: bytes, limits: Limits) -> Refusal | None:
    """What makes a whole head one that is not read: more lines, or a longer line, than the limits say."""
    lines = head.count(b"\n") - 2
    if lines > limits.http_head_max_lines:
        reason = DropReason.HTTP_TOO_MANY_HEADERS
        return Refusal(reason, "http_head_max_lines", limits.http_head_max_lines, len(head), f"{lines} header lines")
    most = limits.http_head_line_max_bytes
    if len(head) > most and any(len(line) > most for line in head.split(b"\n")):
        reason = DropReason.HTTP_HEADER_LINE_TOO_LONG
        return Refusal(reason, "http_head_line_max_bytes", most, len(head), f"a line of more than {most} bytes")
    return None


def parse_request(head: bytes, rules: HeadRules = _PLAIN) -> RequestHead | None:
    """A request head; None where it does not begin with a request line."""
    line = request_line(head)
    if line is None:
        return None
    result = RequestHead()
    result.version = line.version
    anomalies = line.odd
    fields = _fields(head, line.end, result, anomalies, rules)
    result.method = text(line.name)
    target = text(line.rest)
    result.target = target if rules.headers.secrets else target_shown(target)
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
    result.raw = head if rules.keep_raw else b""
    result.endpoint = endpoint_of(result.method, result.host, result.target)
    return finished(result, anomalies, result.method, result.target, result.host)


def simple_request(target: bytes, rules: HeadRules = _PLAIN) -> RequestHead:
    """A request of HTTP/0.9: one line, no fields."""
    result = RequestHead()
    result.version = "0.9"
    _fields(b"", 0, result, [], _PLAIN)
    shown = text(target)
    result.method, result.target, result.host = "GET", shown if rules.headers.secrets else target_shown(shown), None
    result.connect = result.upgrade = result.expects = False
    result.framing = "none"
    result.raw = b""
    result.endpoint = endpoint_of(result.method, None, result.target)
    return finished(result, [], result.method, result.target, None)


def parse_response(head: bytes, rules: HeadRules = _PLAIN) -> ResponseHead | None:
    """A response head; None where it does not begin with a status line."""
    line = status_line(head)
    if line is None:
        return None
    result = ResponseHead()
    result.version = line.version
    anomalies = line.odd
    fields = _fields(head, line.end, result, anomalies, rules)
    if result.framing == "refused":
        result.framing = "close"  # as long as the connection lasts, its bytes are of this body: nobody can say of which other
    result.status = int(line.name)
    result.status_text = str(result.status)
    result.reason = text(line.rest)
    result.upgrade = text(fields.get(b"upgrade", b"")).lower()
    bodiless = 100 <= result.status < 200 or result.status == 204
    if bodiless and (b"transfer-encoding" in fields or fields.get(b"content-length", b"0").strip(b"0, \t")):
        anomalies.append(Anomaly.FRAMING_IN_BODILESS)
    result.raw = head if rules.keep_raw else b""
    return finished(result, anomalies, result.reason, result.upgrade, None)


def cut_head(head: bytes, side: str, rules: HeadRules = _PLAIN) -> RequestHead | ResponseHead | None:
    """What the whole lines say of a head of which no more will come; None where its first line is not there. side: `client` or `server`."""
    lines = head[: head.rfind(b"\n") + 1]
    if not lines and side == "server":
        lines = head.removesuffix(b"\r") + b"\r\n"  # a status says enough without its line's end
    found = parse_request(lines + b"\r\n", rules) if side == "client" else parse_response(lines + b"\r\n", rules)
    if found is not None:
        found.anomalies = [*(name for name in found.anomalies if name != Anomaly.MISSING_HOST), Anomaly.HEAD_CUT.value]
    return found


def simple_response() -> ResponseHead:
    """What stands for the head that an answer of HTTP/0.9 does not have: the body begins at once and ends with the stream."""
    result = ResponseHead()
    result.version = "0.9"
    _fields(b"", 0, result, [], _PLAIN)
    result.status, result.status_text, result.reason, result.upgrade = 0, "0", "", ""
    result.raw = b""
    return finished(result, [], result.reason, result.upgrade, None)


def _fields(head: bytes, at: int, result: Head, anomalies: list[str], rules: HeadRules) -> dict[bytes, bytes]:
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
    result.codings = codings_of(result.content_encoding, transfer_codings) if encoding is not None or transfer_codings else ()
    result.form = rules.form_of(result.content_type)
    result.headers = rules.recorded(head[at:])
    result.empty = result.body_of("complete") if content_type is not None or encoding is not None else NO_BODY
    return fields


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
        # leading zeros are digits, however many
        values = [part.strip(_BLANK) for part in length.split(b",")]
        values = [value.lstrip(b"0") or value[-1:] for value in values]
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
