"""One request and one response at a time, of any version of HTTP: their bodies looked into, and the exchange told when both are done.

Contract: whoever frames messages says which exchange is `asking` and which is `answering`, hands on the bodies of both, and says when an answer is complete. What is found goes
to the services. Invariant: what an exchange had reserved is released when it is told.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from typing import Any, Protocol

from msgspec.structs import astuple

from pcapflow.anomalies import Anomaly
from pcapflow.contents import FormBody, JsonBody, Other, broken, is_broken
from pcapflow.counting import Inner
from pcapflow.drops import Drop, DropReason
from pcapflow.messages import Body, Response
from pcapflow.protocols.host import BodySink, Host
from pcapflow.protocols.http.body import BEGINS_BYTES, MAY_BEGIN_JSON, TRAILER_BYTES, BodyState, begins_json
from pcapflow.protocols.http.cache import SMALL_ANSWER, small_answer
from pcapflow.protocols.http.exchange import WAITING_BYTES, Exchange, Trouble, http_record
from pcapflow.protocols.http.message import NO_BODY, HeadRead, RequestHead, ResponseHead
from pcapflow.records import Json, seconds
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import Stall

_packet = itemgetter(0)
_PARTIAL_CONTENT = 206
_EARLY = [Anomaly.ANSWERED_EARLY.value]


class BodyEnd(Protocol):
    """How a body ended, in whatever version."""

    @property
    def packet(self) -> int:
        """At which."""
        ...

    @property
    def ts(self) -> int:
        """When (ns)."""
        ...

    @property
    def whole(self) -> bool:
        """As its framing says, though bytes may be missing in it."""
        ...

    @property
    def refused(self) -> DropReason | None:
        """Why its framing is not followed any more."""
        ...


class Flow:
    """Of one connection, or of one stream in it. side: 0 for the client's messages, 1 for the server's."""

    __slots__ = ("_bodies", "_conversation", "_services", "answering", "asked", "asking", "later")

    def __init__(self, services: Host, conversation: Conversation) -> None:
        self._services = services
        self._conversation = conversation
        self.asking: Exchange | None = None
        """Whose request body is under way."""
        self.answering: Exchange | None = None
        """Whose response body is under way."""
        self.asked: RequestHead | None = None
        """Its request, where that came before the response: what came later says nothing of what this is."""
        self._bodies: list[BodyState | None] = [None, None]
        self.later: list[tuple[int, Exchange, JsonBody, int]] = []
        """Records of JSON in request bodies: written when the server is up to the same packet, which settles the index."""

    def settled(self, before: int) -> None:
        """Write the records that wait, of packets up to that one: the server is up to it, and what it says at that packet comes behind the client's."""
        settled = bisect_right(self.later, before, key=_packet)
        for packet, exchange, json, ts in self.later[:settled]:
            self._json_record("client", "http-request", exchange, json, ts, packet)
        del self.later[:settled]

    def odd(self, side: int, anomaly: Anomaly) -> None:
        """Something suspicious in the body that is under way."""
        exchange = self.answering if side else self.asking
        if exchange is not None and anomaly.value not in exchange.anomalies:
            exchange.add_anomalies([anomaly.value])

    def stalls(self, side: int, stall: Stall) -> None:
        """What comes next of that side waited behind what the network had lost: a message that is under way did."""
        if side and self.answering is not None:
            self.answering.response_stalls(stall)
        elif not side and self.asking is not None:
            self.asking.request_stalls(stall)

    # --- bodies

    def _body(self, side: int, message: HeadRead, framing: str) -> BodyState:
        exchange = self.answering if side else self.asking
        assert exchange is not None
        request = self.asked if side else exchange.head
        return BodyState(self._conversation.number, "server" if side else "client", exchange, request, message, framing)

    def body_begins(self, side: int, message: HeadRead, framing: str) -> None:
        """A message has a body, of which some may come later."""
        self._bodies[side] = self._body(side, message, framing)

    def body_bytes(self, side: int, n: int, data: bytes, packet: int, offset: int) -> None:
        """n bytes of the body, from that offset of the stream on; data is empty where nobody looks at them."""
        state = self._bodies[side]
        assert state is not None
        state.bytes += n
        if data:
            services = self._services
            if not (state.head.form or services.sniffs):
                if len(state.begins) < BEGINS_BYTES and not state.head.codings:
                    state.begins += data[: BEGINS_BYTES - len(state.begins)]
                if not services.looks_at_all:
                    return
            state.packet, state.position = packet, offset
            sink = state.sink
            if sink is None:
                sink = state.sink = self._services.open_body(state.head, state)
            sink.feed(data)

    def body_gap(self, side: int, n: int, packet: int) -> None:
        """n bytes of the body are missing."""
        state = self._bodies[side]
        assert state is not None
        state.missing += n
        if state.head.form or self._services.looks_at_all:
            state.packet = packet
            if state.sink is None:
                state.sink = self._services.open_body(state.head, state)
            state.sink.gap(n)

    def _repeats(self, head: ResponseHead, data: bytes) -> bool:
        """Whether what a small body holds is kept, or worth it: it came before."""
        services = self._services
        if len(data) > SMALL_ANSWER or services.by_exchange or (data[:1] in MAY_BEGIN_JSON and not head.form):
            return False
        heads = services.heads
        return (head, data) in heads.answers or heads.comes_again(head, data)

    def body_whole(self, side: int, message: HeadRead, data: bytes, packet: int, ts: int) -> None:
        """The whole body of a message; packet and time (ns) of its last byte."""
        services = self._services
        head = message.head
        if type(head) is not ResponseHead or not self._repeats(head, data):
            state = self._body(side, message, "length")
            state.bytes, state.packet = len(data), packet
            if not (head.form or head.codings or services.sniffs):
                state.begins = data[:BEGINS_BYTES]
            found = services.whole_body(data, head, state) if data and (head.form or services.looks_at_all) else None
            self._body_over(side, state, found, "complete", packet, ts)
            return
        # answers repeat as heads do: what a small body holds, and the response as it is written, are kept
        known = services.heads.answers.get((head, data))
        if known is None:
            state = self._body(side, message, "length")
            looked_at = services.whole_body(data, head, state) if data and (head.form or services.looks_at_all) else None
            if looked_at is not None and type(looked_at) is not JsonBody:
                state.bytes = len(data)
                self._body_over(1, state, looked_at, "complete", packet, ts)
                return
            known = small_answer(head, data, looked_at)
            if not services.heads.keep_answer(head, data, known):
                services.body("complete")
                if looked_at is not None:
                    services.held(looked_at)
        known.uses += 1
        exchange = self.answering
        assert exchange is not None
        exchange.response_bytes = len(data)
        if known.json is not None and is_broken(known.json):
            exchange.troubles += (Trouble(1, "complete", "broken_json", known.json.error),)
        if known.json is not None and services.json_alone:
            self._json_record("server", "http-response", exchange, known.json, message.ts, packet)
        self.answered(exchange, known.response, packet, ts)

    def trailer(self, side: int, line: bytes) -> None:
        """A field behind the body."""
        state = self._bodies[side]
        assert state is not None
        if len(state.trailer) + len(line) <= TRAILER_BYTES and self._services.ledger.http.reserve(len(line)):
            state.trailer += line

    def body_ends(self, side: int, end: BodyEnd) -> None:
        """The body is over."""
        state = self._bodies[side]
        assert state is not None
        state.refused = end.refused
        status = "dropped" if end.refused is not None else "gapped" if state.missing else "complete" if end.whole else "truncated"
        if state.sink is not None:
            state.packet = end.packet
            state.sink.finish(whole=status == "complete")
        self._body_over(side, state, state.sink, status, end.packet, end.ts)

    def _body_over(self, side: int, state: BodyState, found: BodySink | JsonBody | None, status: str, packet: int, ts: int) -> None:
        services = self._services
        self._bodies[side] = None
        exchange = self.answering if side else self.asking
        assert exchange is not None
        held: JsonBody | Other | None = None
        inner: Inner | None = None
        decoded: int | None = None
        reason = state.refused.value if state.refused is not None else None
        digest: str | None = None
        if found is None:
            pass
        elif type(found) is JsonBody:
            held, decoded = found, found.bytes
        else:
            assert not isinstance(found, JsonBody)
            held, inner, decoded, drop, digest = found.found, found.inner, found.decoded_bytes, found.drop, found.sha256
            if found.operations is not None and exchange.head is not None:
                exchange.operations = found.operations
            if drop is not None:
                status = "dropped"
                reason = reason or drop.reason.value
                self.given_up(side, drop, packet, ts, state.offset, state.bytes)
        services.body(status)
        head = state.head
        if side:
            exchange.response_bytes = state.bytes
        if status != "complete":
            exchange.troubles += (Trouble(side, status),)
        if held is not None:
            if held.status == "invalid" and side and head.status == _PARTIAL_CONTENT:  # type: ignore[attr-defined]
                held.status = "partial"
                if not isinstance(held, FormBody):
                    held.error = None
            services.held(held, inner)
            exchange.troubles += tuple([Trouble(side, status, kind, error) for kind, error in broken(held)])
        elif begins_json(state.begins):
            services.not_looked_at()
        if services.wants_records:
            json, payload = (held, None) if held is None or isinstance(held, JsonBody) else (None, held)
            body = Body(
                state.framing, state.bytes, decoded, state.missing, head.content_type, head.content_encoding, status, reason, json, digest,
                head.length if state.framing == "length" else None, payload,
            )  # fmt: skip
            if json is not None and services.json_alone:
                if side:
                    self._json_record("server", "http-response", exchange, json, state.ts, packet)
                else:
                    self.later.append((packet, exchange, json, state.ts))
        else:
            body = NO_BODY
        if side:
            answer = state.head
            assert type(answer) is ResponseHead
            self.answered(exchange, answer.with_body(body, self._trailers(state)), packet, ts)
        else:
            if state.bytes or status == "complete":
                exchange.request_end = ts  # else nothing came behind its head
            self._asked(exchange, body, self._trailers(state), packet)

    def _asked(self, exchange: Exchange, body: Body, trailers: Any, packet: int) -> None:
        """Its request is complete, at that packet."""
        request = exchange.head
        assert request is not None
        exchange.request = request.with_body(body, trailers, exchange.operations)
        exchange.request_done = True
        self.asking = None
        exchange.done_packet = max(exchange.done_packet, packet)
        if exchange.response_done:
            self.tell(exchange)

    def _trailers(self, state: BodyState) -> Any:
        """Encoded; None for none."""
        if not state.trailer:
            return None
        self._services.ledger.http.release(len(state.trailer))
        return self._services.heads.rules.recorded(state.trailer)

    def _json_record(self, stream: str, source: str, exchange: Exchange, json: JsonBody, ts: int, packet: int) -> None:
        number = self._conversation.number
        if self._services.takes(number, exchange, source.removeprefix("http-")):
            self._services.json(packet, Json(number, stream, source, exchange.index, seconds(ts), *astuple(json)))

    def given_up(self, side: int, drop: Drop, packet: int, ts: int, offset: int, held: int) -> None:
        """Something of that side is, which begins at that offset of its stream; held: bytes that were."""
        client = self._conversation.client
        self._services.drop(self._conversation, 1 - client if side else client, drop, packet, ts, offset, held)

    # --- how an exchange ends

    def answered(self, exchange: Exchange, response: Response, packet: int, ts: int) -> None:
        """Its final answer is complete."""
        self.answering = self.asked = None
        exchange.response = response
        exchange.response_done = True
        exchange.done_packet = max(exchange.done_packet, packet)
        exchange.done_ts = ts
        if exchange.request_done and not exchange.expected:
            self.tell(exchange)

    def tell(self, exchange: Exchange) -> None:
        """Both sides are done, or will never come."""
        services = self._services
        wait = exchange.waited()
        if wait is not None and wait < 0:
            exchange.add_anomalies(_EARLY)
        if exchange.anomalies:
            services.anomalies(exchange.anomalies)
        if exchange.reserved or exchange.held:
            exchange.release(services.ledger.http, services.heads)
        services.exchange(self._conversation, exchange)
        if services.by_exchange:
            services.exchange_over(self._conversation, exchange, exchange.response_head, exchange.done_packet)
        if services.wants_records and services.takes(self._conversation.number, exchange):
            ends = services.ends(self._conversation)
            services.http(exchange.done_packet, http_record(self._conversation.number, exchange, ends, services.places))

    def refused(self, exchange: Exchange) -> None:
        """There is no memory for an exchange to wait in."""
        drop = Drop(DropReason.HTTP_MEMORY, *self._services.ledger.http.refusal(), "an exchange that waits for its other half")
        held = WAITING_BYTES + sum(head.cost for head in exchange.held)
        self.given_up(int(exchange.head is None), drop, exchange.packet, exchange.ts, exchange.offset, held)
