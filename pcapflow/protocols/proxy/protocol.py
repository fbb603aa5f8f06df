"""The PROXY protocol as one of those that a stream may begin with."""

from __future__ import annotations

from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Found, Layer
from pcapflow.protocols.proxy.signature import BINARY, TEXT
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import StreamData

_NAME = "proxy"


class Proxy:
    """The protocol."""

    name = _NAME
    forms = (_NAME,)
    resumes = ()
    asks = _NAME
    patient = True
    first_bytes = frozenset(b"P\r")
    from_start = False
    failed = "-"
    reads = "the addresses in its header (versions 1 and 2); then the protocol that follows"

    def probe(self, first: bytes | bytearray) -> str | None:
        """See `LayerFactory`."""
        if first[:1] not in (b"P", b"\r"):
            return ""
        begins = bytes(first[: len(TEXT[2])])
        if first.startswith(BINARY) or begins.startswith(TEXT):
            return _NAME
        return None if any(one.startswith(begins) for one in (*TEXT, BINARY)) else ""

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """See `LayerFactory`."""
        return data.length

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> Layer:
        """See `LayerFactory`."""
        from pcapflow.protocols.proxy.header import ProxyHeader  # noqa: PLC0415 - few captures have one

        return ProxyHeader(services, conversation)
