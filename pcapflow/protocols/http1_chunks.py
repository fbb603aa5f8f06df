"""The lines between chunks (RFC 9112 section 7.1): sizes, extensions, trailers.

Contract: pure functions over one line, line break included. Time is linear in the line.
"""

from __future__ import annotations

import re

from pcapflow.anomalies import Anomaly

PLAIN_CHUNK_LINE = re.compile(rb"([0-9a-fA-F]{1,15})\r\n")
"""What nearly all chunks begin with."""
FRAMING_FIELD = re.compile(rb"(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)
"""A trailer that has no business there."""
_CHUNK_LINE = re.compile(rb"([ \t]*+)([0-9a-fA-F]++)([ \t]*+)(;.*+)?", re.DOTALL)
_DIGITS = 15
"""Significant digits of a chunk's size; no chunk is longer."""


def chunk_size(line: bytes) -> tuple[int, list[Anomaly]]:
    """The size in a chunk's line, and what is odd in it; -1 where there is none that a chunk could have."""
    bare = line.removesuffix(b"\n")
    rest = bare.removesuffix(b"\r")
    match = _CHUNK_LINE.fullmatch(rest)
    if match is None or len(match[2].lstrip(b"0")) > _DIGITS:
        return -1, []
    odd = (
        (Anomaly.CHUNK_BARE_LF, rest == bare),
        (Anomaly.CHUNK_SPACE, match[1] or match[3]),
        (Anomaly.CHUNK_BARE_CR, b"\r" in (match[4] or b"")),
    )
    return int(match[2], 16), [anomaly for anomaly, is_there in odd if is_there]
