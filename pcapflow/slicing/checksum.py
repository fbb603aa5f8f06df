"""Internet checksums changed with what they cover, without reading the rest of it (RFC 1624, equation 3).

Contract: `adjusted` makes a checksum right that was right before, and leaves one wrong that was wrong.
"""

from __future__ import annotations

import numpy as np


def adjusted(data: bytearray, at: int, before: bytes, after: bytes) -> None:
    """Change the checksum at a place of data; before, after: as many bytes that it covers, which begin at an even place of what it covers, and hold it or not."""
    if at < 0 or at + 2 > len(data):
        return
    old = int.from_bytes(data[at : at + 2], "big")
    total = (~old & 0xFFFF) + _sum(after) - _sum(before)
    data[at : at + 2] = (~(total % 0xFFFF) & 0xFFFF).to_bytes(2, "big")


def _sum(data: bytes) -> int:
    """Of 16-bit words."""
    return int(np.frombuffer(data + b"\0" * (len(data) & 1), dtype=">u2").sum(dtype=np.int64))
