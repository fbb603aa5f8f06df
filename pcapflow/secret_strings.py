"""Texts within strings of JSON, without their escapes: files, logs and programs that an interface hands on. Vocabulary.

Contract: `texts_within` gives those that have several lines, quotes, escaped slashes or a setting in them; `Unescaped.place` gives where their bytes stand. Invariant: time is linear in the bytes: each is of one text.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator

_PIECE = re.compile(rb"(?:[^\"\\\r\n]|\\[^\r\n])++")
"""Between two quotes, whichever of them begins a string: where the bytes begin nobody knows."""
_BEGINS = re.compile(
    rb"[A-Za-z_][A-Za-z0-9_.-]{0,127}+=|--[A-Za-z]|(?:[A-Za-z-]{0,64}[Aa]uthorization|[Cc]ookie|[Ss]et-[Cc]ookie|[Xx]-[A-Za-z-]{1,64}):"
)
"""With a setting, or a field of a head."""
_TELLING = re.compile(rb"\\(?:[nrt\"\\/]|u00)")
"""Escapes of what separates lines, of quotes, and of slashes as PHP writes them."""
_LEAST = 6
"""Bytes of a text at the least: a name, what is behind it, and a value."""
_MAY_HAVE = re.compile(rb"[=:<]|--|ENV|.{16}", re.DOTALL)
"""Something between a name and a value; a longer text may be a secret itself."""
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|([^\r\n]))")
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_LAST = 0x100


class Unescaped:
    """A text, and where its bytes stand."""

    __slots__ = ("_ends", "_starts", "text")

    def __init__(self, data: bytes, begin: int, end: int) -> None:
        """data: in which it stands escaped. Each escape is one byte of the text: an offset of it is never within one."""
        self._starts, self._ends = array("l", (0,)), array("l", (begin,))
        parts: list[bytes] = []
        at, n = begin, 0
        for escape in _ESCAPE.finditer(data, begin, end):
            parts.append(data[at : escape.start()])
            if escape[1] is not None:
                code = int(escape[1], 16)
                parts.append(bytes((code if code < _LAST else 0xFF,)))
            else:
                parts.append(_PLAIN.get(escape[2], escape[2]))
            n += escape.start() - at + 1
            at = escape.end()
            self._starts.append(n)
            self._ends.append(at)
        parts.append(data[at:end])
        self.text = b"".join(parts)

    def at(self, offset: int) -> int:
        """Where a byte of it stands."""
        i = bisect_right(self._starts, offset) - 1
        return self._ends[i] + offset - self._starts[i]


def texts_within(data: bytes) -> Iterator[Unescaped]:
    """Those of some bytes."""
    if b'"' not in data and b"\\" not in data:
        return
    for piece in _PIECE.finditer(data):
        begin, end = piece.span()
        if end - begin < _LEAST or not _MAY_HAVE.search(data, begin, end):
            continue
        if _TELLING.search(data, begin, end) or (data[begin - 1 : begin] == b'"' and _BEGINS.match(data, begin, end)):
            yield Unescaped(data, begin, end)
