"""What the framing of one direction finds, in order: heads, bodies, losses. Values.

Contract: the framer yields them (`Framer.read`, `gap`, `end`); behind a head it goes on when whoever takes them has said what follows it (`Framer.follows`).
Invariant: packet and ts (ns) are always those of the byte that is spoken of.
"""

from __future__ import annotations

import msgspec

from pcapflow.anomalies import Anomaly
from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.http.message import Head, HeadRead
from pcapflow.streams.events import Where
from pcapflow.unread import Unread, UnreadReason


class HeadCut(msgspec.Struct, gc=False):
    """A head of which only its first lines came; at that packet and time (ns) it was clear."""

    head: Head
    where: Where
    """Its first byte."""
    packet: int
    ts: int
    resynchronised: bool
    """A search found it."""


class BodyRead(msgspec.Struct, gc=False):
    """The whole body of a message, at once; packet and time (ns) of its last byte."""

    message: HeadRead
    data: bytes
    packet: int
    ts: int


class BodyBegins(msgspec.Struct, gc=False):
    """A message has a body, of which some may come later; framing: what tells its length."""

    message: HeadRead
    framing: str


class BodyBytes(msgspec.Struct, gc=False):
    """n bytes of the body; data is empty where nobody looks at them."""

    n: int
    data: bytes
    packet: int
    """That brought them, where the services want bodies packet by packet."""
    offset: int = -1
    """Of the first of them in the stream, where there is data."""


class BodyGap(msgspec.Struct, gc=False):
    """n bytes of the body are missing."""

    n: int
    packet: int


class BodyEnds(msgspec.Struct, gc=False):
    """The body is over, at that packet and time (ns)."""

    packet: int
    ts: int
    whole: bool
    """As its framing says, though bytes may be missing in it."""
    refused: DropReason | None = None
    """Why its framing is not followed any more."""


class Odd(msgspec.Struct, gc=False):
    """Something suspicious in the body that is under way."""

    anomaly: Anomaly


class GivenUp(msgspec.Struct, gc=False):
    """A message is, for a reason; held: bytes that were held, from that offset of the stream on."""

    drop: Drop
    packet: int
    ts: int
    offset: int
    held: int


class TrailerLine(msgspec.Struct, gc=False):
    """A field behind the body that is under way, where somebody wants it."""

    line: bytes


class HeadsLost(msgspec.Struct, gc=False):
    """One or more heads were lost from that offset on, for that reason."""

    offset: int
    reason: UnreadReason


Event = HeadRead | HeadCut | BodyRead | BodyBegins | BodyBytes | BodyGap | BodyEnds | Odd | GivenUp | HeadsLost | TrailerLine | Unread
