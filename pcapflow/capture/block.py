"""The value that the capture stage hands on: a block of packet records, as columns.

Invariant: `offsets[i] + caplen[i] <= have` for every row, and `buffer` has at least `PAD` bytes beyond `have`, so that a
header gather of up to `PAD` bytes at any row's start stays inside. A block is valid only until the next one is asked
for: the buffer is used again, so nobody keeps a view into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PAD = 256
"""Bytes of room behind the data of a block: the widest header gather (link, IPv6 and TCP headers) is smaller."""


@dataclass(slots=True)
class PacketBlock:
    """Packet records of one capture.

    buffer: the bytes read; offsets: int64 (n,), where each packet's data begins in it; caplen, wirelen: int64 (n,), bytes
    captured and bytes on the wire; ts: int64 (n,), nanoseconds since the epoch; first_packet: number of row 0 in the
    trace, from 1; link_type: the LINKTYPE number of all rows, or of the first, where `link_types`, int64 (n,), has that of each.
    """

    buffer: bytearray
    offsets: npt.NDArray[np.int64]
    caplen: npt.NDArray[np.int64]
    wirelen: npt.NDArray[np.int64]
    ts: npt.NDArray[np.int64]
    first_packet: int
    link_type: int
    link_types: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.offsets)
