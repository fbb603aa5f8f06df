"""How a client asks a SOCKS proxy for a connection: versions 4, 4a and 5 (RFC 1928; names and passwords RFC 1929).

Contract: `SocksHandshake` reads the greeting, the choice of a method, a name with its password, the request and the answer; what follows is the connection that was asked for. The
password is not kept. Invariant: a method that is not read here, and anything but a connection (CONNECT), leave what follows unread under the name `socks`.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from pcapflow.protocols.host import Host
from pcapflow.protocols.prefix import BrokenPrefixError, Prefix
from pcapflow.records import Proxied, ProxiedEnd, text
from pcapflow.streams.conversation import Conversation
from pcapflow.unread import UnreadReason

_NAME = "socks"
_CONNECT = 1
_NO_METHOD, _PASSWORD, _REFUSED = 0, 2, 0xFF
_IPV4, _DOMAIN, _IPV6 = 1, 3, 4
_REQUEST_4 = re.compile(rb"\x04[\x01\x02]..(....)([\x20-\x7e]{0,255})\x00", re.DOTALL)
_REQUEST_4A = re.compile(rb"\x04[\x01\x02]..\x00\x00\x00[^\x00][\x20-\x7e]{0,255}\x00([\x21-\x7e]{1,255})\x00", re.DOTALL)
_UNFINISHED_4 = re.compile(rb"\x04(?:[\x01\x02].{0,6}|[\x01\x02].{6}[\x20-\x7e]{0,255})?\Z", re.DOTALL)
_UNFINISHED_4A = re.compile(rb"\x04[\x01\x02]..\x00\x00\x00[^\x00][\x20-\x7e]{0,255}\x00[\x21-\x7e]{0,255}\Z", re.DOTALL)


class SocksHandshake(Prefix):
    """One conversation."""

    name = _NAME
    broken = UnreadReason.UNKNOWN_PROTOCOL

    __slots__ = ("_expects", "_method", "_wanted")

    def __init__(self, services: Host, conversation: Conversation) -> None:
        super().__init__(services, conversation)
        self._expects = "hello"
        """Whose turn it is, and what for."""
        self._method = _NO_METHOD
        self._wanted: ProxiedEnd | None = None

    def take_message(self, *, client: bool) -> int:
        """See `Prefix`."""
        kept = (self.client if client else self.server).kept
        turn = self._expects
        if client:
            read = {"hello": self._hello, "password": self._password, "request": self._request}.get(turn)
        else:
            read = {"method": self._chosen, "welcome": self._welcome, "answer": self._answer, "answer 4": self._answer_4}.get(turn)
        return read(kept) if read is not None else 0

    def _ends(self, *, asked: bool) -> None:
        """The handshake is."""
        self.client.done = self.server.done = True
        self.unsupported = not asked

    # --- the client's

    def _hello(self, kept: bytes) -> int:
        if kept[0] == 4:
            return self._request_4(kept)
        if kept[0] != 5:
            raise BrokenPrefixError
        if len(kept) < 2 or len(kept) < 2 + kept[1]:
            return 0
        self._expects = "method"
        return 2 + kept[1]

    def _request_4(self, kept: bytes) -> int:
        named = _REQUEST_4A.match(kept)
        asked = named or _REQUEST_4.match(kept)
        unnamed = kept[4:7] == b"\x00\x00\x00" and kept[7:8] not in (b"", b"\x00")
        if asked is None or (unnamed and named is None):
            if _UNFINISHED_4.match(kept) or _UNFINISHED_4A.match(kept):
                return 0
            raise BrokenPrefixError
        port = int.from_bytes(kept[2:4], "big")
        self._wanted = ProxiedEnd(None, text(named[1]), port) if named is not None else ProxiedEnd(str(ip_address(kept[4:8])), None, port)
        self._expects = "answer 4" if kept[1] == _CONNECT else "other"
        if self._expects == "other":
            self._ends(asked=False)
        return asked.end()

    def _password(self, kept: bytes) -> int:
        """A name and a password (RFC 1929 section 2)."""
        if kept[0] != 1:
            raise BrokenPrefixError
        name = kept[1] if len(kept) > 1 else 0
        if len(kept) < 3 + name or len(kept) < 3 + name + kept[2 + name]:
            return 0
        self._expects = "welcome"
        return 3 + name + kept[2 + name]

    def _request(self, kept: bytes) -> int:
        stop, end = _address(kept)
        if stop:
            self._wanted = end
            self._expects = "answer" if kept[1] == _CONNECT else "other"
            if self._expects == "other":
                self._ends(asked=False)
        return stop

    # --- the server's

    def _chosen(self, kept: bytes) -> int:
        if kept[0] != 5:
            raise BrokenPrefixError
        if len(kept) < 2:
            return 0
        self._method = kept[1]
        if self._method in (_NO_METHOD, _PASSWORD):
            self._expects = "request" if self._method == _NO_METHOD else "password"
        else:
            self._ends(asked=self._method == _REFUSED)
        return 2

    def _welcome(self, kept: bytes) -> int:
        if len(kept) < 2:
            return 0
        if kept[1]:
            self._ends(asked=True)
        self._expects = "request"
        return 2

    def _answer(self, kept: bytes) -> int:
        stop, _ = _address(kept)
        if stop:
            self._granted(granted=kept[1] == 0)
        return stop

    def _answer_4(self, kept: bytes) -> int:
        if kept[0]:
            raise BrokenPrefixError
        if len(kept) < 8:
            return 0
        self._granted(granted=kept[1] == 90)
        return 8

    def _granted(self, *, granted: bool) -> None:
        self._ends(asked=True)
        if granted and self._wanted is not None:
            self.proxied = Proxied(_NAME, None, self._wanted)


def _address(kept: bytes) -> tuple[int, ProxiedEnd | None]:
    """Where a request or an answer ends, and the address in it (RFC 1928 sections 4 to 6); 0 where more is needed."""
    if kept[0] != 5 or kept[2:3] not in (b"", b"\x00"):
        raise BrokenPrefixError
    if len(kept) < 5:
        return 0, None
    kind = kept[3]
    if kind not in (_IPV4, _DOMAIN, _IPV6):
        raise BrokenPrefixError
    at = 4 + (kind == _DOMAIN)
    stop = at + {_IPV4: 4, _IPV6: 16}.get(kind, kept[4])
    if len(kept) < stop + 2:
        return 0, None
    port = int.from_bytes(kept[stop : stop + 2], "big")
    if kind == _DOMAIN:
        return stop + 2, ProxiedEnd(None, text(kept[at:stop]), port)
    return stop + 2, ProxiedEnd(str(ip_address(kept[at:stop])), None, port)
