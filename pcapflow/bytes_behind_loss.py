"""What stands behind a loss in bytes of any kind: what may be the rest of a secret whose name is missing, and lines between chunks that nobody put together. Vocabulary.

Contract: `behind_loss` gives how many bytes of a beginning may be such a rest, `chunks_in` the places between lines that look like those of chunks. Invariant: time is linear in the bytes looked at.
"""

from __future__ import annotations

import re

from pcapflow.secret_kinds import GOES_ON, LOST
from pcapflow.secret_lines import NAME

_START = re.compile(rb"HTTP/[0-9]|[A-Z]{3,20} [^ ]+ HTTP/[0-9]|\r?\n")
_LOST_LINES = re.compile(
    rb'(?:\r?\n[A-Za-z0-9+/]{40,76}={0,2}(?=\r?\n))++(?:\r?\n[A-Za-z0-9+/]{1,76}={0,2}(?=\r?\n|\Z))?|(?<=")(?:\r?\n[A-Za-z-]{1,64}+:[^\r\n]{0,256}+){0,8}+\r?\n\r?\n[^\r\n]++'
)
"""What goes on behind a line whose beginning is missing."""
_NEXT_FIELD = re.compile(rb"\r\n(?:\r\n|%s{1,64}:[ \t])" % NAME)
_CHUNK_LINE = re.compile(rb"\r\n[0-9A-Fa-f]{1,8}\r\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?\r\n")
_SHORT_CHUNK_LINE = 6
"""Digits of a chunk's size, where the chunk's end is not at hand to prove it."""
_ORDINARY = frozenset(
    b"accept accept-charset accept-encoding accept-language accept-ranges age allow cache-control connection content-disposition content-encoding content-language content-length"
    b" content-location content-range content-security-policy content-type date etag expect expires host if-match if-modified-since if-none-match if-range keep-alive"
    b" last-modified link location max-forwards origin pragma range referer retry-after server strict-transport-security te trailer transfer-encoding upgrade user-agent vary via".split()
)
"""Fields that a line may begin with whose beginning may be missing."""


def before_field(text: bytes, at: int) -> bool:
    """Whether a line ends there as a field's does: another field, or a head's end, comes next."""
    return _NEXT_FIELD.match(text, at) is not None


def behind_loss(text: bytes) -> int:
    """Bytes at the beginning of some that may be the rest of a secret whose name is missing: the line, unless it shows that it is none."""
    lines = _LOST_LINES.match(text)
    if lines is not None:  # the loss ended with a line of a key in PEM
        return lines.end()
    if _START.match(text) or _is_chunk_line(text):
        return 0
    line = GOES_ON[LOST].match(text)
    end = line.end() if line is not None else 0
    more = _LOST_LINES.match(text, end)
    if more is not None:  # of a key in PEM, or of a part whose name ends there
        return more.end()
    name, colon, _ = text[:end].partition(b":")
    return 0 if colon and text[end : end + 1] in (b"\r", b"\n") and name.strip().lower() in _ORDINARY else end


def chunks_in(text: bytes) -> list[tuple[int, int]]:
    """What stands between lines that look like those between chunks, as places."""
    found, begin = [], 0
    for line in _CHUNK_LINE.finditer(text):
        found.append((begin, line.start()))
        begin = line.end()
    return [*found, (begin, len(text))]


def _is_chunk_line(text: bytes) -> bool:
    """Whether a chunk begins: one that ends where it says, or that goes on behind what is at hand."""
    line = _CHUNK.match(text)
    if line is None:
        return False
    end = line.end() + int(line[1], 16)
    return text[end : end + 2] == b"\r\n" if end + 2 <= len(text) else len(line[1]) <= _SHORT_CHUNK_LINE
