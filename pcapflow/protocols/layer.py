"""What a protocol is to the rest of the house: a factory that knows its beginnings, and layers that take a conversation's events.

Contract: a factory's `probe` and `resume` look at bytes and keep nothing; `open` makes the layer of one conversation. A layer takes events of both
directions up to the same packet and returns what is not its own (`Switch`). It never raises for what the wire said. Invariant: a layer sees streams;
that they are TCP's, or lie in another layer, it does not know.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from pcapflow.protocols.host import Host
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData, StreamEvent, Where
from pcapflow.unread import Unread, UnreadReason


def behind(events: list[StreamEvent], packet: int) -> list[StreamEvent]:
    """What of the events came in later packets."""
    found: list[StreamEvent] = []
    for event in events:
        if isinstance(event, StreamData):
            i = bisect_right(event.columns()[0], packet)
            if i < len(event.piece_ends()):
                found.append(event.after(event.piece_ends()[i - 1] if i else 0))
        elif event.packet > packet:
            found.append(event)
    return found


def before(events: list[StreamEvent], packet: int) -> list[StreamEvent]:
    """What of the events came in earlier packets."""
    found: list[StreamEvent] = []
    for event in events:
        if isinstance(event, StreamData):
            i = bisect_left(event.columns()[0], packet)
            if i:
                found.append(event.until(event.piece_ends()[i - 1]))
        elif event.packet < packet:
            found.append(event)
    return found


def in_order(events: Events) -> Iterator[tuple[int, StreamEvent]]:
    """Segments, gaps and ends of both directions in the order of their packets."""
    split: list[tuple[int, int, StreamEvent]] = []
    for d in (0, 1):
        for event in events[d]:
            if isinstance(event, StreamData):
                split += [(piece.packet(0), d, piece) for piece in event.pieces()]
            else:
                split.append((event.packet, d, event))
    split.sort(key=lambda found: found[:2])
    return ((d, event) for _, d, event in split)


class Came(NamedTuple):
    """Bytes of a stream that came: how many, the offset of the first, and the packet that brought it."""

    bytes: int
    offset: int
    packet: int


class Opening(NamedTuple):
    """One direction of a conversation, when it is found out what that speaks."""

    stash: bytes
    """What came before `events` and was kept."""
    pieces: array[int]
    """Of the segments that brought it: where each ends in it, delivering packet, time (ns), acknowledgement number and carrying packet, one after the other."""
    where: Where | None
    """The place of the first byte of that; None for nothing."""
    seen: int
    """When the kept bytes had come (ns)."""
    waited: int
    """When the latest of them was captured that waited behind a hole (ns); 0 for none."""
    messages: dict[str, tuple[int, Where]]
    """Of a stream whose beginning was missed: by form, where in the kept bytes a segment begins with it."""
    events: list[StreamEvent]
    """What follows the kept bytes, up to the packet at hand."""
    searching: bool
    """Its beginning was missed: what came before was looked at, segment by segment."""
    passed: bool
    """What came before was looked at and is of no protocol."""
    came: Came
    """All that came before `events`."""

    def kept(self) -> list[StreamData]:
        """What was kept, as the stream said it."""
        if not self.stash or self.where is None:
            return []
        ends, packets, times, acks, origins = (self.pieces[k::5].tolist() for k in range(5))
        waited = origins if origins != packets else None
        begins = [0, *ends[:-1]]
        return [StreamData(memoryview(self.stash), self.where.offset, len(self.stash), begins, ends, packets, times, acks, ends, waited)]


class Found(NamedTuple):
    """A direction showed what it speaks."""

    form: str
    """See `LayerFactory.forms`."""
    direction: int
    packet: int
    """The packet whose bytes showed it."""
    offset: int
    """The stream offset at which a search found it; that of its first byte where nothing was searched."""
    openings: tuple[Opening, Opening]
    """By direction."""


def unread_came(
    services: Host, conversation: Conversation, direction: int, came: Came, reason: UnreadReason, name: str | None = None
) -> None:
    """What came of a direction is not read."""
    if came.bytes > 0:
        services.unread(conversation, direction, Unread(reason.value, name, *came))


def skipped(services: Host, conversation: Conversation, found: Found, direction: int, taken: int = 0) -> None:
    """Of what came of a direction before it was found out what it speaks, so many bytes are taken up; the rest are not read."""
    came = found.openings[direction].came
    unread_came(services, conversation, direction, came._replace(bytes=came.bytes - taken), UnreadReason.BEFORE_PROTOCOL)


def skip_until(services: Host, conversation: Conversation, direction: int, events: list[StreamEvent], packet: int) -> list[StreamEvent]:
    """What of the events came in packets after that one; what came before is not read."""
    for event in events:
        if isinstance(event, StreamData):
            i = bisect_right(event.columns()[0], packet)
            if i:
                told = Unread(UnreadReason.BEFORE_PROTOCOL.value, None, event.piece_ends()[i - 1], event.start, event.packet(0))
                services.unread(conversation, direction, told)
    return behind(events, packet)


def unread_all(services: Host, conversation: Conversation, found: Found, reason: UnreadReason, name: str | None = None) -> None:
    """Nobody reads what came, before it was found out what it is and since."""
    for direction in (0, 1):
        unread_came(services, conversation, direction, found.openings[direction].came, reason, name)
    unread_events(services, conversation, (found.openings[0].events, found.openings[1].events), reason, name)


def unread_events(services: Host, conversation: Conversation, events: Events, reason: UnreadReason, name: str | None = None) -> None:
    """Nobody reads these events."""
    for direction in (0, 1):
        for event in events[direction]:
            if type(event) is StreamData:
                services.unread(conversation, direction, Unread(reason.value, name, event.length, event.start, event.packet(0)))


class Switch(NamedTuple):
    """Another protocol begins behind a layer's own."""

    events: Events
    """What is not the layer's, of the events it was given."""
    known: bool
    """The layer has said what it is; else that is to be found out."""
    begun: int
    """Exchanges of the connection that began before."""


