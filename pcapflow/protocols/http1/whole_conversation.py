"""A conversation that is whole and plain, read without a framer for each direction.

Contract: `take` reads a conversation from its first byte to both ends, if it is requests in one segment each, without bodies, and the answer to each, of known length, before the next one;
and nothing about them is odd. Else it reads nothing, and `HttpConnection` does, which is the meaning of it: tests hold both against each other.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.protocols.host import Host
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.flow import Flow
from pcapflow.protocols.http.message import HeadRead, RequestHead, ResponseHead
from pcapflow.protocols.http1.head import read_head
from pcapflow.protocols.http1.plain import is_usual_answer, is_usual_request
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData, StreamEnd, StreamEvent

MOST = 16
"""Exchanges; of more the columns are worth looking at (`plain`)."""
_MOST_BYTES = 64 << 10
"""Of answers, which are joined; longer ones are handed on in parts."""
_ACKED = 1 << 30
"""Bytes by which an acknowledgement may be beyond a request's beginning."""
Plain = tuple[HeadRead, HeadRead, bytes, int, int]
"""A request, its answer, the body of that, packet and time (ns) of its last byte."""


class When(NamedTuple):
    """Packets and times (ns) of a request in one segment, and of the first and the last segment of its answer."""

    asked: int
    asked_ts: int
    answered: int
    answered_ts: int
    done: int
    done_ts: int


def take_one(services: Host, conversation: Conversation, ask: bytes, said: bytes, when: When) -> bool:
    """Tell a conversation of which that is all, and which ends behind it, where it is one plain exchange; whether it is. It came in order, the request before the answer, which had seen it."""
    request = _plain_request(services, ask)
    if request is None or services.by_packet or services.by_exchange:
        return False
    response = _plain_answer(services, said, 0)
    if response is None or response[1] + response[0].length != len(said):
        return False
    head, stop = response
    asked = HeadRead(request, len(ask), 0, when.asked, when.asked_ts, -1, when.asked, when.asked_ts)
    answered = HeadRead(head, stop, 0, when.answered, when.answered_ts, -1, when.answered, when.answered_ts)
    _tell(services, Flow(services, conversation), 0, asked, answered, said[stop:], when.done, when.done_ts)
    return True


def take(services: Host, conversation: Conversation, events: Events) -> bool:
    """Read it; whether it could be."""
    if services.by_packet or services.by_exchange:
        return False
    client = conversation.client
    asks, answers = _whole(events[client]), _whole(events[1 - client])
    if (
        asks is None
        or answers is None
        or answers.length > _MOST_BYTES
        or len(asks.piece_ends()) > MOST
        or not conversation.began(1 - client)
    ):
        return False
    found = (_one if len(asks.piece_ends()) == 1 else _exchanges)(services, conversation, asks, answers)
    if found is None:
        return False
    flow = Flow(services, conversation)
    for number, (ask, answer, body, packet, ts) in enumerate(found):
        _tell(services, flow, number, ask, answer, body, packet, ts)
    conversation.readings[client].read += asks.length
    conversation.readings[1 - client].read += answers.length
    return True


def _whole(events: list[StreamEvent]) -> StreamData | None:
    """All that a direction said, in order, from its first byte to its end."""
    if len(events) != 2:
        return None
    data, end = events
    if type(data) is not StreamData or type(end) is not StreamEnd or data.start or data.waited or data.stall is not None:
        return None
    return data


def _one(services: Host, conversation: Conversation, asks: StreamData, answers: StreamData) -> list[Plain] | None:
    """The same as `_exchanges` says of a single one, which most conversations are."""
    request = _plain_request(services, asks.take(0, asks.length))
    packet, ts, ack = answers.packet(0), answers.time(0), answers.ack(0)
    if request is None or packet <= asks.packet(0) or ts < asks.time(0):
        return None
    sequence = conversation.wire_sequence(conversation.client, 0)
    if sequence is None or (ack >= 0 and not 0 < (ack - sequence) & 0xFFFFFFFF < _ACKED):
        return None
    said = answers.take(0, answers.length)
    response = _plain_answer(services, said, 0)
    if response is None or response[1] + response[0].length != answers.length:
        return None
    head, stop = response
    asked, asked_ts = asks.packet(0), asks.time(0)
    last = answers.piece(stop - 1)
    ask = HeadRead(request, asks.length, 0, asked, asked_ts, asks.ack(0), asked, asked_ts)
    answer = HeadRead(head, stop, 0, packet, ts, ack, answers.packet(last), answers.time(last))
    return [(ask, answer, said[stop:], answers.packet(-1), answers.time(-1))]


