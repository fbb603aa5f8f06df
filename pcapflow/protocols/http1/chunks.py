"""The lines between chunks (RFC 9112 section 7.1): sizes, extensions, trailers.

Contract: `chunk_size` takes one line, line break included; `between_chunks` says what stands between two chunks, or in a trailer line, where that is whole. Neither
keeps anything. Time is linear in the line.
"""

from __future__ import annotations

import re

import msgspec

from pcapflow.anomalies import Anomaly
from pcapflow.drops import DropReason
from pcapflow.protocols.http1.state import Refusal, State

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


class Step(msgspec.Struct, gc=False):
    """How a chunked body goes on."""

    at: int
    """Where in view."""
    state: State | None
    """`HEAD` behind its end; None where it needs more bytes than there are, or is refused."""
    remaining: int
    """Of the chunk that begins."""
    odd: list[Anomaly]
    refusal: Refusal | None = None


_NOTHING_ODD: list[Anomaly] = []


def between_chunks(state: State, view: bytes, at: int, most: int) -> Step:
    """What stands at `at` of view, between two chunks. most: bytes that a line may have."""
    if state is State.CHUNK_END:
        return _chunk_end(view, at)
    stop = view.find(b"\n", at, at + most) + 1
    if not stop:
        if len(view) - at < most:
            return Step(at, None, 0, _NOTHING_ODD)
        refusal = Refusal(DropReason.HTTP_CHUNK_LINE_TOO_LONG, "http_chunk_line_max_bytes", most, most, f"no end within {most} bytes")
        return Step(at + most, None, 0, _NOTHING_ODD, refusal)
    if state is State.TRAILER:
        if view[at:stop] in (b"\r\n", b"\n"):
            return Step(stop, State.HEAD, 0, _NOTHING_ODD)
        return Step(stop, state, 0, [Anomaly.FRAMING_IN_TRAILER] if FRAMING_FIELD.match(view, at, stop) else _NOTHING_ODD)
    line = PLAIN_CHUNK_LINE.match(view, at, stop)
    remaining, odd = (int(line[1], 16), _NOTHING_ODD) if line is not None else chunk_size(view[at:stop])
    if remaining < 0:
        refusal = Refusal(DropReason.HTTP_MALFORMED_CHUNK, "", 0, stop - at, repr(view[at : min(stop, at + 40)]))
        return Step(stop, None, 0, odd, refusal)
    return Step(stop, State.CHUNK_DATA if remaining else State.TRAILER, remaining, odd)


def _chunk_end(view: bytes, at: int) -> Step:
    """The line break behind a chunk."""
    if view.startswith(b"\r\n", at):
        return Step(at + 2, State.CHUNK_LINE, 0, _NOTHING_ODD)
    if view.startswith(b"\n", at):
        return Step(at + 1, State.CHUNK_LINE, 0, [Anomaly.CHUNK_BARE_LF])
    if at + 1 == len(view) and view.endswith(b"\r"):
        return Step(at, None, 0, _NOTHING_ODD)
    n = 2 if view.startswith(b"\r", at) else 1  # behind a CR it is the next byte that tells
    return Step(at + 1, None, 0, _NOTHING_ODD, Refusal(DropReason.HTTP_MALFORMED_CHUNK, "", 0, n, "a chunk does not end with a line break"))
