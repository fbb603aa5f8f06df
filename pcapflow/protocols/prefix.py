"""What comes before another protocol on one connection: a header, or a short conversation that opens the way to it.

Contract: a `Prefix` takes what both sides say until its end, says what it knows (`proxied`), and hands on all that follows, in the order of packets. What the sides say there decides
how it is read, never the blocks it came in. Invariant: kept is at most KEPT_BYTES of each direction; PREFIX_BYTES are reserved for it in the `http` account until the connection is over.
"""

from __future__ import annotations

from typing import ClassVar

from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Found, Switch, in_order, skip_until, skipped, unread_all, unread_events
from pcapflow.records import Proxied
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData, StreamEnd, StreamEvent, Where, place
from pcapflow.unread import Unread, UnreadReason

KEPT_BYTES = 600
"""Of a direction, before the other protocol: no message that is read here is longer (SOCKS 5, a name and a password: 513 bytes)."""
PREFIX_BYTES = 2 * KEPT_BYTES + 1024


class BrokenPrefixError(Exception):
    """What a side says does not belong there."""


class Side:
    """One direction, until the other protocol begins in it."""

    __slots__ = ("done", "kept", "skips", "where")

    def __init__(self) -> None:
        self.kept = b""
        """What came and is not read yet."""
        self.where: Where | None = None
        """The place of its first byte."""
        self.skips = 0
        """How many bytes of the message at hand are to come that say nothing that is wanted."""
        self.done = False
        """What follows that is the other protocol's."""


