"""JSON in server-sent events (text/event-stream, WHATWG HTML section 9.2).

Contract: a `Text`. The `data` lines of each event are a text; those that begin like an object or array are parsed, the others, and
the `[DONE]` that ends some streams, are skipped and counted. Invariant: of the stream itself at most a field's name and the
first bytes of an event's data are kept.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8

from pcapflow.budget import Account
from pcapflow.contents import JsonBody
from pcapflow.drops import Drop
from pcapflow.limits import Limits
from pcapflow.payload.json_texts import RECORD_SEPARATOR, Separated
from pcapflow.payload.tap import Tap

_DONE = b"[DONE]"
_LINE_END = re.compile(rb"[\r\n]")
_IDLE = re.compile(rb"(?:[\r\n]|(?!data)[^\r\n]++[\r\n])*+")
"""Lines between events: empty ones, comments, and fields that are not data."""
_OTHER_LINES = re.compile(rb"(?:(?!data)[^\r\n]++(?:\r\n|\n|\r(?=[^\n])))*+")
"""The same within an event, which an empty line would end."""
_NAME = 6
"""Bytes that tell a data line from others: `data:`, and the space that is no part of it."""
_LINE_BEGINS, _IN_DATA, _IN_OTHER = range(3)
_FIELD = re.compile(rb"(?:data|event|id|retry)?:")
_FIELD_BYTES = 6
"""Bytes that tell a field's name."""


class EventStream:
    """One stream of events."""

    __slots__ = ("_begin", "_behind_gap", "_bytes", "_first", "_has_data", "_kept", "_parsed", "_skip_lf", "_skipped", "_state", "_texts")

    def __init__(self, limits: Limits, account: Account, tap: Tap | None = None) -> None:
        self._texts = Separated(RECORD_SEPARATOR, limits, account, tap)
        self._state = _LINE_BEGINS
        self._kept = b""
        """A line's first bytes."""
        self._begin: bytes | None = b""
        """The first bytes of the event's data, until they tell whether it is JSON."""
        self._parsed = False
        self._has_data = False
        self._skip_lf = False
        self._skipped = 0
        self._bytes = 0
        self._first = True
        self._behind_gap = False
        """Bytes are missing before what comes next: it begins a line where it looks like one."""

    @property
    def drop(self) -> Drop | None:
        return self._texts.drop

    def feed(self, data: bytes) -> None:
        self._bytes += len(data)
        data = self._kept + data
        self._kept = b""
        at = 0
        if self._first:
            if len(data) < len(BOM_UTF8) and BOM_UTF8.startswith(data):
                self._kept = data
                return
            self._first = False
            at = len(BOM_UTF8) if data.startswith(BOM_UTF8) else 0
        if self._behind_gap:
            if len(data) < _FIELD_BYTES:
                self._kept = data
                return
            self._behind_gap = False
            self._state = _LINE_BEGINS if _FIELD.match(data) else _IN_OTHER
        size = len(data)
        while at < size:
            if self._skip_lf:
                self._skip_lf = False
                if data[at] == 0x0A:
                    at += 1
                    continue
            if self._state == _LINE_BEGINS:
                begun = at
                at = (_OTHER_LINES if self._has_data else _IDLE).match(data, at).end()  # type: ignore[union-attr]
                if at > begun:
                    self._skip_lf = data[at - 1] == 0x0D
                    continue
            end = _line_end(data, at)
            if self._state == _LINE_BEGINS:
                if end < 0 and size - at < _NAME:
                    self._kept = data[at:]
                    return
                if end == at:
                    self._end_event()
                elif data.startswith(b"data:", at) or data[at : end if end >= 0 else size] == b"data":
                    at += 6 if data.startswith(b"data: ", at) else 5 if data.startswith(b"data:", at) else 4
                    self._state = _IN_DATA
                    if self._has_data:
                        self._data(b"\n")
                    self._has_data = True
                else:
                    self._state = _IN_OTHER
            if self._state == _IN_DATA:
                self._data(data[at : end if end >= 0 else size])
            if end < 0:
                return
            self._state = _LINE_BEGINS
            self._skip_lf = data[end] == 0x0D
            at = end + 1

    def gap(self) -> bool:
        """The event at hand is lost; what comes next, or else the next line, is taken for a new one's, if its data are a whole text."""
        if self._begin and _begins_json(self._begin):
            self._texts.feed(self._begin)
        self._kept = b""
        self._begin, self._parsed, self._has_data = b"", False, False
        self._behind_gap, self._first = True, False
        self._skip_lf = False
        self._texts.gap()
        return True

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody | None:
        if self._kept:
            self._behind_gap = False
            self.feed(b"\n")
            self._bytes -= 1
        if self._has_data and whole:
            # an event that no empty line ends is dispatched by no client, but it was sent
            self._end_event()
        found = self._texts.finish(whole=whole, gapped=gapped)
        found.bytes = self._bytes
        found.skipped = self._skipped
        return found if found.documents or found.broken or found.drop_reason else None

    def _data(self, data: bytes) -> None:
        if self._begin is not None:
            data = self._begin + data
            if len(data) <= len(_DONE):
                self._begin = data
                return
            self._begin = None
            self._parsed = _begins_json(data[: len(_DONE) + 1])
        if self._parsed:
            self._texts.feed(data.replace(RECORD_SEPARATOR, b" "))

    def _end_event(self) -> None:
        begin = self._begin
        if begin is not None:
            self._parsed = begin != _DONE and _begins_json(begin)
            if self._parsed:
                self._texts.feed(begin)
        if self._parsed:
            self._texts.feed(RECORD_SEPARATOR)
        elif self._has_data:
            self._skipped += 1
            self._texts.tentative = False
        self._begin, self._parsed, self._has_data = b"", False, False


def _begins_json(data: bytes) -> bool:
    """Whether an event's first bytes are an object's or an array's."""
    return data.lstrip()[:1] in (b"{", b"[")


def _line_end(data: bytes, at: int) -> int:
    """Where the line ends that is at hand: at a CR or LF; -1 where it goes on."""
    found = _LINE_END.search(data, at)
    return found.start() if found is not None else -1
