"""The first line of a head (RFC 9112 sections 3 and 4), as the RFC has it and as it occurs.

Contract: `request_line` and `status_line` take a head from its first byte, empty lines before it included, and return what its first line says, or None where it says nothing: what is
odd in it is named. Who looks at bytes of which nobody knows what they are asks `begins_request` and `begins_response`. `MESSAGE_STARTS` finds a message in the middle of a segment. Time is linear in the line.
"""

from __future__ import annotations

import re

import msgspec

from pcapflow.anomalies import Anomaly
from pcapflow.records import text

METHOD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}+"
REQUEST_LINE = re.compile(rb"(?:\r?\n)*+(" + METHOD + rb")[ \t]++([^ \t\r\n]++)[ \t]++HTTP/(1\.[0-9])[ \t]*+\r?\n")
SIMPLE_REQUEST_LINE = re.compile(rb"(?:\r?\n)*+GET[ \t]++(/[^ \t\r\n]*+)[ \t]*+\r?\n")
"""A request of HTTP/0.9 is one line (RFC 1945 section 4.1)."""
STATUS_LINE = re.compile(rb"(?:\r?\n)*+HTTP/(1\.[0-9])[ \t]++([1-9][0-9]{2})(?:[ \t]++([^\r\n]*+))?\r?\n")
_ODD_REQUEST_LINE = re.compile(rb"(?:\r?\n)*+(" + METHOD + rb")[ \t]++([^\n]*+)\n")
_ODD_STATUS_LINE = re.compile(rb"(?:\r?\n)*+HTTP/([0-9][0-9.]{0,7})[ \t\r\0]++([0-9]{3,6})(?:[ \t\r\0]++([^\n]*+)|[ \t\r\0]*+)\n")
_KNOWN_METHOD = rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|REPORT|SEARCH|MKCALENDAR|SUBSCRIBE|UNSUBSCRIBE|NOTIFY|PURGE)"
_KNOWN = re.compile(_KNOWN_METHOD)
_VERSION = re.compile(rb"1\.[0-9]")
_SHOWN = 16
"""Characters of a version that is none."""
MESSAGE_STARTS = {
    "client": re.compile(_KNOWN_METHOD + rb" [^\s]+ HTTP/1\.[0-9]\r?\n"),
    "server": re.compile(rb"HTTP/1\.[0-9] [1-9][0-9]{2}[ \r\n]"),
}
"""What shows that a message of a side begins, behind bytes that are of none."""
FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}:")
"""What a field begins with."""
MAY_BEGIN = {
    "client": frozenset(b"!#$%&'*+-.^_`|~\r\n0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    "server": frozenset(b"H\r\n"),
}


class FirstLine(msgspec.Struct, gc=False):
    """What a first line says. A request's: method, target; a response's: status, reason."""

    name: bytes
    """Method, or status code."""
    rest: bytes
    """Target, or reason."""
    version: str
    end: int
    """Where the line ends."""
    odd: list[str]


def request_line(head: bytes | bytearray) -> FirstLine | None:
    """A request's first line: any method with a target and a version, or one that is registered with at least one of them."""
    line = REQUEST_LINE.match(head)
    if line is not None:
        return FirstLine(line[1], line[2], text(line[3]), line.end(), [])
    odd = _ODD_REQUEST_LINE.match(head)
    if odd is None or not _KNOWN.fullmatch(odd[1]):
        return None
    anomalies: list[str] = []
    rest = odd[2].strip(b" \t\r")
    at = rest.lower().rfind(b"http/")
    if at > 0 and rest[at - 1 : at] not in (b" ", b"\t"):
        at = -1
    if at < 0:
        if not rest.startswith((b"/", b"http://", b"https://")):
            return None
        target, version = rest, b""
        anomalies.append(Anomaly.MALFORMED_VERSION)
    else:
        target, version = rest[:at].rstrip(b" \t"), rest[at + 5 :]
        if not _VERSION.fullmatch(version) or not rest.startswith(b"HTTP/", at):
            anomalies.append(Anomaly.MALFORMED_VERSION)
    if not target:
        anomalies.append(Anomaly.MISSING_TARGET)
    elif b" " in target or b"\t" in target:
        anomalies.append(Anomaly.SPACE_IN_TARGET)
    return FirstLine(odd[1], target, text(version[:_SHOWN]), odd.end(), anomalies)


def status_line(head: bytes | bytearray) -> FirstLine | None:
    """A response's first line: a version, and digits behind it."""
    line = STATUS_LINE.match(head)
    if line is not None:
        return FirstLine(line[2], (line[3] or b"").rstrip(b" \t"), text(line[1]), line.end(), [])
    odd = _ODD_STATUS_LINE.match(head)
    if odd is None:
        return None
    anomalies: list[str] = []
    if not _VERSION.fullmatch(odd[1]):
        anomalies.append(Anomaly.MALFORMED_VERSION)
    if len(odd[2]) != 3 or odd[2][:1] == b"0":
        anomalies.append(Anomaly.MALFORMED_STATUS)
    return FirstLine(odd[2], (odd[3] or b"").strip(b" \t\r"), text(odd[1]), odd.end(), anomalies)


def begins_request(first: bytes | bytearray) -> bool:
    """Whether a stream that begins with these bytes asks over HTTP."""
    return SIMPLE_REQUEST_LINE.match(first) is not None or request_line(first) is not None


def begins_response(first: bytes | bytearray) -> bool:
    """Whether a stream that begins with these bytes answers over HTTP."""
    return status_line(first) is not None
