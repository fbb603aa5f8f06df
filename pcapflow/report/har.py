"""The HTTP exchanges as a HAR 1.2 file (http://www.softwareishard.com/blog/har-12-spec), written as they end.

Contract: `HarCollector` is a `Collector` whose exchanges also become HAR entries, which `Har` writes. What was lost is said in HAR's `comment` fields. Invariant:
of a body `har_body_max_bytes` are kept, in a share of the `output` account, until its exchange is over; where that has no room the text is left out
and the comment says so.
"""

from __future__ import annotations

import base64
import codecs
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from pcapflow import __version__
from pcapflow.body_options import NOTHING_MORE, Looking
from pcapflow.budget import Ledger
from pcapflow.drops import Drop
from pcapflow.entries import Entry
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader
from pcapflow.payload.content import Decoder, missing
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http1_head import FOLD, Head, RequestHead, ResponseHead
from pcapflow.protocols.http1_pairs import Exchange
from pcapflow.records import Body, JsonBody, Request, Response, seconds, text
from pcapflow.report.collector import Collector
from pcapflow.report.ordering import Take
from pcapflow.report.sinks import Out, Share, Sink

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""A text with these is no text; and each takes six characters in JSON."""
_SHARE = 2 << 20
"""Bytes of the bodies that are under way, and of their heads."""
_RANK = 9
_KEPT_OVERHEAD = 1400
"""A body's sink and its place, beside what is kept of the body."""
_NOT_SEEN = "not in the capture"


class Har(Sink):
    """Writes the file around the entries."""

    wants_records = False
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

    def finish(self) -> None:
        """Close the array."""
        self._begin()
        self._out(b"\n]}}\n")

    def _begin(self) -> None:
        if self._separator == b"\n":
            creator = msgspec.json.encode({"name": "pcapflow", "version": __version__})
            self._out(b'{"log":{"version":"1.2","creator":' + creator + b',"entries":[')


class _Kept:
    """A body's sink: the report's own reader, and beside it the first of its bytes with their content codings undone."""

    def __init__(self, reader: BodyReader, head: Head, limits: Limits, ledger: Ledger, share: Share) -> None:
        self._reader = reader
        self._share = share
        self._most = limits.har_body_max_bytes
        self.text = bytearray()
        self.size = 0
        """Bytes, codings undone, up to the first gap."""
        self.notes: list[str] = []
        self.reserved = _KEPT_OVERHEAD
        self.whole = False
        """Whether all of it came and was decoded."""
        codings = head.codings
        self._open = True
        self._decoder: Decoder | None = None
        unknown = missing(codings) if codings else None
        if unknown is not None:
            self.notes.append(f"{unknown}: these are the bytes as they were sent")
        elif codings:
            self._decoder = Decoder(codings, limits, ledger.content, self._take)
            self._stop(self._decoder.open())

    @property
    def decoded_bytes(self) -> int | None:
        return self._reader.decoded_bytes

    @property
    def drop(self) -> Drop | None:
        return self._reader.drop

    @property
    def json(self) -> JsonBody | None:
        return self._reader.json

    @property
    def sha256(self) -> str | None:
        return self._reader.sha256

    def feed(self, data: bytes) -> None:
        """See `BodySink`."""
        self._reader.feed(data)
        if not self._open:
            return
        if self._decoder is None:
            self._take(data)
        else:
            self._stop(self._decoder.feed(data))

    def gap(self) -> None:
        """See `BodySink`."""
        self._reader.gap()
        if self._open:
            if self._decoder is not None:
                self._stop(self._decoder.cut())
            self.notes.append(f"bytes are missing behind byte {self.size}")
            self._close()

    def finish(self, *, whole: bool) -> None:
        """See `BodySink`."""
        self._reader.finish(whole=whole)
        if self._decoder is not None and self._open:
            self._stop(self._decoder.finish() if whole else self._decoder.cut())
        self.whole = whole and self._open
        self._close()
        if self.size > len(self.text) and not any("memory" in note for note in self.notes):
            self.notes.append(f"the first {len(self.text)} of {self.size} bytes")

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        room = min(self._most - len(self.text), len(data))
        if room <= 0:
            return
        if not self._take_room(room):
            self.notes.append(f"memory was short: the first {len(self.text)} bytes")
            self._most = 0
            return
        self.text += data[:room]

    def _take_room(self, n: int) -> bool:
        if not self._share.take(n):
            self._share.short()
            return False
        self.reserved += n
        return True

    def _stop(self, drop: Drop | None) -> None:
        if drop is not None:
            self.notes.append(f"{drop.reason.value} at byte {self.size}")
            self._close()

    def _close(self) -> None:
        self._open = False
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None


