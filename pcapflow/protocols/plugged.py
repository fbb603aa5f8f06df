"""Protocols of other packages as layers: they get one segment at a time, and what they raise ends one conversation.

Contract: `Plugged` makes a `LayerFactory` of a `plugins.Protocol`. Invariant: a plug-in sees the same calls whatever the blocks: segments of both directions in the order of their packets. What
waits for the end of a message is reserved in the `http` account, at most `plugin_message_max_bytes` a direction; what a plug-in looks at again is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from pcapflow import plugins
from pcapflow.drops import Drop, DropReason
from pcapflow.plugin_loading import PluginError, guarded
from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Found, Switch, behind
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData, StreamEvent, StreamGap, Where, place

_SIDES = ("client", "server")
_PLACE_BYTES = 200
"""Reserved for the place of a segment of which something waits."""
_REREADS_FREE = 1 << 20
"""Bytes that are looked at again without a limit: what comes in many small segments at the beginning is no sign."""
_FIRST = 256


class _Side:
    """One direction."""

    __slots__ = ("data", "needs", "places", "reserved", "searching")

    def __init__(self) -> None:
        self.data = bytearray()
        """What waits for the end of a message."""
        self.places: deque[Where] = deque()
        """The first byte of each segment of which something waits."""
        self.needs = 0
        """So many bytes there have to be before the plug-in is asked again."""
        self.reserved = 0
        self.searching = False
        """A segment is looked for that begins with a message."""


class PluggedLayer:
    """One conversation."""

    __slots__ = ("_came", "_conversation", "_factory", "_looked", "_plugin", "_services", "_sides")

    def __init__(self, factory: Plugged, services: Host, conversation: Conversation) -> None:
        self._factory = factory
        self._services = services
        self._conversation = conversation
        self._plugin: plugins.Conversation | None = None
        """None once nothing more is read."""
        self._sides = (_Side(), _Side())
        """By direction."""
        self._came = self._looked = 0

    @property
    def protocol(self) -> str:
        """See `Layer`."""
        return self._factory.name

    def begin(self, found: Found) -> Switch | None:
        """See `Layer`."""
        direction, form = found.direction, found.form
        if form == self._factory.failed:
            self._failed_to_probe(found)
            return None
        self._conversation.claim_client(direction if form == self._factory.forms[0] else 1 - direction, "content")
        try:
            self._plugin = guarded(self._factory.plugin.open)
        except PluginError as e:
            self._drop(direction, DropReason.PLUGIN_FAILED, str(e), found.packet, Where(found.offset, found.packet, 0, -1))
            return None
        events: list[list[StreamEvent]] = [[], []]
        for d in (direction, 1 - direction):
            opening = found.openings[d]
            side = self._sides[d]
            side.searching = opening.searching or opening.passed
            events[d] = behind(opening.events, found.packet - (d == direction)) if side.searching else opening.events
            if not side.searching and opening.stash and opening.where is not None:
                self._take(d, opening.stash, opening.where, found.packet)
        return self.consume((events[0], events[1]))

    def _failed_to_probe(self, found: Found) -> None:
        """The plug-in raised at the first bytes of a direction: say what, of the bytes up to the packet that told."""
        opening = found.openings[found.direction]
        pieces = [piece for event in opening.events if isinstance(event, StreamData) for piece in event.pieces()]
        told = [piece for piece in pieces if piece.packet(0) <= found.packet]
        first = opening.stash + b"".join(piece.take(0, piece.length) for piece in told)
        where = opening.where if opening.where is not None and opening.stash else place(pieces[0], 0)
        try:
            guarded(lambda: self._factory.plugin.probe(first))
            problem = "what it said of the first bytes changed"
        except PluginError as e:
            problem = str(e)
        self._drop(found.direction, DropReason.PLUGIN_FAILED, problem, found.packet, where)

    def consume(self, events: Events) -> Switch | None:
        """See `Layer`."""
        for direction, event in _in_order(events):
            if self._plugin is None:
                break
            if isinstance(event, StreamData):
                self._segment(direction, event)
            elif isinstance(event, StreamGap):
                self._lost(direction)
                self._tell(direction, "gap", event.packet, Where(event.start, event.packet, event.ts, -1))
            else:
                self._tell(direction, "end", event.packet, Where(event.offset, event.packet, event.ts, -1))
                self._forget(self._sides[direction])
        return None

    def _name(self, direction: int) -> str:
        return _SIDES[direction != self._conversation.client]

    def finish(self, packet: int) -> None:
        """See `Layer`."""
        self._plugin = None
        for side in self._sides:
            self._forget(side)

    # --- one direction

    def _segment(self, direction: int, data: StreamData) -> None:
        side = self._sides[direction]
        more = data.take(0, data.length)
        where = place(data, 0)
        if side.searching:
            name = self._name(direction)
            try:
                if not guarded(lambda: self._factory.plugin.resumes(name, more)):
                    return
            except PluginError as e:
                self._drop(direction, DropReason.PLUGIN_FAILED, str(e), where.packet, where)
                return
            side.searching = False
        self._take(direction, more, where, where.packet)

    def _take(self, direction: int, more: bytes, where: Where, packet: int) -> None:
        """More bytes of a direction, which begin at that place; packet: that brought them."""
        side = self._sides[direction]
        self._came += len(more)
        account = self._services.ledger.http
        cost = len(more) + _PLACE_BYTES
        if not account.reserve(cost):
            detail = f"{len(side.data) + len(more)} bytes of a message"
            self._drop(direction, DropReason.PLUGIN_MEMORY, detail, packet, where, account.refusal())
            return
        side.reserved += cost
        side.data += more
        side.places.append(where)
        if len(side.data) >= min(side.needs, self._services.limits.plugin_message_max_bytes):
            self._read(direction, packet)

    def _read(self, direction: int, packet: int) -> None:
        """The messages that are whole, as that packet told."""
        side, most = self._sides[direction], self._services.limits.plugin_message_max_bytes
        name = self._name(direction)
        data = bytes(side.data)
        at = 0
        side.needs = 0
        while at < len(data):
            first = _place_of(side, at)
            left = len(data) - at
            try:
                message = guarded(lambda: self._message(name, data, at))  # noqa: B023 - called at once
                found = guarded(lambda: _encoded(message))  # noqa: B023
            except PluginError as e:
                self._drop(direction, DropReason.PLUGIN_FAILED, str(e), packet, first)
                return
            if message is None:
                self._lost(direction)
                self._tell(direction, "gap", packet, first)
                return
            if not message.size and left >= most:
                self._too_large(direction, packet, first)
                return
            if not message.size:
                side.needs = left + max(message.needs, 1)
                self._looked += left
                if self._looks_too_often(direction, packet, first):
                    return
                break
            if found is not None:
                self._services.plugin(self._conversation, direction, self._factory.name, found, first, packet)
            at += message.size
        self._advance(side, at)

    def _message(self, name: str, data: bytes, at: int) -> plugins.Message | None:
        assert self._plugin is not None
        message = self._plugin.message(name, data, at)
        if message is not None and not 0 <= message.size <= len(data) - at:
            raise ValueError(f"a message of {message.size} bytes in {len(data) - at}")
        return message

    def _looks_too_often(self, direction: int, packet: int, first: Where) -> bool:
        most = self._services.limits.plugin_rereads_max
        if self._looked <= max(_REREADS_FREE, most * self._came):
            return False
        detail = f"{self._looked} bytes looked at of {self._came}"
        self._drop(direction, DropReason.PLUGIN_REREADS, detail, packet, first, ("plugin_rereads_max", most))
        return True

    def _advance(self, side: _Side, n: int) -> None:
        """The first n bytes are read."""
        if n == len(side.data):
            self._forget(side)
            return
        first = _place_of(side, n)
        end = side.places[0].offset + n
        while len(side.places) > 1 and side.places[1].offset <= end:
            side.places.popleft()
        side.places[0] = first._replace(offset=end)
        del side.data[:n]
        left = len(side.data) + _PLACE_BYTES * len(side.places)
        self._services.ledger.http.release(side.reserved - left)
        side.reserved = left

    def _forget(self, side: _Side) -> None:
        side.data.clear()
        side.places.clear()
        side.needs = 0
        self._services.ledger.http.release(side.reserved)
        side.reserved = 0

    def _lost(self, direction: int) -> None:
        side = self._sides[direction]
        self._forget(side)
        side.searching = True

    def _tell(self, direction: int, what: str, packet: int, at: Where) -> None:
        """Tell the plug-in of a gap or an end, which that packet told."""
        plugin, name = self._plugin, self._name(direction)
        if plugin is None:
            return
        call = plugin.gap if what == "gap" else plugin.end
        try:
            guarded(lambda: call(name))
        except PluginError as e:
            self._drop(direction, DropReason.PLUGIN_FAILED, str(e), packet, at)

    def _too_large(self, direction: int, packet: int, first: Where) -> None:
        """One message is given up: the next is looked for."""
        most = self._services.limits.plugin_message_max_bytes
        drop = Drop(
            DropReason.PLUGIN_MESSAGE_TOO_LARGE, "plugin_message_max_bytes", most, f"{self._factory.name}: no end within {most} bytes"
        )
        self._services.drop(self._conversation, direction, drop, packet, first.ts, first.offset, len(self._sides[direction].data))
        self._lost(direction)
        self._tell(direction, "gap", packet, first)

    def _drop(self, direction: int, reason: DropReason, detail: str, packet: int, at: Where, limit: tuple[str, int] = ("", 0)) -> None:
        """The conversation is given up."""
        held = sum(len(side.data) for side in self._sides)
        self._plugin = None
        for side in self._sides:
            self._forget(side)
        drop = Drop(reason, *limit, f"{self._factory.name}: {detail}")
        self._conversation.fix_roles()
        self._services.drop(self._conversation, direction, drop, packet, at.ts, at.offset, held)


def _encoded(message: plugins.Message | None) -> bytes | None:
    """What a record says of a message, as JSON; None for no record."""
    if message is None or message.fields is None or not message.size:
        return None
    return msgspec.json.encode(dict(message.fields))


class Plugged:
    """A plug-in's protocol."""

    asks = ""
    reads = "its messages"

    def __init__(self, plugin: plugins.Protocol) -> None:
        self.plugin = plugin
        self.name = plugin.name
        self.failed = f"{plugin.name}: failed"
        self.forms = (f"{plugin.name}: client", f"{plugin.name}: server", self.failed)
        self.resumes = self.forms[:2]

    def probe(self, first: bytes | bytearray) -> str | None:
        """See `LayerFactory`."""
        try:
            side = guarded(lambda: self.plugin.probe(bytes(first)))
        except PluginError:
            return self.failed
        if side is None:
            return None if len(first) < _FIRST else ""
        return self.forms[_SIDES.index(side)] if side in _SIDES else ""

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """See `LayerFactory`. What raises there finds nothing."""
        side = _SIDES[self.forms.index(form)]
        for piece in data.pieces():
            start = piece.start - data.start
            if start >= stop:
                break
            if start < position:
                continue
            first = piece.take(0, piece.length)
            with suppress(PluginError):
                if guarded(lambda: self.plugin.resumes(side, first)):  # noqa: B023 - called at once
                    return start
        return data.length

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> PluggedLayer:
        """See `LayerFactory`."""
        return PluggedLayer(self, services, conversation)


def _in_order(events: Events) -> Iterator[tuple[int, StreamEvent]]:
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


def _place_of(side: _Side, at: int) -> Where:
    """The place of a byte that waits: the packet and time of the segment that carried it."""
    offset = side.places[0].offset + at
    found = side.places[0]
    for where in side.places:
        if where.offset > offset:
            break
        found = where
    return found._replace(offset=offset)
