"""HTTP/1 as a layer: what its messages begin with, and where the conversation goes on behind them.

Contract: see `LayerFactory` and `Layer`. A message that a search finds in the middle of a stream is held to stricter rules than one in sequence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pcapflow.protocols.host import Host
from pcapflow.protocols.http1 import whole_conversation
from pcapflow.protocols.http1.connection import HttpConnection
from pcapflow.protocols.http1.events import Event
from pcapflow.protocols.http1.first_line import MAY_BEGIN, METHOD, begins_request, begins_response
from pcapflow.protocols.http1.framer import Framer
from pcapflow.protocols.http1.search import FORM_OF, REQUEST, RESPONSE, find_message
from pcapflow.protocols.layer import Found, Opening, Switch, skipped, unread_events
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData
from pcapflow.unread import Unread, UnreadReason

_UNFINISHED_REQUEST = re.compile(rb"(?:\r?\n)*\r?(?:" + METHOD + rb"(?:[ \t][^\n]*+)?)?\Z")
_UNFINISHED_STATUS = re.compile(rb"(?:\r?\n)*\r?(?:H|HT|HTT|HTTP|HTTP/[^\n]*+)\Z")


class Http1Layer:
    """One conversation."""

    __slots__ = ("_begun", "_client", "_conversation", "_http", "_kept", "_services")

    def __init__(
        self, services: Host, conversation: Conversation, http: HttpConnection | None, begun: int = 0, kept: Events | None = None
    ) -> None:
        """http: None where nothing came yet; begun: exchanges of the connection that began before; kept: what came before it was known that this is HTTP."""
        self._services = services
        self._conversation = conversation
        self._http = http
        self._begun = begun
        self._client = conversation.client
        self._kept = kept
        """Until `begin`."""

    @property
    def protocol(self) -> str:
        """See `Layer`."""
        return "websocket" if self._http is not None and self._http.switched_to == "websocket" else "http"

    def begin(self, found: Found) -> Switch | None:
        """See `Layer`."""
        kept, self._kept = self._kept or ([], []), None
        return self.consume(([*kept[0], *found.openings[0].events], [*kept[1], *found.openings[1].events]))

    def consume(self, events: Events) -> Switch | None:
        """See `Layer`."""
        http = self._http
        if http is None:
            if not self._begun and whole_conversation.take(self._services, self._conversation, events):
                return None
            http = HttpConnection(self._services, self._conversation, begun=self._begun, search_client=False, search_server=False)
            self._http = http
        http.run(events[self._client], events[1 - self._client])
        return self._switch() if http.switched_to or http.tunnel else None

    def _switch(self) -> Switch | None:
        """What came behind the switch; nothing where nobody can say what the client's bytes are."""
        http = self._http
        assert http is not None
        client, server = http.behind_switch()
        rest = (client, server) if self._client == 0 else (server, client)
        if http.blind:
            # the server has said what it speaks, the client has not
            services, conversation, name = self._services, self._conversation, http.switched_to
            only: tuple[Events, Events] = (([], rest[1]), (rest[0], [])) if self._client == 0 else ((rest[0], []), ([], rest[1]))
            known = name not in ("", "opaque")
            reason = UnreadReason.NOT_SUPPORTED if known else UnreadReason.UNKNOWN_PROTOCOL
            unread_events(services, conversation, only[0], reason, name if known else None)
            unread_events(services, conversation, only[1], UnreadReason.UNKNOWN_PROTOCOL)
            return None
        return Switch(rest, http.switched_to == "websocket", http.begun)

    def finish(self, packet: int) -> None:
        """See `Layer`."""
        if self._http is not None:
            self._http.finish(packet)


class Http1:
    """The protocol."""

    name = "http"
    forms = (REQUEST, RESPONSE)
    resumes = (REQUEST, RESPONSE)
    asks = REQUEST
    patient = True
    first_bytes = MAY_BEGIN["client"]
    from_start = False
    failed = "-"
    reads = "requests, responses and bodies, CONNECT and Upgrade"

    def probe(self, first: bytes | bytearray) -> str | None:
        """See `LayerFactory`."""
        if begins_request(first):
            return REQUEST
        if begins_response(first):
            return RESPONSE
        return None if _UNFINISHED_REQUEST.match(first) or _UNFINISHED_STATUS.match(first) else ""

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """See `LayerFactory`."""
        return find_message(data, position, form, stop)

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> Http1Layer:
        """See `LayerFactory`."""
        if found is None:
            return Http1Layer(services, conversation, None, begun)
        first = found.direction
        conversation.claim_client(first if found.form == REQUEST else 1 - first, "content")
        client = conversation.client
        expected = REQUEST if first == client else RESPONSE
        passed = [opening.searching or opening.passed for opening in found.openings]
        searches = [passed[d] or (conversation.midstream and d != first) for d in (0, 1)]
        if found.form != expected:
            searches[first] = True  # the SYN said that the other side is the client
        http = HttpConnection(services, conversation, begun=begun, search_client=searches[client], search_server=searches[1 - client])
        kept: Events = ([], [])
        for d, framer in ((client, http.client), (1 - client, http.server)):
            framer.known_at = found.packet
            if passed[d]:
                # what came before was looked at and is nothing; of the other direction that is all up to the packet that told
                framer.skip_until = found.packet - (d == first)
            framer.resynchronised = passed[d]
            skipped(services, conversation, found, d, 0 if passed[d] else len(found.openings[d].stash))
            if not passed[d] and found.openings[d].stash:
                if searches[d]:
                    http.take(framer, _take_up(framer, found.openings[d]))
                else:
                    kept[d].extend(found.openings[d].kept())
        return Http1Layer(services, conversation, http, kept=kept if kept[0] or kept[1] else None)


def _take_up(framer: Framer, opening: Opening) -> Sequence[Event]:
    """Give a framer that searches what was kept before it was known that this is HTTP: what a search of these segments would have found."""
    framer.saw(opening.seen, opening.waited)
    stash, first = opening.stash, opening.where
    assert first is not None
    at, where = opening.messages.get(FORM_OF[framer.side], (len(stash), None))
    framer.resynchronised = framer.resynchronised or at > 0
    passed = [Unread(UnreadReason.BEFORE_PROTOCOL.value, None, at, first.offset, first.packet)] if at else []
    return [*passed, *(framer.prepend(stash[at:], where) if where is not None else ())]
