"""Where the values at paths stand in a JSON text, told while its bytes come: for who masks them in place.

Contract: `feed` takes bytes in any pieces and gives the places of what is to be masked, counted from the first byte: the insides of strings, numbers, literals; numbers with what is between them may be one place. Nothing is
judged: in a text that is no JSON it goes on as its brackets and quotes say. Tokens that lie whole in a piece are taken at once (`_whole`), others byte run by byte run: both come to the same. Invariant: what is kept is a
state for each open container that may hold what is wanted, `most` at the most, and a key of KEY_BYTES; deeper values are masked, since nobody knows what they are.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, loads

from pcapflow.payload.joint_states import JointState, JointStates

STRING, NUMBER, LITERAL = 0, 1, 256
"""What is to be masked; to LITERAL is added the byte that takes the place of one."""
_NULL, _SHORTEST = b"null ", 4
"""What takes the place of true and false, which has as many bytes."""
KEY_BYTES = 4 << 10
_TOKEN = re.compile(rb'[\[{]|[\]}]|,|:|"|[^ \t\r\n\[\]{},:"]+|[ \t\r\n]+')
_INSIDE = re.compile(rb'[^"\\]*')
_BLANK = rb"[ \t\r\n]*+"
_TEXT = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_VALUE = rb'(?:%s%s(,)?|([^ \t\r\n\[\]{},:"]++)(?=[ \t\r\n\[\]{},:"])%s(,)?)' % (_TEXT, _BLANK, _BLANK)
_MEMBER = re.compile(rb"%s%s%s:%s(?:%s|([\[{]))" % (_BLANK, _TEXT, _BLANK, _BLANK, _VALUE), re.DOTALL)
"""Of a map: a key, and a string with a comma, another scalar with one, or an opening bracket."""
_ELEMENT = re.compile(rb"%s%s" % (_BLANK, _VALUE), re.DOTALL)
_NUMBERS = re.compile(rb"(?:%s-?[0-9][-+.0-9eE]*+%s,)++" % (_BLANK, _BLANK))
"""Of an array, several."""
_BRACKET = re.compile(rb"[ \t\r\n:]*+(?:([\[{])|([\]}])%s(,)?|(,))" % _BLANK)
_FLAT = rb'[^\[\]{}"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SKIPPED = re.compile(rb"(?:%s|[\[{](?:%s)*+[\]}])*+([\[\]{}])?" % (_FLAT, _FLAT), re.DOTALL)
"""Scalars, strings, containers without others in them, up to a bracket."""
Place = tuple[int, int, int]
"""From, up to, and what it is: what came of a string or number, of a literal each byte."""


class _Level:
    """An open container."""

    __slots__ = ("count", "is_map", "masks", "state", "value")

    def __init__(self, is_map: bool, state: JointState, *, masks: bool) -> None:  # noqa: FBT001 - as it is opened
        self.is_map = is_map
        self.state = state
        """Of itself, by path."""
        self.masks = masks
        """All in it is masked."""
        self.count = 0
        self.value: JointState | None = None
        """That of the value that comes next in a map, once its key is known."""


class ValuePlaces:
    """Of one body."""

    __slots__ = (
        "_at", "_escaped", "_first", "_found", "_in_scalar", "_inner", "_inner_masks", "_is_key", "_key", "_levels", "_masking", "_most", "_nowhere", "_scalar", "_string", "_within",
    )  # fmt: skip

    def __init__(self, states: JointStates, most: int, *, within: bool = False) -> None:
        """states: those of the paths; most: containers that are kept; within: what is in no container is no JSON."""
        self._within = within
        self._first, self._nowhere = states.first, states.nowhere
        self._most = most
        self._found: list[Place] = []
        self.begin()

    @property
    def depth(self) -> int:
        """Containers that are kept."""
        return len(self._levels)

    @property
    def holds_only(self) -> bool:
        """Whether what is in no container is never masked."""
        return self._within or not self._first.is_goal

    def begin(self) -> None:
        """A text begins, whatever came of the one before."""
        self._levels: list[_Level] = []
        self._inner = 0
        """Open containers beyond those: in one of which no path wants anything, or too deep, which is masked."""
        self._inner_masks = False
        self._at = 0
        self._string = self._escaped = False
        self._masking = self._is_key = False
        self._key = bytearray()
        self._in_scalar = False
        self._scalar: Place | None = None
        """The number or literal under way, where it is masked: it may go on in the next piece."""

    def feed(self, data: bytes) -> list[Place]:
        """The next bytes."""
        base, at, found = self._at, 0, self._found
        self._at += len(data)
        while at < len(data):
            if self._string:
                begin, masking = at, self._masking
                at = self._in_string(data, at)
                end = at - (not self._string)
                if masking and end > begin:
                    found.append((base + begin, base + end, STRING))
                continue
            if not self._in_scalar and (after := self._whole(data, at, base)) > at:
                at = after
                continue
            match = _TOKEN.match(data, at)
            assert match is not None
            first = match[0][:1]
            if first in b'[{]},:" \t\r\n':
                self._end_scalar()
                self._structure(first)
            else:
                self._scalar_piece(base + at, base + match.end(), first)
            at = match.end()
        self._found = []
        return found

    def finish(self) -> list[Place]:
        """No more bytes come, or none of the number or literal that is under way."""
        self._end_scalar()
        found, self._found = self._found, []
        return found

    # --- tokens that are there whole

    def _whole(self, data: bytes, at: int, base: int) -> int:
        """Take those from a place on; the place behind the last of them."""
        levels = self._levels
        while True:
            if self._inner and not self._inner_masks:
                at = self._skip(data, at)
                if self._inner:
                    return at
            level = levels[-1] if levels and not self._inner else None
            if level is not None and level.is_map and level.value is None:
                match = _MEMBER.match(data, at)
                if match is not None:
                    self._member(level, match, base)
                    at = match.end()
                    continue
            elif level is not None or self._inner:
                if level is None or (level.masks and not level.is_map):
                    match = _NUMBERS.match(data, at)
                    if match is not None:
                        self._found.append((base + at, base + match.end(), NUMBER))
                        at = match.end()
                        continue
                match = _ELEMENT.match(data, at)
                if match is not None:
                    self._element(level, match, base)
                    at = match.end()
                    continue
            match = _BRACKET.match(data, at)
            if match is None:
                return at
            self._bracket(match)
            at = match.end()

    def _skip(self, data: bytes, at: int) -> int:
        """Of containers in which nothing is wanted what is there."""
        inner = self._inner
        match = _SKIPPED.match
        while inner:
            skipped = match(data, at)
            assert skipped is not None
            at = skipped.end()
            if skipped.lastindex is None:
                break
            inner += 1 if data[at - 1] in b"[{" else -1
        self._inner = inner
        return at

    def _member(self, level: _Level, match: re.Match[bytes], base: int) -> None:
        """A key of a map with its value, or with the bracket that opens it."""
        state = self._of_key(level, match[1])
        if match[6] is not None:
            level.value = state
            self._open(match[6] == b"{")
            return
        if level.masks or state.is_goal:
            self._mask(match, 2, base)
        if match[3] is None and match[5] is None:
            level.value = state

    def _element(self, level: _Level | None, match: re.Match[bytes], base: int) -> None:
        """A scalar that has no key. level: None where it is too deep."""
        if level is None:
            self._mask(match, 1, base)
            return
        if level.masks or self._begin_value().is_goal:
            self._mask(match, 1, base)
        if match[2] is not None or match[4] is not None:
            level.value = None
            level.count += 1

    def _mask(self, match: re.Match[bytes], group: int, base: int) -> None:
        """A string, or the scalar two groups behind it, is masked."""
        if match[group] is not None:
            begin, end = match.span(group)
            if begin < end:
                self._found.append((base + begin, base + end, STRING))
            return
        if match[group + 2] == b"null":
            return
        begin, end = match.span(group + 2)
        self._scalar_piece(base + begin, base + end, match[group + 2][:1], masked=True)
        self._end_scalar()

    def _bracket(self, match: re.Match[bytes]) -> None:
        """A container opens or ends, or a comma."""
        if match[1] is not None:
            self._open(match[1] == b"{")
            return
        if match[2] is not None:
            self._close()
        if match[3] is not None or match[4] is not None:
            self._comma()

    # --- byte runs

    def _scalar_piece(self, begin: int, end: int, first: bytes, *, masked: bool | None = None) -> None:
        """Some of a number or literal: the first of it, or more, where a piece's end cut it. masked: None where that is still to be found."""
        if self._scalar is None:
            if not self._in_scalar:
                self._in_scalar = True
                if self._is_masked() if masked is None else masked:
                    self._scalar = begin, begin, NUMBER if first in b"-0123456789" else LITERAL
            if self._scalar is None:
                return
        start, _, kind = self._scalar
        if kind != LITERAL:
            self._found.append((begin, end, kind))
        elif end - start > len(_NULL):  # no literal
            self._found.append((start, end, STRING))
            kind = STRING
        self._scalar = start, end, kind

    def _end_scalar(self) -> None:
        self._in_scalar = False
        if self._scalar is not None:
            begin, end, kind = self._scalar
            self._scalar = None
            if kind != LITERAL or end - begin < _SHORTEST:
                return  # a chunk of HTTP may have cut it
            for i in range(end - begin):  # each by itself: a chunk of HTTP may cut it anywhere
                self._found.append((begin + i, begin + i + 1, LITERAL + _NULL[i]))

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
        if self._is_key:
            self._key += data[: KEY_BYTES + 1 - len(self._key)]

    def _end_string(self) -> None:
        self._string = self._masking = False
        if self._is_key and self._levels:
            level = self._levels[-1]
            level.value = self._of_key(level, bytes(self._key))
        self._is_key = False

    def _of_key(self, level: _Level, key: bytes) -> JointState:
        """The state of the value with a key, which may have escapes."""
        key = key[: KEY_BYTES + 1]
        if b"\\" in key:
            try:
                text = str(loads(b'"' + key + b'"', strict=False))
            except (JSONDecodeError, UnicodeDecodeError):
                return level.state.of_key(key)
            key = text.encode("utf-8", "surrogatepass")
        return level.state.of_key(key)

    def _structure(self, first: bytes) -> None:
        if first == b'"':
            self._string = True
            level = self._levels[-1] if self._levels and not self._inner else None
            self._is_key = level is not None and level.is_map and level.value is None
            if self._is_key:
                self._key.clear()
            else:
                self._masking = self._is_masked()
        elif first in b"[{":
            self._open(first == b"{")
        elif first in b"]}":
            self._close()
        elif first == b",":
            self._comma()

    def _close(self) -> None:
        if self._inner:
            self._inner -= 1
        elif self._levels:
            self._levels.pop()

    def _comma(self) -> None:
        if self._levels and not self._inner:
            level = self._levels[-1]
            level.value = None
            level.count += 1

    def _begin_value(self) -> JointState:
        """The state of a value that begins."""
        if not self._levels:
            return self._first
        level = self._levels[-1]
        if level.is_map:
            return level.value if level.value is not None else self._nowhere
        return level.state.of_element(level.count)

    def _is_masked(self) -> bool:
        """Whether the value that begins is."""
        if self._inner:
            return self._inner_masks
        if not self._levels:
            return not self._within and self._first.is_goal
        return self._levels[-1].masks or self._begin_value().is_goal

    def _open(self, is_map: bool) -> None:  # noqa: FBT001 - what is opened
        if self._inner:
            self._inner += 1
            return
        masks, state = self._is_masked(), self._begin_value()
        matters = masks or state.holds(is_map)
        if matters and len(self._levels) < self._most:
            self._levels.append(_Level(is_map, state, masks=masks))
        else:
            self._inner = 1
            self._inner_masks = matters
