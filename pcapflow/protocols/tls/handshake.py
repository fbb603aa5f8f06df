"""What a TLS handshake says in the clear: server name, version, protocol (RFC 8446 section 4, RFC 6066, RFC 7301).

Contract: `Handshake` takes the first events of both directions and fills in `tls` from the first ClientHello and ServerHello. Nothing is
decrypted. dpkt takes the messages apart; what it does not understand is left out. Invariant: at most `tls_hello_max_bytes` of
each direction are kept, reserved in the `http` account, and nothing once both are known but the names in `tls`, which stay reserved
until `finish`; those that the account has no room for are left out.
"""

from __future__ import annotations

import struct
from functools import cache
from sys import getsizeof
from typing import Any

from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Found, Switch, skip_until, skipped
from pcapflow.protocols.tls.records import Records
from pcapflow.records import Tls as TlsRecord
from pcapflow.records import text
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import StreamData, StreamEvent, StreamGap, Where
from pcapflow.unread import Unread, UnreadReason

_NAME = "tls"
_HTTP = b"HTTP/1."
_HANDSHAKE_RECORD, _CLIENT_HELLO, _SERVER_HELLO = 22, 1, 2
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS = 0, 16, 43
_VERSIONS = {0x0300: "SSL 3.0", 0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}
_OFTEN = 4 << 10
"""Up to so many bytes are looked at as each packet brings more."""
_NAMES_MAX = 16
"""Protocols of an offer that are kept."""
_NAME_BYTES = 255
"""A server name is no longer (RFC 1035 section 2.3.4); what is, is none."""
_PROBLEMS = (struct.error, IndexError, ValueError, TypeError, KeyError)
"""What dpkt raises beside errors of its own."""


@cache
def _dpkt() -> tuple[Any, tuple[type[Exception], ...]]:
    """dpkt's reader of TLS and what it may raise; imported when the first handshake comes."""
    import dpkt
    from dpkt import ssl

    return ssl, (*_PROBLEMS, dpkt.Error, ssl.SSL3Exception)


