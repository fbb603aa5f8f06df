"""A message body under way: whose it is, and what came of it so far. Implements `BodyOrigin` for whoever looks into it."""

from __future__ import annotations

import re

from pcapflow.drops import DropReason
from pcapflow.protocols.host import BodySink
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import Head, HeadRead, RequestHead, ResponseHead

BEGINS_BYTES = 16
"""What of a body that says something else tells whether it begins like JSON."""
TRAILER_BYTES = 4 << 10
"""Lines of a trailer beyond that are read and not recorded."""
MAY_BEGIN_JSON = frozenset((b"{", b"[", b" ", b"\t", b"\r", b"\n"))
"""First bytes of what `begins_json` looks at."""
_JSON = re.compile(rb'[ \t\r\n]*+(?:\{[ \t\r\n]*+["}]|\[[ \t\r\n]*+[\[{"\]])')


def begins_json(begins: bytes) -> bool:
    """Whether the first bytes of a body are those of an object, or of an array of objects, arrays or strings."""
    return bool(begins) and _JSON.match(begins) is not None


class BodyState:
    """A body that is under way, and its message."""

    __slots__ = (
        "_message",
        "begins",
        "bytes",
        "connection",
        "exchange",
        "framing",
        "missing",
        "packet",
        "position",
        "refused",
        "request",
        "sink",
        "stream",
        "trailer",
    )

    def __init__(
        self, connection: int, stream: str, exchange: Exchange, request: RequestHead | None, message: HeadRead, framing: str
    ) -> None:
        """connection: its number; stream: `client` or `server`; request: what it belongs to, as far as that was known when it began."""
        self.connection = connection
        self.stream = stream
        self.exchange = exchange
        self.request = request
        self._message = message
        self.framing = framing
        self.packet = 0
        """That brought the bytes at hand, where the services want bodies packet by packet; its last, when it is over."""
        self.position = -1
        """See `BodyOrigin`."""
        self.begins = b""
        """The first bytes of a body that nobody looks at."""
        self.bytes = 0
        self.missing = 0
        self.refused: DropReason | None = None
        """Why its framing was not followed to its end."""
        self.sink: BodySink | None = None
        self.trailer = b""
        """The lines behind it, where somebody wants them, up to `TRAILER_BYTES`."""

    @property
    def head(self) -> Head:
        """Its message's."""
        return self._message.head

    @property
    def offset(self) -> int:
        """See `BodyOrigin`."""
        return self._message.offset

    @property
    def first_packet(self) -> int:
        """See `BodyOrigin`."""
        return self._message.packet

    @property
    def ts(self) -> int:
        """See `BodyOrigin`."""
        return self._message.ts

    @property
    def source(self) -> str:
        """See `BodyOrigin`."""
        return "http-request" if self.stream == "client" else "http-response"

    @property
    def index(self) -> int:
        """See `BodyOrigin`."""
        return self.exchange.index

    @property
    def response(self) -> ResponseHead | None:
        """See `BodyOrigin`."""
        head = self.head
        return head if type(head) is ResponseHead else None
