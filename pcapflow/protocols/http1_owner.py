"""What a framer hands on, as an interface: heads, body bytes, ends, losses.

Contract: `Owner` is whoever puts the two directions of a connection together. Invariant: packet and ts (ns) are always those of the byte
that is spoken of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pcapflow.anomalies import Anomaly
from pcapflow.protocols.http1_head import Head
from pcapflow.protocols.layer import Where

if TYPE_CHECKING:
    from pcapflow.protocols.http1_framer import Framer


class Owner(Protocol):
    """Who takes what the framer finds. packet and ts are those of the byte that is spoken of."""

    tunnel: str
    """What follows HTTP here, empty while nothing does."""

    def request_head(self, head: Head, size: int, offset: int, packet: int, ts: int, ack: int, last_packet: int, last_ts: int) -> str:
        """A request head of so many bytes: where it begins, and the packet and time (ns) of its last byte. Returns what follows
        it: `none`, `length`, `chunked`, `close`, `refused` where that cannot be known, `no-memory` where there is no room for it, or `opaque` for what
        is not HTTP/1.
        """
        ...

    def response_head(self, head: Head, size: int, offset: int, packet: int, ts: int, ack: int, last_packet: int, last_ts: int) -> str:
        """The same for a response head."""
        ...

    def whole_body(self, framer: Framer, head: Head, body: bytes, offset: int, begun: int, packet: int, ts: int) -> None:
        """The whole body of the head that begins at that offset and time (ns), and the packet of its last byte."""
        ...

    def body_begin(self, framer: Framer, head: Head, framing: str, offset: int, begun: int) -> None:
        """The head that begins at that offset and time (ns) has a body, of which some may come later."""
        ...

    def body_bytes(self, framer: Framer, n: int, data: bytes) -> None:
        """n bytes of the body; data is empty where nobody looks at them."""
        ...

    def body_gap(self, framer: Framer, n: int) -> None:
        """n bytes of the body are missing."""
        ...

    def body_end(self, framer: Framer, packet: int, ts: int, *, whole: bool) -> None:
        """The body is over; whole: as its framing says, though bytes may be missing in it."""
        ...

    def cut_head(self, framer: Framer, head: Head, where: Where, packet: int, ts: int) -> None:
        """A head of which only its first lines came; at that packet and time (ns) it was clear."""
        ...

    def suspicious(self, framer: Framer, anomaly: Anomaly) -> None:
        """Something odd in the body that is under way."""
        ...

    def is_simple(self, packet: int) -> bool:
        """Whether an answer that begins in that packet is one to a request of HTTP/0.9."""
        ...

    def lost(self, framer: Framer, offset: int) -> None:
        """One or more heads were lost from that offset on."""
        ...
