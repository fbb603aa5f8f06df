"""Why reassembly gives bytes up, and what it tells of bytes that came twice. Values."""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.drops import GapCause


class Why(NamedTuple):
    """Why a hole ends: the cause, the limit that was reached, and the connection whose request for memory reached it."""

    cause: GapCause
    limit: str = ""
    requested_by: int = 0


SNAPPED = Why(GapCause.SNAPPED)
ACKNOWLEDGED = Why(GapCause.ACKNOWLEDGED)
TIMEOUT = Why(GapCause.TIMEOUT, "gap_timeout")
AT_END = Why(GapCause.END)
RING_SIZE = Why(GapCause.RING_FULL, "ring_size")
RING_RANGES = Why(GapCause.RING_FULL, "ring_ranges")


class Conflict(NamedTuple):
    """A segment [start, end) brought other bytes than [original_start, original_end) had, `differing` of them, the overlap
    beginning at offset; kept: `original`, `new` or `both`, in parts.
    """

    offset: int
    differing: int
    start: int
    end: int
    original_start: int
    original_end: int
    kept: str
    packet: int
    ts: int
