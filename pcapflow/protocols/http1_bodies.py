"""A message body under way: whose it is, and what came of it so far. Implements `BodyOrigin` for whoever looks into it."""

from __future__ import annotations

from pcapflow.protocols.host import BodySink
from pcapflow.protocols.http1_framer import Framer
from pcapflow.protocols.http1_head import Head, RequestHead, ResponseHead
from pcapflow.protocols.http1_pairs import Exchange


class BodyState:
    """A body that is under way: the head it follows, where its message began."""

    __slots__ = (
        "_exchange",
        "_framer",
        "bytes",
        "connection",
        "framing",
        "head",
        "missing",
        "offset",
        "request",
        "sink",
        "source",
        "stream",
        "ts",
    )

    def __init__(
        self, framer: Framer, exchange: Exchange, head: Head, framing: str, offset: int, ts: int, request: RequestHead | None
    ) -> None:
        """request: what it belongs to, as far as that was known when it began."""
        self.request = request
        self._framer = framer
        self._exchange = exchange
        self.connection = framer.conversation.number
        self.stream = framer.side
        self.source = "http-request" if framer.side == "client" else "http-response"
        self.head = head
        self.framing = framing
        self.offset = offset
        self.ts = ts
        self.bytes = 0
        self.missing = 0
        self.sink: BodySink | None = None

    @property
    def exchange(self) -> Exchange:
        return self._exchange

    @property
    def index(self) -> int:
        return self._exchange.index

    @property
    def response(self) -> ResponseHead | None:
        return self.head if type(self.head) is ResponseHead else None

    @property
    def packet(self) -> int:
        return self._framer.packet
