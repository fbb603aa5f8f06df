"""HTTP exchanges whole, for the sinks that write them: with their field lists and the beginning of each body.

Contract: a `Listener`. Each sink makes one line of each exchange, which comes to it in order as an entry of its own kind. Invariant: of a body
`har_body_max_bytes` are kept, in a share of the `output` account, until its exchange is over; where that has no room the text is left out
and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pcapflow.budget import Share
from pcapflow.conditions import Conditions
from pcapflow.drops import Drop
from pcapflow.findings.ends import endpoint
from pcapflow.findings.listening import Listener, Run
from pcapflow.findings.matching import exchange_meant
from pcapflow.header_options import Headers
from pcapflow.messages import Body, Request, Response
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import Head
from pcapflow.redaction import chosen
from pcapflow.streams.conversation import Conversation
from pcapflow.whole_exchanges import BodyText, ExchangeFound, Field, MessageFound, RequestFound, ResponseFound

_SHARE = 2 << 20
"""Bytes of the bodies that are under way, and of their heads."""
_RANK = 9
_KEPT_OVERHEAD = 1400
"""A body's listener and its place, beside what is kept of the body."""


class _Kept:
    """Listens to one body: its first bytes, and what was lost of them."""

    as_sent = False

    def __init__(self, most: int, share: Share) -> None:
        """most: bytes to keep."""
        self._share = share
        self._most = most
        self._text = bytearray()
        self._size = 0
        self._notes: list[str] = []
        self._short = False
        self.reserved = _KEPT_OVERHEAD
        self._whole = False
        self._open = True

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        if not self._open:
            return
        self._size += len(data)
        room = min(self._most - len(self._text), len(data))
        if room <= 0:
            return
        if not self._share.take(room):
            self._share.short()
            self._notes.append(f"memory was short: the first {len(self._text)} bytes")
            self._short = True
            self._most = 0
            return
        self.reserved += room
        self._text += data[:room]

    def gap(self, n: int) -> None:
        """See `BodyListener`."""
        if self._open:
            self._notes.append(f"bytes are missing behind byte {self._size}")
            self._open = False

    def stop(self, drop: Drop) -> None:
        """See `BodyListener`."""
        self._notes.append(f"{drop.reason.value} at byte {self._size}")
        self._open = False

    def undecoded(self, problem: str) -> None:
        """See `BodyListener`."""
        self._notes.append(f"{problem}: these are the bytes as they were sent")

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        self._whole = whole and self._open
        if self._size > len(self._text) and not self._short:
            self._notes.append(f"the first {len(self._text)} of {self._size} bytes")

    def value(self) -> BodyText:
        """What was kept."""
        return BodyText(bytes(self._text), self._size, self._notes, self._whole)


class Exchanges(Listener):
    """One run's."""

    by_exchange = True
    looks_at_all = True
    keeps_heads = True

    def __init__(self, makers: Mapping[str, Callable[[ExchangeFound], bytes]], headers: Headers, where: Conditions | None = None) -> None:
        """makers: what makes a line of an exchange, by the kind of its entries; headers: whether secrets are shown; where: which exchanges, None for all."""
        self._where = where
        self._makers = makers
        self._all = Headers("all", secrets=headers.secrets)
        self._bodies: dict[tuple[object, str], _Kept] = {}

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run
        self._share = Share(run.ledger, _SHARE)

    def close(self) -> None:
        """See `Listener`."""
        self._share.close()

    def body(self, head: Head, origin: BodyOrigin) -> _Kept | None:
        """See `Listener`. Nobody where the share has no room."""
        if not self._share.take(_KEPT_OVERHEAD):
            self._share.short()
            return None
        kept = self._bodies[origin.exchange, origin.stream] = _Kept(self._run.limits.har_body_max_bytes, self._share)
        return kept

    def exchange_over(self, conversation: Conversation, exchange: object, response: Head | None, packet: int) -> None:
        """See `Listener`."""
        assert isinstance(exchange, Exchange)
        connection = conversation.number
        asked, answered = (self._bodies.pop((exchange, side), None) for side in ("client", "server"))
        if self._where is None or exchange_meant(self._where, connection, exchange):
            found = _found(conversation, exchange, (asked, answered), self._all)
            for kind, make in self._makers.items():
                self._run.entry(packet, connection, kind, make(found), _RANK, exchange.index)
        for kept in (asked, answered):
            if kept is not None:
                self._share.give(kept.reserved)


def _found(conversation: Conversation, exchange: Exchange, bodies: tuple[_Kept | None, _Kept | None], headers: Headers) -> ExchangeFound:
    asked, answered = bodies
    head, answer = exchange.head, exchange.response_head
    request = (
        RequestFound(head.method, head.target, head.host, _message(head, exchange.request, asked, headers)) if head is not None else None
    )
    response = None
    if answer is not None:
        response = ResponseFound(answer.status, answer.reason, _message(answer, exchange.response, answered, headers))
    server = endpoint(conversation.endpoints[1 - conversation.client])
    times = (exchange.ts, exchange.request_end, exchange.response_ts, exchange.done_ts)
    return ExchangeFound(conversation.number, server, times, exchange.resynchronised, exchange.anomalies, request, response)


def _message(head: Head, record: Request | Response | None, kept: _Kept | None, headers: Headers) -> MessageFound:
    return MessageFound(
        head.version,
        [Field(name, value or "") for name, value in chosen(headers, head.header_list())],
        len(head.raw),
        head.content_type,
        bool(head.codings),
        _body(record),
        kept.value() if kept is not None else None,
    )


def _body(message: Request | Response | None) -> Body | None:
    """A message's body; None where it has none (its record is encoded already then, see `message.encoded`)."""
    return message.body if isinstance(message, Request | Response) else None
