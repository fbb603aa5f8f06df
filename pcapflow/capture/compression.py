"""Compressed captures, told by what they begin with, decompressed as they are read.

Contract: `decompressor` gives an object whose `read` returns decompressed bytes, at most as many as asked for, or b"" at the end, and which raises
`Corrupt` where the compressed data is. Several members or frames in a row are one stream, as the formats' own tools read them. Invariant: what a
decompressor keeps is reserved in the `blocks` account; a file that asks for a larger window than `decompress_max_bytes` is refused, and one that
becomes more than `decompress_max_ratio` times as large ends there.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from pcapflow.errors import CaptureError
from pcapflow.limits import KIB, Limits

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
_RATIO_COUNTS = 16 << 20
"""Decompressed bytes from which on the ratio counts: what is there sooner takes no time."""

Read = Callable[[int], bytes]
"""Takes how many compressed bytes at the most; returns some, b"" at the end."""


class Corrupt(Exception):
    """The compressed data is damaged, or, where `early` says so, ends before its end."""

    def __init__(self, why: str, *, early: bool = False) -> None:
        super().__init__(why)
        self.early = early


class _Zlib:
    """zlib's with the same face."""

    def __init__(self) -> None:
        self._z = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._z.eof

    @property
    def unused_data(self) -> bytes:
        return self._z.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._z.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._z.decompress(self._z.unconsumed_tail + data, max_length)


class Decompressor:
    """One compressed input."""

    def __init__(self, name: str, read: Read, limits: Limits, path: str) -> None:
        self.memory = 64 * KIB
        """Bytes that it may keep, to be reserved by the caller."""
        self._ratio = limits.decompress_max_ratio
        self._taken = self._given = 0

        def counted(n: int) -> bytes:
            data = read(n)
            self._taken += len(data)
            return data

        self._read = counted
        self._make: Callable[[], Any] = _Zlib
        most = limits.decompress_max_bytes
        if name == "bzip2":
            self._make, self.memory = bz2.BZ2Decompressor, 4 << 20
        elif name == "xz":
            self._make, self.memory = lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=most), most
        elif name == "lz4":
            lz4 = _imported("lz4.frame", name, path)
            self._make, self.memory = lz4.LZ4FrameDecompressor, 9 << 20
        elif name == "zstd":
            zstandard = _imported("zstandard", name, path)
            self._make, self.memory = lambda: _Zstd(zstandard, most, counted), most
        self._codec: Any = self._make()

    def read(self, n: int) -> bytes:
        """At most n bytes; b"" at the end."""
        data = self._some(n)
        self._given += len(data)
        if self._given > _RATIO_COUNTS and self._given > self._ratio * self._taken:
            raise Corrupt(f"{self._taken} bytes become more than {self._ratio} times as many: decompress_max_ratio")
        return data

    def _some(self, n: int) -> bytes:
        if isinstance(self._codec, _Zstd):
            return self._codec.read(n)
        try:
            while True:
                if self._codec.eof:
                    # padding of zeros, or another member
                    rest = (self._codec.unused_data or b"").lstrip(b"\0") or self._read(_CHUNK).lstrip(b"\0")
                    if not rest:
                        return b""
                    self._codec = self._make()
                    data = rest
                else:
                    data = self._read(_CHUNK) if self._codec.needs_input else b""
                    if not data and self._codec.needs_input:
                        raise Corrupt("the compressed data is cut short", early=True)
                out: bytes = self._codec.decompress(data, n)
                if out:
                    return out
        except (zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError) as e:
            raise Corrupt(str(e).rstrip(".")) from None


class _File:
    """A callable with the face that zstandard reads."""

    def __init__(self, read: Read) -> None:
        self.read = read


class _Zstd:
    """zstandard's reader over a callable."""

    def __init__(self, zstandard: Any, most: int, read: Read) -> None:
        self._error = zstandard.ZstdError
        self._reader = zstandard.ZstdDecompressor(max_window_size=most).stream_reader(_File(read), read_size=_CHUNK, read_across_frames=True)

    def read(self, n: int) -> bytes:
        try:
            out: bytes = self._reader.read1(n)
        except self._error as e:
            raise Corrupt(str(e)) from None
        return out


def _imported(module: str, name: str, path: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise CaptureError(path, f"is compressed with {name}: install pcapflow[{name}], or decompress it first: {name} -dc FILE | pcapflow analyze -", unreadable=True) from None