class HarCollector(Collector):
    """One run's findings, and its exchanges as HAR entries."""

    def __init__(self, limits: Limits, ledger: Ledger, take: Take | None, looking: Looking = NOTHING_MORE) -> None:
        super().__init__(limits, ledger, take, looking)
        self.by_exchange = True
        self.looks_at_all = True
        self.heads.keep_raw = True
        self._bodies: dict[tuple[object, str], tuple[_Kept, int]] = {}
        self._share = Share(ledger, _SHARE)

    def close(self) -> None:
        """See `Collector`."""
        super().close()
        self._share.close()

    def open_body(self, head: Head, origin: BodyOrigin) -> _Kept | BodyReader:  # type: ignore[override]
        """See `Host`. Where the share has no room, the report's own reader alone."""
        reader = BodyReader(head.codings, head.form, self.limits, self.ledger, self.looking)
        if not self._share.take(_KEPT_OVERHEAD):
            self._share.short()
            return reader
        kept = _Kept(reader, head, self.limits, self.ledger, self._share)
        self._bodies[origin.exchange, origin.stream] = kept, origin.ts
        return kept

    def whole_body(self, data: bytes, head: Head, origin: BodyOrigin) -> _Kept | BodyReader:  # type: ignore[override]
        """See `Host`."""
        kept = self.open_body(head, origin)
        kept.feed(data)
        kept.finish(whole=True)
        return kept

    def exchange_over(self, connection: int, exchange: object, response: Head | None, packet: int) -> None:
        """See `Host`."""
        assert isinstance(exchange, Exchange)
        sides = [self._bodies.pop((exchange, side), None) for side in ("client", "server")]
        line = msgspec.json.encode(_entry(connection, exchange, *sides))
        assert self._sorter is not None
        self._sorter.add(packet, connection, Har.own, line, _RANK, exchange.index)
        for side in sides:
            if side is not None:
                self._share.give(side[0].reserved)


