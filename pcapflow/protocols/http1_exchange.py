"""Requests and responses of one HTTP/1 connection, put in pairs.

Contract: `run` takes the events of both directions up to the same packet and gives finished exchanges to the services. A
response belongs to the oldest request that came in an earlier packet and has none; where heads were lost, acknowledgement
numbers decide instead (a request that the server had not yet acknowledged is not answered; a client that had
acknowledged what followed a lost answer has moved on). The client's framer pauses where what its bytes mean depends on the
server (CONNECT, Upgrade, a full pipeline); the server is then brought up to that packet first. So the outcome depends on packet
numbers, never on which direction was consumed first.

Invariant: at most `http_pipeline_max` requests wait, each reserved in the `http` account.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

from pcapflow.drops import Drop
from pcapflow.protocols.http1_framer import Framer, State, Where
from pcapflow.protocols.http1_head import Head, RequestHead, parse_request, parse_response
from pcapflow.protocols.services import BodySink, Services
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.events import StreamData, StreamEvent, StreamGap
from pcapflow.reassembly.half_stream import NEVER
from pcapflow.reassembly.seqspace import unwrap
from pcapflow.records import Body, Http, Json, JsonBody, Request, Response, seconds

WAITING_BYTES = 700
"""Reserved for each request that waits for its response, beside its head."""


class _BodyState:
    """A body that is under way."""

    __slots__ = ("begin", "bytes", "head", "missing", "framing", "sink")

    def __init__(self, head: Head, framing: str, begin: Where) -> None:
        self.head = head
        self.framing = framing
        self.begin = begin
        self.bytes = 0
        self.missing = 0
        self.sink: BodySink | None = None


class Exchange:
    """A request, its response, or both."""

    __slots__ = (
        "ack", "anomalies", "begin_offset", "body", "done_packet", "done_ts", "index", "packet", "request", "request_done", "reserved",
        "response", "response_done", "resynchronised", "ts", "head",
    )  # fmt: skip

    def __init__(self, packet: int, ts: int) -> None:
        self.packet = packet
        self.ts = ts
        self.head: RequestHead | None = None
        self.request: Request | None = None
        self.response: Response | None = None
        self.request_done = True
        self.response_done = False
        self.begin_offset = 0
        self.ack = -1
        self.index = 0
        self.done_packet = packet
        self.done_ts = ts
        self.resynchronised = False
        self.anomalies: tuple[str, ...] = ()
        self.reserved = 0


class HttpConnection:
    """Both framers and the requests that wait."""

    __slots__ = (
        "_begun", "_bodies", "_client_lost", "_connection", "_direction", "_later", "_lost_from", "_pause_for", "_services",
        "_waiting", "client", "answering", "asking", "server", "tunnel",
    )  # fmt: skip

    def __init__(self, services: Services, connection: Connection, *, search_client: bool, search_server: bool) -> None:
        self._services = services
        self._connection = connection
        direction = connection.client
        self._direction = direction
        self.client = Framer(services, connection, self, direction, "client", search=search_client)
        self.server = Framer(services, connection, self, 1 - direction, "server", search=search_server)
        self._waiting: deque[Exchange] = deque()
        """Requests without a response, oldest first."""
        self.asking: Exchange | None = None
        """Whose request body is under way."""
        self.answering: Exchange | None = None
        """Whose response body is under way."""
        self._bodies: list[_BodyState | None] = [None, None]
        self._begun = 0
        """Exchanges begun."""
        self._later: list[tuple[int, int, Exchange, JsonBody, Where]] = []
        """Records of JSON in request bodies: written when the server is up to the same packet, which settles the index."""
        self._lost_from = -1
        """Server offset from which on a response head was lost; -1 while none was since the last response."""
        self._client_lost = False
        self._pause_for: Exchange | None = None
        """The CONNECT or Upgrade whose answer says what the client's next bytes are."""
        self.tunnel = ""
        """What follows HTTP here: `opaque`, `websocket`, ..."""

    # --- both directions

    def run(self, client_events: list[StreamEvent], server_events: list[StreamEvent]) -> None:
        """The events of both directions up to the same packet."""
        server = _Cursor(server_events)
        client = self.client
        for event in client_events:
            if isinstance(event, StreamData):
                position = client.feed(event, 0)
                while position < event.length:
                    packet = event.packet(event.piece(position))
                    self._run_server(server, packet)
                    self._resume(packet)
                    position = client.feed(event, position)
                continue
            if client.paused:
                self._run_server(server, event.packet)
                self._resume(event.packet)
            if isinstance(event, StreamGap):
                client.gap(event)
            else:
                client.end(event)
        self._run_server(server, NEVER)
        for packet, side, exchange, json, begin in self._later:
            self._json_record(side, exchange, json, begin, packet)
        self._later.clear()

    def _run_server(self, cursor: _Cursor, before: int) -> None:
        """The server's events of packets before that one."""
        server = self.server
        events = cursor.events
        while cursor.index < len(events):
            event = events[cursor.index]
            if isinstance(event, StreamData):
                if before == NEVER:
                    cursor.position = server.feed(event, cursor.position)
                else:
                    cursor.position = self._feed_before(event, cursor.position, before)
                    if cursor.position < event.length:
                        return
            elif event.packet >= before:
                return
            elif isinstance(event, StreamGap):
                server.gap(event)
            else:
                server.end(event)
            cursor.index += 1
            cursor.position = 0

    def _feed_before(self, event: StreamData, position: int, before: int) -> int:
        ends = event.piece_ends()
        pieces = bisect_left(range(len(ends)), before, key=event.packet)
        limit = ends[pieces - 1] if pieces else 0
        if limit <= position:
            return position
        part = event if limit == event.length else event.first(pieces)
        return self.server.feed(part, position)

    def _resume(self, packet: int) -> None:
        """The server is up to that packet, at which the client goes on: decide what its bytes are."""
        client = self.client
        client.paused = False
        asked = self._pause_for
        self._pause_for = None
        if asked is not None:
            head = asked.head
            assert head is not None
            if self.tunnel or (head.connect and asked.response is None):
                # switched, or a CONNECT whose client does not wait for the answer
                client.opaque()
                self.tunnel = self.tunnel or "opaque"
            return
        while len(self._waiting) >= self._services.limits.http_pipeline_max:
            self._unanswered(self._waiting.popleft(), packet)

    def finish(self, packet: int) -> None:
        """The connection is over."""
        for framer in (self.client, self.server):
            framer.opaque()
        while self._waiting:
            self._unanswered(self._waiting.popleft(), packet)

    # --- what the framers find

    def head(self, framer: Framer, head: bytes, data: StreamData, begin: int, end: int) -> bool:
        """See `Owner.head`."""
        return self._request(head, data, begin) if framer is self.client else self._response(head, data, begin)

    def _request(self, raw: bytes, data: StreamData, begin: int) -> bool:
        head = parse_request(raw)
        if head is None:
            return False
        services = self._services
        framer = self.client
        services.request(head.method)
        where = framer.where(data, begin)
        exchange = Exchange(where.packet, where.ts)
        exchange.head = head
        exchange.index = self._begun
        self._begun += 1
        exchange.begin_offset = where.offset
        exchange.ack = where.ack
        exchange.anomalies = head.anomalies
        if framer.resynchronised:
            exchange.resynchronised = True
            framer.resynchronised = False
        self._reserve(exchange, len(raw))
        self._waiting.append(exchange)
        if head.framing == "none":
            exchange.request = head.bodiless
            framer.state = State.HEAD
        else:
            exchange.request_done = False
            self.asking = exchange
            self._begin_body(0, framer, head, head.framing, where)
        if head.connect or head.upgrade:
            framer.paused = True
            self._pause_for = exchange
        elif len(self._waiting) >= services.limits.http_pipeline_max:
            framer.paused = True
        return True

    def _reserve(self, exchange: Exchange, head_bytes: int) -> None:
        account = self._services.ledger.http
        size = WAITING_BYTES + head_bytes
        while not account.reserve(size):
            if not self._waiting:
                return
            self._unanswered(self._waiting.popleft(), exchange.packet)
        exchange.reserved = size

    def _response(self, raw: bytes, data: StreamData, begin: int) -> bool:
        head = parse_response(raw)
        if head is None:
            return False
        services = self._services
        framer = self.server
        services.response(head.status)
        where = framer.where(data, begin)
        exchange = self._match(where)
        request = exchange.head if exchange is not None else None
        if head.status < 200 and head.status != 101:
            framer.state = State.HEAD
            return True
        if exchange is None:
            exchange = Exchange(where.packet, where.ts)
            self._orphan(exchange)
        else:
            self._waiting.popleft()
        if framer.resynchronised:
            exchange.resynchronised = True
            framer.resynchronised = False
        if head.anomalies:
            exchange.anomalies = tuple(dict.fromkeys((*exchange.anomalies, *head.anomalies)))
        self.answering = exchange
        exchange.response = Response(head.status, head.reason, head.version, head.empty)
        framing = head.framing
        if head.status == 101 or (request is not None and request.connect and head.status < 300):
            # RFC 9112 section 6.3, rules 1 and 2: what follows is another protocol
            self.tunnel = "websocket" if head.upgrade == "websocket" else "opaque"
            self._answered(where.packet, where.ts)
            framer.opaque()
            return True
        if (request is not None and request.method == "HEAD") or head.status in (204, 304):
            framing = "none"
        if framing == "none":
            framer.state = State.HEAD
            self._answered(where.packet, where.ts)
        else:
            self._begin_body(1, framer, head, framing, where)
        return True

    def _match(self, where: Where) -> Exchange | None:
        """The request that a response beginning there answers."""
        waiting = self._waiting
        if self._lost_from >= 0:
            # answers were lost: skip the requests whose client had moved on when it sent the next one
            stream = self._connection.streams[1 - self._direction]
            while len(waiting) > 1 and waiting[1].packet <= where.packet and waiting[1].ack >= 0:
                acked = unwrap(waiting[1].ack, stream.base, where.offset)
                if not self._lost_from < acked <= where.offset:
                    break
                waiting[1].resynchronised = True
                self._unanswered(waiting.popleft(), where.packet)
            self._lost_from = -1
        if not waiting or waiting[0].packet > where.packet:
            return None
        if self._client_lost and where.ack >= 0:
            stream = self._connection.streams[self._direction]
            if unwrap(where.ack, stream.base, waiting[0].begin_offset) <= waiting[0].begin_offset:
                return None  # the server had not seen this request yet: the one that it answers was lost
        return waiting[0]

    # --- bodies

    def _begin_body(self, side: int, framer: Framer, head: Head, framing: str, where: Where) -> None:
        state = _BodyState(head, framing, where)
        self._bodies[side] = state
        framer.body(framing, head.length, wanted=head.json)

    def body_bytes(self, framer: Framer, n: int, data: bytes) -> None:
        """See `Owner.body_bytes`."""
        state = self._bodies[framer is self.server]
        assert state is not None
        state.bytes += n
        if data:
            sink = state.sink
            if sink is None:
                sink = state.sink = self._services.open_body(state.head.coding)
            sink.feed(data)

    def body_gap(self, framer: Framer, n: int) -> None:
        """See `Owner.body_gap`."""
        state = self._bodies[framer is self.server]
        assert state is not None
        state.missing += n
        if framer.wanted:
            if state.sink is None:
                state.sink = self._services.open_body(state.head.coding)
            state.sink.gap()

    def whole_body(self, framer: Framer, body: bytes, data: StreamData, last: int) -> None:
        """See `Owner.whole_body`."""
        side = int(framer is self.server)
        state = self._bodies[side]
        assert state is not None
        state.bytes = len(body)
        where = framer.where(data, last)
        found: BodySink | JsonBody | None = None
        if framer.wanted and body:
            found = self._services.whole_body(body, state.head.coding)
        self._body_over(side, state, found, "complete", where.packet, where.ts)

    def body_end(self, framer: Framer, packet: int, ts: int, *, whole: bool) -> None:
        """See `Owner.body_end`."""
        side = int(framer is self.server)
        state = self._bodies[side]
        assert state is not None
        status = "gapped" if state.missing else "complete" if whole else "truncated"
        if state.sink is not None:
            state.sink.finish(whole=status == "complete")
        self._body_over(side, state, state.sink, status, packet, ts)

    def _body_over(self, side: int, state: _BodyState, found: BodySink | JsonBody | None, status: str, packet: int, ts: int) -> None:
        services = self._services
        self._bodies[side] = None
        exchange = self.answering if side else self.asking
        assert exchange is not None
        json: JsonBody | None
        decoded: int | None
        drop: Drop | None = None
        if found is None:
            json, decoded = None, None
        elif isinstance(found, JsonBody):
            json, decoded = found, found.bytes
        else:
            json, decoded, drop = found.json, found.decoded_bytes, found.drop
        if drop is not None:
            status = "dropped"
            direction = self._direction if side == 0 else 1 - self._direction
            services.drop(self._connection, direction, drop, packet, ts, state.begin.offset, state.bytes)
        services.body(status)
        head = state.head
        body = Body(
            state.framing,
            state.bytes,
            decoded,
            state.missing,
            head.content_type,
            head.content_encoding,
            status,
            drop.reason.value if drop is not None else None,
            json,
        )
        if json is not None:
            services.json_body(json)
            if services.wants_records:
                if side:
                    self._json_record(side, exchange, json, state.begin, packet)
                else:
                    self._later.append((packet, side, exchange, json, state.begin))
        if side:
            assert exchange.response is not None
            exchange.response.body = body
            self._answered(packet, ts)
        else:
            request = exchange.head
            assert request is not None
            exchange.request = Request(request.method, request.target, request.host, request.version, body)
            exchange.request_done = True
            self.asking = None
            if exchange.response_done:
                exchange.done_packet = max(exchange.done_packet, packet)
                self._write(exchange)

    def _json_record(self, side: int, exchange: Exchange, json: JsonBody, begin: Where, packet: int) -> None:
        stream, source = ("server", "http-response") if side else ("client", "http-request")
        record = Json(
            self._connection.number,
            stream,
            source,
            exchange.index,
            seconds(begin.ts),
            json.documents,
            json.events,
            json.max_depth,
            json.bytes,
            json.status,
            json.error,
            json.drop_reason,
        )
        self._services.json(packet, record)

    # --- how an exchange ends

    def _answered(self, packet: int, ts: int) -> None:
        exchange = self.answering
        assert exchange is not None
        self.answering = None
        exchange.response_done = True
        exchange.done_packet = packet
        exchange.done_ts = ts
        if exchange.request_done:
            self._write(exchange)

    def _unanswered(self, exchange: Exchange, packet: int) -> None:
        """No answer can come any more."""
        if exchange is self.asking:
            state = self._bodies[0]
            if state is not None:
                exchange.response_done = True
                exchange.done_packet = packet
                return  # written when its own body ends
        exchange.done_packet = packet
        self._write(exchange)

    def _write(self, exchange: Exchange) -> None:
        services = self._services
        if exchange.reserved:
            services.ledger.http.release(exchange.reserved)
            exchange.reserved = 0
        if not services.wants_records:
            return
        duration = None
        if exchange.response is not None and exchange.request is not None:
            duration = round(seconds(exchange.done_ts) - seconds(exchange.ts), 6)
        record = Http(
            self._connection.number,
            exchange.index,
            seconds(exchange.ts),
            duration,
            list(exchange.anomalies),
            exchange.resynchronised,
            exchange.request,
            exchange.response,
        )
        services.http(exchange.done_packet, record)

    def _orphan(self, exchange: Exchange) -> None:
        """A response without a request. Requests of later packets may have been taken already: they come after it."""
        later = [waiting for waiting in self._waiting if waiting.packet > exchange.packet]
        for waiting in later:
            waiting.index += 1
        exchange.index = self._begun - len(later)
        self._begun += 1

    def lost(self, framer: Framer, offset: int) -> None:
        """See `Owner.lost`."""
        if framer is self.client:
            self._client_lost = True
        elif self._lost_from < 0:
            self._lost_from = offset


class _Cursor:
    """How far the server's events were consumed."""

    __slots__ = ("events", "index", "position")

    def __init__(self, events: list[StreamEvent]) -> None:
        self.events = events
        self.index = 0
        self.position = 0
