"""TCP sequence numbers to 64-bit stream offsets and back: the one place that knows that sequence numbers wrap.

Offset 0 is the first byte after the SYN (RFC 9293 section 3.4), or the first byte seen of a stream whose SYN was not
captured. A wire number stands for the offset nearest to the one expected, which is right while sender and capture are
less than 2 GiB apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MODULUS = 1 << 32
_MASK = MODULUS - 1
_HALF = 1 << 31


def unwrap(number: int, base: int, near: int) -> int:
    """The offset nearest to `near` that the wire number stands for, in a stream whose offset 0 is `base`."""
    return near + ((number - base - near + _HALF) & _MASK) - _HALF


def wrap(offset: int, base: int) -> int:
    """The wire number of an offset."""
    return (base + offset) & _MASK


def difference(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """a - b in sequence space, elementwise: int64 in [-2**31, 2**31). a, b: int64 of any offset or wire number."""
    result: npt.NDArray[np.int64] = (a - b).astype(np.int32).astype(np.int64)  # the lower 32 bits, as a signed number
    return result
