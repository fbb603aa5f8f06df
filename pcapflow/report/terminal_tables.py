"""The first screen's tables: what went wrong, and which endpoints are slow and why.

Contract: `problems` and `endpoints` take the summary and how many rows to show, and return rich's renderables. Captured text goes in as `Text`, made harmless.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pcapflow.summary import Summary
from pcapflow.tables import ExchangePlace, HttpEndpoint, Problem, shares
from pcapflow.terminal_text import plain

_SENTENCES = {
    "broken_json": "broken JSON",
    "broken_yaml": "broken YAML",
    "broken_multipart": "broken multipart body",
    "unanswered": "without an answer",
    "gapped_body": "a body with a gap",
    "truncated_body": "a body that was cut off",
    "dropped_body": "a body that was given up",
    "other": "not told apart",
}
_BAD = "red"


def heading(title: str) -> Text:
    """Of a section."""
    return Text(f"\n{title}", style="bold")


def duration(seconds: float) -> str:
    """A time as people read it: three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.{max(0, 3 - len(str(int(seconds / size))))}f} {unit}"
    return f"{seconds * 1e6:.0f} us"


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
        line = Text(_what(problem), style=_BAD)
        if problem.endpoint is not None:
            line.append(f"  {plain(problem.endpoint)}", style="not red")
        table.add_row(f"{problem.count:,}", line)
        more = [plain(_broken(problem.detail, problem.place))] if problem.kind.startswith("broken_") else []
        if problem.first is not None:
            more.append(f"{'first: ' if problem.count > 1 else ''}{where(problem.first)}, connection {problem.first.connection}")
        for one in more:
            table.add_row("", Padding(Text(one, style="dim", overflow="fold"), (0, 0, 0, 2)))
    rest = s.problems[most:]
    if rest:
        table.add_row(f"{sum(one.count for one in rest):,}", Text(f"of {len(rest):,} other kinds (--top {len(s.problems)})", style="dim"))
    for n, text in _network(s):
        table.add_row(n, Text(text, style="yellow"))
    for n, text in _losses(s):
        table.add_row(n, Text(text, style=_BAD))
    return [heading("Problems"), table] if table.row_count else [heading("Problems"), Text("  none")]


def _broken(detail: str, place: str | None) -> str:
    """What is wrong with a text, at which path; and the place of the first such text, where that says more."""
    location, _, byte = (place or "").rpartition(", ")
    if detail.endswith(f", at {location}"):
        return f"{detail}, {byte}"
    return f"{detail}; first: {place}" if place else detail


def _what(problem: Problem) -> str:
    if problem.kind in ("server_error", "client_error"):
        return plain(problem.detail)
    sentence = _SENTENCES[problem.kind]
    if problem.kind.startswith("broken_"):
        return f"{sentence} from {problem.sender} {problem.ip}"
    return f"{sentence}, of the {'request' if problem.sender == 'client' else 'response'}" if problem.sender is not None else sentence


def _network(s: Summary) -> list[tuple[str, str]]:
    n = s.network
    rows = []
    waited = ""
    if n.stalled_connections:
        some = s.tcp.examples.get("stalled", [])
        who = ", ".join([*map(str, some), *(["..."] if n.stalled_connections > len(some) else [])])
        waited = f": {n.stalled_connections:,} connections ({who}) waited {duration(n.stalled)} in all"
    if n.lost or n.stalled_connections:
        rows.append((f"{n.lost:,}", f"holes by loss on the network, {n.lost_segments:,} segments sent again{waited}"))
    if n.zero_windows:
        rows.append((f"{n.zero_windows:,}", f"times a receiver had no room, for {duration(n.closed)}: it reads slowly"))
    if n.retransmitted_segments:
        rows.append((f"{n.retransmitted_segments:,}", "segments came twice: lost behind the capture, or thought so"))
    return rows


def _losses(s: Summary) -> list[tuple[str, str]]:
    tcp, drops = s.tcp, s.drops
    rows = []
    if tcp.gaps:
        rows.append((f"{tcp.gaps:,}", f"gaps: {tcp.missing_bytes:,} bytes of the streams are not there (see Lost)"))
    given_up = sum(count.count for count in drops.by_reason.values())
    if given_up:
        rows.append((f"{given_up:,}", f"drops: {', '.join(drops.by_reason)} (see Lost)"))
    return rows


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
    more = [Text(f"  and {len(rest):,} faster ones (--top {len(rows)})", style="dim")] if rest else []
    return [heading("Slowest endpoints, by p95"), table, *more]


def _mostly(row: HttpEndpoint) -> str:
    """The part that took most."""
    found = shares(row.parts) if row.parts is not None else []
    return f"{found[0][0]} {found[0][1]:.0%}" if found else "-"