def _exchanges(services: Host, conversation: Conversation, asks: StreamData, answers: StreamData) -> list[Plain] | None:
    """What was said; None where that is for the framers to say."""
    said = answers.take(0, answers.length)
    packets, times, acks = asks.columns()
    their_packets, their_times, their_acks = answers.columns()
    ends = answers.piece_ends()
    sequence = conversation.wire_sequence(conversation.client, 0)
    found: list[Plain] = []
    at = piece = begin = 0
    """Position and piece of what is said, and position of what is asked."""
    for i, asked in enumerate(asks.piece_ends()):
        request = _plain_request(services, asks.text(i))
        if request is None or piece == len(ends) or (piece and their_packets[piece - 1] >= packets[i]):
            return None
        first, ack = piece, their_acks[piece]
        if their_packets[first] <= packets[i] or their_times[first] < times[i] or sequence is None:
            return None
        if ack >= 0 and not 0 < (ack - sequence - begin) & 0xFFFFFFFF < _ACKED:
            return None
        response = _plain_answer(services, said, at)
        if response is None:
            return None
        stop = response[1]
        end = stop + response[0].length
        while piece < len(ends) and ends[piece] < stop:
            piece += 1
        last = piece
        while piece < len(ends) and ends[piece] < end:
            piece += 1
        if piece == len(ends) or ends[piece] != end:
            return None
        ask = HeadRead(request, asked - begin, begin, packets[i], times[i], acks[i], packets[i], times[i])
        answer = HeadRead(response[0], stop - at, at, their_packets[first], their_times[first], ack, their_packets[last], their_times[last])
        found.append((ask, answer, said[stop:end], their_packets[piece], their_times[piece]))
        at, begin = end, asked
        piece += 1
    return found if at == answers.length else None


def _plain_request(services: Host, raw: bytes) -> RequestHead | None:
    """The head that these bytes are, if nothing follows it and it is no odd one."""
    head = services.heads.requests.get(raw)
    if head is None:
        if raw[:1].isspace():
            return None
        found = read_head(raw, 0, 0, client=True, simple=False, services=services)
        if type(found.head) is not RequestHead or found.stop != len(raw):
            return None
        head = found.head
    return head if is_usual_request(head) else None


def _plain_answer(services: Host, said: bytes, at: int) -> tuple[ResponseHead, int] | None:
    """The head at a position, and where it ends, if nothing is odd about it."""
    stop = said.find(b"\r\n\r\n", at) + 4
    head = services.heads.responses.get(said[at:stop])
    if head is None:
        if said[at : at + 5] != b"HTTP/":
            return None
        found = read_head(said, at, at, client=False, simple=False, services=services)
        if type(found.head) is not ResponseHead:
            return None
        head, stop = found.head, found.stop
    return (head, stop) if is_usual_answer(head) else None


def _tell(services: Host, flow: Flow, number: int, ask: HeadRead, answer: HeadRead, body: bytes, packet: int, ts: int) -> None:
    """Tell an exchange; packet and time (ns) of its last byte."""
    request, response = ask.head, answer.head
    assert type(request) is RequestHead
    assert type(response) is ResponseHead
    services.request(request.method)
    services.response(response.status_text)
    exchange = Exchange(number, ask.offset, ask.packet, ask.ts, ask.ack)
    exchange.head, exchange.request = request, request.bodiless
    exchange.request_packet, exchange.request_end = ask.packet, ask.ts
    exchange.response_packet, exchange.response_ts, exchange.response_head = answer.packet, answer.ts, response
    exchange.done_packet = ask.packet
    flow.answering, flow.asked = exchange, request
    flow.body_whole(1, answer, body, packet, ts)
