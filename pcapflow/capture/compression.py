"""Compressed captures, told by what they begin with, decompressed as they are read.

Contract: `decompressor` gives an object whose `read` returns decompressed bytes, at most as many as asked for, or b"" at the end, and which raises
`Corrupt` where the compressed data is. Several members or frames in a row are one stream, as the formats' own tools read them. Invariant: what a
decompressor keeps is reserved in the `blocks` account; a file that asks for a larger window than `decompress_max_bytes` is refused, and one that
becomes more than `decompress_max_ratio` times as large ends there. Compressed bytes are taken in slices that begin at fixed offsets, and each step makes
_PIECE bytes at the most, so that where damage ends it depends neither on who asks nor on how the input arrives.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from pcapflow.errors import CaptureError
from pcapflow.limits import Limits
from pcapflow.stream_limits import KIB

MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
}
"""What a compressed file begins with, and its name in the report."""
_CHUNK = 64 * KIB
"""Compressed bytes read at one time."""
_SLICE = 4 * KIB
_PIECE = 16 * KIB
"""What is lost in front of damage at the most: of a step that fails a codec gives nothing."""
_RATIO_COUNTS = 16 << 20
"""Decompressed bytes from which on the ratio counts: what is there sooner takes no time."""

Read = Callable[[int], bytes]
"""Takes how many compressed bytes at the most; returns some, b"" at the end."""


class Corrupt(Exception):
    """The compressed data is damaged, or, where `early` says so, ends before its end."""

    def __init__(self, why: str, *, early: bool = False) -> None:
        super().__init__(why)
        self.early = early


_ERRORS = (zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError)


class _Zlib:
    """zlib's with the face of the others."""

    def __init__(self) -> None:
        self._z = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._z.eof

    @property
    def unused_data(self) -> bytes:
        return self._z.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._z.decompress(self._z.unconsumed_tail + data, max_length)
        self.needs_input = not self._z.unconsumed_tail and len(out) < max_length
        return out


class Decompressor:
    """One compressed input."""

    def __init__(self, name: str, read: Read, limits: Limits, path: str) -> None:
        self.memory = 64 * KIB
        """Bytes that it may keep, to be reserved by the caller."""
        self._ratio = limits.decompress_max_ratio
        self._read = read
        self._have, self._next = b"", 0
        """Compressed bytes that were read, and how many of them were taken."""
        self._out, self._at = b"", 0
        """A decompressed piece, and how many bytes of it were given."""
        self._taken = self._made = 0
        self._make: Callable[[], Any] = _Zlib
        self._errors: tuple[type[Exception], ...] = _ERRORS
        most = limits.decompress_max_bytes
        if name == "bzip2":
            self._make, self.memory = bz2.BZ2Decompressor, 4 << 20
        elif name == "xz":
            self._make, self.memory = lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=most), most
        elif name == "lz4":
            lz4 = _imported("lz4.frame", name, path)
            self._make, self.memory = lz4.LZ4FrameDecompressor, 9 << 20
        elif name == "zstd":
            zstd = _imported("pcapflow.zstd", name, path)
            self._make, self.memory = lambda: zstd.zstd_decompressor(most), most
            self._errors = (*_ERRORS, zstd.ZstdError)
        self._codec: Any = self._make()

    def read(self, n: int) -> bytes:
        """At most n bytes; b"" at the end."""
        if self._at == len(self._out):
            self._out, self._at = self._piece(), 0
        data = self._out[self._at : self._at + n]
        self._at += len(data)
        return data

    def _piece(self) -> bytes:
        """The next decompressed bytes, at most _PIECE; b"" at the end."""
        while True:
            codec = self._codec
            if codec.eof:
                # padding of zeros, or another member
                data = (codec.unused_data or b"").lstrip(b"\0")
                while not data:
                    data = self._slice()
                    if not data:
                        return b""
                    data = data.lstrip(b"\0")
                codec = self._codec = self._make()
            else:
                data = self._slice() if codec.needs_input else b""
                if not data and codec.needs_input:
                    raise Corrupt("the compressed data is cut short", early=True)
            try:
                out: bytes = codec.decompress(data, _PIECE)
            except self._errors as e:
                raise Corrupt(str(e).rstrip(".")) from None
            self._made += len(out)
            if self._made > _RATIO_COUNTS and self._made > self._ratio * self._taken:
                raise Corrupt(f"{self._taken} bytes become more than {self._ratio} times as many: decompress_max_ratio")
            if out:
                return out

    def _slice(self) -> bytes:
        """The next _SLICE compressed bytes, fewer at the end of the input."""
        while len(self._have) - self._next < _SLICE:
            more = self._read(_CHUNK)
            if not more:
                break
            self._have, self._next = self._have[self._next :] + more, 0
        data = self._have[self._next : self._next + _SLICE]
        self._next += len(data)
        self._taken += len(data)
        return data


def _imported(module: str, name: str, path: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise CaptureError(
            path,
            f"is compressed with {name}: install pcapflow[{name}], or decompress it first: {name} -dc FILE | pcapflow analyze -",
            unreadable=True,
        ) from None
