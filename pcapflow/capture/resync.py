"""Where records begin again behind damage, whatever the format.

Contract: `first_proven` takes what records look like and finds the first place in a buffer at which a plausible record begins that others
prove: they follow it without a gap, `chain` of them in a row, or fewer up to the end of the capture. Invariant: a chain is at most PROOF bytes long,
and a place is decided only when all of its chain is at hand, or shown to be none; so with ROOM bytes the answer is the same however the capture
is cut into blocks. Time is linear in what is searched: each place is looked at once, and once more for each link of its chain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_I64 = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]

NEAR = 7 * 86_400
"""Seconds from the last packet's time within which a record behind damage must be."""
RECORD_MAX = 260 << 10
"""Bytes of a record that is believed behind damage: tcpdump and Wireshark write packets of 256 KiB at the most."""
PROOF = 4 * RECORD_MAX
ROOM = 2 << 20
"""Bytes of a buffer in which a search gets on: more than a chain."""
_FIRST_STEP, _LARGEST_STEP = 1 << 7, 1 << 16


class Found(NamedTuple):
    """A place in the buffer: of a record that proved itself, or the first that cannot be decided before more is at hand."""

    at: int
    proven: bool


class Shape(NamedTuple):
    """What a format's records look like. header: bytes that tell whether one is plausible; chain: plausible ones in a row that prove the first;
    plausible: takes places, int64 (n,), at each of which a whole header is at hand, and gives whether it is plausible, bool (n,), and the record's
    bytes, int64 (n,), 0 for one that proves itself; ends: takes where records end, int64 (n,), and their bytes, and gives whether they end well,
    bool (n,); None where a record's end says nothing.
    """

    header: int
    chain: int
    plausible: Callable[[_I64], tuple[_Bool, _I64]]
    ends: Callable[[_I64, _I64], _Bool] | None = None


def first_proven(shape: Shape, begin: int, have: int, *, ended: bool) -> Found:
    """Search from begin up to have. ended: nothing comes behind."""
    step = _FIRST_STEP
    last = have - shape.header
    while begin <= last:
        stop = min(begin + step, last + 1)
        found = _proven_in(shape, np.arange(begin, stop, dtype=np.int64), have, ended=ended)
        if found is not None:
            return found
        begin = stop
        step = min(2 * step, _LARGEST_STEP)  # what a search costs stays in proportion to what it goes over
    return Found(begin, proven=False)


def _proven_in(shape: Shape, places: _I64, have: int, *, ended: bool) -> Found | None:
    """The first of these places that is proven, or not decided."""
    found: list[Found] = []

    def decide(those: _I64, *, proven: bool) -> None:
        if len(those):
            found.append(Found(int(those[0]), proven))

    at = first = places
    for link in range(shape.chain):
        likely, size = shape.plausible(at)
        decide(first[likely & (size == 0)], proven=True)
        likely &= size > 0
        first, size = first[likely], size[likely]
        at = at[likely] + size
        if not len(first) or link == shape.chain - 1:
            break
        if not ended:
            decide(first[at + shape.header > have], proven=False)
        if shape.ends is not None:
            there = at <= have
            first, at, size = first[there], at[there], size[there]
            good = shape.ends(at, size)
            first, at = first[good], at[good]
        if ended:
            decide(first[at == have], proven=True)
        inside = at + shape.header <= have
        first, at = first[inside], at[inside]
    decide(first, proven=True)
    return min(found, default=None)
