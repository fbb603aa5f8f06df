"""The header of the PROXY protocol, versions 1 and 2 (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt): a balancer says whose connection it hands on.

Contract: `ProxyHeader` reads the client's header; what follows it, and all that the server says, is another protocol's. Addresses of other families than IP, and a header of the balancer's own
connection (LOCAL, UNKNOWN), give none.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from pcapflow.protocols.host import Host
from pcapflow.protocols.prefix import BrokenPrefixError, Prefix
from pcapflow.protocols.proxy.signature import BINARY
from pcapflow.records import Proxied, ProxiedEnd
from pcapflow.streams.conversation import Conversation
from pcapflow.unread import UnreadReason

_NAME = "proxy"
_TEXT_BYTES = 107
"""A header of version 1 is no longer."""
_LINE = re.compile(rb"PROXY (?:UNKNOWN[^\r\n]*|TCP[46] ([0-9a-fA-F.:]{1,45}) ([0-9a-fA-F.:]{1,45}) ([0-9]{1,5}) ([0-9]{1,5}))\r\n")
_FIXED = 16
"""Bytes of a header of version 2 before the addresses."""
_ADDRESSES = {0x11: 4, 0x21: 16}
"""Bytes of an address, by family and protocol: TCP over IPv4 and over IPv6."""


class ProxyHeader(Prefix):
    """One conversation."""

    name = _NAME
    broken = UnreadReason.MALFORMED

    __slots__ = ()

    def __init__(self, services: Host, conversation: Conversation) -> None:
        super().__init__(services, conversation)
        self.server.done = True  # it says nothing of its own

    def take_message(self, *, client: bool) -> int:
        """See `Prefix`."""
        kept = self.client.kept
        n = self._binary(kept) if kept.startswith(BINARY) else self._text(kept)
        self.client.done = n > 0
        return n

    def _text(self, kept: bytes) -> int:
        if BINARY.startswith(kept[: len(BINARY)]):
            return 0
        stop = kept.find(b"\n", 0, _TEXT_BYTES) + 1
        if not stop and len(kept) < _TEXT_BYTES:
            return 0
        line = _LINE.fullmatch(kept, 0, stop)
        if line is None:
            raise BrokenPrefixError
        if line[1] is not None:
            client, server = (_end(line[i].decode("ascii"), int(line[i + 2])) for i in (1, 2))
            if client is not None and server is not None:
                self.proxied = Proxied("proxy", client, server)
        return stop

    def _binary(self, kept: bytes) -> int:
        if len(kept) < _FIXED:
            return 0
        if kept[12] >> 4 != 2:
            raise BrokenPrefixError
        size = _ADDRESSES.get(kept[13], 0)
        length = int.from_bytes(kept[14:16], "big")
        known = 2 * size + 4 if size else 0
        if length < known:
            raise BrokenPrefixError
        if len(kept) < _FIXED + known:
            return 0
        if size and kept[12] & 15 == 1:
            parts = kept[_FIXED : _FIXED + known]
            ports = [int.from_bytes(parts[at : at + 2], "big") for at in (2 * size, 2 * size + 2)]
            ends = [ProxiedEnd(str(ip_address(parts[i * size : (i + 1) * size])), None, ports[i]) for i in (0, 1)]
            self.proxied = Proxied("proxy", *ends)
        return _FIXED + length


def _end(address: str, port: int) -> ProxiedEnd | None:
    try:
        return ProxiedEnd(str(ip_address(address)), None, port) if port <= 0xFFFF else None
    except ValueError:
        return None
