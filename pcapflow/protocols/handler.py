"""One connection's stream events, from first byte to last: finds out what it speaks and hands it to that protocol.

Contract: implements the reassembly stage's `Consumer`. Gaps are reported whatever the protocol. Roles are fixed here by content
where no SYN told. Invariant: the decision depends on bytes and packet numbers; while it is open at most one first line a
direction is kept, reserved in the `http` account.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from pcapflow.drops import Drop, DropReason
from pcapflow.protocols import detect
from pcapflow.protocols.http1_exchange import HttpConnection
from pcapflow.protocols.http1_head import HEAD_END
from pcapflow.protocols.http1_owner import Where
from pcapflow.protocols.raw_json import RawJson
from pcapflow.protocols.search import find_lines, find_message
from pcapflow.protocols.services import Services
from pcapflow.protocols.tls import Handshake
from pcapflow.records import Tls
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import NEVER, StreamData, StreamEnd, StreamEvent, StreamGap

Events = tuple[list[StreamEvent], list[StreamEvent]]


class _Side:
    """What is known of one direction while the protocol is not."""

    __slots__ = ("begins", "ends", "first_line", "found", "lead", "messages", "packet", "reserved", "searching", "seen", "stash", "verdict", "waited", "where")

    def __init__(self) -> None:
        self.verdict: str | None = None
        self.packet = NEVER
        """The packet that brought the verdict."""
        self.found = 0
        """The stream offset at which a search found it."""
        self.ends: Where | None = None
        """The place of the byte that ends a whole head that begins there, which is then one of no message."""
        self.first_line = detect.FirstLine()
        self.stash = bytearray()
        """The first bytes; what is here stays, so that its length tells what was here before."""
        self.where: Where | None = None
        """The place of the first of them."""
        self.begins: Where | None = None
        """The place of the first that is of no empty line: those before a message are none of it (RFC 9112 section 2.2). A CR may be, until what follows tells."""
        self.lead = 0
        """How many of the first bytes are empty lines."""
        self.seen = 0
        """When the first bytes had come."""
        self.waited = 0
        """When the latest of them was captured that waited behind a hole; 0 for none."""
        self.messages: dict[str, tuple[int, Where]] = {}
        """Of a stream whose beginning was missed: by role, where among the first bytes a segment begins with a message, if one does."""
        self.reserved = 0
        self.searching = NEVER
        """The packet at which it was clear that the beginning was missed; then a message at a segment's first byte is looked for."""


class _Before:
    """What was kept of a side before the events at hand."""

    __slots__ = ("_kept", "_length", "begins", "ends", "messages", "seen", "waited", "where")

    def __init__(self, side: _Side) -> None:
        self._kept = side.stash
        self._length = len(side.stash)
        self.where = side.where
        self.begins = side.begins
        self.ends = side.ends
        self.seen = side.seen
        self.waited = side.waited
        self.messages = dict(side.messages)

    @property
    def stash(self) -> bytes:
        return bytes(self._kept[: self._length])