class Handshake:
    """One conversation's."""

    __slots__ = (
        "_account",
        "_clear",
        "_conversation",
        "_greeted",
        "_kept",
        "_limit",
        "_look_at",
        "_records",
        "_reserved",
        "_services",
        "tls",
    )

    def __init__(self, services: Host, conversation: Conversation) -> None:
        self._services = services
        self._conversation = conversation
        self._account = services.ledger.http
        self._limit = services.limits.tls_hello_max_bytes
        self._records = (Records(), Records())
        self._clear = -1
        """The direction of a server that answered in HTTP."""
        self._greeted = 0
        """The packet that greeted, where something was said before it: that is no answer."""
        self._kept: list[bytes | None] = [b"", b""]
        """What came so far of each direction's first message; None when nothing more is wanted."""
        self._look_at = [0, 0]
        self._reserved = 0
        self.tls = TlsRecord(None, None, None, [])

    @property
    def protocol(self) -> str:
        """See `Layer`."""
        return _NAME

    def begin(self, found: Found) -> Switch | None:
        """See `Layer`."""
        services, conversation = self._services, self._conversation
        self._greeted = found.packet
        events: list[list[StreamEvent]] = [[], []]
        for direction in (found.direction, 1 - found.direction):
            opening = found.openings[direction]
            if opening.searching or opening.passed:
                skipped(services, conversation, found, direction)
                events[direction] = skip_until(services, conversation, direction, opening.events, found.packet)
            else:
                skipped(services, conversation, found, direction, len(opening.stash))
                events[direction] = opening.events
                if opening.stash:
                    self._run(direction, [], opening.stash, opening.where)
        return self.consume((events[0], events[1]))

    def consume(self, events: Events) -> Switch | None:
        """See `Layer`."""
        clear: tuple[list[StreamEvent], list[StreamEvent]] = ([], [])
        for direction in (0, 1):
            if self._clear == direction or self._answers_in_clear(direction, events[direction]):
                self._clear = direction
                clear[direction].extend(events[direction])
            else:
                self._run(direction, events[direction])
        return Switch(clear, known=False, begun=0) if self._clear >= 0 else None

    def _answers_in_clear(self, direction: int, events: list[StreamEvent]) -> bool:
        """Whether a server that was greeted in TLS answers in HTTP, as its first segment shows."""
        conversation = self._conversation
        first = events[0] if events else None
        if type(first) is not StreamData or first.start or conversation.midstream or direction == conversation.client:
            return False
        if first.packet(0) <= self._greeted:
            return False
        return first.take(0, min(first.piece_ends()[0], len(_HTTP))) == _HTTP

    def _run(self, direction: int, events: list[StreamEvent], stash: bytes = b"", where: Where | None = None) -> None:
        """More of a direction; stash: what came before these events, from that place on."""
        if stash:
            assert where is not None
            for at, n, reason in self._records[direction].spans(len(stash), lambda at, n: stash[at : at + n]):
                self._count(direction, n, reason, where.offset + at, where.packet)
            self._take(direction, stash)
        for event in events:
            if isinstance(event, StreamData):
                for at, n, reason in self._records[direction].spans(event.length, event.take):
                    self._count(direction, n, reason, event.start + at, event.packet(event.piece(at)) if reason is not None else 0)
            elif isinstance(event, StreamGap):
                self._records[direction].gap(event.length)
            if self._kept[direction] is None:
                continue
            if isinstance(event, StreamData):
                room = self._limit - len(self._kept[direction] or b"")
                self._take(direction, event.take(0, min(event.length, room)))
            else:
                self._end(direction)

    def _count(self, direction: int, n: int, reason: UnreadReason | None, offset: int, packet: int) -> None:
        """n bytes are read, or for that reason not."""
        if reason is None:
            self._conversation.readings[direction].read += n
        else:
            self._services.unread(self._conversation, direction, Unread(reason.value, None, n, offset, packet))

    def finish(self, packet: int) -> None:
        """See `Layer`."""
        self._end(0)
        self._end(1)
        self._account.release(self._reserved)
        self._reserved = 0

    def _end(self, direction: int) -> None:
        """No more comes that belongs to what was kept."""
        if self._kept[direction]:
            self._look(direction, self._kept[direction] or b"")
        self._forget(direction)

    def _take(self, direction: int, data: bytes) -> None:
        kept = self._kept[direction]
        if kept is None or not self._account.reserve(len(data)):
            self._forget(direction)
            return
        data = kept + data
        self._kept[direction] = data
        if len(data) < self._look_at[direction] and len(data) < self._limit:
            return
        self._look_at[direction] = len(data) * 2 if len(data) > _OFTEN else 0  # so that many tiny records cost no more
        self._look(direction, data)

    def _look(self, direction: int, data: bytes) -> None:
        message = _first_message(data)
        if message is None:
            if len(data) >= self._limit:
                self._forget(direction)
            return
        if message[:1] == bytes([_CLIENT_HELLO]):
            self._client_hello(message[4:])
        elif message[:1] == bytes([_SERVER_HELLO]):
            self._server_hello(message[4:])
        self._forget(direction)

    def _forget(self, direction: int) -> None:
        kept = self._kept[direction]
        if kept is not None:
            self._account.release(len(kept))
            self._kept[direction] = None

    def _client_hello(self, body: bytes) -> None:
        ssl, problems = _dpkt()
        try:
            extensions = dict(getattr(ssl.TLSClientHello(body), "extensions", ()))
        except problems:
            return
        name = extensions.get(_SERVER_NAME, b"")
        size = int.from_bytes(name[3:5], "big")
        if len(name) > 5 and name[2] == 0 and size <= _NAME_BYTES:
            server_name = text(name[5 : 5 + size])
            if self._reserve(server_name):
                self.tls.server_name = server_name
        self.tls.offered = [one for one in _protocols(extensions.get(_ALPN, b"")) if self._reserve(one)]

    def _server_hello(self, body: bytes) -> None:
        ssl, problems = _dpkt()
        try:
            hello = ssl.TLSServerHello(body)
            extensions = dict(getattr(hello, "extensions", ()))
            version = int.from_bytes(extensions.get(_SUPPORTED_VERSIONS, b"")[:2], "big") or int(hello.version)
        except problems:
            return
        self.tls.version = _VERSIONS.get(version, f"0x{version:04x}")
        chosen = _protocols(extensions.get(_ALPN, b""))[:1]
        self.tls.alpn = chosen[0] if chosen and self._reserve(chosen[0]) else None

    def _reserve(self, name: str) -> bool:
        """Room for a name that is kept until the connection is over."""
        n = getsizeof(name)
        if not self._account.reserve(n):
            return False
        self._reserved += n
        return True


def _first_message(data: bytes) -> bytes | None:
    """The first handshake message, which records may part; empty where there is none, None where more is needed."""
    message = b""
    at = 0
    while at + 5 <= len(data):
        if data[at] != _HANDSHAKE_RECORD:
            return b""
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if not size:
            return b""
        message += data[at + 5 : at + 5 + size]
        at += 5 + size
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return message[: 4 + int.from_bytes(message[1:4], "big")]
    return None


def _protocols(extension: bytes) -> list[str]:
    """The names in an ALPN extension."""
    names: list[str] = []
    at = 2
    while at < len(extension) and len(names) < _NAMES_MAX:
        size = extension[at]
        names.append(text(extension[at + 1 : at + 1 + size]))
        at += 1 + size
    return names


class Tls:
    """The protocol."""

    name = _NAME
    forms = (_NAME,)
    resumes = ()
    asks = _NAME
    patient = True
    first_bytes = frozenset((_HANDSHAKE_RECORD,))
    from_start = False
    failed = "-"
    reads = "names in the handshake; encrypted data is not read"

    def probe(self, first: bytes | bytearray) -> str | None:
        """See `LayerFactory`: a handshake record has a type, version 3.x and a length (RFC 8446 section 5.1)."""
        if first[:1] != b"\x16":
            return ""
        if len(first) < 3:
            return None
        return _NAME if first[1] == 3 and first[2] <= 4 else ""

    def resume(self, form: str, data: StreamData, position: int, stop: int) -> int:
        """See `LayerFactory`."""
        return data.length

    def open(self, services: Host, conversation: Conversation, found: Found | None, begun: int) -> Handshake:
        """See `LayerFactory`."""
        return Handshake(services, conversation)