class Prefix:
    """One conversation. A subclass reads the messages."""

    name: ClassVar[str]
    broken: ClassVar[UnreadReason]
    """Why bytes are not read that do not belong into its messages."""

    __slots__ = ("_broken", "_conversation", "_elsewhere", "_reserved", "_services", "_told", "client", "proxied", "server", "unsupported")

    def __init__(self, services: Host, conversation: Conversation) -> None:
        self._services = services
        self._conversation = conversation
        self.client, self.server = Side(), Side()
        self.proxied: Proxied | None = None
        self.unsupported = False
        """What follows is of no protocol that is read."""
        self._reserved = services.ledger.http.reserve(PREFIX_BYTES)
        self._broken = self._elsewhere = False
        self._told = False
        """That there was no memory."""

    @property
    def protocol(self) -> str:
        """See `Layer`."""
        return "opaque" if self._elsewhere or (self._broken and self.broken is UnreadReason.UNKNOWN_PROTOCOL) else self.name

    def take_message(self, *, client: bool) -> int:
        """How long the message is that begins what is kept of that side, where enough of it is there to be read; 0 where more is needed, or it is the
        other's turn. Sets `done` where the other protocol follows it. Raises `BrokenPrefixError`.
        """
        raise NotImplementedError

    def begin(self, found: Found) -> Switch | None:
        """See `Layer`."""
        services, conversation = self._services, self._conversation
        conversation.claim_client(found.direction, "content")
        if conversation.client != found.direction:
            # the client begins, and this is the server: it only looks like it
            self._elsewhere = True
            unread_all(services, conversation, found, UnreadReason.UNKNOWN_PROTOCOL)
            return None
        events: list[list[StreamEvent]] = [[], []]
        rest: Events = ([], [])
        for d in (found.direction, 1 - found.direction):
            opening = found.openings[d]
            if opening.searching or opening.passed:
                skipped(services, conversation, found, d)
                events[d] = skip_until(services, conversation, d, opening.events, found.packet - (d == found.direction))
            else:
                skipped(services, conversation, found, d, len(opening.stash) if self._reserved else 0)
                events[d] = opening.events
                for data in opening.kept() if self._reserved else ():
                    self._take(d, data, found.packet, rest)
        return self.consume(([*rest[0], *events[0]], [*rest[1], *events[1]]))

    def consume(self, events: Events) -> Switch | None:
        """See `Layer`."""
        services, conversation = self._services, self._conversation
        if self._elsewhere:
            unread_events(services, conversation, events, UnreadReason.UNKNOWN_PROTOCOL)
            return None
        if self._reserved and not (self._over(self.client) and self._over(self.server)):
            events = self._behind(events)
        if not self._reserved:
            self._refused(events)
            unread_events(services, conversation, events, UnreadReason.LIMIT_REACHED)
            return None
        if self.unsupported:
            unread_events(services, conversation, events, UnreadReason.NOT_SUPPORTED, self.name)
            return None
        return Switch(events, known=False, begun=0)

    @staticmethod
    def _over(side: Side) -> bool:
        return side.done and not side.skips

    def _refused(self, events: Events) -> None:
        """There is no memory, which is said once, at the first bytes that are not read."""
        services, conversation = self._services, self._conversation
        for d in (0, 1) if not self._told else ():
            for event in events[d]:
                if isinstance(event, StreamData) and not self._told:
                    self._told = True
                    drop = Drop(
                        DropReason.HTTP_MEMORY, *services.ledger.http.refusal(), f"what stands before another protocol ({self.name})"
                    )
                    services.drop(conversation, d, drop, event.packet(0), event.time(0), event.start, PREFIX_BYTES)

    def _behind(self, events: Events) -> Events:
        """What of the events is not of the prefix."""
        rest: tuple[list[StreamEvent], list[StreamEvent]] = ([], [])
        for direction, event in in_order(events):
            side = self._side(direction)
            if self._over(side):
                rest[direction].append(event)
            elif isinstance(event, StreamData):
                self._take(direction, event, event.packet(0), rest)
            else:
                # no more of it comes: what the other side said meanwhile may be anything
                other = self._side(1 - direction)
                rest[1 - direction].extend(_as_event(other.kept, other.where, event.packet))
                other.kept = b""
                whole = isinstance(event, StreamEnd) and event.kind == "fin"
                self._end(UnreadReason.MALFORMED if whole else UnreadReason.BEHIND_LOSS)
                rest[direction].append(event)
        return rest

    def _side(self, direction: int) -> Side:
        return self.client if direction == self._conversation.client else self.server

    def _take(self, direction: int, data: StreamData, packet: int, rest: Events) -> None:
        """A segment of a direction; packet: up to which it is known what was said."""
        side = self._side(direction)
        at = 0
        while at < data.length and (side.skips or not side.done):
            if side.skips:
                n = min(side.skips, data.length - at)
                side.skips -= n
                self._conversation.readings[direction].read += n
            else:
                n = min(KEPT_BYTES - len(side.kept), data.length - at)
                if not n:
                    # it says more than a prefix has before the other side has said what it means
                    self.unsupported = True
                    self._end(UnreadReason.NOT_SUPPORTED)
                    break
                if not side.kept:
                    side.where = place(data, at)
                side.kept += data.take(at, n)
                self._read(packet, rest)
            at += n
        if at < data.length:
            rest[direction].append(data.after(at))

    def _read(self, packet: int, rest: Events) -> None:
        """All messages that are whole, of both sides, as that packet told."""
        client = self._conversation.client
        sides = ((client, self.client), (1 - client, self.server))
        again = True
        while again:
            again = False
            for direction, side in sides:
                if not side.kept or side.done:
                    continue
                try:
                    n = self.take_message(client=side is self.client)
                except BrokenPrefixError:
                    self._broken = True
                    self._end(self.broken)
                    return
                if n:
                    again = True
                    self._advance(direction, side, n)
        for direction, side in sides:
            if side.done and side.kept:
                rest[direction].extend(_as_event(side.kept, side.where, packet))
                side.kept = b""

    def _advance(self, direction: int, side: Side, n: int) -> None:
        """A message of n bytes was read, of which the last may be still to come."""
        here = min(n, len(side.kept))
        side.skips = n - here
        self._conversation.readings[direction].read += here
        side.kept = side.kept[here:]
        if side.where is not None:
            side.where = side.where._replace(offset=side.where.offset + here)

    def _end(self, reason: UnreadReason) -> None:
        """Nothing more is read here: what follows may be anything. reason: why what is kept is not read."""
        client = self._conversation.client
        for direction, side in ((client, self.client), (1 - client, self.server)):
            if side.kept and side.where is not None:
                name = self.name if reason is UnreadReason.NOT_SUPPORTED else None
                told = Unread(reason.value, name, len(side.kept), side.where.offset, side.where.packet)
                self._services.unread(self._conversation, direction, told)
            side.kept = b""
            side.skips = 0
            side.done = True

    def finish(self, packet: int) -> None:
        """See `Layer`."""
        self._end(UnreadReason.BEHIND_LOSS)
        if self._reserved:
            self._reserved = False
            self._services.ledger.http.release(PREFIX_BYTES)


def _as_event(data: bytes, where: Where | None, packet: int) -> list[StreamData]:
    """Bytes that were kept, as the stream said them from that place on, handed on at that packet."""
    if not data or where is None:
        return []
    return [
        StreamData(memoryview(data), where.offset, len(data), [0], [len(data)], [packet], [where.ts], [where.ack], None, [where.packet])
    ]
