"""The report as NDJSON and as one JSON document. Both are written as records come, so neither needs memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pcapflow.summary import SCHEMA, Summary

Out = Callable[[bytes], object]


class NdjsonWriter:
    """One record a line."""

    separator = b"\n"
    """Between records: pieces of several are as good as each by itself."""

    def __init__(self, out: Out) -> None:
        self._out = out

    def records(self, lines: Sequence[bytes | memoryview]) -> None:
        """Encoded records, in order."""
        self._out(self.separator.join((*lines, b"")))


class DocumentWriter:
    """One document: `schema`, then `records`, then what the summary says. The array is open while the capture is read."""

    separator = b",\n"
    """See `NdjsonWriter`."""

    def __init__(self, out: Out, *, with_records: bool) -> None:
        self._out = out
        self._with_records = with_records
        self._begun = False
        self._before = b"\n"
        """What comes before the next record."""

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._out(b'{"schema":' + msgspec.json.encode(SCHEMA))
            if self._with_records:
                self._out(b',"records":[')

    def records(self, lines: Sequence[bytes | memoryview]) -> None:
        """Encoded records, in order."""
        self._begin()
        self._out(self._before + self.separator.join(lines))
        self._before = self.separator

    def summary(self, summary: Summary) -> None:
        """The rest of the document."""
        fields = msgspec.json.decode(msgspec.json.encode(summary), type=dict[str, msgspec.Raw])
        del fields["record"], fields["schema"]
        self._end({name: bytes(value) for name, value in fields.items()})

    def end(self, fields: dict[str, Any]) -> None:
        """The rest of the document, those fields, one a line where they are nested too."""
        self._end({name: msgspec.json.format(msgspec.json.encode(value), indent=1) for name, value in fields.items()})

    def _end(self, fields: dict[str, bytes]) -> None:
        self._begin()
        if self._with_records:
            self._out(b"\n]")
        for name, value in fields.items():
            self._out(b",\n" + msgspec.json.encode(name) + b":" + value)
        self._out(b"}\n")
