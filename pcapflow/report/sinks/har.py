"""The HTTP exchanges as a HAR 1.2 file (http://www.softwareishard.com/blog/har-12-spec), written as they end.

Contract: a `Sink` that makes an entry of each exchange (`pcapflow.whole_exchanges`). What was lost is said in HAR's `comment` fields. It keeps nothing, so the page, which is the capture, stands behind the entries.
Fields that begin with `_` are those of Chromium's importer, as the specification has them.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from pcapflow import __version__
from pcapflow.endpoint_names import absolute_url
from pcapflow.entries import Entry
from pcapflow.fields import Endpoint
from pcapflow.messages import Body
from pcapflow.records import seconds
from pcapflow.report.sinks.base import Out, Sink
from pcapflow.summary import Summary
from pcapflow.whole_exchanges import BodyText, ExchangeFound, Field, MessageFound, RequestFound, ResponseFound

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""A text with these is no text; and each takes six characters in JSON."""
_NOT_SEEN = "not in the capture"
_PAGE = "page_1"
_NAMED = 3
"""Captures in the title of the page."""


def _line(exchange: ExchangeFound) -> bytes:
    return msgspec.json.encode(_entry(exchange))


class Har(Sink):
    """Writes the file around the entries."""

    kinds = frozenset()
    own = "har"

    def __init__(self, out: Out) -> None:
        self._out = out
        self._separator = b"\n"

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        self._begin()
        for entry in some:
            self._out(self._separator)
            self._out(entry.line)
            self._separator = b",\n"

    def maker(self) -> Callable[[ExchangeFound], bytes]:
        """See `Sink`."""
        return _line

    def finish(self) -> None:
        """Close the array of entries."""
        self._begin()
        self._out(b"\n],")

    def summary(self, summary: Summary) -> None:
        """The page, and the end."""
        names = [capture.path for capture in summary.captures]
        begun = min((capture.first_ts for capture in summary.captures if capture.first_ts is not None), default=0.0)
        title = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        page = {"startedDateTime": _iso(begun), "id": _PAGE, "title": title, "pageTimings": {}}
        self._out(b'"pages":[' + msgspec.json.encode(page) + b"]}}\n")

    def _begin(self) -> None:
        if self._separator == b"\n":
            creator = msgspec.json.encode({"name": "pcapflow", "version": __version__})
            self._out(b'{"log":{"version":"1.2","creator":' + creator + b',"entries":[')


def _entry(exchange: ExchangeFound) -> dict[str, Any]:
    request, response = exchange.request, exchange.response
    comments = []
    if request is None:
        comments.append(f"the request is {_NOT_SEEN}")
    if response is None:
        comments.append(f"the response is {_NOT_SEEN}")
    if exchange.resynchronised:
        comments.append("found by searching after a gap, or paired by acknowledgement numbers")
    comments += exchange.anomalies
    send, wait, receive = _timings(exchange)
    entry: dict[str, Any] = {
        "pageref": _PAGE,
        "startedDateTime": _iso(seconds(exchange.times[0])),
        "time": round(send + wait + receive, 3),
        "request": _request(request, exchange.server),
        "response": _response(response),
        "cache": {},
        "timings": {"send": send, "wait": wait, "receive": receive},
        "serverIPAddress": exchange.server.ip,
        "connection": str(exchange.server.port),  # which Chromium shows beside the address
        "_connectionId": str(exchange.connection),
        "_resourceType": "fetch",
    }
    if comments:
        entry["comment"] = "; ".join(comments)
    return entry