def _entry(connection: int, exchange: Exchange, asked: tuple[_Kept, int] | None, answered: tuple[_Kept, int] | None) -> dict[str, Any]:
    request, response = exchange.head, exchange.response_head
    comments = []
    if request is None:
        comments.append(f"the request is {_NOT_SEEN}")
    if response is None:
        comments.append(f"the response is {_NOT_SEEN}")
    if exchange.resynchronised:
        comments.append("found by a search behind lost bytes, or paired by acknowledgement numbers")
    comments += exchange.anomalies
    whole = max(0.0, round((exchange.done_ts - exchange.ts) / 1e6, 3)) if request is not None and response is not None else 0.0
    began = min(max(0.0, round((answered[1] - exchange.ts) / 1e6, 3)), whole) if answered is not None and request is not None else whole
    entry: dict[str, Any] = {
        "startedDateTime": datetime.fromtimestamp(seconds(exchange.ts), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "time": whole,
        "request": _request(request, _body(exchange.request), asked[0] if asked is not None else None),
        "response": _response(response, _body(exchange.response), answered[0] if answered is not None else None),
        "cache": {},
        "timings": {"send": 0, "wait": began, "receive": round(whole - began, 3)},
        "connection": str(connection),
    }
    if comments:
        entry["comment"] = "; ".join(comments)
    return entry


def _body(message: Request | Response | None) -> Body | None:
    """A message's body; None where it has none (its record is encoded already then, see `http1_head.encoded`)."""
    return message.body if isinstance(message, Request | Response) else None


def _fields(head: Head) -> list[dict[str, str]]:
    found = []
    for line in FOLD.sub(b" ", head.raw).split(b"\n")[1:]:
        name, colon, value = line.strip(b"\r").partition(b":")
        if colon:
            found.append({"name": text(name.strip()), "value": text(value.strip())})
    return found


def _cookies(fields: list[dict[str, str]], name: str) -> list[dict[str, str]]:
    found = []
    for field in fields:
        if field["name"].lower() == name:
            pairs = field["value"].split(";")
            for pair in pairs if name == "cookie" else pairs[:1]:
                key, equals, value = pair.strip().partition("=")
                if equals:
                    found.append({"name": key, "value": value})
    return found


def _sizes(head: Head | None, body: Body | None) -> dict[str, int]:
    return {"headersSize": len(head.raw) if head is not None and head.raw else -1, "bodySize": body.bytes if body is not None else 0}


def _request(head: RequestHead | None, body: Body | None, kept: _Kept | None) -> dict[str, Any]:
    if head is None:
        empty: dict[str, Any] = {"method": "", "url": "", "httpVersion": "", "cookies": [], "headers": [], "queryString": []}
        return {**empty, "headersSize": -1, "bodySize": -1, "comment": _NOT_SEEN}
    fields = _fields(head)
    url = _url(head)
    found: dict[str, Any] = {
        "method": head.method,
        "url": url,
        "httpVersion": f"HTTP/{head.version}",
        "cookies": _cookies(fields, "cookie"),
        "headers": fields,
        "queryString": _query(url),
        **_sizes(head, body),
    }
    if kept is not None or (body is not None and body.bytes):
        said, encoding, comment = _text(kept, body)
        found["postData"] = {"mimeType": head.content_type or "", "params": [], "text": said, **_comment([*encoding, *comment])}
    return found


def _url(head: RequestHead) -> str:
    """Of a target in any of the four forms (RFC 9112 section 3.2)."""
    if head.connect or head.host is None or _ABSOLUTE.match(head.target):
        return head.target
    return f"http://{head.host}/" if head.target == "*" else f"http://{head.host}{head.target}"


def _query(url: str) -> list[dict[str, str]]:
    query = url.partition("#")[0].partition("?")[2]  # urlsplit would keep the last 128 URLs, however long they are
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return []
    return [{"name": name, "value": value} for name, value in pairs]


def _response(head: ResponseHead | None, body: Body | None, kept: _Kept | None) -> dict[str, Any]:
    if head is None:
        content = {"size": 0, "mimeType": ""}
        empty: dict[str, Any] = {"status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [], "content": content}
        return {**empty, "redirectURL": "", "headersSize": -1, "bodySize": -1, "comment": _NOT_SEEN}
    fields = _fields(head)
    said, encoding, comment = _text(kept, body)
    content = {"size": kept.size if kept is not None else 0, "mimeType": head.content_type or ""}
    if kept is not None and kept.whole and head.codings and body is not None and kept.size != body.bytes:
        content["compression"] = kept.size - body.bytes
    if said:
        content["text"] = said
    if encoding:
        content["encoding"] = "base64"
    content |= _comment(comment)
    return {
        "status": head.status,
        "statusText": head.reason,
        "httpVersion": f"HTTP/{head.version}",
        "cookies": _cookies(fields, "set-cookie"),
        "headers": fields,
        "content": content,
        "redirectURL": next((field["value"] for field in fields if field["name"].lower() == "location"), ""),
        **_sizes(head, body),
    }


def _text(kept: _Kept | None, body: Body | None) -> tuple[str, list[str], list[str]]:
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
        said = codecs.getincrementaldecoder("utf-8")().decode(bytes(kept.text), final=kept.size == len(kept.text))
    except UnicodeDecodeError:
        said = None
    if said is not None and not _CONTROL.search(said):
        return said, [], notes
    return base64.b64encode(kept.text).decode(), ["base64"], notes


def _comment(notes: list[str]) -> dict[str, Any]:
    return {"comment": "; ".join(notes)} if notes else {}
