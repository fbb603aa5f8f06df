"""Undoes content codings as the bytes arrive: gzip (any number of members) and deflate (zlib or raw), by zlib.

Contract: `feed` takes encoded bytes and hands decoded pieces of bounded size to a callable; it returns a `Drop` where the
body is not what it says or grows beyond its limits, and never raises. Encoded bytes are taken in slices that begin at
fixed offsets of the body, so where a limit is met does not depend on how the bytes were cut. Invariant: no more than SLICE
encoded and PIECE decoded bytes are kept; the rest is zlib's window, reserved as DECODER_BYTES.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits

SLICE = 2 << 10
PIECE = 64 << 10
DECODER_BYTES = 48 << 10
"""zlib's inflate state: a window of 32 KiB, tables of 7 KiB, and a slice."""

SUPPORTED = frozenset(("gzip", "x-gzip", "deflate"))


class Decoder:
    """One body with one content coding."""

    __slots__ = ("_carry", "_coding", "_inflate", "_limits", "_out", "_tail", "decoded", "encoded", "ended")

    def __init__(self, coding: str, limits: Limits, out: Callable[[bytes], None]) -> None:
        self._coding = coding
        self._limits = limits
        self._out = out
        self._tail = b""
        self._carry = b""
        self._inflate = zlib.decompressobj(31) if coding != "deflate" else None
        self.ended = False
        self.encoded = 0
        self.decoded = 0

    def feed(self, data: bytes) -> Drop | None:
        """The next encoded bytes."""
        data = self._tail + data
        end = len(data) - SLICE
        at = 0
        while at <= end:
            drop = self._slice(data[at : at + SLICE])
            if drop is not None:
                return drop
            at += SLICE
        self._tail = data[at:]
        return None

    def finish(self) -> Drop | None:
        """No more bytes come, and none is missing."""
        tail, self._tail = self._tail, b""
        drop = self._slice(tail) if tail else None
        if drop is None and not self.ended and self.encoded:
            return Drop(DropReason.CONTENT_MALFORMED, "", 0, f"the {self._coding} stream is not at its end after {self.encoded} bytes")
        return drop

    def cut(self) -> Drop | None:
        """No more bytes come; what is there was good so far."""
        tail, self._tail = self._tail, b""
        return self._slice(tail) if tail else None

    def _slice(self, data: bytes) -> Drop | None:
        if self._inflate is None:
            self._inflate = zlib.decompressobj(15 if _has_zlib_header(data) else -15)
        self.encoded += len(data)
        data = self._carry + data
        self._carry = b""
        more = True
        try:
            while data or more:
                if self.ended:
                    # another member, or bytes behind the end, which clients ignore
                    if data == b"\x1f":
                        self._carry = data
                        break
                    if not data.startswith(b"\x1f\x8b"):
                        break
                    self._inflate = zlib.decompressobj(31)
                    self.ended = False
                piece = self._inflate.decompress(data, PIECE)
                self.decoded += len(piece)
                if piece:
                    self._out(piece)
                more = len(piece) == PIECE
                if self._inflate.eof:
                    self.ended = True
                    data = self._inflate.unused_data
                else:
                    data = self._inflate.unconsumed_tail
        except zlib.error as e:
            return Drop(DropReason.CONTENT_MALFORMED, "", 0, f"{self._coding}: {e}")
        limits = self._limits
        if self.decoded > limits.content_max_bytes:
            return Drop(DropReason.CONTENT_TOO_LARGE, "content_max_bytes", limits.content_max_bytes, f"{self.decoded} bytes decoded")
        if self.decoded > limits.content_ratio_floor and self.decoded > limits.content_max_ratio * self.encoded:
            detail = f"{self.encoded} bytes decoded to {self.decoded}"
            return Drop(DropReason.CONTENT_RATIO, "content_max_ratio", limits.content_max_ratio, detail)
        return None


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950 section 2.2; some servers send raw DEFLATE under the name."""
    return len(data) >= 2 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
