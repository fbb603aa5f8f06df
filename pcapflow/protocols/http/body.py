"""A message body under way: whose it is, and what came of it so far. Implements `BodyOrigin` for whoever looks into it."""

from __future__ import annotations

from pcapflow.protocols.host import BodySink
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import Head, RequestHead, ResponseHead


class BodyState:
    """A body that is under way: the head it follows, where its message began."""

    __slots__ = (
        "bytes",
        "connection",
        "exchange",
        "first_packet",
        "framing",
        "head",
        "missing",
        "offset",
        "packet",
        "request",
        "sink",
        "source",
        "stream",
        "ts",
    )

    def __init__(
        self,
        connection: int,
        stream: str,
        exchange: Exchange,
        request: RequestHead | None,
        head: Head,
        framing: str,
        offset: int,
        first_packet: int,
        ts: int,
    ) -> None:
        """stream: `client` or `server`; request: what it belongs to, as far as that was known when it began; offset, first_packet, ts: where and when (ns) its
        message begins.
        """
        self.first_packet = first_packet
        self.connection = connection
        self.stream = stream
        self.source = "http-request" if stream == "client" else "http-response"
        self.exchange = exchange
        self.request = request
        self.head = head
        self.framing = framing
        self.offset = offset
        self.ts = ts
        self.packet = 0
        """That brought the bytes at hand, where the services want bodies packet by packet."""
        self.bytes = 0
        self.missing = 0
        self.sink: BodySink | None = None

    @property
    def index(self) -> int:
        return self.exchange.index

    @property
    def response(self) -> ResponseHead | None:
        return self.head if type(self.head) is ResponseHead else None
