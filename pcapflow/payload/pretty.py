"""JSON with a line for each of its values, written as it arrives: only white space between tokens changes.

Contract: `feed` takes bytes in any pieces and returns what can be written of them, `finish` the rest. Nothing is judged: a text that is no JSON comes out with its bytes in order.
Invariant: what is kept is one token's state, no bytes of it; indentation ends at DEEPEST levels, so that what is written is linear in what came.
"""

from __future__ import annotations

import re

DEEPEST = 32
"""Levels that are indented; deeper ones stand where those do."""
_STEP = b"  "
_TOKEN = re.compile(rb'[ \t\r\n]+|[\[{]|[\]}]|,|:|"|[^ \t\r\n\[\]{},:"]+')
_IN_STRING = re.compile(rb'[^"\\]*')
_INDENTS = tuple(b"\n" + _STEP * level for level in range(DEEPEST + 1))


class Pretty:
    """One body."""

    __slots__ = ("_begun", "_depth", "_escaped", "_in_string", "_opened")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._escaped = False
        self._opened = False
        """A container was opened, and nothing came since."""
        self._begun = False
        """Something of the document at hand was written."""

    def feed(self, data: bytes) -> bytes:
        """The next bytes; what is to be written."""
        out: list[bytes] = []
        at, n = 0, len(data)
        while at < n:
            if self._in_string:
                at = self._string(data, at, out)
                continue
            match = _TOKEN.match(data, at)
            assert match is not None
            at = match.end()
            self._token(match[0], out)
        return b"".join(out)

    def finish(self) -> bytes:
        """What is left to be written: the end of the last line."""
        return b"\n" if self._begun else b""

    def _string(self, data: bytes, at: int, out: list[bytes]) -> int:
        """From within a string on; returns where it goes on."""
        if self._escaped:
            self._escaped = False
            out.append(data[at : at + 1])
            return at + 1
        match = _IN_STRING.match(data, at)
        assert match is not None
        end = match.end()
        out.append(data[at:end])
        if end < len(data):
            self._escaped = data[end] == 0x5C
            self._in_string = self._escaped
            out.append(data[end : end + 1])
            end += 1
        return end

    def _token(self, token: bytes, out: list[bytes]) -> None:
        first = token[:1]
        if first in b" \t\r\n":
            if not self._depth and self._begun and b"\n" in token:
                self._begun = False  # a document a line: the next one begins a line too
                out.append(b"\n")
            return
        if first in b"]}":
            self._depth = max(0, self._depth - 1)
            if not self._opened:
                out.append(self._indent())
        elif self._opened:
            out.append(self._indent())
        self._opened = False
        self._begun = True
        out.append(token)
        if first in b"[{":
            self._depth += 1
            self._opened = True
        elif first == b",":
            out.append(self._indent())
        elif first == b":":
            out.append(b" ")
        elif first == b'"':
            self._in_string = True

    def _indent(self) -> bytes:
        return _INDENTS[min(self._depth, DEEPEST)]
