"""The first screen's tables: what went wrong, and which endpoints are slow and why.

Contract: `problems` and `endpoints` take the summary and how many rows to show, and return rich's renderables. Captured text goes in as `Text`, made harmless.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pcapflow.report.problem_words import broken, losses, network, what
from pcapflow.summary import Summary
from pcapflow.tables import ExchangePlace, HttpEndpoint, shares
from pcapflow.terminal_text import counted, duration, plain

_BAD = "red"


def heading(title: str) -> Text:
    """Of a section."""
    return Text(f"\n{title}", style="bold")


def moment(ts: float) -> str:
    """An instant, UTC."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def where(place: ExchangePlace, *, url: bool = True) -> str:
    """Where to look at an exchange."""
    packet = f"packet {place.packet}" if place.file is None else f"frame {place.frame} of {plain(place.file)}"
    return f"{plain(place.url)}, {packet}" if url and place.url is not None else packet


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", min_width=7)
    table.add_column()
    return table


class _Problem:
    """What went wrong, and behind it the endpoint: on a line of its own where there is no room, shortened in the middle where it is wider than that."""

    def __init__(self, words: str, endpoint: str) -> None:
        self._words = words
        self._endpoint = endpoint

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        words = Text(self._words, style=_BAD)
        if self._endpoint and cell_len(f"{self._words}  {self._endpoint}") <= options.max_width:
            words.append(f"  {self._endpoint}", style="not red")
        yield words
        if self._endpoint and words.plain == self._words:
            yield Text(f"  {shortened(self._endpoint, options.max_width - 2)}")


def problems(s: Summary, most: int) -> list[RenderableType]:
    """What went wrong, the most of each kind first; nothing where nothing did."""
    table = _grid()
    for problem in s.problems[:most]:
        table.add_row(f"{problem.count:,}", _Problem(plain(what(problem)), plain(problem.endpoint or "")))
        more = [plain(broken(problem))] if problem.kind.startswith("broken_") else []
        if problem.first is not None:
            more.append(f"{'first: ' if problem.count > 1 else ''}{where(problem.first)}, connection {problem.first.connection}")
        for one in more:
            table.add_row("", Padding(Text(one, style="dim", overflow="fold"), (0, 0, 0, 2)))
    rest = s.problems[most:]
    if rest:
        others = f"more, of {counted(len(rest), 'other kind')} (--top {len(s.problems)})"
        table.add_row(f"{sum(one.count for one in rest):,}", Text(others, style="dim"))
    for n, text in network(s):
        table.add_row(f"{n:,}", Text(text, style="yellow"))
    for n, text in losses(s):
        table.add_row(f"{n:,}", Text(f"{text} (see Lost)", style=_BAD))
    return [heading("Problems"), table] if table.row_count else [heading("Problems"), Text("  none")]


def endpoints(s: Summary, most: int) -> list[RenderableType]:
    """Endpoints that were answered, slowest first."""
    rows = [row for row in s.endpoints if row.duration is not None]
    if not rows:
        return []
    rest = rows[most:]
    more = [Text(f"  and {counted(len(rest), 'faster endpoint')} (--top {len(rows)})", style="dim")] if rest else []
    return [heading("Slowest endpoints, by p95"), _Endpoints(rows[:most]), *more]


class _Endpoints:
    """Their table: a name that does not fit beside its numbers has a line of its own, shortened in the middle where it is wider than that."""

    def __init__(self, rows: list[HttpEndpoint]) -> None:
        self._rows = rows

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        numbers = [_NUMBERS, *map(_numbers, self._rows)]
        widths = [max(map(cell_len, column)) for column in zip(*numbers, strict=True)]
        room = max(options.max_width - sum(widths) - _SPACE * len(widths), 0)
        texts = [(f"  {plain(row.name)}", f"    {below}" if (below := _below(row)) else "") for row in self._rows]
        first = max((n for n in map(cell_len, [text for both in texts for text in both]) if n <= room), default=0)
        yield _line(Text(), numbers[0], first, widths, "cyan")
        for (name, below), values in zip(texts, numbers[1:], strict=True):
            fits = cell_len(name) <= room
            if not fits:
                yield Text(shortened(name, options.max_width))
            yield _line(Text(name if fits else ""), values, first, widths)
            if below:
                yield Text(below, style="dim", overflow="fold")


_NUMBERS = ("count", "p50", "p95", "max", "mostly")
_SPACE = 2
"""Between columns."""


def _line(first: Text, values: tuple[str, ...], room: int, widths: list[int], style: str = "") -> Text:
    """A row: something, then numbers, to the right in their columns; the last one is a word."""
    gap = " " * _SPACE
    numbers = gap.join([value.rjust(width) for value, width in zip(values[:-1], widths, strict=False)] + [values[-1]])
    line = Text(no_wrap=False)
    line.append_text(first)
    line.append(" " * max(0, room - cell_len(first.plain)) + gap)
    line.append(numbers, style=style or None)
    return line


def _numbers(row: HttpEndpoint) -> tuple[str, ...]:
    """What stands beside its name."""
    assert row.duration is not None
    return f"{row.exchanges:,}", *map(duration, (row.duration.p50, row.duration.p95, row.duration.max)), _mostly(row)


def _below(row: HttpEndpoint) -> str:
    """What stands below it."""
    slowest = "" if row.slowest is None else f"{'slowest: ' if row.exchanges > 1 else ''}{where(row.slowest, url=False)}"
    return ", ".join(part for part in (slowest, f"{row.unanswered:,} without response" if row.unanswered else "") if part)


def shortened(text: str, width: int) -> str:
    """The text in so many columns: what does not fit is left out of its middle, as its end says what is asked for."""
    if cell_len(text) <= width:
        return text
    room = max(width - 3, 0)
    end = set_cell_size(text[::-1], room // 2).rstrip()[::-1]
    return f"{set_cell_size(text, room - cell_len(end)).rstrip()}...{end}"


def _mostly(row: HttpEndpoint) -> str:
    """The part that took most."""
    found = shares(row.parts) if row.parts is not None else []
    return f"{found[0][0]} {found[0][1]:.0%}" if found else "-"
