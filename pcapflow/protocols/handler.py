"""One connection's stream events, from first byte to last: finds out what it speaks and hands it to that protocol.

Contract: implements the reassembly stage's `Consumer`. Gaps are reported whatever the protocol. Roles are fixed here by content
where no SYN told. Invariant: the decision depends on bytes and packet numbers; while it is open at most one first line a
direction is kept, reserved in the `http` account.
"""

from __future__ import annotations

from pcapflow.protocols import detect
from pcapflow.protocols.http1_exchange import HttpConnection
from pcapflow.protocols.http1_framer import Where, find_message
from pcapflow.protocols.services import Services
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.events import StreamData, StreamEvent, StreamGap
from pcapflow.reassembly.half_stream import NEVER

Events = tuple[list[StreamEvent], list[StreamEvent]]


class _Side:
    """What is known of one direction while the protocol is not."""

    __slots__ = ("packet", "reserved", "searching", "stash", "verdict", "where")

    def __init__(self) -> None:
        self.verdict: str | None = None
        self.packet = NEVER
        """The packet that brought the verdict."""
        self.stash = b""
        self.where: Where | None = None
        self.reserved = 0
        self.searching = False
        """The beginning was missed: what is looked for is a message at a segment's first byte."""


class Handler:
    """The consumer of one connection."""

    __slots__ = ("_http", "_services", "_sides", "protocol")

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sides: tuple[_Side, _Side] | None = (_Side(), _Side())
        self._http: HttpConnection | None = None
        self.protocol = "empty"

    def consume(self, connection: Connection, events: Events) -> None:
        """The next events of both directions."""
        http = self._http
        if http is None and self._sides is not None:
            self._detect(connection, events, self._sides)
            http = self._http
        elif http is not None:
            client = connection.client
            http.run(events[client], events[1 - client])
            if http.tunnel == "websocket":
                self.protocol = "websocket"
        services = self._services
        for d in (0, 1):
            for event in events[d]:
                if type(event) is StreamGap:
                    services.gap(connection, d, event)

    def finish(self, connection: Connection, packet: int) -> None:
        """The connection is over."""
        if self._sides is not None:
            self._decided()
        if self._http is not None:
            self._http.finish(packet)

    # --- finding out

    def _detect(self, connection: Connection, events: Events, sides: tuple[_Side, _Side]) -> None:
        rest: list[list[StreamEvent]] = [[], []]
        for d in (0, 1):
            side = sides[d]
            for i, event in enumerate(events[d]):
                if isinstance(event, StreamData):
                    if self.protocol == "empty":
                        self.protocol = "opaque"
                    if side.verdict is None:
                        self._look(side, event, midstream=connection.start == "midstream")
                elif isinstance(event, StreamGap):
                    if side.verdict is None:
                        self._search_from_now(side)
                if side.verdict is not None:
                    rest[d] = events[d][i:]
                    break
        first = min((0, 1), key=lambda d: (sides[d].packet if sides[d].verdict in _MEANS_SOMETHING else NEVER, d))
        verdict = sides[first].verdict
        if verdict in (detect.REQUEST, detect.RESPONSE):
            self._begin_http(connection, first, sides, rest)
        elif verdict in (detect.TLS, detect.HTTP2):
            self.protocol = verdict
            self._decided()
        elif sides[0].verdict is not None and sides[1].verdict is not None:
            self._decided()

    def _search_from_now(self, side: _Side) -> None:
        """The stream's beginning was missed: a message may begin at any later segment."""
        side.searching = True
        side.stash = b""
        if side.reserved:
            self._services.ledger.http.release(side.reserved)
            side.reserved = 0

    def _look(self, side: _Side, data: StreamData, *, midstream: bool) -> None:
        """Look at what begins the stream; keep it while that does not tell."""
        if side.searching:
            found = [(position, verdict) for name, verdict in _ROLES if (position := find_message(data, 0, name)) < data.length]
            if found:
                position, side.verdict = min(found)
                side.packet = data.packet(data.piece(position))
            return
        size = min(data.length, detect.MOST_BYTES)
        view = side.stash + data.take(0, size)
        side.verdict = detect.classify(view)
        if side.verdict is not None:
            # the packet whose bytes told, not the end of what happened to be at hand
            side.packet = data.packet(self._telling_piece(side, data))
            if side.verdict == detect.OTHER and midstream:
                side.verdict = None
                self._search_from_now(side)
                self._look(side, data, midstream=True)
            return
        more = len(view) - side.reserved
        if not self._services.ledger.http.reserve(more):
            side.verdict = detect.OTHER
            side.packet = data.packet(0)
            return
        side.reserved += more
        if side.where is None:
            side.where = Where(data.start, data.packet(0), data.time(0), data.ack(0))
        side.stash = view

    def _telling_piece(self, side: _Side, data: StreamData) -> int:
        ends = data.piece_ends()
        low, high = 0, data.piece(min(data.length, detect.MOST_BYTES) - 1)
        while low < high:
            middle = (low + high) // 2
            if detect.classify(side.stash + data.take(0, min(ends[middle], detect.MOST_BYTES))) is None:
                low = middle + 1
            else:
                high = middle
        return low

    def _begin_http(self, connection: Connection, first: int, sides: tuple[_Side, _Side], rest: list[list[StreamEvent]]) -> None:
        request = sides[first].verdict == detect.REQUEST
        connection.set_client(first if request else 1 - first, "content")
        client = connection.client
        told = sides[first].packet
        services = self._services
        http = HttpConnection(
            services,
            connection,
            search_client=_must_search(sides[client], detect.REQUEST),
            search_server=_must_search(sides[1 - client], detect.RESPONSE),
        )
        self._decided()
        for d, framer in ((client, http.client), (1 - client, http.server)):
            side = sides[d]
            if side.verdict is None and side.searching or side.verdict == detect.OTHER:
                framer.skip_until = told
            if side.stash:
                assert side.where is not None
                framer.prepend(side.stash, side.where)
        self.protocol = "http"
        self._http = http
        http.run(rest[client], rest[1 - client])
        if http.tunnel == "websocket":
            self.protocol = "websocket"

    def _decided(self) -> None:
        sides = self._sides
        self._sides = None
        if sides is not None:
            for side in sides:
                if side.reserved:
                    self._services.ledger.http.release(side.reserved)


def _must_search(side: _Side, expected: str) -> bool:
    """Whether the direction does not stand at the beginning of a message."""
    return side.searching or side.verdict not in (expected, None)


_ROLES = (("client", detect.REQUEST), ("server", detect.RESPONSE))
_MEANS_SOMETHING = frozenset((detect.REQUEST, detect.RESPONSE, detect.TLS, detect.HTTP2))