class Handler:
    """Detection, and the layer that a conversation turned out to speak."""

    __slots__ = ("_begun", "_depth", "_ends", "_http", "_inner", "_raw", "_services", "_sides", "_tls", "_what")

    def __init__(self, services: Services, depth: int = 0, begun: int = 0) -> None:
        """depth: in how many tunnels this is; begun: exchanges of the connection that began before."""
        self._services = services
        self._depth = depth
        self._begun = begun
        self._sides: tuple[_Side, _Side] | None = (_Side(), _Side())
        self._http: HttpConnection | None = None
        self._raw: RawJson | None = None
        self._tls: Handshake | None = None
        self._inner: Handler | None = None
        """What is spoken in the tunnel that a CONNECT or an Upgrade opened."""
        self._ends = 0
        self._what = "empty"

    @property
    def protocol(self) -> str:
        """What the connection speaks, in its innermost tunnel where that is known."""
        inner = self._inner.protocol if self._inner is not None else "empty"
        return self._what if inner in ("empty", "opaque") else inner

    @property
    def tls(self) -> Tls | None:
        """What a handshake said."""
        if self._inner is not None:
            return self._inner.tls
        return self._tls.tls if self._tls is not None else None

    def consume(self, conversation: Conversation, events: Events) -> None:
        """The next events of both directions."""
        self._read(conversation, events)
        services = self._services
        for d in (0, 1):
            for event in events[d]:
                if type(event) is StreamGap:
                    services.gap(conversation, d, event)
                elif type(event) is StreamEnd:
                    self._ends += 1
                    if self._ends == 2:
                        other = events[1 - d][-1] if events[1 - d] else event
                        self._finish(max(event.packet, other.packet if isinstance(other, StreamEnd) else 0))

    def _read(self, conversation: Conversation, events: Events) -> None:
        """What the events mean in the protocol that is spoken, or which one that is."""
        http = self._http
        if http is None and self._sides is not None:
            if not self._asked_at_once(conversation, events, self._sides):
                self._detect(conversation, events, self._sides)
            http = self._http
        elif http is not None:
            client = conversation.client
            http.run(events[client], events[1 - client])
        elif self._raw is not None:
            for d in (0, 1):
                self._raw.run(d, events[d])
        elif self._tls is not None:
            for d in (0, 1):
                self._tls.run(d, events[d])
        if http is not None and (http.switched_to or http.tunnel):
            self._read_tunnel(conversation, http)

    def _read_tunnel(self, conversation: Conversation, http: HttpConnection) -> None:
        client = conversation.client
        rest: Events = ([], [])
        rest[client].extend(http.client.rest or ())
        rest[1 - client].extend(http.server.rest or ())
        http.client.rest = http.server.rest = None
        if http.switched_to == "websocket":
            self._what = "websocket"
        elif not http.blind and self._depth < _TUNNELS_MAX and (rest[0] or rest[1]):
            if self._inner is None and not self._open_tunnel(conversation, http, rest):
                return
            assert self._inner is not None
            self._inner._read(conversation, rest)  # noqa: SLF001 - of this class

    def _open_tunnel(self, conversation: Conversation, http: HttpConnection, rest: Events) -> bool:
        """Whether there is room for what reads it; else it is not looked into."""
        account = self._services.ledger.http
        if account.reserve(TUNNEL_BYTES):
            self._inner = Handler(self._services, self._depth + 1, http.begun)
            return True
        http.blind = True
        direction, event = next((d, some[0]) for d, some in enumerate(rest) if some)
        packet, ts, at = (event.packet(0), event.time(0), event.start) if isinstance(event, StreamData) else (event.packet, event.ts, 0)
        drop = Drop(DropReason.HTTP_MEMORY, *account.refusal(), "a tunnel that is not looked into")
        self._services.drop(conversation, direction, drop, packet, ts, at, TUNNEL_BYTES)
        return False

    def _finish(self, packet: int) -> None:
        """Both streams are over, at that packet: no answer can come any more."""
        if self._sides is not None:
            self._decided()
        if self._http is not None:
            self._http.finish(packet)
            self._http = None
        if self._raw is not None:
            self._raw.close()
        if self._tls is not None:
            self._tls.close()
        if self._inner is not None:
            self._inner._finish(packet)  # noqa: SLF001 - of this class
            self._services.ledger.http.release(TUNNEL_BYTES)

    # --- finding out

    def _asked_at_once(self, conversation: Conversation, events: Events, sides: tuple[_Side, _Side]) -> bool:
        """The plain case of `_detect`, found at once: a connection seen from its SYN, whose client asks before anybody else speaks."""
        client = conversation.client
        if self._what != "empty" or client < 0 or conversation.midstream or not events[client]:
            return False
        asked, answered = events[client][0], events[1 - client]
        if type(asked) is not StreamData or asked.start or sides[0].searching < NEVER or sides[1].searching < NEVER:
            return False
        told = asked.packet(0)
        if answered:
            first = answered[0]
            if (first.packet(0) if type(first) is StreamData else first.packet) <= told:  # type: ignore[operator]
                return False
        if detect.classify(asked.take(0, min(asked.piece_ends()[0], detect.MOST_BYTES))) != detect.REQUEST:
            return False
        self._decided()
        self._what = "http"
        self._http = HttpConnection(self._services, conversation, begun=self._begun, search_client=False, search_server=False)
        self._http.run(events[client], answered)
        return True

    def _detect(self, conversation: Conversation, events: Events, sides: tuple[_Side, _Side]) -> None:
        rest: list[list[StreamEvent]] = [[], []]
        before = (_Before(sides[0]), _Before(sides[1]))
        for d in (0, 1):
            side = sides[d]
            for i, event in enumerate(events[d]):
                if isinstance(event, StreamData):
                    if self._what == "empty":
                        self._what = "opaque"
                    if side.verdict is None:
                        self._look(conversation, d, side, event)
                elif isinstance(event, StreamGap) and side.verdict is None:
                    self._search_from_now(side, event.packet)
                if side.verdict is not None:
                    rest[d] = events[d][i:]
                    break
        first = min((0, 1), key=lambda d: (sides[d].packet if sides[d].verdict in _MEANS_SOMETHING else NEVER, d))
        verdict = sides[first].verdict
        told = sides[first].packet if verdict in _MEANS_SOMETHING else NEVER
        if any(type(event) is StreamGap and event.packet <= told for some in events for event in some):
            conversation.fix_roles()  # a gap is reported for the client's stream or the server's
        if verdict in (detect.REQUEST, detect.RESPONSE):
            self._begin_http(conversation, first, sides, before, (events, rest))
        elif verdict in (detect.JSON, detect.FRAMED_JSON):
            self._begin_raw(conversation, first, sides, before, (events, rest))
        elif verdict == detect.TLS:
            self._what = verdict
            stashes = [bytes(side.stash) for side in sides]
            self._decided()
            self._tls = Handshake(self._services.limits, self._services.ledger.http)
            # the stash of the first holds nothing of the events at hand
            self._tls.run(first, rest[first], stashes[first])
            other = 1 - first
            if sides[other].searching < told or (sides[other].verdict == detect.OTHER and sides[other].packet < told):
                self._tls.run(other, _behind(events[other], told))  # what came before was passed over
            else:
                self._tls.run(other, events[other], before[other].stash)
        elif verdict == detect.HTTP2:
            self._what = verdict
            self._decided()
        elif sides[0].verdict is not None and sides[1].verdict is not None:
            self._decided()

    def _begin_raw(
        self,
        conversation: Conversation,
        first: int,
        sides: tuple[_Side, _Side],
        before: tuple[_Before, _Before],
        events: tuple[Events, list[list[StreamEvent]]],
    ) -> None:
        """Direction `first` showed that it is JSON. The other one may be too: it is looked at from where it was before these events."""
        self._what = "json"
        side, other = sides[first], sides[1 - first]
        verdict, stash, where, told = side.verdict, bytes(side.stash), side.where, side.packet
        passed = other.verdict == detect.OTHER and other.packet < told
        searching = other.searching < told
        self._decided()
        raw = self._raw = RawJson(self._services, conversation)
        rest = events[1][first]
        data = rest[0]
        assert verdict is not None
        assert isinstance(data, StreamData)
        if side.searching < NEVER:
            data = data.after(side.found - data.start)
        raw.begin(first, verdict, stash, data, where.ts if where is not None and stash else data.time(0))
        raw.run(first, [data, *rest[1:]])
        known = before[1 - first]
        raw.keep(1 - first, None if passed else known.stash, known.where.ts if known.where is not None else 0, searching=searching)
        # what came before was passed over
        raw.run(1 - first, _behind(events[0][1 - first], told) if passed or searching else events[0][1 - first])

    def _search_from_now(self, side: _Side, packet: int) -> None:
        """The stream's beginning was missed, as that packet told: a message may begin at any later segment."""
        if side.searching > packet:
            side.searching = packet
        side.stash = bytearray()
        if side.reserved:
            self._services.ledger.http.release(side.reserved)
            side.reserved = 0

    def _look(self, conversation: Conversation, direction: int, side: _Side, data: StreamData, begin: int = 0) -> None:
        """Look at what begins the stream; keep it while that does not tell. begin: where a search begins in data."""
        if side.searching < NEVER:
            found = [(position, verdict) for name, verdict in _ROLES if (position := find_message(data, begin, name)) < data.length]
            lines = find_lines(data, begin)
            if lines < data.length:
                found.append((lines, detect.JSON))
            if found:
                position, side.verdict = min(found)
                side.found = data.start + position
                side.packet = data.packet(data.piece(position))
            return
        more = data.take(0, min(data.length, detect.MOST_BYTES - len(side.stash)))
        if side.first_line.may_tell(side.stash, more):
            side.verdict = detect.classify(side.stash + more)
        if side.verdict is not None:
            # the packet whose bytes told, not the end of what happened to be at hand
            piece = detect.telling_piece(bytes(side.stash), data)
            side.packet = data.packet(piece)
            if side.verdict == detect.OTHER and conversation.midstream:
                side.verdict = None
                self._search_from_now(side, side.packet)
                side.packet = NEVER
                self._look(conversation, direction, side, data, begin=data.piece_ends()[piece - 1] if piece else 0)
            return
        account = self._services.ledger.http
        if not account.reserve(len(more)):
            held = len(side.stash) + len(more)
            drop = Drop(DropReason.HTTP_MEMORY, *account.refusal(), f"{held} bytes of a stream's first line")
            self._services.drop(conversation, direction, drop, data.packet(-1), data.time(-1), data.start, held)
            self._search_from_now(side, data.packet(-1))
            return
        side.reserved += len(more)
        if side.where is None:
            side.where = _place(data, 0)
        if conversation.midstream:
            for role, _ in _ROLES:
                at = find_message(data, 0, role, len(more)) if role not in side.messages else data.length
                if at < len(more):
                    side.messages[role] = len(side.stash) + at, _place(data, at)
        last = data.piece(len(more) - 1)
        if data.waited:
            side.seen = side.waited = max(data.latest(0, last), side.seen)
        else:
            side.seen = max(data.time(last), side.waited)
        before = len(side.stash)
        side.stash += more
        lead = _EMPTY_LINES.match(side.stash, side.lead).end()  # type: ignore[union-attr]
        if lead == len(side.stash):
            side.begins = None
        elif side.begins is None or lead > side.lead:
            side.begins = _place(data, lead - before)
        side.lead = lead
        if side.begins is not None and side.ends is None and b"\n" in more:
            head = HEAD_END.search(side.stash, max(side.begins.offset - side.where.offset, before - 3))
            if head is not None:
                side.ends = _place(data, head.end() - 1 - before)

    def _begin_http(
        self,
        conversation: Conversation,
        first: int,
        sides: tuple[_Side, _Side],
        before: tuple[_Before, _Before],
        events: tuple[Events, list[list[StreamEvent]]],
    ) -> None:
        """Direction `first` showed that this is HTTP. It goes on where it did so. What the other direction said in earlier
        packets may have been passed over already, so it is passed over in any case; the rest is framed from its beginning.
        """
        told = sides[first].packet
        conversation.claim_client(first if sides[first].verdict == detect.REQUEST else 1 - first, "content")
        client = conversation.client
        midstream = conversation.midstream
        searches = [midstream, midstream]
        passed_over = [False, False]
        skips = [0, 0]
        kept: list[_Side | _Before | None] = [None, None]
        replay: list[list[StreamEvent]] = [[], []]
        for d in (0, 1):
            side = sides[d]
            passed = side.searching < (NEVER if d == first else told) or (side.verdict == detect.OTHER and side.packet < told)
            if passed:
                searches[d] = passed_over[d] = True
            if d == first:
                replay[d] = events[1][d]
                if passed:
                    skips[d] = told - 1  # what came before it was looked at and found to be nothing
                else:
                    searches[d] = False
                    kept[d] = side
            else:
                replay[d] = events[0][d]
                if passed:
                    skips[d] = told
                else:
                    kept[d] = before[d]
        expected = detect.REQUEST if first == client else detect.RESPONSE
        if sides[first].verdict != expected:
            searches[first] = True  # the SYN said that the other side is the client
        http = HttpConnection(self._services, conversation, begun=self._begun, search_client=searches[client], search_server=searches[1 - client])
        self._decided()
        for d, framer in ((client, http.client), (1 - client, http.server)):
            framer.skip_until = skips[d]
            framer.known_at = told
            framer.resynchronised = passed_over[d]
            known = kept[d]
            if known is None or not known.stash:
                continue
            framer.saw(known.seen, known.waited)
            if searches[d]:
                # what a search of these segments would have found
                at, where = before[d].messages.get(framer.side, (len(known.stash), None))
                framer.resynchronised = framer.resynchronised or at > 0
                if where is not None:
                    framer.found(bytes(known.stash[at:]), where)
            elif known.begins is not None:
                assert known.where is not None
                framer.prepend(bytes(known.stash[known.begins.offset - known.where.offset :]), known.begins, known.ends)
        self._what = "http"
        self._http = http
        http.run(replay[client], replay[1 - client])

    def _decided(self) -> None:
        sides = self._sides
        self._sides = None
        if sides is not None:
            for side in sides:
                if side.reserved:
                    self._services.ledger.http.release(side.reserved)


def _behind(events: list[StreamEvent], packet: int) -> list[StreamEvent]:
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


def _place(data: StreamData, position: int) -> Where:
    """The place of a byte."""
    piece = data.piece(position)
    return Where(data.start + position, data.packet(piece), data.time(piece), data.ack(piece))


_EMPTY_LINES = re.compile(rb"(?:\r?\n)*+")
_ROLES = (("client", detect.REQUEST), ("server", detect.RESPONSE))
_MEANS_SOMETHING = frozenset((detect.REQUEST, detect.RESPONSE, detect.TLS, detect.HTTP2, detect.JSON, detect.FRAMED_JSON))
_TUNNELS_MAX = 2
"""Tunnels within tunnels that are looked into."""
TUNNEL_BYTES = 3 << 10
"""Reserved for what reads a tunnel (measured in tests)."""
