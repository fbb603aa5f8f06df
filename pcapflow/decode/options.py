"""What the options of SYNs offer: Multipath TCP.

Contract: `mark_multipath` sets MULTIPATH in the flags of SYNs whose options have MP_CAPABLE or MP_JOIN (RFC 8684 section 3). It walks the options of all
SYNs of a block side by side, an option a step, and raises for nothing. Invariant: at most 40 steps, the bytes that a header has room for.
"""

from __future__ import annotations

import numpy as np

from pcapflow.decode.segments import MULTIPATH, SYN, SegmentColumns

_END, _NOP, _MPTCP = 0, 1, 30
_MP_JOIN = 1
"""Subtypes up to this one begin a connection or join one."""
_LEAST = 4
"""Bytes of the shortest of both options."""


def mark_multipath(buffer: bytearray, segments: SegmentColumns) -> None:
    """Look at the SYNs among the segments of a block."""
    rows = np.flatnonzero((segments.flags & SYN != 0) & (segments.options >= _LEAST))
    if not len(rows):
        return
    data = np.frombuffer(buffer, dtype=np.uint8)
    end = segments.payload_at[rows]
    at = end - segments.options[rows]
    while len(rows):
        kind = data[at]
        size = np.where(kind == _NOP, 1, data[at + 1].astype(np.int64))
        here = (kind == _MPTCP) & (size >= _LEAST) & (at + size <= end) & (data[at + 2] >> 4 <= _MP_JOIN)
        segments.flags[rows[here]] |= MULTIPATH
        on = ~here & (kind != _END) & ((kind == _NOP) | (size >= 2))
        at = at + size
        on &= at < end
        rows, at, end = rows[on], at[on], end[on]
