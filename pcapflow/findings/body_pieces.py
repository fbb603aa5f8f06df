"""The bodies that a user wants, as they come out of their codings, for `pcapflow bodies`.

Contract: a `Listener`; what it finds are entries of the kind BODY (`body_entries`), in the order of the packets that brought the bytes. Invariant: no byte is kept; what stands for a body that
is under way, or whose exchange is, is reserved in the `output` account.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from pcapflow.body_entries import BEGINS, BODY, BYTES, ENDS, OVER, PIECE, ZEROS, Begun, BodyFound, Over, Step
from pcapflow.conditions import Conditions
from pcapflow.contents import broken, broken_at, invalid_json
from pcapflow.drops import Drop, DropReason
from pcapflow.endpoint_names import whole_url
from pcapflow.findings.listening import Listener, Run
from pcapflow.findings.matching import body_taken, exchange_taken
from pcapflow.messages import Body, Request, Response
from pcapflow.payload.pretty import Pretty
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import Head, RequestHead
from pcapflow.records import seconds
from pcapflow.streams.conversation import Conversation

_RANK, _RANK_OVER = 2, 9
"""Of what one packet completes; the server's comes after the client's, the end of the exchange behind both."""
_BODY_BYTES = 1600
"""What stands for a body, with its hash, beside the texts that its message's head has."""
_URL_SHOWN = 200
_JSON_FORMS = ("json", "ndjson")
_encode = msgspec.json.Encoder().encode


class Wanted(NamedTuple):
    """Which bodies, and how."""

    where: Conditions = Conditions()
    as_sent: bool = False
    """Content codings and all."""
    gaps: str = "cut"
    """What becomes of a body with missing bytes: `cut` there, `fill` with zeros, `refuse`."""
    pretty: bool = False
    """JSON with a line for each value."""


class BodyPieces(Listener):
    """One run's."""

    by_packet = True
    by_exchange = True
    looks_at_all = True

    def __init__(self, what: Wanted) -> None:
        self._what = what
        self._count = 0
        self._open: dict[tuple[object, str], _Sent] = {}

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run
        self._most = run.limits.bodies_max_bytes
        self.fill_bytes = run.limits.gap_fill_max_bytes
        self._given = 0
        self._until = 0
        """Where more was given than is wanted in all: the last packet of it. What lies behind is not given on, since whoever puts all shards' in order has enough before."""
        self._last = 0

    def body(self, head: Head, origin: BodyOrigin) -> _Sent | None:
        """See `Listener`."""
        what = self._what
        taken = body_taken(what.where, origin)
        if taken is False:
            return None
        account = self._run.ledger.output
        if not account.reserve(_BODY_BYTES):
            drop = Drop(DropReason.CONTENT_MEMORY, *account.refusal(), "what stands for a body that is given out")
            self._run.given_up(origin, drop, 0)
            return None
        self._count += 1
        decided = taken is True and what.gaps != "refuse"
        sent = self._open[origin.exchange, origin.stream] = _Sent(self, self._count, head, origin, what)
        request = origin.request
        begun = Begun(
            origin.index,
            origin.source.removeprefix("http-"),
            origin.response.status if origin.response is not None else None,
            head.content_type,
            whole_url(request.method, request.target, request.host)[:_URL_SHOWN] if request is not None else None,
            decided,
        )
        self.step(sent, BEGINS, _encode(begun))
        return sent

    def exchange_over(self, conversation: Conversation, exchange: object, response: Head | None, packet: int) -> None:
        """See `Listener`."""
        assert isinstance(exchange, Exchange)
        for stream, record in (("client", exchange.request), ("server", exchange.response)):
            sent = self._open.pop((exchange, stream), None)
            if sent is not None:
                body = record.body if isinstance(record, Request | Response) else None
                self._over(sent, exchange_taken(self._what.where, exchange), exchange.head, body, packet)

    def close(self) -> None:
        """See `Listener`. Of an exchange that was given up nobody said that it is over."""
        for sent in self._open.values():
            self._over(sent, not self._what.where.needs_end, sent.origin.request, None, sent.packet)
        self._open.clear()

    def step(self, sent: _Sent, kind: bytes, said: bytes = b"", packet: int | None = None) -> None:
        """Give it on: at the packet at hand, or at that one."""
        origin = sent.origin
        at = origin.packet if packet is None else packet
        sent.packet = max(sent.packet, at)
        rank = _RANK_OVER if kind == OVER else _RANK
        self._run.entry(sent.packet, origin.connection, BODY, Step(kind, sent.number, said).packed(), rank + (origin.stream == "server"))

    def has_room(self, n: int, packet: int) -> bool:
        """Whether so many bytes, which that packet brought, may still be wanted."""
        self._last = max(self._last, packet)
        if self._until:
            return packet <= self._until
        self._given += n
        if self._given > self._most:
            self._until = self._last
        return True

    def _over(self, sent: _Sent, taken: bool, head: RequestHead | None, body: Body | None, packet: int) -> None:  # noqa: FBT001
        origin = sent.origin
        left_out = "gapped" if sent.gapped and self._what.gaps == "refuse" else None
        found = BodyFound(
            origin.connection,
            origin.index,
            origin.source.removeprefix("http-"),
            origin.first_packet,
            seconds(origin.ts),
            head.method if head is not None else None,
            whole_url(head.method, head.target, head.host) if head is not None else None,
            origin.response.status if origin.response is not None else None,
            sent.head.content_type,
            sent.head.content_encoding,
            sent.bytes,
            body.bytes if body is not None else None,
            body.missing_bytes if body is not None else sent.missing,
            body.status if body is not None else "truncated",
            body.drop_reason if body is not None else None,
            sent.said(body),
            sent.digest() if body is not None and body.status == "complete" else None,
        )
        self.step(sent, OVER, _encode(Over(taken, left_out, found)), packet)
        self._run.ledger.output.release(_BODY_BYTES)


