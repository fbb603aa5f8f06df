"""Connections that speak JSON and nothing else: lines, documents in a row, or messages behind Content-Length heads (Language Server Protocol).

Contract: `RawJson` takes the events of both directions from where each was found to be JSON, and gives one record a direction at its end.
Framing survives gaps: lines go on at the next line, framed messages at the next segment that begins with a head. Invariant: kept is at
most one head (`http_chunk_line_max_bytes`, and no less than detection keeps), reserved in the `http` account, and what the sink keeps.
"""

from __future__ import annotations

import re

from msgspec.structs import astuple

from pcapflow.contents import JsonBody
from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.first_bytes import MOST_BYTES, FirstLine
from pcapflow.protocols.giving_way import begins_other, parted
from pcapflow.protocols.host import BodySink, Host
from pcapflow.protocols.json_begins import FRAMED_JSON, JSON, find_lines, next_head, probe
from pcapflow.protocols.layer import Came, Found, Switch, skip_until, skipped, unread_came
from pcapflow.records import Json, seconds
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData, StreamEnd, StreamEvent, StreamGap
from pcapflow.unread import Unread, UnreadReason

_SEPARATOR = b"\x1e"
_LENGTH = re.compile(rb"(?:[^\n]*\n)*?content-length:[ \t]*([0-9]{1,15})[ \t]*\r?\n", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_WINDOW = 256 << 10
_END_BYTES = 3
"""Bytes of a head's end that may be there while its last one is not."""


class _Stream:
    """One direction."""

    __slots__ = (
        "bytes", "connection", "first_packet", "framed", "head_packet", "offset", "packet", "reached", "remaining", "searched", "searching", "sink", "stream", "told", "ts",
    )  # fmt: skip

    source = "raw"
    index = None
    position = -1
    exchange = None
    request = None
    head = response = None

    def __init__(self, services: Host, conversation: Conversation, direction: int, offset: int, ts: int, *, framed: bool) -> None:
        self.connection = conversation.number
        self.stream = conversation.stream_name(direction)
        self.packet = self.first_packet = 0
        self.offset = self.reached = offset
        """Of its first byte, and behind its last so far."""
        self.ts = ts
        self.framed = framed
        self.sink: BodySink = services.open_raw("json-seq" if framed else "raw", self)
        self.bytes = 0
        """Of framed messages."""
        self.told = b""
        self.head_packet = 0
        """The packet that brought its first byte."""
        self.searched = 0
        """Bytes of it in which no end begins."""
        self.remaining = 0
        """Bytes of the message at hand that are to come."""
        self.searching: UnreadReason | None = None
        """Why the next head is looked for."""


_NOTHING_CAME = Came(0, 0, 0)


class RawJson:
    """One conversation."""

    __slots__ = ("_conversation", "_first_lines", "_gone_by", "_kept", "_searching", "_services", "_stash", "_streams", "_ts")

    def __init__(self, services: Host, conversation: Conversation) -> None:
        self._services = services
        self._conversation = conversation
        self._streams: list[_Stream | None] = [None, None]
        self._stash: list[bytes | None] = [b"", b""]
        """The first bytes of a direction that has not shown what it is; None once it has."""
        self._gone_by = False
        """Another protocol began: this one was none."""
        self._first_lines = (FirstLine(), FirstLine())
        self._ts = [0, 0]
        """Time (ns) of those bytes."""
        self._kept = [_NOTHING_CAME, _NOTHING_CAME]
        """The place of those bytes."""
        self._searching: list[UnreadReason | None] = [None, None]
        """Why lines may begin at any segment: the direction's beginning was missed, or a part of it."""

    @property
    def protocol(self) -> str:
        """See `Layer`."""
        return "json"

    def begin(self, found: Found) -> Switch | None:
        """See `Layer`. The other direction may be JSON too: it is looked at from where it was before these events."""
        first, told = found.direction, found.packet
        side, other = found.openings[first], found.openings[1 - first]
        services, conversation = self._services, self._conversation
        data = side.events[0]
        assert isinstance(data, StreamData)
        skipped(services, conversation, found, first, len(side.stash))
        if side.searching:
            self._not_read(first, data, found.offset - data.start, UnreadReason.BEFORE_PROTOCOL)
            data = data.after(found.offset - data.start)
        if side.where is not None:
            self._kept[first] = Came(len(side.stash), side.where.offset, side.where.packet)
        self._begin(first, found.form, side.stash, data, side.where.ts if side.where is not None and side.stash else data.time(0))
        mine: list[StreamEvent] = [data, *side.events[1:]]
        if other.passed or other.searching:
            skipped(services, conversation, found, 1 - first)
            self._stash[1 - first] = None
            self._searching[1 - first] = UnreadReason.BEFORE_PROTOCOL if other.searching else None
            others = skip_until(services, conversation, 1 - first, other.events, told)
        else:
            skipped(services, conversation, found, 1 - first, len(other.stash))
            where = other.where
            if where is not None:
                self._keep(1 - first, other.stash, where.ts, Came(len(other.stash), where.offset, where.packet))
            others = other.events
        return self._read((mine, others) if first == 0 else (others, mine), first)

    def _not_read(self, direction: int, data: StreamData, n: int, reason: UnreadReason, at: int = 0) -> None:
        """n bytes of data are not, from a position on."""
        if n > 0:
            told = Unread(reason.value, None, n, data.start + at, data.packet(data.piece(at)))
            self._services.unread(self._conversation, direction, told)

    def _lose(self, direction: int, came: Came, reason: UnreadReason) -> None:
        """What was kept is not read."""
        unread_came(self._services, self._conversation, direction, came, reason)

    def consume(self, events: Events) -> Switch | None:
        """See `Layer`."""
        return Switch(events, known=False, begun=0) if self._gone_by else self._read(events, 0)

    def _read(self, events: Events, first: int) -> Switch | None:
        """Events of both directions, one first. Where the beginning was missed another protocol may have carried what looked like a stream of JSON."""
        begins = begins_other(self._services.forms, self.protocol, events) if self._conversation.midstream else None
        mine, rest = (events, None) if begins is None else parted(events, begins)
        for direction in (first, 1 - first):
            self._run(direction, mine[direction])
        if rest is None or begins is None:
            return None
        self._gone_by = True
        for direction, stream in enumerate(self._streams):
            self._forget(direction, UnreadReason.BEFORE_PROTOCOL)
            if stream is not None:
                self._end(direction, stream, StreamEnd("fin", begins.packet, begins.ts, stream.reached))
        return Switch(rest, known=False, begun=0)

    def _begin(self, direction: int, verdict: str, stash: bytes, event: StreamData, ts: int) -> None:
        """That direction was found to be JSON, in event; stash came before it; ts: time (ns) of its first byte."""
        kept = self._kept[direction]
        self._forget(direction)
        framed = verdict == FRAMED_JSON
        self._conversation.fix_roles()
        stream = _Stream(self._services, self._conversation, direction, event.start - len(stash), ts, framed=framed)
        self._streams[direction] = stream
        stream.packet = event.packet(0)
        stream.first_packet = stream.packet  # of what was kept, the packet is not known any more
        if stash and framed:
            stream.head_packet = kept.packet
            if self._services.ledger.http.reserve(len(stash)):
                stream.told = stash
            else:
                stream.searching = UnreadReason.LIMIT_REACHED
                self._lose(direction, Came(len(stash), stream.offset, kept.packet), UnreadReason.LIMIT_REACHED)
        elif stash:
            self._conversation.readings[direction].read += len(stash)
            stream.sink.feed(stash)

    def _keep(self, direction: int, stash: bytes, ts: int, came: Came) -> None:
        """The first bytes of a direction that has not shown what it is, their time (ns) and place."""
        self._ts[direction] = ts
        if self._services.ledger.http.reserve(len(stash)):
            self._stash[direction] = stash
            self._kept[direction] = came
        else:
            self._stash[direction] = None
            self._lose(direction, came, UnreadReason.LIMIT_REACHED)

    def _run(self, direction: int, events: list[StreamEvent]) -> None:
        """The next events of a direction."""
        for event in events:
            stream = self._streams[direction]
            if stream is None:
                if isinstance(event, StreamData):
                    stream = self._look(direction, event)
                elif isinstance(event, StreamGap):
                    self._forget(direction, UnreadReason.BEHIND_LOSS)
                    self._searching[direction] = UnreadReason.BEHIND_LOSS
                else:
                    self._forget(direction, UnreadReason.UNKNOWN_PROTOCOL)
                if stream is None:
                    continue
                event = self._rest(stream, event)
            if isinstance(event, StreamData):
                stream.reached = event.start + event.length
            if isinstance(event, StreamData) and stream.framed:
                self._feed(direction, stream, event.take(0, event.length), event)
            elif isinstance(event, StreamData) and self._services.by_packet:
                self._conversation.readings[direction].read += event.length
                begin = 0
                for i, end in enumerate(event.piece_ends()):
                    stream.packet = event.packet(i)
                    for at in range(begin, end, _WINDOW):
                        stream.sink.feed(event.take(at, min(_WINDOW, end - at)))
                    begin = end
            elif isinstance(event, StreamData):
                self._conversation.readings[direction].read += event.length
                for at in range(0, event.length, _WINDOW):
                    stream.sink.feed(event.take(at, min(_WINDOW, event.length - at)))
            elif isinstance(event, StreamGap):
                self._gap(direction, stream, event)
            else:
                self._end(direction, stream, event)

    def _look(self, direction: int, event: StreamData, begin_at: int = 0) -> _Stream | None:
        """Whether a direction shows that it is JSON, in event. begin_at: where a search begins in it."""
        searching = self._searching[direction]
        if searching is not None:
            at = find_lines(event, begin_at)
            self._not_read(direction, event, min(at, event.length), searching)
            if at < event.length:
                self._begin(direction, JSON, b"", event.after(at), event.time(event.piece(at)))
            return self._streams[direction]
        stash = self._stash[direction]
        if stash is None:
            self._not_read(direction, event, event.length, UnreadReason.UNKNOWN_PROTOCOL)
            return None
        more = event.take(0, min(event.length, MOST_BYTES - len(stash)))
        begin = stash + more
        ts = self._ts[direction] if stash else event.time(0)
        verdict = self._services.forms.classify(begin) if self._first_lines[direction].may_tell(stash, more) else None
        if verdict in (JSON, FRAMED_JSON):
            self._begin(direction, verdict, stash, event, ts)
            return self._streams[direction]
        kept = self._kept[direction] if stash else Came(0, event.start, event.packet(0))
        if verdict is None:
            self._forget(direction)
            self._keep(direction, begin, ts, kept._replace(bytes=len(begin)))
            return None
        midstream = self._conversation.midstream
        self._forget(direction, UnreadReason.BEFORE_PROTOCOL if midstream else UnreadReason.UNKNOWN_PROTOCOL)
        if midstream:
            self._searching[direction] = UnreadReason.BEFORE_PROTOCOL
            piece = self._services.forms.telling_piece(stash, event)
            return self._look(direction, event, event.piece_ends()[piece - 1] if piece else 0)
        self._not_read(direction, event, event.length, UnreadReason.UNKNOWN_PROTOCOL)
        return None

    @staticmethod
    def _rest(stream: _Stream, event: StreamEvent) -> StreamEvent:
        """What of an event comes from the stream's first byte on."""
        return event.after(max(0, stream.offset - event.start)) if isinstance(event, StreamData) else event

    def _forget(self, direction: int, reason: UnreadReason | None = None) -> None:
        """What was kept is not any more. reason: why it is not read; None where it is, or kept again."""
        self._services.ledger.http.release(len(self._stash[direction] or b""))
        self._stash[direction] = None
        if reason is not None:
            self._lose(direction, self._kept[direction], reason)
        self._kept[direction] = _NOTHING_CAME

    def _feed(self, direction: int, stream: _Stream, data: bytes, event: StreamData) -> None:
        by_packet = self._services.by_packet
        at, held = 0, len(stream.told)
        data = stream.told + data if held else data
        reading = self._conversation.readings[direction]
        self._services.ledger.http.release(held)
        stream.told = b""
        if not held:
            stream.searched = 0
        if stream.searching is not None:
            at = next_head(event, 0)
            self._not_read(direction, event, min(at, event.length), stream.searching)
            stream.searching = None if at < event.length else stream.searching
        while at < len(data):
            if stream.remaining:
                part = data[at : at + min(stream.remaining, _WINDOW)]
                if by_packet:
                    piece = event.piece(max(at - held, 0))
                    part = part[: event.piece_ends()[piece] - max(at - held, 0) + max(held - at, 0)]
                    stream.packet = event.packet(piece)
                stream.sink.feed(part.replace(_SEPARATOR, b" "))
                stream.bytes += len(part)
                reading.read += len(part)
                stream.remaining -= len(part)
                at += len(part)
                if not stream.remaining:
                    stream.sink.feed(_SEPARATOR)
                continue
            # no less than what detection keeps: what shows that it is too long is in the event at hand
            most = max(self._services.limits.http_chunk_line_max_bytes, MOST_BYTES + 1)
            # what was kept from before is not looked at again; an end may begin in its last bytes
            end = _HEAD_END.search(data, at + (stream.searched if at == 0 else 0), at + most)
            length = _LENGTH.match(data, at, end.end()) if end is not None else None
            if end is not None and length is not None:
                stream.remaining = int(length[1])
                reading.read += end.end() - at
                at = end.end()
                continue
            if end is None and len(data) - at < most and self._services.ledger.http.reserve(len(data) - at):
                stream.told = data[at:]
                if at >= held:
                    stream.head_packet = event.packet(event.piece(at - held))
                stream.searched = max(0, len(stream.told) - _END_BYTES)
                return
            # what should be a head is none: a later segment that begins with one is looked for
            shown = event.piece((end.end() if end is not None else min(at + most, len(data))) - held - 1)
            detail = "no Content-Length" if end is not None else f"no end within {most} bytes"
            self._conversation.fix_roles()
            drop = Drop(DropReason.HTTP_MALFORMED_HEAD, "", 0, detail)
            self._services.drop(self._conversation, direction, drop, event.packet(shown), event.time(shown), event.start + at - held, 0)
            begin, at = at, held + next_head(event, event.piece_ends()[shown])
            self._lose(direction, Came(max(0, held - begin), event.start + begin - held, stream.head_packet), UnreadReason.MALFORMED)
            self._not_read(direction, event, min(at, len(data)) - max(begin, held), UnreadReason.MALFORMED, max(begin - held, 0))
            if at >= len(data):
                stream.searching = UnreadReason.MALFORMED

    def _gap(self, direction: int, stream: _Stream, gap: StreamGap) -> None:
        stream.packet = gap.packet
        stream.sink.gap(gap.length)
        if stream.framed:
            self._drop_head(direction, stream, gap.start, UnreadReason.BEHIND_LOSS)
            if gap.length > stream.remaining and stream.searching is None:
                stream.searching = UnreadReason.BEHIND_LOSS
            stream.remaining = max(0, stream.remaining - gap.length)
            if not stream.remaining:
                stream.sink.feed(_SEPARATOR)

    def _drop_head(self, direction: int, stream: _Stream, stop: int, reason: UnreadReason) -> None:
        """No more of what was kept of a head comes; stop: the offset at which it ends."""
        n = len(stream.told)
        self._services.ledger.http.release(n)
        stream.told = b""
        self._lose(direction, Came(n, stop - n, stream.head_packet), reason)

    def _end(self, direction: int, stream: _Stream, end: StreamEnd) -> None:
        self._streams[direction] = None
        stream.packet = end.packet
        sink = stream.sink
        sink.finish(whole=end.kind == "fin" and not stream.remaining and not stream.told)
        self._drop_head(direction, stream, end.offset, UnreadReason.MALFORMED if end.kind == "fin" else UnreadReason.BEHIND_LOSS)
        conversation, services = self._conversation, self._services
        conversation.fix_roles()
        if sink.drop is not None:
            services.drop(conversation, direction, sink.drop, end.packet, end.ts, stream.offset, end.offset - stream.offset)
        json = sink.found
        if isinstance(json, JsonBody):
            if stream.framed:
                json.bytes = stream.bytes
            services.held(json)
            if services.wants_records:
                name = conversation.stream_name(direction)
                where = (conversation.number, name, "raw", None, seconds(stream.ts))
                services.json(end.packet, Json(*where, *astuple(json)))

    def finish(self, packet: int) -> None:
        """See `Layer`."""
        self._forget(0, UnreadReason.UNKNOWN_PROTOCOL)
        self._forget(1, UnreadReason.UNKNOWN_PROTOCOL)


class JsonStreams:
    """Streams that are nothing but JSON."""

    name = "json"
    forms = (JSON, FRAMED_JSON)
    resumes = (JSON,)
    asks = ""
    patient = True
    first_bytes = frozenset(b" \t\r\n{[Cc")
    from_start = False
    failed = "-"
    reads = "streams that contain only JSON"

    def probe(self, first: bytes | bytearray) -> str | None:
        """See `LayerFactory`."""
        return probe(first)

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """See `LayerFactory`."""
        return find_lines(data, position, stop)

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> RawJson:
        """See `LayerFactory`."""
        return RawJson(services, conversation)
