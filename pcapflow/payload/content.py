"""Undoes content codings as the bytes arrive: gzip (any number of members) and deflate (zlib or raw) by zlib, br by brotli, zstd
by Python's own or its backport, and several of them one on top of the other.

Contract: `feed` takes encoded bytes and hands decoded pieces of bounded size to a callable; it returns a `Drop` where the
body is not what it says or grows beyond its limits, and never raises. Encoded bytes are taken in slices that begin at
fixed offsets of the body, so where a limit is met does not depend on how the bytes were cut. Invariant: no more than SLICE
encoded and PIECE decoded bytes are kept; the rest is the decoders' own: what a library takes at its worst for the bytes it has been
given is reserved in the `content` account before it gets them.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from pcapflow.body_options import EXTRAS, MOST_CODINGS
from pcapflow.budget import Account
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits

SLICE = 2 << 10
PIECE = 64 << 10
DECODER_BYTES = {"br": 48 << 10, "zstd": 224 << 10}
"""What a decoder takes from the start: brotli's state; zstd's, with a buffer of one block each way."""
_ZLIB_BYTES = 48 << 10
"""zlib's inflate state: a window of 32 KiB, tables of 7 KiB, and a slice."""
_BROTLI_TABLES = 1536 << 10
_BROTLI_TABLES_PER_BYTE = 384
"""Prefix codes of 256 trees for each of three alphabets take that much, and a byte of input that part of it (RFC 7932 section 9.2)."""
_STEP = 64 << 10
_ZSTD_WINDOW = 8 << 20
"""The largest window that zstd may ask for over HTTP (RFC 9659)."""
_BROTLI_WINDOW = 16 << 20
"""The largest that the format has (RFC 7932 section 9.1)."""

SUPPORTED = frozenset(("gzip", "x-gzip", "deflate", "br", "zstd"))
Out = Callable[[bytes], None]


class _Stop(Exception):
    """A limit was passed, in the middle of whatever stage."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(drop)
        self.drop = drop


class _Malformed(Exception):
    """The bytes are not of the coding."""


@cache
def _module(name: str) -> Any:
    """An optional library, None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def missing(codings: tuple[str, ...]) -> Drop | None:
    """The first of the codings that this installation cannot undo, and what to do about it."""
    if len(codings) > MOST_CODINGS:
        many = f"more than {MOST_CODINGS} content codings"
        return Drop(DropReason.CONTENT_UNSUPPORTED, "", 0, many, many)
    for coding in codings:
        shown = coding[:40]
        if coding not in SUPPORTED:
            return Drop(DropReason.CONTENT_UNSUPPORTED, "", 0, f"content coding {shown}", shown)
        if coding in EXTRAS and _module(EXTRAS[coding]) is None:
            return Drop(DropReason.CONTENT_UNSUPPORTED, "", 0, f"content coding {shown}: install pcapflow[{shown}]", shown)
    return None