class Layer(Protocol):
    """One conversation in one protocol."""

    @property
    def protocol(self) -> str:
        """What the connection record calls it."""
        ...

    def begin(self, found: Found) -> Switch | None:
        """The first events, and what came before them. Not called where the factory was asked at once: `consume` is then the first."""
        ...

    def consume(self, events: Events) -> Switch | None:
        """The next events of both directions, up to the same packet."""
        ...

    def finish(self, packet: int) -> None:
        """Both streams ended, at that packet: nothing more comes. Gives all memory back."""
        ...


class LayerFactory(Protocol):
    """A protocol."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def reads(self) -> str:
        """What is read of it, in few words."""
        ...

    @property
    def failed(self) -> str:
        """The form that says that it could not tell; one that always can has none of that name among its `forms`."""
        ...

    @property
    def patient(self) -> bool:
        """Whether it is waited for in the middle of a stream, where a search would go on without it."""
        ...

    @property
    def first_bytes(self) -> frozenset[int] | None:
        """What a stream of it may begin with; None for anything. `probe` is not asked about others, of which it says that they are none of its own."""
        ...

    @property
    def from_start(self) -> bool:
        """Whether its beginning says so little that it is believed at the first byte of a stream alone."""
        ...

    @property
    def forms(self) -> tuple[str, ...]:
        """What `probe` may answer: what a stream of it begins with, such as a request or a response."""
        ...

    @property
    def resumes(self) -> tuple[str, ...]:
        """Those of them that a search may find in the middle of a stream."""
        ...

    @property
    def asks(self) -> str:
        """The form with which a client begins whose server says nothing before; empty where that needs more than the first segment."""
        ...

    def probe(self, first: bytes | bytearray) -> str | None:
        """The form of the stream that begins with these bytes; empty for none of this protocol's, None where more are needed. It decides within 256
        bytes, or when a line ends; what it says of some bytes it says of every continuation of them.
        """
        ...

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """The first position from `position` on, before stop, at which a segment begins with that form; the length where none does."""
        ...

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> Layer:
        """The layer of a conversation. found: None where its client began with `asks` and nothing came before. begun: exchanges of the connection that
        began before.
        """
        ...
