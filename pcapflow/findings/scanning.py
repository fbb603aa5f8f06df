"""Runs of bytes looked at in stretches, for `masking`: those of a stream, or of a body.

Contract: a `Scanner` finds what its surroundings show to be a secret and what is known, `JsonValues` what stands at paths of JSON; both tell a `Masking` what they learn, and give the places. Invariant: a run is looked
at in stretches that begin and end at the same bytes however they come, so that what is found does not depend on that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Self

from pcapflow.bytes_behind_loss import before_field, behind_loss, chunks_in
from pcapflow.findings.masking import LEVELS, Masking
from pcapflow.payload.json_line_values import LinePlaces
from pcapflow.payload.json_values import NUMBER, STRING, ValuePlaces
from pcapflow.ranges import MaskRange, united
from pcapflow.redaction import is_secret_field
from pcapflow.secret_kinds import GOES_ON, HOLDER, KNOWN, LONG, LOST, OPEN, Place, reaches_end
from pcapflow.secret_kinds import STRING as STRING_END

_NUMBER = re.compile(rb"-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_CUT_FIELD = re.compile(rb"([A-Za-z0-9_-]{1,64}+):[ \t]")
"""What is left of a field whose name is cut."""
AT_ONCE = 16 << 10
_TAIL = 8 << 10
"""Bytes that are looked at again with what follows: a secret may be cut."""
_STRETCH = AT_ONCE + _TAIL
_LEVEL_BYTES = 120
"""Of an open container of JSON."""
_SCALAR = 8
"""Bytes before a piece from which on a place in it may begin: those of a literal that is none."""
_GOING_ON_MOST = 64
"""Secrets that go on behind a stretch: known values may stand at each byte of it."""
JSON_BEGINS = (b"{", b"[")


def filled(text: bytes, begin: int, end: int) -> MaskRange:
    """A secret in a text, with what takes its place: digits, where it is one number, which may be one of JSON elsewhere."""
    return begin, end, NUMBER if _NUMBER.fullmatch(text, begin, end) else STRING


class Scanner:
    """One run of bytes, in pieces. It looks at them in stretches that begin and end at the same bytes however they come."""

    __slots__ = ("_base", "_behind", "_buffer", "_ends", "_escaped", "_form", "_fresh", "_lost", "_masking")

    def __init__(self, masking: Masking, *, lost: bool = False, form: bool = False) -> None:
        """lost: what came before is missing; form: it is a form."""
        self._masking = masking
        self._buffer = bytearray()
        self._base = 0
        self._ends: Collection[tuple[int, int]] = ()
        """Of secrets that go on behind what was looked at: where they begin in what is kept, and how they end (`secret_bytes`)."""
        self._lost = self._behind = lost
        """What came before is missing; it is, somewhere: chunks may stand here that nobody put together."""
        self._form = form
        self._fresh = True
        """Nothing before what is kept was looked at: it may begin with a line."""
        self._escaped = False
        """The byte before what is kept escapes its first, where a string goes on."""

    @property
    def base(self) -> int:
        """Where what is still looked at begins."""
        return self._base

    def feed(self, data: bytes) -> list[MaskRange]:
        """The next bytes; the places of secrets, counted from the first."""
        self._masking.reserve(len(data))
        found: list[MaskRange] = []
        at = 0
        while at < len(data):
            n = min(_STRETCH - len(self._buffer), len(data) - at)
            self._buffer += data[at : at + n]
            at += n
            if len(self._buffer) == _STRETCH:
                found += self._look(final=False)
        return found

    def flush(self, missing: int = 0) -> list[MaskRange]:
        """No more comes, or so many bytes are missing."""
        found = self._look(final=True, cut=missing > 0)
        self._base += missing
        self._fresh = True
        if missing:
            self._lost = self._behind = True
        return found

    def _look(self, *, final: bool, cut: bool = False) -> list[MaskRange]:
        text, base = bytes(self._buffer), self._base
        done = len(text) if final else len(text) - _TAIL
        found = list(self._masking.secrets(text, done, final=final, cut=cut, form=self._form, begins=self._fresh))
        for begin, kind in self._ends:
            rest = GOES_ON[kind].match(text, begin or int(self._escaped and kind == STRING_END))
            end = rest.end() if rest is not None else begin
            found.append((begin, end, kind))
            if (
                begin and kind not in (HOLDER, KNOWN) and (final or not reaches_end(text, (begin, end, kind)))
            ):  # the others' beginnings are known
                self._masking.learn(text[begin:end])
        if self._lost and text:
            rest_of = behind_loss(text)
            name = _CUT_FIELD.match(text, 0, rest_of)
            if rest_of <= LONG and before_field(text, rest_of) and (name is None or is_secret_field(str(name[1], "latin-1"))):
                self._masking.learn(text[:rest_of])  # a field's; what is of another line is masked, and may be anything
            found.append((0, rest_of, LOST))
            self._lost = False
        if self._behind:
            found += self._across_chunks(text)
        going_on = [place for place in found if place[2] == OPEN or reaches_end(text, place)] if text else []
        if not final:
            ends = sorted({(max(0, begin - done), kind % OPEN) for begin, _, kind in going_on})
            self._ends = ends[:_GOING_ON_MOST]  # the first of a kind covers the others
            self._fresh = False
            backslashes = done - len(text[:done].rstrip(b"\\"))
            self._escaped = bool((backslashes + (self._escaped and backslashes == done)) & 1)
        elif text:  # a string that a gap cuts goes on to a quote, wherever that is
            self._ends = {(0, STRING_END) for _, _, kind in going_on if cut and kind == STRING_END}
            self._escaped = False
        del self._buffer[:done]
        self._base += done
        self._masking.release(done)
        # places that surroundings show stay apart: one that goes on too far ends with its message (`Framing`), and others in it do not
        shown = {(begin, end) for begin, end, kind in found if end > begin and kind not in (OPEN, KNOWN)}
        shown |= {*united([(begin, end) for begin, end, kind in found if kind == KNOWN])}
        return [(base + begin, base + end, kind) for begin, end, kind in (filled(text, begin, end) for begin, end in sorted(shown))]

    def _across_chunks(self, text: bytes) -> Iterator[Place]:
        """Secrets over the edges of chunks."""
        pieces = chunks_in(text)
        if len(pieces) < 2:
            return
        joined = b"".join([text[begin:end] for begin, end in pieces])
        places = sorted(
            (begin, end) for begin, end, kind in self._masking.secrets(joined, form=self._form, begins=self._fresh) if kind != OPEN
        )
        for begin, end in over_pieces(places, pieces):
            yield begin, end, LOST


def over_pieces(places: list[tuple[int, int]], pieces: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Where places of joined pieces stand, piece by piece. Both are in order, and walked once: of the places that go on into a piece the longest covers the others."""
    i = at = reach = 0
    for begin, end in pieces:
        n = end - begin
        if reach > at:
            yield begin, begin + min(reach - at, n)
        while i < len(places) and places[i][0] < at + n:
            low, high = places[i]
            i += 1
            reach = max(reach, high)
            if high > low:
                yield begin + low - at, begin + min(high - at, n)
        at += n