class _Zlib:
    """gzip and deflate."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inflate: Any = zlib.decompressobj(31) if coding != "deflate" else None
        self._carry = b""
        self.ended = False

    @staticmethod
    def memory(_taken: int, _given: int) -> int:
        """Bytes that it may hold when it has taken and given so many."""
        return _ZLIB_BYTES

    def feed(self, data: bytes, out: Out) -> None:
        data = self._carry + data
        self._carry = b""
        if self._inflate is None and not self.ended:
            if len(data) < 2:
                self._carry = data
                return
            self._inflate = zlib.decompressobj(15 if _has_zlib_header(data) else -15)
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
                if piece:
                    out(piece)
                more = len(piece) == PIECE
                if self._inflate.eof:
                    self.ended = True
                    data = self._inflate.unused_data
                    self._inflate = None  # which would keep it
                else:
                    data = self._inflate.unconsumed_tail
        except zlib.error as e:
            raise _Malformed(f"{self._coding}: {e}") from None


class _Brotli:
    """br."""

    def __init__(self) -> None:
        self._module = _module("brotli")
        self._decoder = self._module.Decompressor()
        self.ended = False

    @staticmethod
    def memory(taken: int, given: int) -> int:
        """See `_Zlib`."""
        return DECODER_BYTES["br"] + min(_BROTLI_TABLES, _BROTLI_TABLES_PER_BYTE * taken) + min(_BROTLI_WINDOW, given)

    def feed(self, data: bytes, out: Out) -> None:
        try:
            while not self.ended:
                piece = self._decoder.process(data, output_buffer_limit=PIECE)
                for at in range(0, len(piece), PIECE):
                    out(piece[at : at + PIECE])
                self.ended = self._decoder.is_finished()
                if not piece:
                    break  # it may say before that it takes more, and have more to give
                data = b""
        except self._module.error as e:
            raise _Malformed(f"br: {e}") from None


class _Zstd:
    """zstd, any number of frames."""

    def __init__(self) -> None:
        self._zstd = _module("pcapflow.zstd")
        self._decoder = self._zstd.zstd_decompressor(_ZSTD_WINDOW)
        self.ended = False

    @staticmethod
    def memory(_taken: int, given: int) -> int:
        """See `_Zlib`."""
        return DECODER_BYTES["zstd"] + min(_ZSTD_WINDOW, given)

    def feed(self, data: bytes, out: Out) -> None:
        try:
            while data or not (self.ended or self._decoder.needs_input):
                if self.ended:
                    self._decoder = self._zstd.zstd_decompressor(_ZSTD_WINDOW)
                    self.ended = False
                piece = self._decoder.decompress(data, PIECE)
                if piece:
                    out(piece)
                self.ended = self._decoder.eof
                data = self._decoder.unused_data if self.ended else b""
        except self._zstd.ZstdError as e:
            if "llocation" in str(e):
                raise MemoryError from None
            raise _Malformed(f"zstd: {e}") from None


class Expansion:
    """How a message grows: a body, and what is within it, share what they may. Each decoder within another multiplies what that one made."""

    __slots__ = ("given", "taken")

    def __init__(self) -> None:
        self.taken = 0
        """Bytes that decoders took which are within no other."""
        self.given = 0
        """Bytes that came out of all of them."""


class Decoder:
    """One body with one or more content codings."""

    __slots__ = ("_account", "_codings", "_expansion", "_is_outermost", "_limits", "_out", "_reserved", "_stages", "_tail", "_taken")

    def __init__(
        self,
        codings: tuple[str, ...],
        limits: Limits,
        account: Account,
        out: Out,
        expansion: Expansion | None = None,
        *,
        is_outermost: bool = True,
    ) -> None:
        """codings: in the order in which they are undone, each supported; expansion: the message's, where this is a part of one; is_outermost: no decoder made what this one takes."""
        self._codings = codings
        self._expansion = expansion if expansion is not None else Expansion()
        self._is_outermost = is_outermost
        self._limits = limits
        self._account = account
        self._out = out
        self._tail = b""
        self._stages: list[_Zlib | _Brotli | _Zstd] = [_Brotli() if c == "br" else _Zstd() if c == "zstd" else _Zlib(c) for c in codings]
        self._taken = [0] * (len(codings) + 1)
        """Bytes that each stage took; the last is what came out."""
        self._reserved = 0

    def open(self) -> Drop | None:
        """Reserve what the decoders need from the start; the message may have grown beyond its limit."""
        whole = self._expansion
        return self._grown(whole.given, whole.taken) or self._reserve(0)

    def close(self) -> None:
        """Give all memory back."""
        self._account.release(self._reserved)
        self._reserved = 0
        self._stages = []

    @property
    def decoded(self) -> int:
        """Bytes that came out."""
        return self._taken[-1]

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

    def unended(self) -> Drop | None:
        """No more bytes come, and none is missing: what is not at its end."""
        if self._taken[0]:
            for coding, stage, taken in zip(self._codings, self._stages, self._taken, strict=False):
                if not stage.ended:
                    return Drop(DropReason.CONTENT_MALFORMED, "", 0, f"the {coding} stream is not at its end after {taken} bytes")
        return None

    def cut(self) -> Drop | None:
        """No more bytes come; what is there was good so far."""
        tail, self._tail = self._tail, b""
        return self._slice(tail) if tail else None

    def _slice(self, data: bytes) -> Drop | None:
        try:
            self._stage(0, data)
        except MemoryError:
            # a window of some MiB that a limit on the process has no room for
            return Drop(DropReason.CONTENT_MEMORY, "process_limit", 0, "a decompressor's window")
        except _Malformed as e:
            return Drop(DropReason.CONTENT_MALFORMED, "", 0, str(e))
        except _Stop as e:
            return e.drop
        return None

    def _stage(self, i: int, data: bytes) -> None:
        """Bytes for a stage, or out."""
        self._taken[i] += len(data)
        if i:
            self._check(i, len(data))
        elif self._is_outermost:
            self._expansion.taken += len(data)
        drop = self._reserve(_STEP)
        if drop is not None:
            raise _Stop(drop)
        if i < len(self._stages):
            self._stages[i].feed(data, lambda piece: self._stage(i + 1, piece))
        else:
            self._out(data)

    def _check(self, i: int, n: int) -> None:
        """What came out of a stage, n bytes at last, must stay within the limits; and so must what comes out of all decoders of the message."""
        limits, whole = self._limits, self._expansion
        decoded, encoded = self._taken[i], self._taken[0]
        if decoded > limits.content_max_bytes:
            raise _Stop(Drop(DropReason.CONTENT_TOO_LARGE, "content_max_bytes", limits.content_max_bytes, f"{decoded} bytes decoded"))
        if i == len(self._stages):
            whole.given += n
            if whole.given > decoded:
                decoded, encoded = whole.given, whole.taken
        drop = self._grown(decoded, encoded)
        if drop is not None:
            raise _Stop(drop)

    def _grown(self, decoded: int, encoded: int) -> Drop | None:
        """What to say of bytes that came out of so many where they are too many."""
        limits = self._limits
        if decoded <= limits.content_ratio_floor or decoded <= limits.content_max_ratio * encoded:
            return None
        return Drop(DropReason.CONTENT_RATIO, "content_max_ratio", limits.content_max_ratio, f"{encoded} bytes decoded to {decoded}")

    def _reserve(self, ahead: int) -> Drop | None:
        """Room for what the stages may hold now; where there is not enough, for some bytes ahead of it."""
        needed = sum([stage.memory(taken, given) for stage, taken, given in zip(self._stages, self._taken, self._taken[1:], strict=False)])
        if needed <= self._reserved:
            return None
        needed += ahead if any(type(stage) is not _Zlib for stage in self._stages) else 0
        if not self._account.reserve(needed - self._reserved):
            return Drop(DropReason.CONTENT_MEMORY, *self._account.refusal(), f"a decompressor that holds {needed} bytes")
        self._reserved = needed
        return None


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950 section 2.2; some servers send raw DEFLATE under the name."""
    return len(data) >= 2 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