def _timings(exchange: ExchangeFound) -> tuple[float, float, float]:
    """Milliseconds of the request, to the answer, and of the answer, as their first and last bytes were captured. A part that ended before it began, since the answer came early, is 0."""
    if exchange.request is None or exchange.response is None:
        return 0, 0, 0
    begun, *others = [(ts + 500) // 1000 for ts in exchange.times]
    parts = []
    for ts in others:
        parts.append(max(0, ts - begun) / 1000)
        begun = max(begun, ts)
    return parts[0], parts[1], parts[2]


def _iso(ts: float) -> str:
    """A point in time (s since the epoch)."""
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _fields(message: MessageFound) -> list[dict[str, str]]:
    return [{"name": field.name, "value": field.value} for field in message.fields]


def _cookies(fields: list[Field], name: str) -> list[dict[str, str]]:
    found = []
    for field in fields:
        if field.name.lower() == name:
            pairs = field.value.split(";")
            for pair in pairs if name == "cookie" else pairs[:1]:
                key, equals, value = pair.strip().partition("=")
                if equals:
                    found.append({"name": key, "value": value})
    return found


def _sizes(message: MessageFound) -> dict[str, int]:
    return {"headersSize": message.head_bytes or -1, "bodySize": message.body.bytes if message.body is not None else 0}


def _request(request: RequestFound | None, server: Endpoint) -> dict[str, Any]:
    if request is None:
        url = absolute_url("", "/", None, server.ip, server.port)
        empty: dict[str, Any] = {"method": "", "url": url, "httpVersion": "", "cookies": [], "headers": [], "queryString": []}
        return {**empty, "headersSize": -1, "bodySize": -1, "comment": _NOT_SEEN}
    message = request.message
    url = absolute_url(request.method, request.target, request.host, server.ip, server.port)
    found: dict[str, Any] = {
        "method": request.method,
        "url": url,
        "httpVersion": f"HTTP/{message.version}",
        "cookies": _cookies(message.fields, "cookie"),
        "headers": _fields(message),
        "queryString": _query(url),
        **_sizes(message),
    }
    if message.kept is not None or (message.body is not None and message.body.bytes):
        said, encoding, comment = _text(message.kept, message.body)
        found["postData"] = {"mimeType": message.content_type or "", "params": [], "text": said, **_comment([*encoding, *comment])}
    return found


def _query(url: str) -> list[dict[str, str]]:
    query = url.partition("#")[0].partition("?")[2]  # urlsplit would keep the last 128 URLs, however long they are
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return []
    return [{"name": name, "value": value} for name, value in pairs]


def _response(response: ResponseFound | None) -> dict[str, Any]:
    if response is None:
        content = {"size": 0, "mimeType": ""}
        empty: dict[str, Any] = {"status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [], "content": content}
        return {**empty, "redirectURL": "", "headersSize": -1, "bodySize": -1, "comment": _NOT_SEEN}
    message = response.message
    kept, body = message.kept, message.body
    said, encoding, comment = _text(kept, body)
    content = {"size": kept.size if kept is not None else 0, "mimeType": message.content_type or ""}
    if kept is not None and kept.whole and message.coded and body is not None and kept.size != body.bytes:
        content["compression"] = kept.size - body.bytes
    if said:
        content["text"] = said
    if encoding:
        content["encoding"] = "base64"
    content |= _comment(comment)
    return {
        "status": response.status,
        "statusText": response.reason,
        "httpVersion": f"HTTP/{message.version}",
        "cookies": _cookies(message.fields, "set-cookie"),
        "headers": _fields(message),
        "content": content,
        "redirectURL": next((field.value for field in message.fields if field.name.lower() == "location"), ""),
        **_sizes(message),
    }


def _text(kept: BodyText | None, body: Body | None) -> tuple[str, list[str], list[str]]:
    """A body's text, `["base64"]` where it is no UTF-8, and what was lost of it."""
    notes = list(kept.notes) if kept is not None else []
    if body is not None and body.status != "complete":
        missed = f", {body.missing_bytes} bytes are missing" if body.missing_bytes else ""
        notes.insert(0, f"{body.status}{missed}")
    if kept is None:
        if body is not None and body.bytes:
            notes.append("memory was short: its text is left out")
        return "", [], notes
    try:
        # a character that the limit cuts is left out
        said = codecs.getincrementaldecoder("utf-8")().decode(kept.text, final=kept.size == len(kept.text))
    except UnicodeDecodeError:
        said = None
    if said is not None and not _CONTROL.search(said):
        return said, [], notes
    return base64.b64encode(kept.text).decode(), ["base64"], notes


def _comment(notes: list[str]) -> dict[str, Any]:
    return {"comment": "; ".join(notes)} if notes else {}
