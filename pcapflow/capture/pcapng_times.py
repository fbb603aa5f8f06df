"""Times as interfaces of pcapng write them (draft-ietf-opsawg-pcapng, options if_tsresol and if_tsoffset).

Contract: `nanoseconds` takes any 64 bits with any resolution and offset; it is right to the nanosecond where the time is one that a report can hold.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pcapflow.stream_limits import SECOND

_PLAIN = 4_000_000_000 * SECOND
"""Times below this need no care."""


def nanoseconds(units: npt.NDArray[np.int64], resolution: int, offset: int) -> npt.NDArray[np.int64]:
    """ns since the epoch; what no year would have is cut to what 62 bits hold. resolution, offset: as an interface's description has them."""
    binary, exponent = bool(resolution & 0x80), resolution & 0x7F
    if not binary and exponent <= 9 and offset == 0 and int(units.min()) >= 0 and int(units.max()) < _PLAIN // 10 ** (9 - exponent):
        return np.asarray(units * 10 ** (9 - exponent), dtype=np.int64)
    raw = units.astype(np.uint64)
    if binary and exponent < 64:
        shift = np.uint64(exponent)
        seconds = raw >> shift
        fraction = raw & ((np.uint64(1) << shift) - np.uint64(1))
        less = max(0, exponent - 33)  # so that a fraction times a billion stays within 64 bits
        part = ((fraction >> np.uint64(less)) * np.uint64(SECOND)) >> np.uint64(exponent - less)
    elif binary:
        seconds = part = np.zeros_like(raw)  # all that 64 bits can say is less than a second
    elif exponent <= 9:
        per_second = np.uint64(10**exponent)
        seconds, part = raw // per_second, raw % per_second * np.uint64(10 ** (9 - exponent))
    elif exponent <= 19:
        per_second = np.uint64(10**exponent)
        seconds, part = raw // per_second, raw % per_second // np.uint64(10 ** (exponent - 9))
    else:
        seconds = part = np.zeros_like(raw)
    whole = np.minimum(seconds, np.uint64(4_000_000_000)).astype(np.int64) + min(max(offset, -(1 << 32)), 1 << 32)
    return np.asarray(np.clip(whole, 0, 4_600_000_000) * SECOND + part.astype(np.int64), dtype=np.int64)
