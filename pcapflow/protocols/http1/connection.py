"""Requests and responses of one HTTP/1 conversation, put in pairs.

Contract: `run` takes the events of both directions up to the same packet; finished exchanges go to the services (`http.flow`). Which
response belongs to which request is for `http.pairing` to say. The client's framer pauses where what its bytes mean depends on the
server (CONNECT, Upgrade, a full pipeline); the server is then brought up to that packet first. So the outcome depends on packet
numbers, never on which direction was consumed first.
"""

from __future__ import annotations

from collections.abc import Iterable

from pcapflow.anomalies import Anomaly
from pcapflow.drops import DropReason
from pcapflow.protocols.host import Host
from pcapflow.protocols.http.exchange import WAITING_BYTES, Exchange, Trouble
from pcapflow.protocols.http.flow import Flow
from pcapflow.protocols.http.message import BODILESS, LARGE_HEAD, HeadRead, RequestHead, ResponseHead
from pcapflow.protocols.http.pairing import Pairs
from pcapflow.protocols.http1 import plain
from pcapflow.protocols.http1.cursor import Cursor
from pcapflow.protocols.http1.events import (
    BodyBegins,
    BodyBytes,
    BodyEnds,
    BodyGap,
    BodyRead,
    Event,
    GivenUp,
    HeadCut,
    HeadsLost,
    Odd,
    TrailerLine,
)
from pcapflow.protocols.http1.framer import Framer
from pcapflow.protocols.http1.interruptions import end, gap, give_up
from pcapflow.protocols.http1.search import stop_before
from pcapflow.protocols.http1.state import BETWEEN, BODY_BEGINS, State
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import NEVER, StreamData, StreamEnd, StreamEvent, StreamGap
from pcapflow.unread import Unread, UnreadReason

_BEFORE_ALL = -(1 << 62)


