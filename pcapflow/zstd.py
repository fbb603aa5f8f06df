"""zstd of Python 3.14, or its backport: frames decompressed a bounded piece at a time. Vocabulary: knows nobody.

Contract: `zstd_decompressor` gives an object with the face of `lzma.LZMADecompressor` that takes one frame and raises `ZstdError`.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

__all__ = ["ZstdError", "zstd_decompressor"]

_SMALLEST_WINDOW, _LARGEST_WINDOW = 10, 31
"""Powers of two that the library takes."""


def zstd_decompressor(window: int) -> ZstdDecompressor:
    """Of one frame. window: bytes of the largest window that it may ask for, down to a power of two."""
    power = min(max(window.bit_length() - 1, _SMALLEST_WINDOW), _LARGEST_WINDOW)
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: power})
