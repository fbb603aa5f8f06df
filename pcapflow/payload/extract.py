"""The values at a path, as the text that was sent: digits, escapes and repeated keys stay as they were.

Contract: a `Tap` on the JSON parser. It walks ijson's events for the path and cuts the values out of the bytes; `emit` gets each on one
line. Invariant: what is kept is the value under way, at most `extract_value_max_bytes`, reserved in the `json` account; one that
is too large is a drop, and the next is read. Time is linear in the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice

import numpy as np

from pcapflow.budget import Account
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.payload.json_outline import SCALAR
from pcapflow.payload.path import Event
from pcapflow.payload.wanted import NOWHERE, Wanted

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false|null', re.DOTALL)
_AT_ONCE = 64 << 10
_LEVELS = 32
"""For which there is room from the start."""
_IS_BLANK = np.zeros(256, dtype=bool)
_BLANK = b" \t\r\n"
_IS_BLANK[list(_BLANK)] = True
_BRACKET, _SCALAR_BYTE = 1, 2
_KINDS = np.zeros(256, dtype=np.uint8)
_KINDS[list(b"[]{}")] = _BRACKET
_KINDS[list(SCALAR)] = _SCALAR_BYTE
_QUOTE = ord('"')


class Values:
    """One body's values at a path."""

    __slots__ = (
        "_account",
        "_around",
        "_bases",
        "_begun",
        "_counts",
        "_dropped",
        "_emit",
        "_held",
        "_level",
        "_limits",
        "_most",
        "_parts",
        "_states",
        "_wanted",
    )

    def __init__(
        self,
        what: Wanted,
        limits: Limits,
        account: Account,
        emit: Callable[[bytes], None],
        dropped: Callable[[Drop], None],
        around: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        """around: what is put before and behind each value, with no white space in it: a value may
        be megabytes, and is copied once.
        """
        self._wanted = what
        self._around = around
        self._limits = limits
        self._account = account
        self._emit = emit
        self._dropped = dropped
        self._most = min(what.levels, limits.json_max_depth)
        self._level = 0
        first = min(self._most, _LEVELS) + 1
        self._states = [0] * first
        """At each level, the state of the value at hand."""
        self._bases = [NOWHERE] * first
        """At each level, the state of the container around it."""
        self._counts = [-1] * first
        """At each level, in an array of which one element is wanted: how many came; else -1."""
        self._begun = -1
        """The level at which the value under way began; -1 for none, and where it was given up `_parts` is None."""
        self._parts: list[bytes] | None = []
        self._held = 0

    def begin(self) -> None:
        """A text begins: what another one left unfinished is nobody's."""
        self._level, self._begun = 0, -1
        self.close()

    def take(self, data: bytes, events: list[Event], *, broken: bool = False) -> Drop | None:
        """See `Tap`."""
        level, begun, most = self._level, self._begun, self._most
        states, bases, counts = self._states, self._bases, self._counts
        _, keys, others, elements, indexes, goals, _ = self._wanted
        counting = any(indexes)
        starts: list[int] | None = None
        begin_at = 0
        for i, (name, value) in enumerate(events):
            if name == "map_key":
                if begun < 0 and level <= most:
                    base = bases[level]
                    states[level] = keys[base].get(value, others[base])
                continue
            if counting and begun < 0 and 0 < level <= most and counts[level] >= 0 and not name.startswith("end"):
                base = bases[level]
                states[level] = indexes[base].get(counts[level], elements[base])
                counts[level] += 1
            if name == "start_map" or name == "start_array":
                if begun < 0 and level <= most:
                    state = states[level]
                    if goals[state]:
                        if starts is None:
                            starts = _starts(data, len(events), broken=broken)
                        begun, begin_at = level, starts[i]
                        self._parts = []
                    elif level < most:
                        if level + 1 == len(states):  # the parser bounds how deep it goes
                            states.append(0)
                            bases.append(NOWHERE)
                            counts.append(-1)
                        bases[level + 1] = state
                        states[level + 1] = elements[state]
                        if counting:
                            counts[level + 1] = 0 if indexes[state] and name == "start_array" else -1
                level += 1
            elif name == "end_map" or name == "end_array":
                level -= 1
                if level == begun:
                    if starts is None:
                        starts = _starts(data, len(events), broken=broken)
                    self._value(data[begin_at : starts[i] + 1])
                    begun = -1
            elif begun < 0 and level <= most and goals[states[level]]:
                if starts is None:
                    starts = _starts(data, len(events), broken=broken)
                at = starts[i]
                match = _TOKEN.match(data, at)
                if match is not None:
                    self._parts = []
                    self._value(match[0])
        self._level, self._begun = level, begun
        if begun >= 0:
            self._keep(data[begin_at:])
        return None

    def close(self) -> None:
        """The body is over."""
        self._parts = []
        self._account.release(self._held)
        self._held = 0

    def _keep(self, data: bytes) -> None:
        """More of a value that is not at its end."""
        parts = self._parts
        if parts is None:
            return
        most = self._limits.extract_value_max_bytes
        if self._held + len(data) > most:
            self._give_up(
                Drop(DropReason.JSON_VALUE_TOO_LARGE, "extract_value_max_bytes", most, f"a value at {self._wanted.path or 'the top level'}")
            )
        elif not self._account.reserve(len(data)):
            self._give_up(Drop(DropReason.JSON_MEMORY, *self._account.refusal(), f"{self._held + len(data)} bytes of a value"))
        else:
            self._held += len(data)
            parts.append(data)

    def _give_up(self, drop: Drop) -> None:
        self.close()
        self._parts = None
        self._dropped(drop)

    def _value(self, end: bytes) -> None:
        """A value is whole: what was kept of it and its end."""
        parts = self._parts
        if parts is None:
            self._parts = []
            return
        if self._held + len(end) > self._limits.extract_value_max_bytes:
            self._keep(end)
            self._parts = []
            return
        before, behind = self._around
        parts.append(end)
        if any(b"\n" in part or b"\r" in part for part in parts):
            _on_one_line(parts)
        text = b"".join((before, *parts, behind))
        parts.clear()  # what is reserved for them stands for the text until that is given on
        self._emit(text)
        self.close()


def _on_one_line(parts: list[bytes]) -> None:
    """Takes the white space between its tokens out of a JSON text that is in parts, in place and a piece at a time."""
    inside = escaped = False
    for i, part in enumerate(parts):
        if not inside and b'"' not in part:
            parts[i] = part.translate(None, _BLANK)
            continue
        kept = []
        for at in range(0, len(part), _AT_ONCE):
            piece = part[at : at + _AT_ONCE]
            plain = b"_" + piece[1:] if escaped else piece
            escaped = False
            if b"\\" in plain:
                plain = plain.replace(b"\\\\", b"__")
                escaped = plain.endswith(b"\\")
                plain = plain.replace(b'\\"', b"__")
            text = np.frombuffer(plain, dtype=np.uint8)
            within = np.bitwise_xor.accumulate(text == _QUOTE) ^ inside
            inside = bool(within[-1])
            kept.append(np.frombuffer(piece, dtype=np.uint8)[within | ~_IS_BLANK[text]].tobytes())
        parts[i] = b"".join(kept)


_FEW_BYTES = 128
"""Below that numpy's calls take longer than a look at each token."""


def _starts(data: bytes, count: int, *, broken: bool) -> list[int]:
    """Where each token begins that makes an event: brackets, strings, numbers and literals, in order. data begins and ends outside tokens; broken: the
    events are those of its first tokens, so that their number proves nothing.
    """
    if broken or len(data) < _FEW_BYTES:
        return _starts_one_by_one(data, count)
    plain = data
    if b"\\" in plain:
        plain = plain.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    text = np.frombuffer(plain, dtype=np.uint8)
    quotes = text == _QUOTE
    inside = np.bitwise_xor.accumulate(quotes)
    kinds = np.where(inside | quotes, 0, _KINDS[text])
    scalars = kinds == _SCALAR_BYTE
    begins = scalars.copy()
    begins[1:] &= ~scalars[:-1]
    begins |= (kinds == _BRACKET) | (quotes & inside)
    found: list[int] = np.flatnonzero(begins).tolist()
    # numbers or literals that touch, which only documents may, make it fewer than there are
    return found if len(found) == count else _starts_one_by_one(data, count)


def _starts_one_by_one(data: bytes, count: int) -> list[int]:
    found = [match.start() for match in islice(_TOKEN.finditer(data), count)]
    return found + [len(data)] * (count - len(found))