class HttpConnection:
    """Both framers and the requests that wait."""

    __slots__ = (
        "_behind",
        "_pause_for",
        "blind",
        "client",
        "conversation",
        "flow",
        "pairs",
        "server",
        "services",
        "switched_to",
        "tunnel",
    )

    def __init__(self, services: Host, conversation: Conversation, *, begun: int, search_client: bool, search_server: bool) -> None:
        """begun: exchanges of the connection that began before; search: whether a side begins in the middle."""
        self.services, self.conversation = services, conversation
        readings, client = conversation.readings, conversation.client
        self.client = Framer(services, "client", readings[client], search=search_client)
        self.server = Framer(services, "server", readings[1 - client], search=search_server)
        self.flow = Flow(services, conversation)
        self.pairs = Pairs(services.limits, services.ledger.http, services.heads, conversation, self.flow.tell, self.flow.refused)
        self.pairs.begun = begun
        if not conversation.began(1 - client):  # whatever was answered before the capture began
            self.pairs.lost_from = _BEFORE_ALL
        self._pause_for: Exchange | None = None
        """The CONNECT or Upgrade whose answer says what the client's next bytes are."""
        self.blind = False
        """The client did not wait for the server to switch: who knows what it says."""
        self.switched_to = ""
        """What the server says it speaks from here on: `opaque`, `websocket`."""
        self.tunnel = ""
        """What follows HTTP here: `opaque`, `websocket`, ..."""
        self._behind: tuple[list[StreamEvent], list[StreamEvent]] | None = None
        """What came behind the switch, of the client and the server; valid as long as the events are."""

    @property
    def begun(self) -> int:
        """Exchanges that began."""
        return self.pairs.begun

    def behind_switch(self) -> tuple[list[StreamEvent], list[StreamEvent]]:
        """What came behind the switch since the last time, of the client and the server."""
        behind, self._behind = self._behind, None
        return behind or ([], [])

    def _keep_behind(self, framer: Framer, event: StreamEvent) -> None:
        if self._behind is None:
            self._behind = ([], [])
        self._behind[framer is self.server].append(event)

    # --- both directions

    def run(self, client_events: list[StreamEvent], server_events: list[StreamEvent]) -> None:
        """The events of both directions up to the same packet."""
        if client_events and server_events:
            client_events, server_events = plain.take(self, client_events, server_events)
        server = Cursor(server_events)
        client, flow = self.client, self.flow
        for event in client_events:
            if isinstance(event, StreamData):
                self._run_client(event, server)
                continue
            # what waited behind a hole was not known to the server's answers before that packet
            self._run_server(server, event.packet)
            if (client.paused and client.state in BETWEEN) or client.paused_body:
                self._resume(event.packet)
            self._other(client, event)
        self._run_server(server, NEVER)
        if flow.later:
            flow.settled(NEVER)
        pairs = self.pairs
        pairs.caught_up()
        if pairs.waiting or pairs.expecting or flow.asking is not None or flow.answering is not None:
            self._settle()

    def _run_client(self, event: StreamData, server: Cursor) -> None:
        """What the client said. It is read on to where it waits for the server; but answers that nobody asked for are read as they came between its segments."""
        client, pairs = self.client, self.pairs
        position = 0
        while position < event.length:
            stop = event.length
            if pairs.expecting or not pairs.waiting:
                self._run_server(server, event.packet(event.piece(position)))
                if server.packet < event.packet(-1):
                    stop = stop_before(event, server.packet + 1)
            self.read(client, event, position, stop)
            position = client.position
            if position < stop or (position < event.length and (client.paused or client.paused_body)):
                packet = event.packet(event.piece(position))
                self._run_server(server, packet)
                self.flow.settled(packet)
                self._resume(packet)

    def _run_server(self, cursor: Cursor, before: int) -> None:
        """The server's events of packets before that one."""
        server = self.server
        events = cursor.events
        while cursor.index < len(events):
            event = events[cursor.index]
            if isinstance(event, StreamData):
                stop = event.length if before == NEVER else stop_before(event, before)
                if stop > cursor.position:
                    self.read(server, event, cursor.position, stop)
                    cursor.position = server.position
                if cursor.position < event.length:
                    return
            elif event.packet >= before:
                return
            else:
                self._other(server, event)
            cursor.index += 1
            cursor.position = 0

    def read(self, framer: Framer, data: StreamData, position: int, stop: int | None = None) -> None:
        """Data of a direction from a position on, up to stop where not to its end, or to where the framer pauses."""
        side = int(framer is self.server)
        if data.stall is not None and not position:
            self.flow.stalls(side, data.stall)
        if side and framer.simple_from != NEVER:
            framer.simple_from = self._simple_from()
        for event in framer.read(data, position, stop):
            # `type(...) is`: with the classes of msgspec `isinstance` costs several times as much where the answer is no
            if type(event) is HeadRead:
                framer.follows = self._response(event) if side else self._request(event)
            elif type(event) is BodyRead:
                self.flow.body_whole(side, event.message, event.data, event.packet, event.ts)
            elif type(event) is BodyBytes:
                self.flow.body_bytes(side, event.n, event.data, event.packet, event.offset)
            else:
                self._found(side, event)
        if framer.state is State.OPAQUE and framer.position < data.length:
            # what comes behind a switch is for the next protocol
            if self.tunnel:
                self._keep_behind(framer, data.after(framer.position))
            else:
                # the server switched, though nobody asked it to
                name = self.switched_to if self.switched_to != "opaque" else None
                reason = UnreadReason.UNKNOWN_PROTOCOL if name is None else UnreadReason.NOT_SUPPORTED
                packet = data.packet(data.piece(framer.position))
                self._found(side, Unread(reason.value, name, data.length - framer.position, data.start + framer.position, packet))
            framer.position = data.length

    def _simple_from(self) -> int:
        """The packet of the oldest request that waits, if that is one of HTTP/0.9."""
        oldest = self.pairs.waiting[0] if self.pairs.waiting else None
        return oldest.packet if oldest is not None and oldest.head is not None and oldest.head.version == "0.9" else NEVER

    def _other(self, framer: Framer, event: StreamGap | StreamEnd) -> None:
        """A gap or the end of a direction."""
        behind = self.tunnel and framer.state is State.OPAQUE
        found = gap(framer, event) if isinstance(event, StreamGap) else end(framer, event)
        if found:
            self.take(framer, found)
        if behind:
            self._keep_behind(framer, event)

    def _resume(self, packet: int) -> None:
        """The server is up to that packet, at which the client goes on: decide what its bytes are."""
        client = self.client
        client.paused = client.paused_body = False
        asked = self._pause_for
        self._pause_for = None
        if asked is not None:
            self._go_on(asked)
        self.pairs.make_room(packet)

    def _go_on(self, asked: Exchange) -> None:
        """The server is up to the packet at which the client goes on behind that request."""
        client, head = self.client, asked.head
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

    def _settle(self) -> None:
        """Reserve what stays: exchanges that wait, and those whose bodies are under way. Where there is no room for one of these, its body is given up."""
        self.pairs.settle()
        for framer in (self.client, self.server):
            exchange = self.flow.answering if framer is self.server else self.flow.asking
            if exchange is not None and not exchange.reserve(self.services.ledger.http, self.services.heads):
                self.take(framer, give_up(framer, WAITING_BYTES))

    def finish(self, packet: int) -> None:
        """The connection is over."""
        self.client.opaque()
        self.server.opaque()
        self.pairs.finish(packet, "switched" if self.switched_to else self.server.ended)
        del self.pairs, self.flow  # which know the conversation, and so this

    # --- what the framers find

    def take(self, framer: Framer, events: Iterable[Event]) -> None:
        """What a framer found, but heads that it waits behind."""
        side = int(framer is self.server)
        for event in events:
            self._found(side, event)

    def _found(self, side: int, event: Event) -> None:
        flow = self.flow
        if isinstance(event, BodyBegins):
            flow.body_begins(side, event.message, event.framing)
        elif isinstance(event, BodyEnds):
            flow.body_ends(side, event)
        elif isinstance(event, BodyBytes):
            flow.body_bytes(side, event.n, event.data, event.packet, event.offset)
        elif isinstance(event, BodyGap):
            flow.body_gap(side, event.n, event.packet)
        elif isinstance(event, HeadCut):
            self._cut_head(event)
        elif isinstance(event, Odd):
            flow.odd(side, event.anomaly)
        elif isinstance(event, TrailerLine):
            flow.trailer(side, event.line)
        elif isinstance(event, GivenUp):
            flow.given_up(side, event.drop, event.packet, event.ts, event.offset, event.held)
        elif isinstance(event, Unread):
            client = self.conversation.client
            self.services.unread(self.conversation, 1 - client if side else client, event)
        elif isinstance(event, HeadsLost) and side:
            self.pairs.lose(event.offset, event.reason)

    def _request(self, read: HeadRead) -> str:
        """A request head; what follows it (`Framer.follows`)."""
        head, offset, last_packet = read.head, read.offset, read.last_packet
        assert type(head) is RequestHead
        pairs = self.pairs
        exchange = pairs.ask(head, read.size, offset, last_packet, read.ts, read.ack)
        framer = self.client
        exchange.request_packet, exchange.request_end = read.packet, read.last_ts
        self.services.request(head.method)
        if self.services.tells_heads:
            self.services.head(self.conversation.number, 0, read)
        if head.anomalies:
            exchange.add_anomalies(head.anomalies)
        if framer.resynchronised:
            exchange.resynchronised = True
            framer.resynchronised = False
        if head.version == "0.9":
            self.server.simple_from = self._simple_from()
        if head.framing in ("none", "refused"):
            if framer.surplus and head.framing == "none" and not (head.connect or head.upgrade):
                exchange.add_anomalies([Anomaly.MORE_THAN_LENGTH.value])
            if head.framing == "none":
                exchange.request = head.bodiless
            else:
                exchange.request = head.with_body(head.body_of("dropped", DropReason.HTTP_AMBIGUOUS_LENGTH.value))
                exchange.troubles += (Trouble(0, "dropped"),)
                self.services.body("dropped")
            if exchange.response_done:
                self.flow.tell(exchange)
        else:
            exchange.request_done = False
            self.flow.asking = exchange
            framer.paused_body = head.expects or self.services.by_packet  # the server first: it settles the exchange's index
        if head.connect or head.upgrade or framer.paused_body:
            framer.paused = head.connect or head.upgrade
            self._pause_for = exchange
        elif len(pairs.waiting) >= pairs.most:
            framer.paused = True
        if head.cost > LARGE_HEAD:
            pairs.settle()
        return head.framing

    def _response(self, read: HeadRead) -> str:
        """The same for a response head."""
        head, last_packet, last_ts = read.head, read.last_packet, read.last_ts
        assert type(head) is ResponseHead
        framer, flow = self.server, self.flow
        self.services.response(head.status_text)
        if self.services.tells_heads:
            self.services.head(self.conversation.number, 1, read)
        status = head.status
        final = not 100 <= status < 200 or status == 101
        exchange = self.pairs.answer(read.offset, last_packet, read.ts, read.ack, final)
        if head.anomalies and exchange is not None:
            exchange.add_anomalies(head.anomalies)
        if not final or exchange is None:
            return "none"
        exchange.response_packet, exchange.response_ts = read.packet, read.ts
        request = flow.asked = exchange.head if exchange.packet < last_packet else None
        if framer.resynchronised:
            exchange.resynchronised = True
            framer.resynchronised = False
        flow.answering = exchange
        exchange.response_head = head
        if head.cost > LARGE_HEAD and not exchange.reserve(self.services.ledger.http, self.services.heads):
            self.services.body("dropped")
            exchange.troubles += (Trouble(1, "dropped"),)
            exchange.response_head = None
            flow.answered(exchange, head.with_body(head.body_of("dropped", DropReason.HTTP_MEMORY.value)), last_packet, last_ts)
            return "no-memory"
        if status == 101 or (request is not None and request.connect and status < 300):
            # RFC 9112 section 6.3, rules 1 and 2: what follows is another protocol, on both sides where the client asked for it
            kind = "websocket" if head.upgrade == "websocket" else "opaque"
            self.switched_to = kind
            if request is not None and (request.connect or request.upgrade) and not exchange.went_on:
                self.tunnel = kind
            flow.answered(exchange, head.bodiless, last_packet, last_ts)
            return "opaque"
        if status in BODILESS or (request is not None and request.method == "HEAD"):
            if framer.surplus:
                exchange.add_anomalies([Anomaly.MORE_THAN_LENGTH.value])
            flow.answered(exchange, head.bodiless, last_packet, last_ts)
            return "none"
        framer.may_be_unsent = request is None and head.framing == "length" and head.length > 0
        return head.framing

    def _cut_head(self, cut: HeadCut) -> None:
        head, where, packet, ts = cut.head, cut.where, cut.packet, cut.ts
        body = head.body_of("truncated")
        services = self.services
        if type(head) is RequestHead:
            services.request(head.method)
            exchange = self.pairs.ask(head, 0, where.offset, packet, where.ts, where.ack)
            exchange.request_packet, exchange.request_end = where.origin, ts
            services.body("truncated")
            exchange.troubles += (Trouble(0, "truncated", "cut_head"),)
            exchange.request = head.with_body(body)
            if head.connect or head.upgrade:
                self.client.paused, self._pause_for = True, exchange  # as behind a whole head
        else:
            assert type(head) is ResponseHead
            services.response(head.status_text)
            if head.status < 200 and head.status != 101:
                return
            found = self.pairs.answer(where.offset, packet, where.ts, where.ack, final=True)
            assert found is not None
            exchange = found
            exchange.response_packet, exchange.response_ts = where.origin, where.ts
        exchange.add_anomalies(head.anomalies)
        if cut.resynchronised:
            exchange.resynchronised = True
        if type(head) is ResponseHead:
            request = exchange.head if exchange.packet < packet else None  # a later request says nothing of what this is
            bodiless = head.status in BODILESS or (request is not None and request.method == "HEAD")
            if not bodiless:
                services.body("truncated")
                exchange.troubles += (Trouble(1, "truncated", "cut_head"),)
            self.flow.answered(exchange, head.bodiless if bodiless else head.with_body(body), packet, ts)
        elif exchange.response_done:
            self.flow.tell(exchange)
