"""A raw stream of JSON, as a `Text`: its first line says in which of two forms it comes."""

from __future__ import annotations

import re

from pcapflow.budget import Account
from pcapflow.contents import JsonBody
from pcapflow.drops import Drop
from pcapflow.limits import Limits
from pcapflow.payload.at_once import parse_at_once
from pcapflow.payload.json_encoding import Encoded
from pcapflow.payload.json_outline import Outline
from pcapflow.payload.json_texts import NEW_LINE, NUL, Separated, Text, Whole
from pcapflow.payload.tap import Tap

_SEPARATOR = re.compile(rb"[\n\0]")
_TELLING = 4
"""Bytes that tell UTF-8 from other encodings."""


class Raw:
    """A stream that is nothing but JSON: lines, where its first line is whole documents; documents parted by NUL bytes (GELF), where such a byte is behind the first; else
    documents in a row.
    """

    __slots__ = ("_account", "_begin", "_ends", "_limits", "_parted", "_tap", "_text")

    def __init__(self, limits: Limits, account: Account, tap: Tap | None = None) -> None:
        self._limits, self._account, self._tap = limits, account, tap
        self._begin: bytes = b""
        self._text: Text | None = None
        self._ends = False
        """A byte came that may end the first document."""
        self._parted = False
        """NUL bytes part documents, of which no line has one."""

    @property
    def drop(self) -> Drop | None:
        return self._text.drop if self._text is not None else None

    def feed(self, data: bytes) -> None:
        if self._text is None:
            held = len(self._begin)
            self._begin += data
            self._ends = self._ends or b"\n" in data or NUL in data
            if (not self._ends or len(self._begin) < _TELLING) and len(self._begin) < self._limits.json_slice:
                if self._account.reserve(len(data)):
                    return
                self._begin = self._begin[:held]
            self._account.release(held)
            data = self._begin
            self._choose()
        assert self._text is not None
        self._text.feed(data.replace(NUL, NEW_LINE) if self._parted else data)

    def gap(self) -> bool:
        if self._text is None:
            self._settle()
        assert self._text is not None
        return self._text.gap()

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody | None:
        if self._text is None:
            self._settle()
        assert self._text is not None
        return self._text.finish(whole=whole, gapped=gapped)

    def _settle(self) -> None:
        self._account.release(len(self._begin))
        begin = self._begin
        self._choose()
        assert self._text is not None
        self._text.feed(begin.replace(NUL, NEW_LINE) if self._parted else begin)

    def _choose(self) -> None:
        begin, self._begin = self._begin, b""
        # the first of both that comes, so that it is the same however the stream was cut
        first = _SEPARATOR.search(begin, 0, self._limits.json_slice)
        separator = first[0] if first is not None else NEW_LINE
        line = begin.partition(separator)[0][: self._limits.json_slice]
        if Outline().scan(line).highest <= self._limits.json_max_depth and parse_at_once(line) is not None:
            self._text = Encoded(Separated(separator, self._limits, self._account, self._tap))
            return
        self._text = Encoded(Whole(self._limits, self._account, self._tap))
        self._parted = NUL not in begin[:_TELLING]  # else it is UTF-16 or UTF-32
