"""First lines of HTTP/1 that are not as the RFC has them and say enough all the same.

Contract: see `first_line`, which asks here where a line is odd: most runs have none. Time is linear in the line.
"""

from __future__ import annotations

import re

from pcapflow.anomalies import Anomaly
from pcapflow.records import text

METHODS = rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|REPORT|SEARCH|MKCALENDAR|SUBSCRIBE|UNSUBSCRIBE|NOTIFY|PURGE)"
"""Those that are registered or often met."""
_REQUEST_LINE = re.compile(rb"(?:\r?\n)*+(" + METHODS + rb")[ \t]++([^\n]*+)\n")
_STATUS_LINE = re.compile(rb"(?:\r?\n)*+HTTP/([0-9][0-9.]{0,7})[ \t\r\0]++([0-9]{3,6})(?:[ \t\r\0]++([^\n]*+)|[ \t\r\0]*+)\n")
_VERSION = re.compile(rb"1\.[0-9]")
_SHOWN = 16
"""Characters of a version that is none."""
Odd = tuple[bytes, bytes, str, int, list[str]]
"""What a line says: method and target, or status code and reason; the version, where the line ends, and what is odd."""


def request(head: bytes | bytearray) -> Odd | None:
    """A registered method, with at least a target or a version behind it."""
    line = _REQUEST_LINE.match(head)
    if line is None:
        return None
    anomalies: list[str] = []
    rest = line[2].strip(b" \t\r")
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
    return line[1], target, text(version[:_SHOWN]), line.end(), anomalies


def status(head: bytes | bytearray) -> Odd | None:
    """A version, and digits behind it."""
    line = _STATUS_LINE.match(head)
    if line is None:
        return None
    anomalies: list[str] = []
    if not _VERSION.fullmatch(line[1]):
        anomalies.append(Anomaly.MALFORMED_VERSION)
    if len(line[2]) != 3 or line[2][:1] == b"0":
        anomalies.append(Anomaly.MALFORMED_STATUS)
    return line[2], (line[3] or b"").strip(b" \t\r"), text(line[1]), line.end(), anomalies
