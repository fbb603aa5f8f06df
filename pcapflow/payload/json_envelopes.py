"""Messages of JSON in envelopes: each behind five bytes, flags and a length (Connect, gRPC-Web and gRPC with JSON).

Contract: a `Text`; each message is a text by itself. A message that its flags call compressed, and the trailers of gRPC-Web, are skipped and counted. Source: the Connect protocol's
"enveloped messages", gRPC's "length-prefixed messages". Invariant: kept is at most the beginning of an envelope, and what `Separated` keeps.
"""

from __future__ import annotations

from pcapflow.budget import Account
from pcapflow.contents import JsonBody
from pcapflow.drops import Drop
from pcapflow.limits import Limits
from pcapflow.payload.json_texts import RECORD_SEPARATOR, Separated
from pcapflow.payload.tap import Tap

_ENVELOPE = 5
_COMPRESSED, _TRAILERS = 1, 0x80
_NO_TEXT = b"\0"
"""What stands for a separator within a message: it is as little a part of JSON."""


class Enveloped:
    """One body."""

    __slots__ = ("_bytes", "_envelope", "_left", "_skipped", "_skips", "_texts")

    def __init__(self, limits: Limits, account: Account, tap: Tap | None = None) -> None:
        self._texts = Separated(RECORD_SEPARATOR, limits, account, tap)
        self._envelope = b""
        """What came of the next message's."""
        self._left = 0
        """Bytes of the message at hand that are to come."""
        self._skips = False
        """It is not read."""
        self._skipped = 0
        self._bytes = 0

    @property
    def drop(self) -> Drop | None:
        return self._texts.drop

    def feed(self, data: bytes) -> None:
        self._bytes += len(data)
        at = 0
        while at < len(data):
            if self._left:
                n = min(self._left, len(data) - at)
                if not self._skips:
                    self._texts.feed(data[at : at + n].replace(RECORD_SEPARATOR, _NO_TEXT))
                self._left -= n
                at += n
                if not self._left and not self._skips:
                    self._texts.feed(RECORD_SEPARATOR)
                continue
            n = _ENVELOPE - len(self._envelope)
            self._envelope += data[at : at + n]
            at += n
            if len(self._envelope) == _ENVELOPE:
                self._skips = bool(self._envelope[0] & (_COMPRESSED | _TRAILERS))
                self._left = int.from_bytes(self._envelope[1:], "big")
                self._skipped += self._skips and bool(self._left)
                self._envelope = b""

    def gap(self) -> bool:
        """Nothing tells where the next envelope begins."""
        self._texts.gap()
        return False

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody | None:
        found = self._texts.finish(whole=whole and not self._left and not self._envelope, gapped=gapped)
        found.bytes = self._bytes
        found.skipped = self._skipped
        return found
