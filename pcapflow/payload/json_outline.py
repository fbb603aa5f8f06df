"""The outline of a JSON text, slice by slice: depth, and how long a string or number has been going on.

Contract: `Outline.scan_all` takes the next slices and looks only at what JSON is built of (brackets, quotes, commas, colons) and at
backslashes, so that depth and the length of an unfinished scalar are known before ijson sees the bytes (ijson keeps an unfinished
scalar whole, and its path grows with the depth), and keys and array elements are counted without a walk over ijson's events.
On a text that is not JSON the numbers mean nothing, and nothing is raised. Invariant: what it says depends on the bytes so
far, never on how they were cut into slices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_DELETE = bytes(c for c in range(256) if c not in b'{}[]",:')
_COMMA = ord(",")
SCALAR = b"0123456789+-.eEtrufalsnINy"
"""Bytes that numbers and literals are made of; a run of them at a slice's end is an unfinished scalar."""

_STEP = bytes(1 if c in b"{[" else 255 if c in b"}]" else 0 for c in range(256))
"""Brackets as signed bytes: what each does to the depth."""


class Scan(NamedTuple):
    """One slice: the depth at its beginning and its end, the greatest and the least within it, its beginning included, arrays and objects
    that ended at depth 0, bytes of the scalar that it leaves unfinished (which may have begun before it), and what it is built
    of: its brackets, commas and colons that are in no string.
    """

    begin_depth: int
    depth: int
    highest: int
    lowest: int
    ended: int
    scalar_bytes: int
    built: bytes


EMPTY = Scan(0, 0, 0, 0, 0, 0, b"")
"""Of a text of which nothing came."""


class Outline:
    """Follows one JSON text."""

    __slots__ = ("_escaped", "depth", "in_string", "scalar_bytes")

    def __init__(self) -> None:
        self.depth = 0
        """Depth after the last slice."""
        self.in_string = False
        self.scalar_bytes = 0
        """Bytes of the scalar that the last slice left unfinished."""
        self._escaped = False

    def scan(self, data: bytes) -> Scan:
        """Take the next slice."""
        return self.scan_all([data])[0]

    def scan_all(self, slices: list[bytes]) -> list[Scan]:
        """Take the next slices. They are counted together: a call of numpy's costs more than the few numbers of one slice."""
        scalars = []
        built = []
        for data in slices:
            built.append(self._without_strings(data))
            scalars.append(self.scalar_bytes)
        joined = b"".join(built)
        depth = self.depth
        if not joined:
            return [Scan(depth, depth, depth, depth, 0, scalar_bytes, b"") for scalar_bytes in scalars]
        depths = np.add.accumulate(np.frombuffer(joined.translate(_STEP), dtype=np.int8), dtype=np.int32)
        starts = []
        at = 0
        for some in built:
            if some:
                starts.append(at)
                at += len(some)
        highs = iter(np.maximum.reduceat(depths, starts).tolist())
        lows = iter(np.minimum.reduceat(depths, starts).tolist())
        before = depth
        scans = []
        at = 0
        for some, scalar_bytes in zip(built, scalars, strict=True):
            highest = lowest = begin_depth = depth
            ended = 0
            if some:
                stop = at + len(some)
                highest, lowest = max(depth, before + next(highs)), min(depth, before + next(lows))
                depth = before + depths.item(stop - 1)
                if lowest <= 0:
                    ended = int(np.count_nonzero(depths[at:stop] == -before))
                at = stop
            scans.append(Scan(begin_depth, depth, highest, lowest, ended, scalar_bytes, some))
        self.depth = depth
        return scans

    def _without_strings(self, data: bytes) -> bytes:
        """What a slice is built of; follows strings and scalars."""
        plain = data
        if self._escaped:
            plain = data[1:]
            self._escaped = False
        if b"\\" in plain:
            # pairs from the left: what remains of a quote after them is one that begins or ends a string
            if (len(plain) - len(plain.rstrip(b"\\"))) & 1:
                self._escaped = True
                plain = plain[:-1]
            plain = plain.replace(b"\\\\", b"").replace(b'\\"', b"")
        built = plain.translate(None, _DELETE)
        bare = built.translate(None, b'"')
        quotes = len(built) - len(bare)
        began_in_string = self.in_string
        self.in_string = began_in_string ^ bool(quotes & 1)
        if self.in_string:
            self.scalar_bytes = self.scalar_bytes + len(data) if began_in_string and not quotes else len(data) - _last_quote(data)
        else:
            run = len(data) - len(data.rstrip(SCALAR))
            self.scalar_bytes = self.scalar_bytes + run if run == len(data) and not began_in_string else run
        if not quotes:
            return b"" if began_in_string else bare
        if began_in_string:
            built = b'"' + built
            quotes += 1
        # a comma, a colon or a bracket stands between two strings, so two quotes side by side are those of one
        unpaired = quotes & 1
        if built.count(b'""', 0, len(built) - unpaired) * 2 == quotes - unpaired and (not unpaired or built.endswith(b'"')):
            return bare
        # every second piece between the quotes that are left is in a string
        return b"".join(built.replace(b'""', b"").split(b'"')[::2])


def _last_quote(data: bytes) -> int:
    """Where the string begins that the slice leaves open: the last quote that no backslash escapes."""
    at = data.rfind(b'"')
    while at > 0:
        before = at - 1
        while before >= 0 and data[before] == 0x5C:
            before -= 1
        if (at - before) & 1:
            return at
        at = data.rfind(b'"', 0, before + 1)
    return max(at, 0)


def built_of(data: bytes) -> bytes:
    """What a text is built of that begins in no string."""
    return Outline()._without_strings(data)  # noqa: SLF001 - of this module


def count_commas(indexes: list[int], built: bytes, most: int) -> None:
    """Brings the commas seen in each open container, outermost first, up to the end of what follows. In an array they are the index of
    the element at hand. Brackets that close nothing are skipped. most: containers that are counted; the others are kept as 0.
    """
    if not built:
        return
    begin = len(indexes)
    depths = np.add.accumulate(np.frombuffer(built.translate(_STEP), dtype=np.int8), dtype=np.int32)
    depth = begin + depths.item(-1)
    lowest = min(begin, begin + int(depths.min()))
    del indexes[max(lowest, 0) :]
    commas = np.frombuffer(built, dtype=np.uint8) == _COMMA
    for level in range(lowest, min(depth, most) + 1):
        at_level = depths == level - begin
        found = int(np.count_nonzero(commas & at_level))
        if level > lowest:
            indexes.append(found)
        elif level > 0:
            indexes[-1] += found
        if level < depth and (level > lowest or lowest < begin or at_level.any()):
            # what is open in it at the end was opened behind the last return to this level
            tail = len(depths) - int(at_level[::-1].argmax())
            depths, commas = depths[tail:], commas[tail:]
