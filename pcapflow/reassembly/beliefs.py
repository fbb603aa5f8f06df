"""What control segments say of a connection, and when that is believed (RFC 9293 section 3.10.7, RFC 5961).

Contract: `heard_reset` says what a RST can mean where it stands; `fits` whether a SYN belongs to the connection it came to; `goes_on` whether a
segment belongs to the connection that a SYN asked for that did not fit. They look at numbers and change nothing. Invariant: nothing is believed
for its flag alone, and nothing that cannot be taken back: a RST ends a connection when nothing contradicts it, a SYN with other numbers begins
one when somebody goes on with them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pcapflow.decode.segments import ACK, MULTIPATH
from pcapflow.reassembly.pending_run import Rows
from pcapflow.reassembly.seqspace import unwrap, wrap

WINDOW = 4 << 20
"""What a sender may well be ahead or behind (`Limits.ring_size` has the reason): a number within it belongs, one beyond is another connection's."""


class Syn(NamedTuple):
    """A SYN, or the SYN-ACK to one, and what came of it again. number: its first packet; direction: who sent it; ack: raw, -1 for a SYN alone."""

    number: int
    first_ts: int
    packets: int
    last_packet: int
    last_ts: int
    last_clock: int
    direction: int
    seq: int
    ack: int = -1
    multipath: bool = False
    tag: int = 0
    """As it was captured."""

    @classmethod
    def of(cls, rows: Rows, i: int, tag: int) -> Syn:
        """A row that has SYN set. tag: where rows have none."""
        packet, ts, flags = rows.packet[i], rows.ts[i], rows.flags[i]
        ack = rows.ack[i] if flags & ACK else -1
        tag = rows.tags[i] if rows.tags is not None else tag
        return cls(packet, ts, 1, packet, ts, rows.clock[i], rows.direction[i], rows.seq[i], ack, bool(flags & MULTIPATH), tag)

    def believed_instead(self, stream: Numbers, peer: Numbers) -> bool:
        """Whether this is the second of two SYN-ACKs to one SYN, of which the client believes it; of their stream nothing more was seen."""
        nothing = stream.next == 0 and stream.captured == 0 and stream.fin < 0
        return self.ack >= 0 and nothing and peer.syn and 0 <= unwrap(self.ack, peer.base, peer.next) <= peer.top

    def same(self, other: Syn) -> bool:
        """Whether the other is this one sent again."""
        return self.seq == other.seq and self.direction == other.direction and (self.ack < 0) == (other.ack < 0)

    def again(self, other: Syn) -> Syn:
        """This one, and the other, which is the same, after it."""
        return other._replace(
            number=self.number,
            first_ts=self.first_ts,
            packets=self.packets + other.packets,
            multipath=self.multipath or other.multipath,
            tag=self.tag,
        )

    @property
    def base(self) -> int:
        """The wire number of its stream's first byte."""
        return wrap(1, self.seq)


class Reset(NamedTuple):
    """A RST that is believed until somebody contradicts it. limits: of both streams, what was acknowledged beyond this contradicts it. exact: it has
    the number that its receiver expected; else the receiver asks back (RFC 5961 section 3.2), and what follows must tell.
    """

    packet: int
    ts: int
    direction: int
    limits: tuple[int, int]
    exact: bool

    @classmethod
    def of(cls, heard: Heard, stream: Numbers, peer: Numbers, rows: Rows, i: int) -> Reset:
        """A RST of a stream, in that row, as it was heard."""
        own = max(heard.offset + rows.n[i], stream.top)
        direction = rows.direction[i]
        return cls(rows.packet[i], rows.ts[i], direction, (own, peer.top) if direction == 0 else (peer.top, own), heard.exact)


class Expected(NamedTuple):
    """What a peer acknowledged of a stream of which nothing was seen: first (raw) and at which clock (ns), and last."""

    first: int
    clock: int
    last: int


class Heard(NamedTuple):
    """Where a RST stands: its offset in its sender's stream, and whether its receiver expected that number."""

    offset: int
    exact: bool


class Numbers(Protocol):
    """What is known of a stream's numbers."""

    base: int
    """Wire number of offset 0; -1 until something of it was seen."""
    next: int
    """The next offset."""
    acked: int
    """Highest offset that the peer acknowledged."""
    syn: bool
    """Whether offset 0 is known from a SYN."""
    expected: Expected | None
    """While nothing of it was seen: what the peer acknowledged."""
    captured: int
    """Bytes of it that were captured."""
    fin: int
    """Offset of its FIN; -1 until one was seen."""

    @property
    def top(self) -> int:
        """Up to where anything was seen of it."""
        ...


def heard_reset(stream: Numbers, peer: Numbers, seq: int, ack: int) -> Heard | None:
    """What a RST of a stream says; None for nothing. ack: raw, -1 without one."""
    if stream.base >= 0:
        offset = unwrap(seq, stream.base, stream.next)
        # what the receiver expects lies between what it acknowledged and what was sent
        low, high = min(stream.acked, stream.next), max(stream.top, stream.acked)
        return Heard(offset, offset <= high) if low <= offset <= high + WINDOW else None
    if peer.base < 0:
        return Heard(0, exact=True)  # the connection's first packet
    if stream.expected is not None:
        ahead = unwrap(seq, stream.expected.last, 0)
        return Heard(ahead, ahead == 0) if 0 <= ahead <= WINDOW else None
    # SYN-SENT: nothing counts that does not acknowledge the SYN
    return Heard(0, exact=True) if ack >= 0 and 0 <= unwrap(ack, peer.base, peer.next) <= peer.top else None


def fits(stream: Numbers, peer: Numbers, base: int, ack: int, *, closed: bool) -> bool:
    """Whether a SYN of a stream belongs to a connection of which something was seen. base: the wire number of its first byte; ack: raw, -1 without
    one; closed: whether the connection is over.
    """
    if stream.base >= 0:
        return stream.base == base
    if ack >= 0:
        return peer.base < 0 or (0 if peer.syn else -WINDOW) <= unwrap(ack, peer.base, peer.next) <= peer.top
    if stream.expected is None:
        return not closed
    return 0 <= unwrap(stream.expected.last, base, 0) <= WINDOW


def goes_on(asked: Syn, stream: Numbers, direction: int, seq: int, ack: int) -> bool:
    """Whether a segment goes on with the numbers of a SYN that did not fit, sooner than with those of the stream that it came to. ack: raw, -1
    without one.
    """
    own = direction == asked.direction
    number = seq if own else ack
    if number < 0:
        return False
    new = unwrap(number, asked.base, 0)
    if not 0 <= new <= WINDOW:
        return False
    if stream.base >= 0:
        old = abs(unwrap(number, stream.base, stream.next) - stream.next)
    elif stream.expected is not None and not own:
        old = abs(unwrap(number, stream.expected.last, 0))
    else:
        return True
    return old > WINDOW or new < old
