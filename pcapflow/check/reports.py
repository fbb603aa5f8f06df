"""Reads reports back: `--json` documents, `--ndjson` lines, baselines, and either after jq laid it out anew.

Contract: `read_report` gives every record in its order, the summary last, and raises `ReportError` with where and what for a file that
is no report. Invariant: one record is held at a time, and the summary; a line longer than `LINE_MAX_BYTES` is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import msgspec

from pcapflow.check.schema_1 import OLD, upgraded
from pcapflow.errors import ReportError
from pcapflow.files import CAPTURES
from pcapflow.json_backend import ijson_backend
from pcapflow.records import AnyRecord, converted, decode
from pcapflow.summary import SCHEMA, Capture, Summary

LINE_MAX_BYTES = 2 << 20
"""A record's strings are bounded by the limits on heads and bodies: two heads of 64 KiB, each byte of which JSON may write as six."""
VALUE_MAX_BYTES = 16 << 20
"""A summary: of 40,000 captures."""
_FIELD_MAX_BYTES = 1 << 20
"""One of its fields, but `captures`: what is made of it may take twenty times as much."""
_NEXT_CAPTURE = b'},{"path":'
_CAPTURE_MAX_BYTES = 64 << 10
"""Of one capture: a path, each byte of which JSON may write as six."""
_LINK_TYPES_MAX = 64
_MOST_EVENTS = 200_000
"""Of one record, or of one field of the summary."""
_FIELDS = frozenset(Summary.__struct_fields__)
_DEEPEST = 64
"""No report is nested as deep."""
_AFTER_RECORDS = b"]"
_LEFT_OUT: dict[str, Any] = {
    "pcapflow": "",
    "run": {"seconds": 0.0, "packets_per_second": 0, "bytes_per_second": 0, "workers": 0},
}
"""What a baseline does not have, and a summary does (docs/ci.md)."""


def read_report(path: str | Path) -> Iterator[AnyRecord]:
    """Every record of a report, the summary last."""
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            yield from _read(file, name)
    except OSError as e:
        raise ReportError(f"{name}: cannot be opened: {e.strerror or e}") from None


def _read(file: IO[bytes], name: str) -> Iterator[AnyRecord]:
    first = file.readline(LINE_MAX_BYTES)
    if first == b"\n":
        first += file.readline(LINE_MAX_BYTES)
    if first.startswith(CAPTURES):
        raise ReportError(f"{name}: is a capture, not a report; make one first: pcapflow analyze --json")
    first = first.lstrip()
    if not first:
        raise ReportError(f"{name}: is empty, not a report")
    if first.startswith(b'{"record"'):
        yield from _lines(file, first, name)
    elif first.startswith(b'{"schema":') and first.rstrip().endswith(b'"records":['):
        yield from _our_layout(file, first, name)
    else:
        yield from _any_layout(_Begun(first, file, name), name)


class _Begun:
    """A file whose first line was read already, as a pipe cannot take it back. Refuses to go on where much was read and nothing came of it."""

    def __init__(self, first: bytes, file: IO[bytes], name: str) -> None:
        self._first = first
        self._file = file
        self._name = name
        self.silent = 0
        """Bytes since the parser last said something."""

    def read(self, n: int = -1) -> bytes:
        if self._first:
            data, self._first = self._first[:n], self._first[n:]
        else:
            data = self._file.read(n)
        self.silent += len(data)
        if self.silent > VALUE_MAX_BYTES:
            raise ReportError(f"{self._name}: holds a value of more than {VALUE_MAX_BYTES >> 20} MiB, which no report does")
        return data


def _lines(file: IO[bytes], first: bytes, name: str) -> Iterator[AnyRecord]:
    number = 0
    line = first
    last: AnyRecord | None = None
    while line:
        number += 1
        if line.strip():
            if isinstance(last, Summary):
                raise ReportError(f"{name}: line {number}: something follows the summary")
            last = _decoded(_record, line, f"{name}: line {number}")
            yield last
        line = _line(file, name, number)
    if not isinstance(last, Summary):
        raise ReportError(f"{name}: has no summary: its run did not end")
    _of_this_schema(last, name)


def _our_layout(file: IO[bytes], first: bytes, name: str) -> Iterator[AnyRecord]:
    """As `documents.DocumentWriter` and `baseline` write it: one record a line."""
    number = 1
    while True:
        line = _line(file, name, number).strip()
        number += 1
        if line.startswith(_AFTER_RECORDS):
            break
        if not line:
            raise ReportError(f"{name}: line {number}: ends among its records: it is not whole")
        yield _decoded(_record, line.removesuffix(b","), f"{name}: line {number}")
    rest = line.removeprefix(_AFTER_RECORDS) + file.read(VALUE_MAX_BYTES + 1)
    if len(rest) > VALUE_MAX_BYTES:
        raise ReportError(f"{name}: its summary is longer than {VALUE_MAX_BYTES >> 20} MiB, which none is")
    fields = _decoded(msgspec.json.Decoder(dict[str, msgspec.Raw]).decode, first.partition(b',"records"')[0] + rest, name)
    yield _summary({field: _field(field, value, name) for field, value in fields.items() if field in _FIELDS}, name)


