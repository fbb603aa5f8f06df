"""One conversation's events, from first byte to last: found out, and handed to the layer that reads them; and so for what lies within.

Contract: implements `Consumer`. Gaps are reported whatever the protocol. Invariant: at most `_TUNNELS_MAX` conversations lie in one another, each with
TUNNEL_BYTES reserved in the `http` account.
"""

from __future__ import annotations

from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.detection import Detection, Forms
from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Layer, Switch, unread_came, unread_events
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData, StreamEnd, StreamGap
from pcapflow.unread import UnreadReason

_TUNNELS_MAX = 2
"""Tunnels within tunnels that are looked into."""
TUNNEL_BYTES = 3 << 10
"""Reserved for what reads a tunnel (measured in tests)."""


class Stack:
    """What reads one conversation, and what reads that which lies in it."""

    __slots__ = ("_begun", "_closed", "_depth", "_detection", "_ends", "_forms", "_inner", "_layer", "_services", "_spoken")

    def __init__(self, services: Host, forms: Forms, depth: int = 0, begun: int = 0) -> None:
        """forms: all that it may begin with; depth: in how many others this lies; begun: exchanges of the connection that began before."""
        self._services = services
        self._forms = forms
        self._depth = depth
        self._begun = begun
        self._detection: Detection | None = Detection(services, forms)
        self._layer: Layer | None = None
        self._inner: Stack | None = None
        """What reads what lies within, as the layer told."""
        self._closed = False
        """What lies within is not looked into."""
        self._ends = 0
        self._spoken = "empty"

    @classmethod
    def of_what_is_read(cls, services: Host, protocol: str) -> Stack:
        """That of conversations of one protocol which were read to their end; nothing more comes of them."""
        stack = cls(services, Forms(()))
        stack._detection, stack._spoken = None, protocol
        return stack

    @property
    def protocol(self) -> str:
        """What the connection speaks, in its innermost tunnel where that is known."""
        inner = self._inner.protocol if self._inner is not None else "empty"
        if inner not in ("empty", "opaque"):
            return inner
        return self._layer.protocol if self._layer is not None else self._spoken

    def spoke_only(self, protocol: str) -> bool:
        """Whether it speaks that, and nothing lies within."""
        return self._inner is None and self._layer is not None and self._layer.protocol == protocol

    @property
    def layers(self) -> list[Layer]:
        """What reads it, and what reads what lies within."""
        own = [self._layer] if self._layer is not None else []
        return own if self._inner is None else [*own, *self._inner.layers]

    def consume(self, conversation: Conversation, events: Events) -> None:
        """See `Consumer`."""
        self._read(conversation, events)
        for d in (0, 1):
            for event in events[d]:
                if type(event) is StreamGap:
                    self._services.gap(conversation, d, event)
                elif type(event) is StreamEnd:
                    self._ends += 1
                    if self._ends == 2:
                        other = events[1 - d][-1] if events[1 - d] else event
                        self._finish(conversation, max(event.packet, other.packet if isinstance(other, StreamEnd) else 0))

    def _read(self, conversation: Conversation, events: Events) -> None:
        if self._layer is not None:
            switch = self._layer.consume(events)
        elif self._detection is not None:
            switch = self._find_out(conversation, events, self._detection)
        else:
            unread_events(self._services, conversation, events, UnreadReason.UNKNOWN_PROTOCOL)
            return
        if switch is None:
            return
        if switch.known:
            assert self._layer is not None
            unread_events(self._services, conversation, switch.events, UnreadReason.NOT_SUPPORTED, self._layer.protocol)
        else:
            self._read_within(conversation, switch)

    def _find_out(self, conversation: Conversation, events: Events, detection: Detection) -> Switch | None:
        """What it speaks; and what the layer for that makes of the first events."""
        services = self._services
        form = detection.asked_at_once(conversation, events)
        if form:
            self._decided()
            self._layer = self._forms.of[form].open(services, conversation, None, self._begun)
            return self._layer.consume(events)
        found = detection.consume(conversation, events)
        if not detection.untouched:
            self._spoken = "opaque"
        if found is not None:
            self._decided()
            self._layer = self._forms.of[found.form].open(services, conversation, found, self._begun)
            return self._layer.begin(found)
        if detection.in_vain:
            self._in_vain(conversation, detection)
        return None

    def _in_vain(self, conversation: Conversation, detection: Detection) -> None:
        """Nothing shows what it speaks, and nothing will."""
        self._decided()
        for direction in (0, 1):
            unread_came(self._services, conversation, direction, detection.came(direction), UnreadReason.UNKNOWN_PROTOCOL)

    def _decided(self) -> None:
        if self._detection is not None:
            self._detection.close()
            self._detection = None

    def _read_within(self, conversation: Conversation, switch: Switch) -> None:
        events = switch.events
        if not (events[0] or events[1]):
            return
        if self._closed or self._depth == _TUNNELS_MAX:
            unread_events(self._services, conversation, events, UnreadReason.LIMIT_REACHED)
            return
        if self._inner is None:
            account = self._services.ledger.http
            if not account.reserve(TUNNEL_BYTES):
                self._closed = True
                direction, event = next((d, some[0]) for d, some in enumerate(events) if some)
                packet, ts, at = (
                    (event.packet(0), event.time(0), event.start) if isinstance(event, StreamData) else (event.packet, event.ts, 0)
                )
                drop = Drop(DropReason.HTTP_MEMORY, *account.refusal(), "a tunnel that is not looked into")
                self._services.drop(conversation, direction, drop, packet, ts, at, TUNNEL_BYTES)
                unread_events(self._services, conversation, events, UnreadReason.LIMIT_REACHED)
                return
            begun = max(self._begun, switch.begun)  # layers that know no exchanges pass none on
            self._inner = Stack(self._services, self._forms, self._depth + 1, begun)
        self._inner._read(conversation, events)  # noqa: SLF001 - of this class

    def _finish(self, conversation: Conversation, packet: int) -> None:
        """Both streams are over, at that packet: nothing more comes."""
        if self._detection is not None:
            self._in_vain(conversation, self._detection)
        if self._layer is not None:
            self._layer.finish(packet)
        if self._inner is not None:
            self._inner._finish(conversation, packet)  # noqa: SLF001 - of this class
            self._services.ledger.http.release(TUNNEL_BYTES)
