"""Connections that speak JSON and nothing else: lines, documents in a row, or messages behind Content-Length heads (Language Server Protocol).

Contract: `RawJson` takes the events of both directions from where each was found to be JSON, and gives one record a direction at its end.
Framing survives gaps: lines go on at the next line, framed messages at the next segment that begins with a head. Invariant: kept is at
most one head (`http_chunk_line_max_bytes`), reserved in the `http` account, and what the sink keeps.
"""

from __future__ import annotations

import re

from msgspec.structs import astuple

from pcapflow.drops import Drop, DropReason
from pcapflow.protocols import detect
from pcapflow.protocols.services import BodySink, Services
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.events import StreamData, StreamEnd, StreamEvent, StreamGap
from pcapflow.records import Json

_SEPARATOR = b"\x1e"
_LENGTH = re.compile(rb"(?:[^\n]*\n)*?content-length:[ \t]*([0-9]{1,15})[ \t]*\r?\n", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_WINDOW = 256 << 10


class _Stream:
    """One direction."""

    __slots__ = ("bytes", "connection", "framed", "head", "offset", "packet", "remaining", "searching", "sink", "stream", "ts")

    source = "raw"
    index = None
    request = None
    response = None

    def __init__(self, services: Services, connection: Connection, direction: int, offset: int, ts: int, *, framed: bool) -> None:
        self.connection = connection.number
        self.stream = connection.stream_name(direction)
        self.packet = 0
        self.offset = offset
        self.ts = ts
        self.framed = framed
        self.sink: BodySink = services.open_raw("json-seq" if framed else "raw", self)
        self.bytes = 0
        """Of framed messages."""
        self.head = b""
        self.remaining = 0
        """Bytes of the message at hand that are to come."""
        self.searching = False


class RawJson:
    """One connection."""

    __slots__ = ("_connection", "_services", "_stash", "_streams")

    def __init__(self, services: Services, connection: Connection) -> None:
        self._services = services
        self._connection = connection
        self._streams: list[_Stream | None] = [None, None]
        self._stash: list[bytes | None] = [b"", b""]
        """The first bytes of a direction that has not shown what it is; None once it has."""

    def begin(self, direction: int, verdict: str, stash: bytes, event: StreamData) -> None:
        """That direction was found to be JSON, in event; stash came before it."""
        self._stash[direction] = None
        framed = verdict == detect.FRAMED_JSON
        self._connection.fix_roles()
        stream = _Stream(self._services, self._connection, direction, event.start - len(stash), event.time(0), framed=framed)
        self._streams[direction] = stream
        stream.packet = event.packet(0)
        if stash:
            self._feed(direction, stream, stash, event)

    def keep(self, direction: int, stash: bytes | None) -> None:
        """The first bytes of a direction that has not shown what it is; None where it is no JSON."""
        kept = stash is not None and self._services.ledger.http.reserve(len(stash))
        self._stash[direction] = stash if kept else None

    def run(self, direction: int, events: list[StreamEvent]) -> None:
        """The next events of a direction."""
        for event in events:
            stream = self._streams[direction]
            if stream is None:
                if isinstance(event, StreamData):
                    stream = self._look(direction, event)
                elif isinstance(event, StreamGap):
                    self._stash[direction] = None
                if stream is None:
                    continue
            if isinstance(event, StreamData) and self._services.by_packet:
                begin = 0
                for i, end in enumerate(event.piece_ends()):
                    stream.packet = event.packet(i)
                    self._feed(direction, stream, event.take(begin, end - begin), event.after(begin).first(1))
                    begin = end
            elif isinstance(event, StreamData) and stream.framed:
                self._feed(direction, stream, event.take(0, event.length), event)
            elif isinstance(event, StreamData):
                for at in range(0, event.length, _WINDOW):
                    self._feed(direction, stream, event.take(at, min(_WINDOW, event.length - at)), event)
            elif isinstance(event, StreamGap):
                self._gap(direction, stream, event)
            else:
                self._end(direction, stream, event)

    def _look(self, direction: int, event: StreamData) -> _Stream | None:
        stash = self._stash[direction]
        if stash is None:
            return None
        begin = stash + event.take(0, min(event.length, detect.MOST_BYTES - len(stash)))
        verdict = detect.classify(begin)
        if verdict in (detect.JSON, detect.FRAMED_JSON):
            self._services.ledger.http.release(len(stash))
            self.begin(direction, verdict, stash, event)
            return self._streams[direction]
        keep = verdict is None and self._services.ledger.http.reserve(len(begin) - len(stash))
        self._stash[direction] = begin if keep else None
        if not keep:
            self._services.ledger.http.release(len(stash))
        return None

    def _feed(self, direction: int, stream: _Stream, data: bytes, event: StreamData) -> None:
        if not stream.framed:
            stream.sink.feed(data)
            return
        at, held = 0, len(stream.head)
        data = stream.head + data
        self._services.ledger.http.release(held)
        stream.head = b""
        if stream.searching:
            at = _next_head(event, 0)
        stream.searching = False
        while at < len(data):
            if stream.remaining:
                part = data[at : at + stream.remaining]
                stream.sink.feed(part.replace(_SEPARATOR, b" "))
                stream.bytes += len(part)
                stream.remaining -= len(part)
                at += len(part)
                if not stream.remaining:
                    stream.sink.feed(_SEPARATOR)
                continue
            most = self._services.limits.http_chunk_line_max_bytes
            end = _HEAD_END.search(data, at, at + most)
            length = _LENGTH.match(data, at, end.end()) if end is not None else None
            if end is not None and length is not None:
                stream.remaining = int(length[1])
                at = end.end()
                continue
            if end is None and len(data) - at < most and self._services.ledger.http.reserve(len(data) - at):
                stream.head = data[at:]
                return
            # what should be a head is none: the next segment that begins with one is looked for
            detail = f"no end within {most} bytes" if end is None else repr(data[at : at + 40])
            position = max(at - held, 0)
            piece = event.piece(position)
            self._connection.fix_roles()
            drop = Drop(DropReason.HTTP_MALFORMED_HEAD, "", 0, detail)
            self._services.drop(self._connection, direction, drop, event.packet(piece), event.time(piece), event.start + at - held, 0)
            at = held + _next_head(event, position + 1)
        stream.searching = at > len(data)

    def _gap(self, direction: int, stream: _Stream, gap: StreamGap) -> None:
        stream.sink.gap()
        if stream.framed:
            self._services.ledger.http.release(len(stream.head))
            stream.head = b""
            stream.searching = gap.length > stream.remaining
            stream.remaining = max(0, stream.remaining - gap.length)
            if not stream.remaining:
                stream.sink.feed(_SEPARATOR)

    def _end(self, direction: int, stream: _Stream, end: StreamEnd) -> None:
        self._streams[direction] = None
        stream.packet = end.packet
        self._services.ledger.http.release(len(stream.head))
        sink = stream.sink
        sink.finish(whole=end.kind == "fin" and not stream.remaining and not stream.head)
        connection, services = self._connection, self._services
        connection.fix_roles()
        if sink.drop is not None:
            services.drop(connection, direction, sink.drop, end.packet, end.ts, stream.offset, end.offset - stream.offset)
        json = sink.json
        if json is not None:
            if stream.framed:
                json.bytes = stream.bytes
            services.json_body(json)
            if services.wants_records:
                name = connection.stream_name(direction)
                where = (connection.number, name, "raw", None, (stream.ts + 500) // 1000 / 1_000_000)
                services.json(end.packet, Json(*where, *astuple(json)))

    def close(self) -> None:
        """Both streams are over."""
        for stash in self._stash:
            self._services.ledger.http.release(len(stash or b""))
        self._stash = [None, None]


def _next_head(event: StreamData, position: int) -> int:
    """The first position at or after `position` at which a segment begins with a head; beyond the end where there is none."""
    ends = event.piece_ends()
    for start, end in zip((0, *ends[:-1]), ends, strict=True):
        if start >= position and detect.is_head(event.take(start, min(end - start, 64))):
            return start
    return event.length + 1
