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
                more = take(at, min(_HEADER - len(self._header), length - at))
                self._header += more
                n = len(more)
                if not self._begins():
                    continue
            yield at, n, None
            at += n

    def _begins(self) -> bool:
        """What the header says, as far as it came; False where it and all that follows is not read."""
        header = self._header
        if header[0] in (_APPLICATION_DATA, _HEARTBEAT):
            self._rest = UnreadReason.ENCRYPTED
        elif header[0] not in _CLEAR or header[1:2] not in (b"", b"\x03"):
            self._rest = UnreadReason.MALFORMED
        if self._rest is not None:
            return False
        if len(header) == _HEADER:
            self.remaining = int.from_bytes(header[3:], "big")
            self._changes = header[0] == _CHANGE_CIPHER_SPEC
            self._header = b""
        return True

    def gap(self, n: int) -> None:
        """n bytes are missing."""
        if self._rest is None and not self._header and n <= self.remaining:
            self.remaining -= n
            if not self.remaining and self._changes:
                self._rest = UnreadReason.ENCRYPTED
        elif self._rest is None:
            self._rest = UnreadReason.ENCRYPTED
