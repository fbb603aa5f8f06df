"""Where something begins in the middle of a stream: at a segment's first byte, or not at all.

Contract: each search takes `StreamData` and a position, and returns a position in it, its length where there is none.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from pcapflow.protocols.detect import whole_lines
from pcapflow.protocols.http1_head import METHOD
from pcapflow.streams.events import StreamData

WINDOW = 4 << 10
_BEGINS = {
    "client": re.compile(METHOD + rb" [^\s]+ HTTP/1\.[0-9][ \t]*\r?\n"),
    "server": re.compile(rb"HTTP/1\.[0-9] [1-9][0-9]{2}[ \r\n]"),
}
"""What a message looks like where a search finds it: stricter than what is accepted in sequence."""


def find_message(data: StreamData, position: int, side: str, stop: int = 1 << 62) -> int:
    """The first position from `position` on, before stop, at which a segment begins with a message of that side; the length if none."""
    begins = _BEGINS[side]
    ends = data.piece_ends()
    piece = bisect_right(ends, position)
    if piece < len(ends) and (ends[piece - 1] if piece else 0) < position:
        piece += 1
    for i in range(piece, len(ends)):
        start = ends[i - 1] if i else 0
        if start >= stop:
            break
        if begins.match(data.take(start, min(ends[i] - start, WINDOW))):
            return start
    return data.length


def find_lines(data: StreamData, position: int) -> int:
    """The first position at or after `position` at which a segment begins that is lines of JSON and nothing else; the length if none."""
    ends = data.piece_ends()
    for i in range(bisect_right(ends, position), len(ends)):
        start = ends[i - 1] if i else 0
        if start >= position and whole_lines(data.take(start, ends[i] - start)):
            return start
    return data.length
