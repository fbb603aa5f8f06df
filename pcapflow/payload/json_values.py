"""Where the values at paths stand in a JSON text, told while its bytes come: for who masks them in place.

Contract: `feed` takes bytes in any pieces and gives the places of what is to be masked, counted from the first byte: the insides of strings, numbers, literals. Nothing is judged: in a text that is
no JSON it goes on as its brackets and quotes say. Invariant: what is kept is a state for each open container, `most` at the most, and a key of KEY_BYTES; deeper values are masked, since
nobody knows what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from json import JSONDecodeError, loads

from pcapflow.payload.wanted import NOWHERE, Wanted, wanted

STRING, NUMBER, LITERAL = 0, 1, 256
"""What is to be masked; to LITERAL is added the byte that takes the place of one."""
_NULL, _SHORTEST = b"null ", 4
"""What takes the place of true and false, which has as many bytes."""
KEY_BYTES = 4 << 10
_TOKEN = re.compile(rb'[\[{]|[\]}]|,|:|"|[^ \t\r\n\[\]{},:"]+|[ \t\r\n]+')
_INSIDE = re.compile(rb'[^"\\]*')

Place = tuple[int, int, int]
"""From, up to, and what it is: what came of a string or number, of a literal each byte."""


class _Level:
    """An open container."""

    __slots__ = ("count", "is_map", "masks", "states", "value")

    def __init__(self, is_map: bool, states: list[int], *, masks: bool) -> None:  # noqa: FBT001 - as it is opened
        self.is_map = is_map
        self.states = states
        """Of itself, by path."""
        self.masks = masks
        """All in it is masked."""
        self.count = 0
        self.value: list[int] | None = None
        """The states of the value that comes next in a map, once its key is known."""


class ValuePlaces:
    """Of one body."""

    def __init__(self, paths: Sequence[str], most: int, *, within: bool = False) -> None:
        """most: containers that are kept; within: what is in no container is no JSON. Raises `ValueError` for what is no path."""
        self._within = within
        self._wanted: list[Wanted] = [wanted(path) for path in paths]
        self._most = most
        self.begin()

    def begin(self) -> None:
        """A text begins, whatever came of the one before."""
        self._levels: list[_Level] = []
        self._deeper = 0
        """Open containers beyond that."""
        self._at = 0
        self._string = self._escaped = False
        self._masking = self._is_key = False
        self._key = bytearray()
        self._in_scalar = False
        self._scalar: Place | None = None
        """The number or literal under way, where it is masked: it may go on in the next piece."""

    def feed(self, data: bytes) -> Iterator[Place]:
        """The next bytes."""
        base, at = self._at, 0
        self._at += len(data)
        while at < len(data):
            if self._string:
                begin, masking = at, self._masking
                at = self._in_string(data, at)
                end = at - (not self._string)
                if masking and end > begin:
                    yield base + begin, base + end, STRING
                continue
            match = _TOKEN.match(data, at)
            assert match is not None
            first = match[0][:1]
            if first in b'[{]},:" \t\r\n':
                yield from self.finish()
                self._structure(first)
            else:
                yield from self._scalar_piece(base + at, base + match.end(), first)
            at = match.end()

    def _scalar_piece(self, begin: int, end: int, first: bytes) -> Iterator[Place]:
        """Some of a number or literal: the first of it, or more, where a piece's end cut it."""
        if self._scalar is None:
            if not self._in_scalar:
                self._in_scalar = True
                if self._is_masked(self._begin_value()):
                    self._scalar = begin, begin, NUMBER if first in b"-0123456789" else LITERAL
            if self._scalar is None:
                return
        start, _, kind = self._scalar
        if kind == NUMBER:
            yield begin, end, NUMBER
        elif end - start > len(_NULL):  # no literal
            yield start, end, STRING
            start = end
        self._scalar = start, end, kind

    def finish(self) -> Iterator[Place]:
        """No more bytes come, or none of the number or literal that is under way."""
        self._in_scalar = False
        if self._scalar is not None:
            begin, end, kind = self._scalar
            self._scalar = None
            if kind == NUMBER or end == begin:
                return
            if end - begin < _SHORTEST:
                return  # a chunk of HTTP may have cut it
            for i in range(end - begin):  # each by itself: a chunk of HTTP may cut it anywhere
                yield begin + i, begin + i + 1, LITERAL + _NULL[i]

    def _in_string(self, data: bytes, at: int) -> int:
        if self._escaped:
            self._escaped = False
            self._add_key(data[at : at + 1])
            return at + 1
        match = _INSIDE.match(data, at)
        assert match is not None
        end = match.end()
        self._add_key(data[at:end])
        if end == len(data):
            return end
        if data[end] == 0x22:
            self._end_string()
        else:
            self._escaped = True
            self._add_key(b"\\")
        return end + 1

    def _add_key(self, data: bytes) -> None:
        if self._is_key and len(self._key) <= KEY_BYTES:
            self._key += data

    def _end_string(self) -> None:
        self._string = self._masking = False
        if self._is_key and self._levels:
            self._levels[-1].value = self._states_of_key()
        self._is_key = False

    def _states_of_key(self) -> list[int]:
        level = self._levels[-1]
        try:
            key = str(loads(b'"' + bytes(self._key) + b'"', strict=False)) if b"\\" in self._key else str(self._key, "utf-8", "replace")
        except (JSONDecodeError, UnicodeDecodeError):
            key = str(self._key, "utf-8", "replace")
        return [one.keys[state].get(key, one.others[state]) for one, state in zip(self._wanted, level.states, strict=True)]

    def _structure(self, first: bytes) -> None:
        if first == b'"':
            self._string = True
            level = self._levels[-1] if self._levels and not self._deeper else None
            self._is_key = level is not None and level.is_map and level.value is None
            if self._is_key:
                self._key.clear()
            else:
                self._masking = self._is_masked(self._begin_value())
        elif first in b"[{":
            self._open(first == b"{")
        elif first in b"]}":
            if self._deeper:
                self._deeper -= 1
            elif self._levels:
                self._levels.pop()
        elif first == b"," and self._levels and not self._deeper:
            level = self._levels[-1]
            level.value = None
            level.count += 1

    def _begin_value(self) -> list[int] | None:
        """The states of a value that begins; None where nobody knows them, too deep."""
        if self._deeper:
            return None
        if not self._levels:
            return [0 for _ in self._wanted]
        level = self._levels[-1]
        if level.is_map:
            return level.value if level.value is not None else [NOWHERE for _ in self._wanted]
        return [one.element(state, level.count) for one, state in zip(self._wanted, level.states, strict=True)]

    def _is_masked(self, states: list[int] | None) -> bool:
        if self._within and not self._levels:
            return False
        if states is None or (self._levels and self._levels[-1].masks):
            return True
        return any(one.goals[state] for one, state in zip(self._wanted, states, strict=True))

    def _open(self, is_map: bool) -> None:  # noqa: FBT001 - what is opened
        if self._deeper or len(self._levels) >= self._most:
            self._deeper += 1
            return
        states = self._begin_value()
        assert states is not None
        self._levels.append(_Level(is_map, states, masks=self._is_masked(states)))


class LinePlaces:
    """The same of a text in which each line is one of its own, whatever came of the one before: NDJSON, event streams, logs."""

    def __init__(self, paths: Sequence[str], most: int, *, within: bool = False) -> None:
        """See `ValuePlaces`."""
        self._places = ValuePlaces(paths, most, within=within)
        self._base = 0
        """Where the line at hand begins."""
        self._at = 0

    def feed(self, data: bytes) -> Iterator[Place]:
        """The next bytes."""
        at = 0
        while at < len(data):
            end = data.find(b"\n", at) + 1 or len(data)
            yield from self._moved(self._places.feed(data[at:end]))
            self._at += end - at
            if data[end - 1] == 0x0A:
                yield from self.finish()
                self._places.begin()
                self._base = self._at
            at = end

    def finish(self) -> Iterator[Place]:
        """No more bytes come."""
        yield from self._moved(self._places.finish())

    def _moved(self, places: Iterator[Place]) -> Iterator[Place]:
        for begin, end, kind in places:
            yield self._base + begin, self._base + end, kind
