"""The first screen's tables: what went wrong, and which endpoints are slow and why.

Contract: `problems` and `endpoints` take the summary and how many rows to show, and return rich's renderables. Captured text goes in as `Text`, made harmless.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pcapflow.report.problem_words import broken, duration, losses, network, what
from pcapflow.summary import Summary
from pcapflow.tables import ExchangePlace, HttpEndpoint, shares
from pcapflow.terminal_text import plain

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


def problems(s: Summary, most: int) -> list[RenderableType]:
    """What went wrong, the most of each kind first; nothing where nothing did."""
    table = _grid()
    for problem in s.problems[:most]:
        line = Text(plain(what(problem)), style=_BAD)
        if problem.endpoint is not None:
            line.append(f"  {plain(problem.endpoint)}", style="not red")
        table.add_row(f"{problem.count:,}", line)
        more = [plain(broken(problem))] if problem.kind.startswith("broken_") else []
        if problem.first is not None:
            more.append(f"{'first: ' if problem.count > 1 else ''}{where(problem.first)}, connection {problem.first.connection}")
        for one in more:
            table.add_row("", Padding(Text(one, style="dim", overflow="fold"), (0, 0, 0, 2)))
    rest = s.problems[most:]
    if rest:
        table.add_row(f"{sum(one.count for one in rest):,}", Text(f"of {len(rest):,} other kinds (--top {len(s.problems)})", style="dim"))
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
    table = Table.grid(padding=(0, 2))
    table.add_column(ratio=1, overflow="fold")
    for _ in range(4):
        table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row(Text(""), *(Text(name, style="cyan") for name in ("count", "p50", "p95", "max", "mostly")))
    for row in rows[:most]:
        assert row.duration is not None
        times = (row.duration.p50, row.duration.p95, row.duration.max)
        table.add_row(Text(f"  {plain(row.name)}"), f"{row.exchanges:,}", *(duration(one) for one in times), _mostly(row))
        if row.slowest is not None:
            slowest = f"    {'slowest: ' if row.exchanges > 1 else ''}{where(row.slowest, url=False)}"
            table.add_row(Text(slowest, style="dim"), "", "", "", "", "")
    rest = rows[most:]
    more = [Text(f"  and {len(rest):,} faster (--top {len(rows)})", style="dim")] if rest else []
    return [heading("Slowest endpoints, by p95"), table, *more]


def _mostly(row: HttpEndpoint) -> str:
    """The part that took most."""
    found = shares(row.parts) if row.parts is not None else []
    return f"{found[0][0]} {found[0][1]:.0%}" if found else "-"