class JsonValues:
    """The values at paths of JSON in one run of bytes: what any of `places` finds is masked, and looked for elsewhere."""

    __slots__ = ("_at", "_connection", "_depth", "_masking", "_recent", "places")

    def __init__(self, masking: Masking, places: list[ValuePlaces | LinePlaces], connection: int | None = None) -> None:
        """connection: whose stream it is, with which what is kept goes; None for a body, which is closed."""
        self._masking = masking
        self.places = places
        self._connection = connection
        self._recent = b""
        """The last bytes that came."""
        self._at = 0
        """Where they begin."""
        self._depth = 0
        """Containers for which memory was reserved."""

    @classmethod
    def of_text(cls, masking: Masking) -> Self:
        """Of a text of any lines, and of one of which each line is one."""
        paths = masking.paths
        return cls(masking, [ValuePlaces(paths, LEVELS), LinePlaces(paths, LEVELS, second=True)] if paths is not None else [])

    def feed(self, data: bytes) -> set[MaskRange]:
        """The next bytes; the places of values."""
        if not self.places:
            return set()
        recent = self._recent + data
        found = {place for one in self.places for place in one.feed(data)}
        for begin, end, kind in found:
            if kind == STRING and begin >= self._at:
                self._masking.learn(recent[begin - self._at : end - self._at])
        self._recent = recent[-_SCALAR:]
        self._at += len(recent) - len(self._recent)
        self._reserve(sum(one.depth for one in self.places))
        return found

    def _reserve(self, depth: int) -> None:
        more = depth - self._depth
        if more > 0:
            if self._connection is None:
                self._masking.reserve(more * _LEVEL_BYTES)
            else:
                self._masking.hold(self._connection, more * _LEVEL_BYTES)
            self._depth = depth

    def finish(self) -> set[MaskRange]:
        """No more comes."""
        return {place for one in self.places for place in one.finish()}

    def close(self) -> None:
        """Give the memory of a body back."""
        self.places = []
        self._masking.release(self._depth * _LEVEL_BYTES)
        self._depth = 0