class _Sent:
    """Listens to one body."""

    __slots__ = (
        "_cut",
        "_ends",
        "_fill",
        "_hash",
        "_note",
        "_pieces",
        "_pretty",
        "_whole",
        "as_sent",
        "bytes",
        "gapped",
        "head",
        "missing",
        "number",
        "origin",
        "packet",
    )

    def __init__(self, pieces: BodyPieces, number: int, head: Head, origin: BodyOrigin, what: Wanted) -> None:
        self._pieces = pieces
        self.number = number
        self.head = head
        self.origin = origin
        self.as_sent = what.as_sent
        self.packet = 0
        """The last at which something was given on."""
        self.bytes = self.missing = 0
        self.gapped = False
        self._fill = pieces.fill_bytes if what.gaps == "fill" and (what.as_sent or not head.codings) else 0
        """Missing bytes for which zeros may still stand."""
        self._pretty = Pretty() if what.pretty and head.form in _JSON_FORMS else None
        self._hash = hashlib.sha256()
        self._note = ""
        self._ends = "the body is left out" if what.gaps == "refuse" else "the body ends there"
        """What becomes of it at a gap that is not filled."""
        self._cut = False
        """Nothing more of it is given."""
        self._whole = False

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        if not self._cut:
            self._give(data if self._pretty is None else self._pretty.feed(data))

    def gap(self, n: int) -> None:
        """See `BodyListener`."""
        self.gapped = True
        self.missing += n
        if self._cut:
            return
        zeros = min(n, self._fill)
        self._fill -= zeros
        if zeros:
            self._zeros(zeros)
        if zeros < n:
            self._cut = True
            self._note = f"bytes are missing after byte {self.bytes:,}: {self._ends}"

    def stop(self, drop: Drop) -> None:
        """See `BodyListener`."""
        self._note = f"{drop.detail or drop.reason.sentence} ({drop.reason.value}, after {self.bytes:,} bytes)"
        self._cut = True

    def undecoded(self, problem: str) -> None:
        """See `BodyListener`."""
        self._note = f"{problem}: these are the bytes as they were sent"

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        self._whole = whole
        if self._pretty is not None and not self._cut:
            self._give(self._pretty.finish())
        self._pieces.step(self, ENDS)

    def digest(self) -> str | None:
        """Of what was given, where that is all there is."""
        return self._hash.hexdigest() if self._whole and not self._cut else None

    def said(self, body: Body | None) -> str | None:
        """What is wrong with it."""
        if self._note:
            return self._note
        if body is None:
            return "its exchange was given up, for want of memory"
        if self.gapped:
            return f"{self.missing:,} missing bytes are filled with zeros"
        if body.status != "complete":
            return f"{body.status}{f' ({body.drop_reason})' if body.drop_reason else ''}: the end of the body was not captured"
        json = body.json
        if json is not None and json.error is not None and json.status != "partial":
            return invalid_json(json.error)
        wrong = broken(body.payload) if body.payload is not None else []
        return (
            f"{wrong[0][0].replace('_', ' ').replace('yaml', 'YAML').replace('json', 'JSON')} at {broken_at(wrong[0][1])}: {wrong[0][1].message}"
            if wrong
            else None
        )

    def _give(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            piece = bytes(data[at : at + PIECE])
            self._hash.update(piece)
            self.bytes += len(piece)
            if self._pieces.has_room(len(piece), self.origin.packet):
                self._pieces.step(self, BYTES, piece)

    def _zeros(self, n: int) -> None:
        self.bytes += n
        for at in range(0, n, PIECE):
            self._hash.update(bytes(min(PIECE, n - at)))
        if self._pieces.has_room(n, self.origin.packet):
            self._pieces.step(self, ZEROS, b"%d" % n)