def _field(field: str, value: msgspec.Raw, name: str) -> Any:
    """A field of a summary; captures, of which there may be many, as their type at once."""
    if field == "captures":
        return _captures(bytes(value), f"{name}: {field}")
    if memoryview(value).nbytes > _FIELD_MAX_BYTES or bytes(value).count(b",") > _MOST_EVENTS:
        raise ReportError(f"{name}: {field} is longer than {_FIELD_MAX_BYTES >> 20} MiB, which none is")
    return _decoded(msgspec.json.decode, bytes(value), f"{name}: {field}")


def _captures(text: bytes, where: str) -> list[Capture]:
    """One by one: no text of JSON has what begins the next one, whose quotes would be escaped there."""
    decode = msgspec.json.Decoder(Capture).decode
    found: list[Capture] = []
    at = 1
    while at < len(text) - 1:
        end = text.find(_NEXT_CAPTURE, at)
        end = end + 1 if end >= 0 else len(text) - 1
        if end - at > _CAPTURE_MAX_BYTES:
            raise ReportError(f"{where}: one is longer than {_CAPTURE_MAX_BYTES >> 10} KiB, which none is")
        capture = _decoded(decode, text[at:end], where)
        if len(capture.link_types) > _LINK_TYPES_MAX:
            raise ReportError(f"{where}: one has more than {_LINK_TYPES_MAX} link types, which none has")
        found.append(capture)
        at = end + 1
    return found


def _any_layout(file: _Begun, name: str) -> Iterator[AnyRecord]:
    """A document however it is laid out, by ijson: slower, in as little memory. Fields that no report has are skipped."""
    parser = ijson_backend()
    common = import_module("ijson.common")
    fields: dict[str, Any] = {}
    builder: Any = None
    field = ""
    depth, top, events, size = 0, 1, 0, 0
    """How deep the parser is; where a value begins: 1, or 2 among the records; events and characters of the value under way."""
    try:
        for event, value in parser.basic_parse(file, use_float=True):
            file.silent = 0
            opens, closes = event in ("start_map", "start_array"), event in ("end_map", "end_array")
            if depth + opens > _DEEPEST:
                raise ReportError(f"{name}: is nested deeper than a report is")
            if builder is None:
                if depth == 0 and event != "start_map":
                    raise ReportError(f"{name}: is JSON, and no report")
                if depth == 1 and event == "map_key":
                    field, top = value, 1
                    continue
                if depth == 1 and field == "records" and event == "start_array":
                    top = 2
                if closes or depth < top or (depth == 1 and top == 2):
                    depth += opens - closes
                    top = 1 if depth == 1 and closes else top
                    continue
                builder, events, size = common.ObjectBuilder(), 0, 0
            events += 1
            size += len(value) if isinstance(value, str) else 0
            if events > _MOST_EVENTS or size > LINE_MAX_BYTES:
                raise ReportError(f"{name}: {field} holds more than a report's does")
            if field in _FIELDS or field == "records":
                builder.event(event, value)
            else:
                events = 0
            depth += opens - closes
            if depth == top:
                if top == 2:
                    yield _converted(builder.value, name)
                elif field in _FIELDS:
                    fields[field] = builder.value
                builder = None
    except (common.JSONError, ValueError) as e:
        said = e.args[0] if e.args else ""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ReportError(f"{name}: is not a report: {said.strip().partition(chr(10))[0]}") from None
    yield _summary(fields, name)


def _record(line: bytes) -> AnyRecord:
    """A record of this schema or the one before."""
    try:
        record = decode(line)
    except msgspec.ValidationError:
        return converted(upgraded(msgspec.json.decode(line)))
    return converted(upgraded(msgspec.json.decode(line))) if isinstance(record, Summary) and record.schema == OLD else record


def _line(file: IO[bytes], name: str, number: int) -> bytes:
    line = file.readline(LINE_MAX_BYTES)
    if len(line) == LINE_MAX_BYTES:
        raise ReportError(f"{name}: line {number + 1}: is longer than {LINE_MAX_BYTES >> 20} MiB, which no record is")
    return line


def _decoded(decode: Callable[[bytes], Any], data: bytes, where: str) -> Any:
    if len(data) <= LINE_MAX_BYTES and data.count(b",") > _MOST_EVENTS:
        raise ReportError(f"{where}: holds more than a report's record does")
    try:
        return decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise ReportError(f"{where}: is not a report: {e}") from None


def _converted(value: Any, where: str) -> Any:
    try:
        return converted(upgraded(value))
    except msgspec.ValidationError as e:
        raise ReportError(f"{where}: is not a report: {e}") from None


def _summary(fields: dict[str, Any], name: str) -> Summary:
    """The summary of a document's or a baseline's fields."""
    if "schema" not in fields or "tcp" not in fields:
        raise ReportError(f"{name}: is not a report: it has no `schema`")
    memory, json = fields.get("memory"), fields.get("json")
    if isinstance(memory, dict):
        memory.setdefault("process", {"peak_rss_bytes": 0, "start_rss_bytes": 0})
    if isinstance(json, dict):
        json.setdefault("backend", "")
    summary: Summary = _converted({**_LEFT_OUT, **fields, "record": "summary"}, name)
    _of_this_schema(summary, name)
    return summary


def _of_this_schema(summary: Summary, name: str) -> None:
    if summary.schema != SCHEMA:
        raise ReportError(f"{name}: is a report of schema {summary.schema!r}; this version reads {SCHEMA}")
