"""Requests and responses of one HTTP/1 conversation, put in pairs.

Contract: `run` takes the events of both directions up to the same packet and gives finished exchanges to the services. Which
response belongs to which request is for `http1_pairs` to say. The client's framer pauses where what its bytes mean depends on the
server (CONNECT, Upgrade, a full pipeline); the server is then brought up to that packet first. So the outcome depends on packet
numbers, never on which direction was consumed first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter

from msgspec.structs import astuple

from pcapflow.anomalies import Anomaly
from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.host import BodySink, Host
from pcapflow.protocols.http1_bodies import BodyState
from pcapflow.protocols.http1_cache import SMALL_ANSWER
from pcapflow.protocols.http1_framer import Framer
from pcapflow.protocols.http1_head import NO_BODY, Head, RequestHead, ResponseHead
from pcapflow.protocols.http1_pairs import WAITING_BYTES, Exchange, Pairs
from pcapflow.protocols.http1_records import Cursor, http_record, small_answer
from pcapflow.protocols.http1_state import BETWEEN, BODY_BEGINS
from pcapflow.protocols.layer import Where
from pcapflow.records import Body, Json, JsonBody, Response, seconds
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import NEVER, StreamData, StreamEvent, StreamGap

_LARGE_HEAD = 8 << 10
"""Bytes that a head takes for which there must be room at once, and not at the end of a block."""
_BEFORE_ALL = -(1 << 62)
_BODILESS = frozenset((204, 304))


class HttpConnection:
    """Both framers and the requests that wait."""

    __slots__ = (
        "_asked", "_bodies", "_conversation", "_direction", "_later", "_pairs", "_pause_for", "_services", "answering", "asking", "blind", "client", "server", "switched_to", "tunnel",
    )  # fmt: skip

    def __init__(self, services: Host, conversation: Conversation, *, begun: int, search_client: bool, search_server: bool) -> None:
        """begun: exchanges of the connection that began before; search: whether a side begins in the middle."""
        self._services = services
        self._conversation = conversation
        direction = conversation.client
        self._direction = direction
        self.client = Framer(services, conversation, self, direction, "client", search=search_client)
        self.server = Framer(services, conversation, self, 1 - direction, "server", search=search_server)
        self._pairs = Pairs(services.limits, services.ledger.http, services.heads, conversation, self._write, self._refused)
        self._pairs.begun = begun
        if not conversation.began(1 - direction):
            self._pairs.lost_from = _BEFORE_ALL  # whatever was answered before the capture began
        self.asking: Exchange | None = None
        """Whose request body is under way."""
        self.answering: Exchange | None = None
        """Whose response body is under way."""
        self._asked: RequestHead | None = None
        """Its request, where that came before the response: what came later says nothing of what this is."""
        self._bodies: list[BodyState | None] = [None, None]
        self._later: list[tuple[int, Exchange, JsonBody, int]] = []
        """Records of JSON in request bodies: written when the server is up to the same packet, which settles the index."""
        self._pause_for: Exchange | None = None
        """The CONNECT or Upgrade whose answer says what the client's next bytes are."""
        self.blind = False
        """The client did not wait for the server to switch: who knows what it says."""
        self.switched_to = ""
        """What the server says it speaks from here on: `opaque`, `websocket`."""
        self.tunnel = ""
        """What follows HTTP here: `opaque`, `websocket`, ..."""

    @property
    def begun(self) -> int:
        """Exchanges that began."""
        return self._pairs.begun

    # --- both directions

    def run(self, client_events: list[StreamEvent], server_events: list[StreamEvent]) -> None:
        """The events of both directions up to the same packet."""
        server = Cursor(server_events)
        client = self.client
        for event in client_events:
            if isinstance(event, StreamData):
                position = client.feed(event, 0)
                while position < event.length:
                    packet = event.packet(event.piece(position))
                    self._run_server(server, packet)
                    self._tell_settled(packet)
                    self._resume(packet)
                    position = client.feed(event, position)
                continue
            if client.stash.data or client.paused or client.paused_body:
                self._run_server(server, event.packet)
            if (client.paused and client.state in BETWEEN) or client.paused_body:
                self._resume(event.packet)
            if isinstance(event, StreamGap):
                client.gap(event)
            else:
                client.end(event)
        self._run_server(server, NEVER)
        self._tell_settled(NEVER)
        pairs = self._pairs
        pairs.caught_up()
        if pairs.waiting or pairs.expecting or self.asking is not None or self.answering is not None:
            self._settle()

    def _tell_settled(self, before: int) -> None:
        """Write the records that wait, of packets up to that one: the server is up to it, and what it says at that packet comes behind the client's."""
        settled = bisect_right(self._later, before, key=itemgetter(0))
        for packet, exchange, json, ts in self._later[:settled]:
            self._json_record("client", "http-request", exchange, json, ts, packet)
        del self._later[:settled]

    def _run_server(self, cursor: Cursor, before: int) -> None:
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
        return self.server.feed(event, position, limit)

    def _resume(self, packet: int) -> None:
        """The server is up to that packet, at which the client goes on: decide what its bytes are."""
        client = self.client
        client.paused = client.paused_body = False
        asked = self._pause_for
        self._pause_for = None
        if asked is not None:
            head = asked.head
            assert head is not None
            if not asked.request_done and client.state in BODY_BEGINS:
                # a final answer before the body: the client may do without sending it (RFC 9110 section 10.1.1)
                client.may_be_unsent = head.expects and asked.response is not None
                if head.upgrade or head.connect:
                    client.paused = True
                    self._pause_for = asked
                return
            if self.tunnel or (head.connect and asked.response is None):
                # switched, or a CONNECT whose client does not wait for the answer
                client.opaque()
                self.blind = not self.tunnel
                self.tunnel = self.tunnel or "opaque"
            asked.went_on = not self.tunnel
            return
        self._pairs.make_room(packet)

    def _settle(self) -> None:
        """Reserve what stays: exchanges that wait, and those whose bodies are under way. Where there is no room for one of these, its body is given up."""
        pairs = self._pairs
        pairs.settle()
        for framer in (self.client, self.server):
            exchange = self.answering if framer is self.server else self.asking
            if exchange is not None and not pairs.reserve(exchange):
                framer.give_up(WAITING_BYTES)

    def finish(self, packet: int) -> None:
        """The connection is over."""
        for framer in (self.client, self.server):
            framer.opaque()
            framer.let_go()
        self._pairs.finish(packet)
        del self._pairs

    # --- what the framers find

    def request_head(self, head: Head, size: int, offset: int, packet: int, ts: int, ack: int, last_packet: int, last_ts: int) -> str:
        """See `Owner.request_head`."""
        assert type(head) is RequestHead
        pairs = self._pairs
        exchange = pairs.ask(head, size, offset, last_packet, ts, ack)
        framer = self.client
        self._services.request(head.method)
        if head.anomalies:
            exchange.add_anomalies(head.anomalies)
        if framer.resynchronised:
            exchange.resynchronised = True
            framer.resynchronised = False
        if head.framing in ("none", "refused"):
            if head.framing == "none":
                exchange.request = head.bodiless
            else:
                exchange.request = head.with_body(head.body_of("dropped", DropReason.HTTP_AMBIGUOUS_LENGTH.value))
                self._services.body("dropped")
            if exchange.response_done:
                self._write(exchange)
        else:
            exchange.request_done = False
            self.asking = exchange
            # with values to be put into order, the server first: it settles the exchange's index
            framer.paused_body = head.expects or self._services.by_packet
        if head.connect or head.upgrade or framer.paused_body:
            framer.paused = head.connect or head.upgrade
            self._pause_for = exchange
        elif len(pairs.waiting) >= pairs.most:
            framer.paused = True
        if head.cost > _LARGE_HEAD:
            pairs.settle()
        return head.framing

    def response_head(self, head: Head, size: int, offset: int, packet: int, ts: int, ack: int, last_packet: int, last_ts: int) -> str:
        """See `Owner.response_head`."""
        assert type(head) is ResponseHead
        framer = self.server
        self._services.response(head.status_text)
        status = head.status
        final = not 100 <= status < 200 or status == 101
        exchange = self._pairs.answer(offset, last_packet, ts, ack, final)
        if head.anomalies and exchange is not None:
            exchange.add_anomalies(head.anomalies)
        if not final or exchange is None:
            return "none"
        request = self._asked = exchange.head if exchange.packet < last_packet else None
        if framer.resynchronised:
            exchange.resynchronised = True
            framer.resynchronised = False
        self.answering = exchange
        exchange.response_head = head
        if head.cost > _LARGE_HEAD and not self._pairs.reserve(exchange):
            self._services.body("dropped")
            exchange.response_head = None
            self._answered(exchange, head.with_body(head.body_of("dropped", DropReason.HTTP_MEMORY.value)), last_packet, last_ts)
            return "no-memory"
        if status == 101 or (request is not None and request.connect and status < 300):
            # RFC 9112 section 6.3, rules 1 and 2: what follows is another protocol, on both sides where the client asked for it
            kind = "websocket" if head.upgrade == "websocket" else "opaque"
            self.switched_to = kind
            if request is not None and (request.connect or request.upgrade) and not exchange.went_on:
                self.tunnel = kind
            self._answered(exchange, head.bodiless, last_packet, last_ts)
            return "opaque"
        if status in _BODILESS or (request is not None and request.method == "HEAD"):
            self._answered(exchange, head.bodiless, last_packet, last_ts)
            return "none"
        if head.framing == "refused":
            self._services.body("dropped")
            self._answered(exchange, head.with_body(head.body_of("dropped", DropReason.HTTP_AMBIGUOUS_LENGTH.value)), last_packet, last_ts)
        framer.may_be_unsent = request is None and head.framing == "length" and head.length > 0
        return head.framing

    def cut_head(self, framer: Framer, head: Head, where: Where, packet: int, ts: int) -> None:
        """See `Owner.cut_head`."""
        body = head.body_of("truncated")
        if type(head) is RequestHead:
            self._services.request(head.method)
            exchange = self._pairs.ask(head, 0, where.offset, packet, where.ts, where.ack)
            self._services.body("truncated")
            exchange.request = head.with_body(body)
            if head.connect or head.upgrade:
                framer.paused, self._pause_for = True, exchange  # as behind a whole head
        else:
            assert type(head) is ResponseHead
            self._services.response(head.status_text)
            if head.status < 200 and head.status != 101:
                return
            found = self._pairs.answer(where.offset, packet, where.ts, where.ack, final=True)
            assert found is not None
            exchange = found
        exchange.add_anomalies(head.anomalies)
        if framer.resynchronised:
            exchange.resynchronised = True
        if type(head) is ResponseHead:
            request = exchange.head if exchange.packet < packet else None  # a later request says nothing of what this is
            bodiless = head.status in _BODILESS or (request is not None and request.method == "HEAD")
            if not bodiless:
                self._services.body("truncated")
            self._answered(exchange, head.bodiless if bodiless else head.with_body(body), packet, ts)
        elif exchange.response_done:
            self._write(exchange)

    def suspicious(self, framer: Framer, anomaly: Anomaly) -> None:
        """See `Owner.suspicious`."""
        exchange = self.answering if framer is self.server else self.asking
        if exchange is not None and anomaly.value not in exchange.anomalies:
            exchange.add_anomalies([anomaly.value])

    def is_simple(self, packet: int) -> bool:
        """See `Owner.is_simple`."""
        waiting = self._pairs.waiting
        return bool(waiting) and waiting[0].packet <= packet and waiting[0].head is not None and waiting[0].head.version == "0.9"

    # --- bodies

    def _body(self, framer: Framer, head: Head, framing: str, offset: int, begun: int) -> BodyState:
        exchange = self.answering if framer is self.server else self.asking
        assert exchange is not None
        return BodyState(framer, exchange, head, framing, offset, begun, self._asked if framer is self.server else exchange.head)

    def body_begin(self, framer: Framer, head: Head, framing: str, offset: int, begun: int) -> None:
        """See `Owner.body_begin`."""
        self._bodies[framer is self.server] = self._body(framer, head, framing, offset, begun)

    def body_bytes(self, framer: Framer, n: int, data: bytes) -> None:
        """See `Owner.body_bytes`."""
        state = self._bodies[framer is self.server]
        assert state is not None
        state.bytes += n
        if data:
            sink = state.sink
            if sink is None:
                sink = state.sink = self._services.open_body(state.head, state)
            sink.feed(data)

    def body_gap(self, framer: Framer, n: int) -> None:
        """See `Owner.body_gap`."""
        state = self._bodies[framer is self.server]
        assert state is not None
        state.missing += n
        if framer.wanted:
            if state.sink is None:
                state.sink = self._services.open_body(state.head, state)
            state.sink.gap()

    def whole_body(self, framer: Framer, head: Head, body: bytes, offset: int, begun: int, packet: int, ts: int) -> None:
        """See `Owner.whole_body`."""
        services = self._services
        if type(head) is not ResponseHead or len(body) > SMALL_ANSWER or services.by_exchange:
            state = self._body(framer, head, "length", offset, begun)
            state.bytes = len(body)
            found = services.whole_body(body, head, state) if body and (head.form or services.looks_at_all) else None
            self._body_over(int(framer is self.server), state, found, "complete", packet, ts)
            return
        # answers repeat as heads do: what a small body holds, and the response as it is written, are kept
        known = services.heads.answers.get((head, body))
        if known is None:
            state = self._body(framer, head, "length", offset, begun)
            looked_at = services.whole_body(body, head, state) if body and (head.form or services.looks_at_all) else None
            if looked_at is not None and type(looked_at) is not JsonBody:
                state.bytes = len(body)
                self._body_over(1, state, looked_at, "complete", packet, ts)
                return
            known = small_answer(head, body, looked_at)
            if not services.heads.keep_answer(head, body, known):
                services.body("complete")
                if looked_at is not None:
                    services.json_body(looked_at)
        known.uses += 1
        exchange = self.answering
        assert exchange is not None
        if known.json is not None and services.wants_records:
            self._json_record("server", "http-response", exchange, known.json, begun, packet)
        self._answered(exchange, known.response, packet, ts)

    def body_end(self, framer: Framer, packet: int, ts: int, *, whole: bool) -> None:
        """See `Owner.body_end`."""
        side = int(framer is self.server)
        state = self._bodies[side]
        assert state is not None
        status = "gapped" if state.missing else "complete" if whole else "truncated"
        if state.sink is not None:
            state.sink.finish(whole=status == "complete")
        self._body_over(side, state, state.sink, status, packet, ts)

    def _body_over(self, side: int, state: BodyState, found: BodySink | JsonBody | None, status: str, packet: int, ts: int) -> None:
        services = self._services
        self._bodies[side] = None
        exchange = self.answering if side else self.asking
        assert exchange is not None
        json: JsonBody | None = None
        decoded: int | None = None
        reason: str | None = None
        digest: str | None = None
        if found is None:
            pass
        elif type(found) is JsonBody:
            json, decoded = found, found.bytes
        else:
            assert not isinstance(found, JsonBody)
            json, decoded, drop, digest = found.json, found.decoded_bytes, found.drop, found.sha256
            if drop is not None:
                status = "dropped"
                reason = drop.reason.value
                direction = self._direction if side == 0 else 1 - self._direction
                services.drop(self._conversation, direction, drop, packet, ts, state.offset, state.bytes)
        services.body(status)
        if json is not None:
            services.json_body(json)
        if services.wants_records:
            head = state.head
            body = Body(
                state.framing, state.bytes, decoded, state.missing, head.content_type, head.content_encoding, status, reason, json, digest
            )
            if json is not None:
                if side:
                    self._json_record("server", "http-response", exchange, json, state.ts, packet)
                else:
                    self._later.append((packet, exchange, json, state.ts))
        else:
            body = NO_BODY
        if side:
            assert type(state.head) is ResponseHead
            self._answered(exchange, state.head.with_body(body), packet, ts)
            return
        request = exchange.head
        assert request is not None
        exchange.request = request.with_body(body)
        exchange.request_done = True
        self.asking = None
        exchange.done_packet = max(exchange.done_packet, packet)
        if exchange.response_done:
            self._write(exchange)

    def _json_record(self, stream: str, source: str, exchange: Exchange, json: JsonBody, ts: int, packet: int) -> None:
        where = (self._conversation.number, stream, source, exchange.index, seconds(ts))
        self._services.json(packet, Json(*where, *astuple(json)))

    # --- how an exchange ends

    def _answered(self, exchange: Exchange, response: Response, packet: int, ts: int) -> None:
        self.answering = self._asked = None
        exchange.response = response
        exchange.response_done = True
        exchange.done_packet = max(exchange.done_packet, packet)
        exchange.done_ts = ts
        if exchange.request_done and not exchange.expected:
            self._write(exchange)

    def _write(self, exchange: Exchange) -> None:
        """Both sides are done."""
        services = self._services
        if exchange.anomalies:
            services.anomalies(exchange.anomalies)
        if exchange.reserved or exchange.held:
            self._pairs.release(exchange)
        if services.by_exchange:
            services.exchange_over(self._conversation.number, exchange, exchange.response_head, exchange.done_packet)
        if not services.wants_records:
            return
        services.http(exchange.done_packet, http_record(self._conversation.number, exchange))

    def _refused(self, exchange: Exchange) -> None:
        """There is no memory for an exchange to wait in."""
        services = self._services
        drop = Drop(DropReason.HTTP_MEMORY, *services.ledger.http.refusal(), "an exchange that waits for its other half")
        direction = self._direction if exchange.head is not None else 1 - self._direction
        services.drop(
            self._conversation,
            direction,
            drop,
            exchange.packet,
            exchange.ts,
            exchange.offset,
            WAITING_BYTES + sum(head.cost for head in exchange.held),
        )

    def lost(self, framer: Framer, offset: int) -> None:
        """See `Owner.lost`."""
        if framer is self.server and self._pairs.lost_from is None:
            self._pairs.lost_from = offset
