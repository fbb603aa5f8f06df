"""zstd of Python 3.14, or its backport: frames decompressed a bounded piece at a time. Vocabulary: knows nobody.

Contract: `zstd_decompressor` gives an object with the face of `lzma.LZMADecompressor` that takes one frame and raises `ZstdError`.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdError, compress
else:
    from backports.zstd import DecompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdError, compress

__all__ = ["ZstdError", "zstd_compressed", "zstd_compressor", "zstd_decompressed", "zstd_decompressor"]

_FAST = 1
_SMALLEST_WINDOW, _LARGEST_WINDOW = 10, 31
"""Powers of two that the library takes."""


def zstd_decompressor(window: int) -> ZstdDecompressor:
    """Of one frame. window: bytes of the largest window that it may ask for, down to a power of two."""
    power = min(max(window.bit_length() - 1, _SMALLEST_WINDOW), _LARGEST_WINDOW)
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: power})


def zstd_compressor() -> ZstdCompressor:
    """One frame, made fast, a piece at a time: `compress`, then `flush`."""
    return ZstdCompressor(_FAST)


def zstd_compressed(data: bytes) -> bytes:
    """One frame, made fast."""
    return compress(data, _FAST)


def zstd_decompressed(data: bytes, size: int) -> bytes:
    """Those bytes again, of which there are so many. Raises `ZstdError` for what is no frame of them."""
    found = zstd_decompressor(max(size, 1 << _SMALLEST_WINDOW) << 1).decompress(data, size)
    if len(found) != size:
        raise ZstdError(f"{len(found)} bytes instead of {size}")
    return found
