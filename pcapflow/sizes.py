"""Sizes and durations as people write them: `64KiB`, `500ms`.

Contract: each function takes a text and returns bytes or nanoseconds, or raises `ValueError` with a sentence.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9]{1,18})\s*(B|KiB|MiB|GiB|K|M|G)?", re.IGNORECASE)
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30}
_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(ns|us|ms|s|m|h)")
_DURATIONS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_BIGGEST = 1 << 62


def size(text: str) -> int:
    """`64KiB`, `32MiB`, `1GiB` or plain bytes, as bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write 64KiB, 32MiB, 1GiB or plain bytes")
    n = int(match[1]) * _SIZES[(match[2] or "").lower()]
    if not 0 < n < _BIGGEST:
        raise ValueError(f"{text!r} is not a size above zero that fits in memory")
    return n


def duration(text: str) -> int:
    """`500ms`, `30s` or `5m`, as nanoseconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write 500ms, 30s or 5m")
    ns = int(float(match[1]) * _DURATIONS[match[2]])
    if not 0 < ns < _BIGGEST:
        raise ValueError(f"{text!r} is not a duration above zero that a capture could have")
    return ns


def show_size(n: int) -> str:
    """Bytes for a person: `1.5 MiB`."""
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n >= one:
            return f"{n / one:.4g} {unit}" if n % one else f"{n // one} {unit}"
    return f"{n} B"
