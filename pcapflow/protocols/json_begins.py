"""What a stream of JSON begins with, and where one goes on in the middle: documents, lines, or framed messages."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from pcapflow.streams.events import NEVER, StreamData

JSON, FRAMED_JSON = "json", "framed-json"
_JSON = re.compile(rb'[ \t\r\n]*+(?:\{[ \t\r\n]*+["}]|\[[ \t\r\n]*+[\[{"])')
_UNFINISHED_JSON = re.compile(rb"[ \t\r\n]*+(?:[\[{][ \t\r\n]*+)?\Z")
_HEAD = re.compile(rb"(?:Content-Type:[^\r\n]*+\r\n)?Content-Length:[ ]*[0-9]{1,15}\r\n", re.IGNORECASE)
"""The head of a JSON-RPC message as language servers frame it (Language Server Protocol, base protocol)."""
_UNFINISHED_HEAD = re.compile(rb"Content-(?:Length:[ ]*[0-9]{0,15}\r?|Type:[^\r\n]*+\r?(?:\n[^\r\n]*+\r?)?)\Z", re.IGNORECASE)
_FIELD = b"content-type:"
_HEAD_BYTES = 64
"""What is looked at for the beginning of a head."""


def probe(first: bytes | bytearray) -> str | None:
    """See `LayerFactory`."""
    if _JSON.match(first):
        return JSON
    head = _HEAD.match(first)
    if head is not None:
        return _behind_head(bytes(first[head.end() : head.end() + len(_FIELD)]).lower())
    return None if _UNFINISHED_JSON.match(first) or _UNFINISHED_HEAD.match(first) else ""


def _behind_head(more: bytes) -> str | None:
    """What stands behind a length tells whether it is of such a message, which has no other fields: else it may be of a head of HTTP whose beginning was missed."""
    if more.startswith((b"\r\n", _FIELD)):
        return FRAMED_JSON
    return None if b"\r\n".startswith(more) or _FIELD.startswith(more) else ""


def _whole_lines(data: bytes) -> bool:
    """Whether a segment in the middle of a stream is lines of JSON from its first byte to its last."""
    return _JSON.match(data) is not None and data.endswith((b"}\n", b"}\r\n", b"]\n", b"]\r\n"))


def find_lines(data: StreamData, position: int, stop: int = NEVER) -> int:
    """The first position from `position` on, before stop, at which a segment begins that is lines of JSON and nothing else; the length if none."""
    ends = data.piece_ends()
    for i in range(bisect_right(ends, position), len(ends)):
        start = ends[i - 1] if i else 0
        if start >= stop:
            break
        if start >= position and _whole_lines(data.take(start, ends[i] - start)):
            return start
    return data.length


def next_head(data: StreamData, position: int) -> int:
    """The first position from `position` on at which a segment begins with the head of a framed message; beyond the end where there is none."""
    ends = data.piece_ends()
    for i in range(bisect_left(ends, position) if position else 0, len(ends)):
        start, end = ends[i - 1] if i else 0, ends[i]
        if start >= position and _HEAD.match(data.take(start, min(end - start, _HEAD_BYTES))):
            return start
    return data.length + 1
