"""Where a message of HTTP/1 begins in the middle of a stream: at a segment's first byte, or not at all."""

from __future__ import annotations

import re
from bisect import bisect_right

from pcapflow.protocols.http1.first_line import METHOD
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
    begins = _BEGINS[form]
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
