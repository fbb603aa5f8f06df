"""SOCKS as one of the protocols that a stream may begin with."""

from __future__ import annotations

from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Found, Layer
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import StreamData

_NAME = "socks"
_METHODS = frozenset((*range(10), *range(0x80, 0xFF)))
"""Those that a client may offer (IANA's list ends at 9; the rest are private)."""
_USER_BYTES = 255
"""A name in a request of version 4 is no longer."""


class Socks:
    """The protocol."""

    name = _NAME
    forms = (_NAME,)
    resumes = ()
    asks = _NAME
    patient = True
    first_bytes = frozenset((4, 5))
    from_start = True
    failed = "-"
    reads = "the requested destination (versions 4, 4a, 5); then the protocol that follows"

    def probe(self, first: bytes | bytearray) -> str | None:
        """See `LayerFactory`. A greeting is so short that it could be another protocol's: the server's answer tells."""
        if first[:1] == b"\x05":
            if len(first) < 2:
                return None
            stop = 2 + first[1]
            if not 0 < first[1] <= len(_METHODS) or not _METHODS.issuperset(first[2:stop]):
                return ""
            return _NAME if len(first) >= stop else None
        if first[:1] == b"\x04" and first[1:2] in (b"", b"\x01", b"\x02"):
            user, end, _ = first[8 : 8 + _USER_BYTES + 1].partition(b"\0")
            if not all(0x20 <= byte < 0x7F for byte in user) or first[4:8] == bytes(4):
                return ""
            return _NAME if end and len(first) > 8 else None if len(user) <= _USER_BYTES and len(first) < 256 else ""
        return ""

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """See `LayerFactory`."""
        return data.length

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> Layer:
        """See `LayerFactory`."""
        from pcapflow.protocols.socks.handshake import SocksHandshake  # noqa: PLC0415 - few captures have one

        return SocksHandshake(services, conversation)
