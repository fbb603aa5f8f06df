"""The records of one direction of TLS (RFC 8446 section 5.1, RFC 5246 section 6.2): which bytes of it are in the clear.

Contract: `spans` gets the stream's bytes in order and yields what they are, span by span. Invariant: kept is at most the part of a record's header that came. Handshake
records, alerts and the change of cipher are in the clear up to that change or the first record of application data; what follows is encrypted. A hole that ends within
the record it began in is counted through; behind another one everything is taken for encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pcapflow.unread import UnreadReason

_HEADER = 5
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _APPLICATION_DATA, _HEARTBEAT = 20, 21, 22, 23, 24
_MAJOR = 3
"""Of the version that every record has."""
_CLEAR = frozenset((_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE))


class Records:
    """One direction's."""

    __slots__ = ("_changes", "_header", "_rest", "remaining")

    def __init__(self) -> None:
        self._header = b""
        """Of the next record."""
        self.remaining = 0
        """Bytes of the record at hand that are to come."""
        self._changes = False
        """It is the change of cipher."""
        self._rest: UnreadReason | None = None
        """What everything is that follows."""

    def spans(self, length: int, take: Callable[[int, int], bytes]) -> Iterator[tuple[int, int, UnreadReason | None]]:
        """So many bytes more; take gives those from a position on, so many. Yields positions, numbers of bytes, and why they are not read; None where they are."""
        at = 0
        while at < length:
            if self._rest is not None:
                yield at, length - at, self._rest
                return
            if self.remaining:
                n = min(self.remaining, length - at)
                self.remaining -= n
                if not self.remaining and self._changes:
                    self._rest = UnreadReason.ENCRYPTED
            else:
                n = self._begins(take(at, min(_HEADER - len(self._header), length - at)))
            if n:
                yield at, n, None
            at += n

    def _begins(self, more: bytes) -> int:
        """More of a header; how many bytes of that are in the clear. What follows them is not, where that is not all."""
        for n, byte in enumerate(more):
            place = len(self._header)
            if place == 0 and byte not in _CLEAR:
                self._rest = UnreadReason.ENCRYPTED if byte in (_APPLICATION_DATA, _HEARTBEAT) else UnreadReason.MALFORMED
            elif place == 1 and byte != _MAJOR:
                self._rest = UnreadReason.MALFORMED
            if self._rest is not None:
                return n
            self._header += bytes((byte,))
        if len(self._header) == _HEADER:
            self.remaining = int.from_bytes(self._header[3:], "big")
            self._changes = self._header[0] == _CHANGE_CIPHER_SPEC
            self._header = b""
        return len(more)

    def gap(self, n: int) -> None:
        """n bytes are missing."""
        if self._rest is None and not self._header and n <= self.remaining:
            self.remaining -= n
            if not self.remaining and self._changes:
                self._rest = UnreadReason.ENCRYPTED
        elif self._rest is None:
            self._rest = UnreadReason.ENCRYPTED
