"""Where a message of HTTP/1 begins in the middle of a stream: at a segment's first byte; `surplus` finds one within."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from pcapflow.protocols.http1.first_line import FIELD, MAY_BEGIN, METHOD, SIMPLE_REQUEST_LINE
from pcapflow.streams.events import NEVER, StreamData

WINDOW = 4 << 10
REQUEST, RESPONSE = "request", "response"
FORM_OF = {"client": REQUEST, "server": RESPONSE}
"""What each side says."""
_BEGINS = {
    REQUEST: re.compile(METHOD + rb" [^\s]+ HTTP/1\.[0-9][ \t]*\r?\n"),
    RESPONSE: re.compile(rb"HTTP/1\.[0-9] [1-9][0-9]{2}[ \r\n]"),
}
"""What a message looks like where a search finds it: stricter than what is accepted in sequence."""


def find_message(data: StreamData, position: int, form: str, stop: int = NEVER) -> int:
    """The first position from `position` on, before stop, at which a segment begins with that; the length if none."""
    ends = data.piece_ends()
    piece = bisect_right(ends, position)
    if piece < len(ends) and (ends[piece - 1] if piece else 0) < position:
        piece += 1
    for i in range(piece, len(ends)):
        start = ends[i - 1] if i else 0
        if start >= stop:
            break
        if begins(data, start, ends[i], form):
            return start
    return data.length


def begins_with(segment: bytes, form: str) -> bool:
    """Whether a segment that begins with those bytes begins with a message."""
    return _BEGINS[form].match(segment) is not None


def begins(data: StreamData, start: int, end: int, form: str) -> bool:
    """Whether the bytes of a segment between two positions begin with a message."""
    return begins_with(data.take(start, min(end - start, WINDOW)), form)


_LINE_BYTES = 80
"""What of a line tells whether it is a field."""


def message_follows(data: StreamData, end: int, side: str) -> bool:
    """Whether in its segment a message begins at a position."""
    segment = data.piece_end(data.piece(end - 1))
    return end < segment and begins(data, end, segment, FORM_OF[side])


def surplus_follows(data: StreamData, end: int, side: str) -> bool:
    """Whether behind a message that ends at a position its segment goes on with bytes that begin no other."""
    return end < data.piece_end(data.piece(end - 1)) and data.take(end, 1)[0] not in MAY_BEGIN[side]


def stands_alone(data: StreamData, base: int, view: bytes, at: int) -> bool:
    """Whether the line at `at` of view, which has the position base, is a whole request of HTTP/0.9: no field follows it in its segment."""
    line = SIMPLE_REQUEST_LINE.match(view, at)
    end = base + line.end() - at if line is not None else 0
    if end <= 0:
        return False  # it came before, and was none: a field began in its segment
    segment = data.piece_end(data.piece(end - 1))
    return segment == end or FIELD.match(data.take(end, min(_LINE_BYTES, segment - end))) is None


def stop_before(data: StreamData, packet: int) -> int:
    """The position of the first byte of data that no packet before that one brought."""
    ends = data.piece_ends()
    pieces = bisect_left(range(len(ends)), packet, key=data.packet)
    return ends[pieces - 1] if pieces else 0
