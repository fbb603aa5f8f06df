"""Who is client and who server of a connection, and what a layer sees of it.

Contract: implements `Conversation`. Invariant: roles are fixed once, by the first word on them.
"""

from __future__ import annotations

from pcapflow.decode.segments import ZERO_WINDOW, vlan_ids
from pcapflow.drops import DropReason
from pcapflow.reassembly.beliefs import Expected
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.keys import Encapsulation, Endpoint, tag_of, vlans_of
from pcapflow.reassembly.seqspace import unwrap, wrap
from pcapflow.reassembly.timers import Timed
from pcapflow.unread import Reading


class Sides(Timed):
    """Both directions. Direction 0 is sent by `endpoints[0]`, the lower one in canonical order."""

    __slots__ = (
        "answered",
        "asked_ts",
        "client",
        "client_round_trip",
        "endpoints",
        "first_direction",
        "inside",
        "multipath",
        "number",
        "other_vlans",
        "readings",
        "roles",
        "round_trip",
        "round_trip_packet",
        "seen",
        "start",
    )

    def __init__(self, key: bytes, endpoints: tuple[Endpoint, Endpoint], inside: Encapsulation, number: int, clock: int) -> None:
        Timed.__init__(self, key, number, clock)
        self.endpoints = endpoints
        self.inside = inside
        self.number = number
        self.first_direction = 0
        self.client = -1
        """Direction of the client's bytes; -1 until it is known."""
        self.readings = (Reading(), Reading())
        self.roles = ""
        self.asked_ts = self.answered = -1
        """When the latest SYN was captured, and the latest SYN-ACK until the client's answer to it comes (ns); -1 for none."""
        self.round_trip_packet = 0
        self.round_trip = self.client_round_trip = -1
        """From SYN to SYN-ACK, and from there to the client's acknowledgement (ns); -1 where that was not seen. Both together are the way there and back."""
        self.start = "midstream"
        self.multipath = False
        """The handshake offers Multipath TCP."""
        self.seen = 0
        """Which directions sent something: 1, 2, or both bits."""
        self.other_vlans: dict[int, list[int]] | None = None
        """The VLAN ids of a direction's first packet, where they are not those of the key."""

    def claim_client(self, direction: int, roles: str) -> None:
        """Fix which direction is the client's; the first word counts."""
        if self.client < 0:
            self.client = direction
            self.roles = roles

    def begin(self, direction: int, bases: list[int], *, client: int | None = None, multipath: bool = False) -> None:
        """What `walk` makes of a SYN from that direction and, where the other one's base is not -1, the SYN-ACK to it; of a SYN-ACK alone, where the
        client is the other one. multipath: whether Multipath TCP is offered.
        """
        self.first_direction = direction
        self.start = "syn"
        self.multipath = multipath
        self.claim_client(direction if client is None else client, "syn" if client is None else "synack")
        for stream, base in zip(self.streams, bases, strict=True):
            if base >= 0:
                stream.begin(base, syn=True)

    def hear(self, first: int, clock: int, last: int) -> None:
        """Only one direction was seen so far, and it acknowledged these (raw), the first at that clock."""
        stream = self.streams[self.streams[0].base >= 0]
        stream.expected = Expected(first, clock, last) if stream.expected is None else stream.expected._replace(last=last)

    def synchronised(self, ts: int, packet: int, *, answer: bool) -> None:
        """A SYN was captured at that time (ns), or the answer to it, as that packet."""
        if not answer:
            self.asked_ts = ts
            return
        if self.asked_ts >= 0 > self.round_trip:
            self.round_trip, self.round_trip_packet = max(0, ts - self.asked_ts), packet
        if self.client_round_trip < 0:
            self.answered = ts

    def shook_hands(self, asked: int, answered: int, confirmed: int) -> None:
        """All of the handshake came at once: SYN, SYN-ACK and, where that is not -1, the acknowledgement, at those times (ns)."""
        self.asked_ts = asked
        self.synchronised(answered, 0, answer=True)  # before anything was said
        if confirmed >= 0:
            self.confirmed(confirmed)

    def heard(self, ctx: Context, direction: int, flags: int, ts: int) -> None:
        """That side acknowledges something, at that time (ns): the SYN-ACK perhaps, and it says whether it has room."""
        if self.answered >= 0 and direction == self.client:
            self.confirmed(ts)
        peer = self.streams[1 - direction]
        if flags & ZERO_WINDOW:
            if peer.closed_since < 0:
                peer.closed_since = ts
                peer.on_path(ctx).zero_windows += 1
        elif peer.closed_since >= 0:
            peer.on_path(ctx).closed += max(0, ts - peer.closed_since)
            peer.closed_since = -1

    def confirmed(self, ts: int) -> None:
        """The client acknowledges the SYN-ACK."""
        self.client_round_trip = max(0, ts - self.answered)
        self.answered = -1

    def fix_roles(self) -> None:
        """Somebody needs to know now: the higher port, else who sent first, is the client."""
        if self.client >= 0:
            return
        a, b = self.endpoints
        if a.port != b.port:
            self.claim_client(0 if a.port > b.port else 1, "port")
        else:
            self.claim_client(self.first_direction, "order")

    def saw_tag(self, direction: int, tag: int) -> None:
        """A packet had that tag."""
        if not self.seen & (direction + 1):
            self.seen |= direction + 1
            if tag != tag_of(self.key):
                self.other_vlans = {**(self.other_vlans or {}), direction: vlan_ids(tag)}

    def vlans(self) -> tuple[list[int], list[int] | None]:
        """See `vlans_of`."""
        return vlans_of(self.inside, self.other_vlans or {}, self.client)

    def direction_of(self, stream: object) -> int:
        """Which of `streams` that is."""
        return 0 if self.streams[0] is stream else 1

    @property
    def midstream(self) -> bool:
        """See `Conversation`."""
        return self.start == "midstream"

    def expects(self) -> tuple[int, int]:
        """The wire number of the next byte of each direction, -1 where nothing was seen of it."""
        a, b = self.streams
        return (wrap(a.next, a.base) if a.base >= 0 else -1, wrap(b.next, b.base) if b.base >= 0 else -1)

    def ends_at(self) -> tuple[int, int]:
        """The wire number behind the last byte or FIN of each direction, -1 where nothing was seen of it."""
        a, b = self.streams
        return (wrap(a.top, a.base) if a.base >= 0 else -1, wrap(b.top, b.base) if b.base >= 0 else -1)

    def leaves_ports(self, direction: int, base: int) -> bool:
        """Whether a SYN of that direction, whose first byte has that wire number, shows of a closed connection that another one has its ports."""
        if any(s.behind is not None or s.armed is not None for s in self.streams):
            return False
        stream = self.streams[direction]
        return stream.base >= 0 and stream.base != base

    def began(self, direction: int) -> bool:
        """See `Conversation`."""
        return self.streams[direction].syn

    def acknowledged(self, direction: int, mark: int, near: int) -> int:
        """See `Conversation`: a mark is a raw acknowledgement number."""
        return unwrap(mark, self.streams[direction].base, near)

    def wire_sequence(self, direction: int, offset: int) -> int:
        """See `Conversation`."""
        return wrap(offset, self.streams[direction].base)

    def waits_from(self, direction: int) -> int:
        """See `Conversation`."""
        return self.streams[direction].waits_from

    def given_up(self, direction: int, reason: DropReason) -> bool:
        """See `Conversation`."""
        stream = self.streams[direction]
        first = stream.protocol_drop is None
        if first:
            stream.protocol_drop = reason
        return first

    def stream_name(self, direction: int) -> str:
        """`client` or `server`."""
        self.fix_roles()
        return "client" if direction == self.client else "server"
