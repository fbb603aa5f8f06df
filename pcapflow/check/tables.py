"""A comparison of two reports as tables for a terminal.

Contract: `render` gives text, some records at a time: as tables they take many times what they do as values. Captured text in it is made plain before rich sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pcapflow.check.changes import Change
from pcapflow.check.checking import shown
from pcapflow.check.comparing import Comparison, RecordChange
from pcapflow.check.endpoints import Endpoint, EndpointChange
from pcapflow.report.console import as_text
from pcapflow.terminal_text import plain

_AT_ONCE = 200
"""Records."""
_BEFORE_DOT = re.compile(r"(?<=.)(?=\.)")
_ROWS_MOST = 1000
"""Rows of one table, which takes some 10 KB for each: its columns are as wide as the widest cell. `--json` has all."""


def render(comparison: Comparison, *, width: int | None = None, color: bool | None = None) -> Iterator[str]:
    """width: columns, None for the terminal's; color: None where the terminal and NO_COLOR decide."""
    for parts in _parts(comparison):
        yield as_text(parts, width, color=color)


class _Path:
    """A path, folded before a dot where it is wider than its column."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_measure__(self, _: Console, options: ConsoleOptions) -> Measurement:
        """See rich."""
        return Measurement(min(max(map(cell_len, self._pieces())), options.max_width), min(cell_len(self._text), options.max_width))

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        line = ""
        for piece in self._pieces():
            if line and cell_len(line + piece) > options.max_width:
                yield Text(line, overflow="fold")
                line = "  "
            line += piece
        yield Text(line, overflow="fold")

    def _pieces(self) -> list[str]:
        return _BEFORE_DOT.split(self._text)


def _parts(c: Comparison) -> Iterator[list[RenderableType]]:
    parts: list[RenderableType] = [] if not c.same else [Text("no difference")]
    if c.summary:
        table = _table("Summary", "field", "old", "new", "change")
        for change in c.summary[:_ROWS_MOST]:
            table.add_row(_Path(plain(change.path)), *_values(change))
        parts += [table, *_rest(c.summary_changes - min(len(c.summary), _ROWS_MOST))]
    if c.endpoints:
        table = _table("Endpoints", "endpoint", "requests", "errors", "mean time", "bytes")
        for endpoint in c.endpoints[:_ROWS_MOST]:
            table.add_row(Text(plain(endpoint.name)), *_endpoint(endpoint))
        parts += [table, *_rest(len(c.endpoints) - _ROWS_MOST)]
    if c.records:
        parts.append(Text(f"\nRecords: {c.changed:,} changed, {c.new:,} new, {c.gone:,} gone", style="bold"))
        for at in range(0, len(c.records), _AT_ONCE):
            yield parts
            parts = [line for record in c.records[at : at + _AT_ONCE] for line in _record(record)]
        if c.beyond_window:
            parts.append(Text("  the reports differ too much to pair all records: some records of both count as new and as gone"))
        parts += _rest(c.changed + c.new + c.gone - len(c.records))
    yield parts


def _rest(n: int) -> list[RenderableType]:
    return [Text(f"  and {n:,} more")] if n > 0 else []


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(Text(first), overflow="fold")
    for column in columns:
        table.add_column(
            Text(column), justify="right", overflow="fold", no_wrap=column == "change", min_width=11 if column in ("old", "new") else None
        )
    return table


def _values(change: Change) -> tuple[Text, Text, Text]:
    old, new = change.old, change.new
    return Text(_value(old)), Text(_value(new)), Text(_delta(change.path, old, new))


def _value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else plain(value) if isinstance(value, str) else plain(shown(value))


def _delta(path: str, old: Any, new: Any) -> str:
    """How much more or less: a part of the old value where that says something, else the difference."""
    if isinstance(old, bool) or isinstance(new, bool) or not isinstance(old, int | float) or not isinstance(new, int | float):
        return ""
    if path.endswith((".ts", "_ts")):
        return f"{new - old:+,.6f} s"
    return f"{100 * (new - old) / old:+,.1f}%" if old else f"{new - old:+,}"


def _endpoint(change: EndpointChange) -> list[Text]:
    old, new = change.old or Endpoint(), change.new or Endpoint()
    pairs = [
        (f"{old.requests:,}", f"{new.requests:,}"),
        (f"{old.errors:,}", f"{new.errors:,}"),
        (f"{old.mean * 1000:.1f} ms", f"{new.mean * 1000:.1f} ms"),
        (f"{old.bytes:,}", f"{new.bytes:,}"),
    ]
    return [Text(a if a == b else f"{a} -> {b}") for a, b in pairs]


def _record(record: RecordChange) -> list[RenderableType]:
    at = f" (packet {record.packet})" if record.packet is not None else ""
    style = {"new": "green", "gone": "red", "changed": "yellow"}[record.kind]
    lines: list[RenderableType] = [Text.assemble("  ", (record.kind, style), f" {plain(record.name)}{at}")]
    lines += [Text(f"      {plain(change.path)}: {plain(shown(change.old))} -> {plain(shown(change.new))}") for change in record.changes]
    return lines
