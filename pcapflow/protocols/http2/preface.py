"""A connection that speaks HTTP/2: known by its first bytes, and not read."""

from __future__ import annotations

from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Found, Switch, unread_all, unread_events
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData
from pcapflow.unread import UnreadReason

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""Of a client's connection (RFC 9113 section 3.4)."""


class Unsupported:
    """One conversation of which only the protocol's name is known."""

    __slots__ = ("_conversation", "_services", "protocol")

    def __init__(self, services: Host, conversation: Conversation, protocol: str) -> None:
        self._services = services
        self._conversation = conversation
        self.protocol = protocol

    def begin(self, found: Found) -> Switch | None:
        """See `Layer`."""
        unread_all(self._services, self._conversation, found, UnreadReason.NOT_SUPPORTED, self.protocol)
        return None

    def consume(self, events: Events) -> Switch | None:
        """See `Layer`."""
        unread_events(self._services, self._conversation, events, UnreadReason.NOT_SUPPORTED, self.protocol)
        return None

    def finish(self, packet: int) -> None:
        """See `Layer`."""


class Http2:
    """HTTP/2 with prior knowledge."""

    name = "http2"
    forms = ("http2",)
    resumes = ()
    asks = "http2"
    patient = True
    first_bytes = frozenset(b"P")
    from_start = False
    failed = "-"
    reads = "nothing; it is only recognized"

    def probe(self, first: bytes | bytearray) -> str | None:
        """See `LayerFactory`."""
        if first.startswith(_PREFACE):
            return self.name
        return None if _PREFACE.startswith(first) else ""

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """See `LayerFactory`."""
        return data.length

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> Unsupported:
        """See `LayerFactory`."""
        return Unsupported(services, conversation, self.name)
