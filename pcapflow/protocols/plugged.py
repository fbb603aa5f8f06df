"""Protocols of other packages as layers: they get one segment at a time, and what they raise ends one conversation.

Contract: `Plugged` makes a `LayerFactory` of a `plugins.Protocol`. Invariant: a plug-in sees the same calls whatever the blocks: segments of both directions in the order of their packets. What
waits for the end of a message is reserved in the `plugins` account, at most `plugin_message_max_bytes` a direction; what a plug-in looks at again is counted.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from operator import itemgetter

from pcapflow import plugins
from pcapflow.drops import Drop, DropReason
from pcapflow.plugin_loading import PluginError, encoded, guarded, of_type
from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Found, Opening, Switch, in_order, skip_until, skipped, unread_all
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData, StreamEvent, StreamGap, Where, place
from pcapflow.unread import Unread, UnreadReason

_SIDES = ("client", "server")
_PLACE_BYTES = 200
"""Reserved for the place of a segment of which something waits."""
_REREADS_FREE = 1 << 20
"""Bytes that are looked at again without a limit: what comes in many small segments at the beginning is no sign."""
_FIRST = 256
"""Bytes within which a plug-in decides whose they are."""
_LAZY = 16
"""Times the bytes that came, from which on a plug-in is asked less often."""
_offset = itemgetter(0)


class _Side:
    """One direction."""

    __slots__ = ("asked", "data", "needs", "places", "read", "reserved", "searching")

    def __init__(self) -> None:
        self.data = bytearray()
        """What waits for the end of a message."""
        self.asked = 0
        """Bytes of it that the plug-in was asked about."""
        self.places: list[Where] = []
        """The first byte of each segment of which something waits."""
        self.read = 0
        """Bytes of it that were read, and are about to go."""
        self.needs = 0
        """So many bytes there have to be before the plug-in is asked again."""
        self.reserved = 0
        self.searching: UnreadReason | None = None
        """Why a segment is looked for that begins with a message."""


class PluggedLayer:
    """One conversation."""

    __slots__ = ("_came", "_conversation", "_factory", "_given_up", "_looked", "_plugin", "_services", "_sides")

    def __init__(self, factory: Plugged, services: Host, conversation: Conversation) -> None:
        self._factory = factory
        self._services = services
        self._conversation = conversation
        self._plugin: plugins.Conversation | None = None
        """None once nothing more is read."""
        self._given_up = UnreadReason.NOT_SUPPORTED
        """Why, then."""
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
            unread_all(self._services, self._conversation, found, self._given_up, self._factory.name)
            return None
        self._conversation.claim_client(direction if form == self._factory.forms[0] else 1 - direction, "content")
        try:
            self._plugin = guarded(lambda: of_type(self._factory.plugin.open(), plugins.Conversation))
        except PluginError as e:
            self._drop(direction, DropReason.PLUGIN_FAILED, str(e), found.packet, Where(found.offset, found.packet, 0, -1, found.packet))
            unread_all(self._services, self._conversation, found, self._given_up, self._factory.name)
            return None
        events: list[list[StreamEvent]] = [[], []]
        for d in (direction, 1 - direction):
            opening = found.openings[d]
            if opening.searching or opening.passed:
                self._sides[d].searching = UnreadReason.BEFORE_PROTOCOL
                skipped(self._services, self._conversation, found, d)
                events[d] = skip_until(self._services, self._conversation, d, opening.events, found.packet - (d == direction))
            else:
                skipped(self._services, self._conversation, found, d, len(opening.stash))
                first, where, events[d] = _first_bytes(opening, found.packet)
                if first and where is not None:
                    self._take(d, first, where, found.packet)
        return self.consume((events[0], events[1]))

    def _failed_to_probe(self, found: Found) -> None:
        """The plug-in raised at the first bytes of a direction: say what, of the bytes up to the packet that told."""
        first, where, _ = _first_bytes(found.openings[found.direction], found.packet)
        assert where is not None
        try:
            self._factory.form_of(first[:_FIRST])
            problem = "what it said of the first bytes changed"
        except PluginError as e:
            problem = str(e)
        self._drop(found.direction, DropReason.PLUGIN_FAILED, problem, found.packet, where)

    def consume(self, events: Events) -> Switch | None:
        """See `Layer`."""
        for direction, event in in_order(events):
            packet = event.packet(0) if isinstance(event, StreamData) else event.packet
            self._ask_again(1 - direction, packet)
            if not isinstance(event, StreamData):
                self._ask_again(direction, packet)
            if isinstance(event, StreamData):
                self._segment(direction, event)
            elif isinstance(event, StreamGap):
                self._lost(direction, UnreadReason.BEHIND_LOSS)
                self._tell(direction, "gap", packet, Where(event.start, packet, event.ts, -1, packet))
            else:
                self._tell(direction, "end", packet, Where(event.offset, packet, event.ts, -1, packet))
                self._forget(direction, UnreadReason.MALFORMED if event.kind == "fin" else UnreadReason.BEHIND_LOSS)
        return None

    def _ask_again(self, direction: int, packet: int) -> None:
        """No more of that side may come for a while: ask about what waits, where that was put off."""
        side = self._sides[direction]
        if self._plugin is not None and len(side.data) > side.asked:
            self._read(direction, packet)

    def _name(self, direction: int) -> str:
        return _SIDES[direction != self._conversation.client]

    def finish(self, packet: int) -> None:
        """See `Layer`."""
        self._plugin = None
        for direction in (0, 1):
            self._forget(direction, UnreadReason.BEHIND_LOSS)

    # --- one direction

    def _not_read(self, direction: int, n: int, where: Where, reason: UnreadReason) -> None:
        name = self._factory.name if reason is UnreadReason.NOT_SUPPORTED else None
        self._services.unread(self._conversation, direction, Unread(reason.value, name, n, where.offset, where.packet))

    def _segment(self, direction: int, data: StreamData) -> None:
        side = self._sides[direction]
        more = data.take(0, data.length)
        where = place(data, 0)
        if side.searching is not None and self._plugin is not None:
            name = self._name(direction)
            try:
                if not guarded(lambda: bool(self._factory.plugin.resumes(name, more))):
                    self._not_read(direction, len(more), where, side.searching)
                    return
            except PluginError as e:
                self._drop(direction, DropReason.PLUGIN_FAILED, str(e), where.packet, where)
            side.searching = None
        self._take(direction, more, where, where.packet)

    def _take(self, direction: int, more: bytes, where: Where, packet: int) -> None:
        """More bytes of a direction, which begin at that place; packet: that brought them."""
        side = self._sides[direction]
        self._came += len(more)
        account = self._services.ledger.plugins
        cost = len(more) + _PLACE_BYTES
        if self._plugin is not None and not account.reserve(cost):
            detail = f"{len(side.data) + len(more)} bytes of a message"
            self._drop(direction, DropReason.PLUGIN_MEMORY, detail, packet, where, account.refusal())
        if self._plugin is None:
            self._not_read(direction, len(more), where, self._given_up)
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
            side.read = at
            first = _place_of(side, at)
            left = len(data) - at
            try:
                message, found = guarded(lambda: self._message(name, data, at))  # noqa: B023 - called at once
            except PluginError as e:
                self._drop(direction, DropReason.PLUGIN_FAILED, str(e), packet, first)
                return
            if message is None:
                self._lost(direction, UnreadReason.MALFORMED)
                self._tell(direction, "gap", packet, first)
                return
            if not message.size and left >= most:
                self._too_large(direction, f"no end within {most} bytes", packet, first)
                self._lost(direction, UnreadReason.LIMIT_REACHED)
                self._tell(direction, "gap", packet, first)
                return
            if not message.size:
                self._looked += left
                more = max(message.needs, 1, left // 4 if self._looked > _LAZY * self._came else 0)
                side.needs = left + more
                if self._looks_too_often(direction, packet, first):
                    return
                break
            if found is not None and len(found) > most:
                self._too_large(direction, f"a record of {len(found)} bytes", packet, first)
            elif found is not None:
                self._services.plugin(self._conversation, direction, self._factory.name, found, first, packet)
            at += message.size
        self._advance(direction, at)
        side.asked = len(side.data)

    def _message(self, name: str, data: bytes, at: int) -> tuple[plugins.Message | None, bytes | None]:
        """What the plug-in says of a place, and what a record has of it as JSON."""
        assert self._plugin is not None
        said = self._plugin.message(name, data, at)
        if said is None:
            return None, None
        message = of_type(said, plugins.Message)
        if not 0 <= of_type(message.size, int) <= len(data) - at:
            raise ValueError(f"a message of {message.size} bytes in {len(data) - at}")
        of_type(message.needs, int)
        return message, encoded(message.fields) if message.size else None

    def _looks_too_often(self, direction: int, packet: int, first: Where) -> bool:
        most = self._services.limits.plugin_rereads_max
        if self._looked <= max(_REREADS_FREE, most * self._came):
            return False
        detail = f"{self._looked} bytes looked at of {self._came}"
        self._drop(direction, DropReason.PLUGIN_REREADS, detail, packet, first, ("plugin_rereads_max", most))
        return True

    def _advance(self, direction: int, n: int) -> None:
        """The first n bytes are read."""
        side = self._sides[direction]
        side.read = n
        if n == len(side.data):
            self._forget(direction, UnreadReason.MALFORMED)
            return
        self._conversation.readings[direction].read += n
        side.read = 0
        offset = side.places[0].offset + n
        first = bisect_right(side.places, offset, key=_offset) - 1
        del side.places[:first]
        side.places[0] = side.places[0]._replace(offset=offset)
        del side.data[:n]
        left = len(side.data) + _PLACE_BYTES * len(side.places)
        self._services.ledger.plugins.release(side.reserved - left)
        side.reserved = left

    def _forget(self, direction: int, reason: UnreadReason) -> None:
        """What waits does so no longer; reason: why what of it was not read is not."""
        side = self._sides[direction]
        self._conversation.readings[direction].read += side.read
        if len(side.data) > side.read:
            self._not_read(direction, len(side.data) - side.read, _place_of(side, side.read), reason)
        side.read = 0
        side.data.clear()
        side.places.clear()
        side.needs = side.asked = 0
        self._services.ledger.plugins.release(side.reserved)
        side.reserved = 0

    def _lost(self, direction: int, reason: UnreadReason) -> None:
        """The next message is looked for, for that reason."""
        self._forget(direction, reason)
        self._sides[direction].searching = reason

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

    def _too_large(self, direction: int, detail: str, packet: int, first: Where) -> None:
        """One message, or what is said of it, is given up."""
        most = self._services.limits.plugin_message_max_bytes
        drop = Drop(DropReason.PLUGIN_MESSAGE_TOO_LARGE, "plugin_message_max_bytes", most, f"{self._factory.name}: {detail}")
        self._services.drop(self._conversation, direction, drop, packet, first.ts, first.offset, len(self._sides[direction].data))

    def _drop(self, direction: int, reason: DropReason, detail: str, packet: int, at: Where, limit: tuple[str, int] = ("", 0)) -> None:
        """The conversation is given up."""
        held = sum(len(side.data) for side in self._sides)
        self._plugin = None
        self._given_up = UnreadReason.NOT_SUPPORTED if reason is DropReason.PLUGIN_FAILED else UnreadReason.LIMIT_REACHED
        for d in (0, 1):
            self._forget(d, self._given_up)
        drop = Drop(reason, *limit, f"{self._factory.name}: {detail}")
        self._conversation.fix_roles()
        self._services.drop(self._conversation, direction, drop, packet, at.ts, at.offset, held)


class Plugged:
    """A plug-in's protocol."""

    asks = ""
    patient = False
    first_bytes = None
    from_start = False
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
            form = self.form_of(bytes(first[:_FIRST]))
        except PluginError:
            return self.failed
        return "" if form is None and len(first) >= _FIRST else form

    def form_of(self, first: bytes) -> str | None:
        """What the plug-in says of first bytes; `PluginError` where it raises."""
        side = guarded(lambda: self.plugin.probe(first))
        if side is None:
            return None
        return self.forms[_SIDES.index(side)] if guarded(lambda: of_type(side, str)) in _SIDES else ""

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """See `LayerFactory`: where a segment begins as the first bytes of a side do. What raises there finds nothing."""
        for piece in data.pieces():
            start = piece.start - data.start
            if start >= stop:
                break
            if start >= position:
                with suppress(PluginError):
                    if self.form_of(piece.take(0, min(piece.length, _FIRST))) == form:
                        return start
        return data.length

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> PluggedLayer:
        """See `LayerFactory`."""
        return PluggedLayer(self, services, conversation)


def _place_of(side: _Side, at: int) -> Where:
    """The place of a byte that waits: the packet and time of the segment that carried it."""
    offset = side.places[0].offset + at
    return side.places[bisect_right(side.places, offset, key=_offset) - 1]._replace(offset=offset)


def _first_bytes(opening: Opening, packet: int) -> tuple[bytes, Where | None, list[StreamEvent]]:
    """What a direction said up to a packet and a gap, all at once, and where that begins: it depends on the blocks how it came. Then what follows."""
    parts, where = [opening.stash], opening.where if opening.stash else None
    rest: list[StreamEvent] = []
    for event in opening.events:
        if rest or not isinstance(event, StreamData):
            rest.append(event)
            continue
        i = bisect_right(event.columns()[0], packet)
        n = event.piece_ends()[i - 1] if i else 0
        if n:
            where = where or place(event, 0)
            parts.append(event.take(0, n))
        if n < event.length:
            rest.append(event.after(n))
    return b"".join(parts), where, rest
