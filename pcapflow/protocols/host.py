"""What the protocols stage needs from whoever runs it. Values go in, nothing is read or written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody, Other
from pcapflow.counting import Inner
from pcapflow.drops import Drop
from pcapflow.fields import Ends
from pcapflow.limits import Limits
from pcapflow.protocols.http.cache import Heads
from pcapflow.protocols.http.exchange import Exchange, Places
from pcapflow.protocols.http.message import Head, HeadRead, RequestHead, ResponseHead
from pcapflow.protocols.http.plain_run import PlainRun
from pcapflow.records import Http, Json
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import StreamData, StreamGap, Where
from pcapflow.unread import Unread


class BodySink(Protocol):
    """Takes the bytes of one body that somebody wants to look into."""

    decoded_bytes: int | None
    drop: Drop | None
    found: JsonBody | Other | None
    """What it held."""
    inner: Inner | None
    """What was within that."""
    operations: list[str] | None
    """What a request asks for by GraphQL or JSON-RPC."""
    sha256: str | None

    def feed(self, data: bytes) -> None:
        """The next bytes, as they were sent."""
        ...

    def gap(self, n: int) -> None:
        """n bytes are missing here."""
        ...

    def finish(self, *, whole: bool) -> None:
        """The body is over; whole: all of its bytes came. The attributes say what was found then."""
        ...


class BodyOrigin(Protocol):
    """Whose bytes a sink gets."""

    @property
    def connection(self) -> int:
        """The connection's number."""
        ...

    @property
    def stream(self) -> str:
        """`client` or `server`: who sent it."""
        ...

    @property
    def source(self) -> str:
        """`http-request`, `http-response` or `raw`."""
        ...

    @property
    def offset(self) -> int:
        """Stream offset of the message's first byte."""
        ...

    @property
    def first_packet(self) -> int:
        """The packet that brought it."""
        ...

    @property
    def ts(self) -> int:
        """Time (ns) of the message's first byte, or the stream's."""
        ...

    @property
    def index(self) -> int | None:
        """The exchange's on its connection; None for a raw stream."""
        ...

    @property
    def exchange(self) -> object:
        """What `Host.exchange_over` will be told is over."""
        ...

    @property
    def request(self) -> RequestHead | None:
        """The request that it is or answers, where that came before it."""
        ...

    @property
    def head(self) -> Head | None:
        """Its message's; None for a raw stream."""
        ...

    @property
    def response(self) -> ResponseHead | None:
        """The response whose body it is; None for a request's."""
        ...

    @property
    def packet(self) -> int:
        """The packet that brought the bytes at hand, where `Host.by_packet` is set."""
        ...

    @property
    def position(self) -> int:
        """The stream offset of the first of them, where `Host.by_packet` is set and they are a message's."""
        ...


Resume = Callable[[str, StreamData, int, int], int]
"""See `LayerFactory.resume`."""


class FirstBytes(Protocol):
    """What a stream may begin with."""

    @property
    def resumed(self) -> Sequence[tuple[str, Resume]]:
        """What a search may find in the middle of a stream, and how (`LayerFactory.resume`)."""
        ...

    def protocol_of(self, form: str) -> str:
        """The name of the protocol with that form."""
        ...

    def classify(self, first: bytes | bytearray) -> str | None:
        """The form of the stream that begins with these bytes (`LayerFactory.forms`); empty for none, None where more are needed."""
        ...

    def telling_piece(self, stash: bytes, data: StreamData) -> int:
        """The piece of data whose bytes, behind those that came before, tell what the stream is."""
        ...


class Host(Protocol):
    """The run, as the protocols see it."""

    limits: Limits
    ledger: Ledger
    wants_records: bool
    json_alone: bool
    """Whether somebody takes records of JSON beside their exchanges'."""
    heads: Heads
    looks_at_all: bool
    """Whether bodies are looked at whose type says no JSON."""
    sniffs: bool
    """Whether that is for the sake of JSON."""
    by_packet: bool
    """Whether sinks get each packet's bytes by themselves, and the server's before the client's of the same block: it settles an exchange's index."""
    by_exchange: bool
    """Whether somebody keeps what belongs to an exchange until it is over: every body is opened for its own, and the end is told."""

    tells_heads: bool
    """Whether somebody wants each head as it comes."""

    @property
    def forms(self) -> FirstBytes:
        """What a stream may begin with."""
        ...

    def open_body(self, head: Head, origin: BodyOrigin) -> BodySink:
        """A sink for the body behind that head."""
        ...

    def open_raw(self, form: str, origin: BodyOrigin) -> BodySink:
        """A sink for a stream that is nothing but JSON: `raw`, or `json-seq` for messages that a separator parts."""
        ...

    def whole_body(self, data: bytes, head: Head, origin: BodyOrigin) -> BodySink | JsonBody:
        """What a body holds that is there at once: the answer, or a finished sink."""
        ...

    def head(self, connection: int, side: int, read: HeadRead) -> None:
        """A head came, of side 0 for the client's; nothing that it is about came before."""
        ...

    def request(self, method: str) -> None:
        """A request head was seen."""
        ...

    def response(self, status: str) -> None:
        """A response head was seen, interim ones too."""
        ...

    @property
    def places(self) -> Places:
        """Where packets lie."""
        ...

    def ends(self, conversation: Conversation) -> Ends:
        """Who speaks, for records; the client is known."""
        ...

    def anomalies(self, names: list[str]) -> None:
        """An exchange ended that had these."""
        ...

    def exchange(self, conversation: Conversation, exchange: Exchange) -> None:
        """Nothing more comes of an exchange."""
        ...

    def exchanges(self, conversation: Conversation, run: PlainRun) -> None:
        """The same of many, their heads, bodies and records included; nothing else is told of them."""
        ...

    def exchange_over(self, conversation: Conversation, exchange: object, response: Head | None, packet: int) -> None:
        """Nothing more comes of an exchange, as that packet told; response: the final answer's head."""
        ...

    def body(self, status: str) -> None:
        """A message body ended with that status."""
        ...

    def held(self, found: JsonBody | Other, inner: Inner | None = None) -> None:
        """A body ended that held that, and inner within it."""
        ...

    def not_looked_at(self) -> None:
        """A body ended that begins like JSON and was not looked at."""
        ...

    def takes(self, connection: int, exchange: Exchange, side: str = "") -> bool:
        """Whether an exchange that is over has a record. side: `request` or `response` of one that goes on, whose body is over."""
        ...

    def http(self, packet: int, record: Http) -> None:
        """An exchange is over, at that packet."""
        ...

    def json(self, packet: int, record: Json) -> None:
        """A body of JSON, or a stream of it, is over, at that packet."""
        ...

    def plugin(self, conversation: Conversation, direction: int, name: str, fields: bytes, at: Where, packet: int) -> None:
        """A message of a plug-in's protocol, which begins at that place and ends with that packet; fields: what it says of it, a JSON object."""
        ...

    def gap(self, conversation: Conversation, direction: int, gap: StreamGap) -> None:
        """Bytes of a stream are missing."""
        ...

    def unread(self, conversation: Conversation, direction: int, unread: Unread) -> None:
        """Bytes of a stream are not read."""
        ...

    def drop(self, conversation: Conversation, direction: int, drop: Drop, packet: int, ts: int, offset: int, held: int) -> None:
        """Something of a stream is given up, which begins at that offset, as that packet and time (ns) told; held: bytes that were."""
        ...
