"""The lines between chunks (RFC 9112 section 7.1): sizes, extensions, trailers.

Contract: `chunk_size` takes one line, line break included; `between_chunks` takes a framer on by what stands between two chunks, or by a trailer line,
where that is whole. Time is linear in the line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pcapflow.anomalies import Anomaly
from pcapflow.drops import DropReason
from pcapflow.protocols.http1_state import State
from pcapflow.streams.events import StreamData

if TYPE_CHECKING:
    from pcapflow.protocols.http1_framer import Framer

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


def between_chunks(framer: Framer, data: StreamData, base: int, view: bytes, at: int) -> tuple[int, bool]:
    """What stands at `at` of view, which begins at position base of data. Where it ends, and whether the framer goes on there; else it needs more bytes
    than there are, or has given the message up.
    """
    if framer.state is State.CHUNK_END:
        return _chunk_end(framer, data, base, view, at)
    most = framer.services.limits.http_chunk_line_max_bytes
    stop = view.find(b"\n", at, at + most) + 1
    if not stop:
        if len(view) - at < most:
            return at, False
        detail = f"no end within {most} bytes"
        framer.refuse(DropReason.HTTP_CHUNK_LINE_TOO_LONG, "http_chunk_line_max_bytes", most, data, base + at, most, detail)
        return at + most, False
    if framer.state is State.TRAILER:
        if view[at:stop] in (b"\r\n", b"\n"):
            last = data.piece(base + stop - 1)
            framer.end_body(data.packet(last), framer.until(data, last), whole=True)
        elif FRAMING_FIELD.match(view, at, stop):
            framer.owner.suspicious(framer, Anomaly.FRAMING_IN_TRAILER)
        return stop, True
    line = PLAIN_CHUNK_LINE.match(view, at, stop)
    if line is not None:
        framer.remaining = int(line[1], 16)
    else:
        framer.remaining, anomalies = chunk_size(view[at:stop])
        for anomaly in anomalies:
            framer.owner.suspicious(framer, anomaly)
        if framer.remaining < 0:
            framer.refuse(DropReason.HTTP_MALFORMED_CHUNK, "", 0, data, base + at, stop - at, repr(view[at : min(stop, at + 40)]))
            return stop, False
    framer.state = State.CHUNK_DATA if framer.remaining else State.TRAILER
    return stop, True


def _chunk_end(framer: Framer, data: StreamData, base: int, view: bytes, at: int) -> tuple[int, bool]:
    """The line break behind a chunk."""
    if view.startswith(b"\r\n", at):
        at += 2
    elif view.startswith(b"\n", at):
        at += 1
        framer.owner.suspicious(framer, Anomaly.CHUNK_BARE_LF)
    elif at + 1 == len(view) and view.endswith(b"\r"):
        return at, False
    else:
        n = 2 if view.startswith(b"\r", at) else 1  # behind a CR it is the next byte that tells
        framer.refuse(DropReason.HTTP_MALFORMED_CHUNK, "", 0, data, base + at, n, "a chunk does not end with a line break")
        return at + 1, False
    framer.state = State.CHUNK_LINE
    return at, True
