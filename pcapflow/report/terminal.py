"""The summary for a person at a terminal, drawn by rich: what was there and spoken, what went wrong, what was slow and why, what was recovered and lost, memory, advice.

Contract: `render` takes the typed summary and returns text for a given width; it prints nothing. Captured text is put in as
`Text`, never as markup, and control characters are replaced, so that a payload cannot write to the terminal.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pcapflow.drops import DropReason, GapCause
from pcapflow.report import console
from pcapflow.report.terminal_tables import endpoints, heading, moment, problems
from pcapflow.summary import Summary
from pcapflow.terminal_text import counted, plain
from pcapflow.unread import UnreadReason

_BAR = 20
_NOT_READ = 3
"""Kinds of traffic that are named as not read."""
_WORST = 5
"""Streams that are named one by one; `--json` has `worst_streams` of them."""


class Shown(msgspec.Struct, frozen=True):
    """What of the summary is shown."""

    sections: tuple[str, ...] = ()
    """Names of SECTIONS; all where there is none."""
    top: int = 8
    """Rows of a table."""
    memory: bool = False
    """Every account, whether or not its limit was near."""


def render(summary: Summary, *, width: int | None = None, color: bool | None = None, shown: Shown = Shown()) -> str:
    """The summary as text. width: columns, None for the terminal's; color: None where the terminal and NO_COLOR decide."""
    return console.as_text(_parts(summary, shown), width, color=color).lstrip("\n")


def as_html(summary: Summary, *, width: int = 100, shown: Shown = Shown()) -> str:
    """The same for a notebook."""
    return console.as_html(_parts(summary, shown), width)


def _size(n: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} B"


def _mebibytes(n: int) -> str:
    return f"{n / (1 << 20):.1f} MiB" if n >= 1 << 16 else f"{n / (1 << 10):.1f} KiB" if n >= 1 << 10 else f"{n} B"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}%" if whole else "-"


def _grid(*rows: tuple[str | Text, str | Text, str | Text]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(
        width=max(18, *(len(name) + 2 * isinstance(name, str) for name, *_ in rows)) if rows else 18, style="cyan", no_wrap=True
    )
    table.add_column(justify="right", min_width=10)
    table.add_column()
    for name, value, remark in rows:
        table.add_row(Text(f"  {name}") if isinstance(name, str) else name, value, remark)
    return table


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{plain(key)} {n:,}" for key, n in counts.items())


_CAPTURES = 20
"""Captures that are shown one by one: a folder may have thousands."""


SECTIONS: dict[str, Callable[[Summary, Shown], list[RenderableType]]] = {
    "captures": lambda s, _: [*_captures(s), *_not_read(s)],
    "problems": lambda s, shown: problems(s, shown.top),
    "endpoints": lambda s, shown: endpoints(s, shown.top),
    "recovered": lambda s, _: [*_recovered(s), *_unread(s)],
    "lost": lambda s, _: [*_lost(s), *_worst(s), *_again(s)],
    "memory": lambda s, shown: _memory(s, whole=shown.memory),
    "advice": lambda s, _: _advice(s),
}
"""What is shown, in that order, by name."""


def _parts(s: Summary, shown: Shown) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for name, section in SECTIONS.items():
        if not shown.sections or name in shown.sections:
            parts += section(s, shown)
    return [*parts, *_run(s)]


def _captures(s: Summary) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for capture in s.captures[:_CAPTURES]:
        line = Text(plain(capture.path))
        line.stylize("bold")
        seconds = (capture.last_ts or 0.0) - (capture.first_ts or 0.0)
        line.append(f"  {capture.format}, {', '.join(capture.link_types)}, {_size(capture.bytes)}", style="not bold")
        parts.append(line)
        since = f", from {moment(capture.first_ts)}" if capture.first_ts is not None else ""
        parts.append(_grid(("packets", f"{capture.packets:,}", f"over {seconds:,.3f} s{since}")))
        if capture.damaged_at is not None:
            parts.append(Text(f"  damaged at byte {capture.damaged_at:,}: {counted(capture.skipped_bytes, 'byte')} skipped", style="red"))
        elif capture.cut_short:
            parts.append(Text("  the last record is truncated", style="yellow"))
    rest = s.captures[_CAPTURES:]
    if rest:
        packets, size = sum(capture.packets for capture in rest), sum(capture.bytes for capture in rest)
        parts.append(Text(f"and {len(rest):,} more captures, {packets:,} packets, {_size(size)}"))
    d = s.decode
    within = ((d.snapped, "truncated by the snap length"), (d.filtered_out, "excluded by --filter, --from, --to"))
    beside = ((d.udp, "UDP"), (d.other, "other"), (d.malformed, "malformed"), (d.unsupported_link, "of an unsupported link type"),
              (d.fragments, "fragments"))  # fmt: skip
    others = "; ".join(
        f"{word} {', '.join(f'{n:,} {name}' for n, name in some if n)}"
        for word, some in (("of which", within), ("and", beside))
        if any(n for n, _ in some)
    )
    parts.append(_grid(("TCP segments", f"{d.tcp:,}", others)))
    spoken = [
        f"{_SPOKEN.get(name) or plain(name)} {one.connections:,} ({_size(one.delivered_bytes)})"
        for name, one in s.tcp.spoken.items()
        if name != "empty"
    ]
    silent = s.tcp.spoken.get("empty")
    spoken += [f"{silent.connections:,} without data"] if silent is not None else []
    parts.append(_grid(("connections", f"{s.tcp.connections:,}", ", ".join(spoken))))
    return parts


_SPOKEN = {"opaque": "unknown protocol"}
"""What protocols are called here, where their name alone says little."""


def _not_read(s: Summary) -> list[RenderableType]:
    """Traffic that takes a part of the capture and is not read."""
    rows: list[tuple[str | Text, str | Text, str | Text]] = []
    for name, amount in s.decode.not_read.items():
        if len(rows) < _NOT_READ and amount.bytes * 100 >= s.decode.bytes:
            rows.append(
                (
                    "not read" if not rows else "",
                    _size(amount.bytes),
                    f"{plain(name)}, {_percent(amount.bytes, s.decode.bytes)} of the bytes",
                )
            )
    return [_grid(*rows)] if rows else []


_PAYLOADS = {"yaml": ("YAML bodies", "document"), "form": ("forms", "field"), "multipart": ("multipart bodies", "part")}


def _recovered(s: Summary) -> list[RenderableType]:
    payload = s.tcp.payload_bytes
    whole = payload.delivered + s.tcp.missing_bytes
    rows: list[tuple[str | Text, str | Text, str | Text]] = [
        ("payload", _size(payload.captured), "captured"),
        (
            "delivered",
            _size(payload.delivered),
            f"reassembled in order: {_percent(payload.delivered, whole)} of the bytes sent (delivered and missing)"
            if whole
            else "reassembled in order",
        ),
    ]
    if payload.delivered:
        rows.append(("read", _size(s.tcp.read_bytes), f"parsed, {_percent(s.tcp.read_bytes, payload.delivered)} of what was delivered"))
    http = s.http
    if http.requests or http.responses:
        rows.append(("requests", f"{http.requests:,}", _counts(http.by_method)))
        rows.append(("responses", f"{http.responses:,}", _counts(http.by_status)))
    json = s.json
    if json.bodies:
        rows.append(
            (
                "JSON bodies",
                f"{json.bodies:,}",
                f"{_size(json.bytes)}, {counted(json.documents, 'document')}",
            )
        )
    for name, one in s.payloads.items():
        kind, piece = _PAYLOADS[name]
        more = [f"{n:,} {word}" for n, word in ((one.invalid, "invalid"), (one.not_read, "not read: install pcapflow[yaml]")) if n]
        rows.append((kind, f"{one.bodies:,}", ", ".join([_size(one.bytes), counted(one.pieces, piece), *more])))
    for name, n in s.not_written.items():
        rows.append(("not written", f"{n:,}", f"records of {name} that the database rejected"))
    if json.invalid:
        rows.append(("invalid JSON", f"{json.invalid:,}", "bodies that are not valid JSON"))
    return [heading("Recovered"), _grid(*rows)]


def _unread(s: Summary) -> list[RenderableType]:
    """What was delivered and is not read."""
    rows: list[tuple[str | Text, str | Text, str | Text]] = []
    for reason, one in s.tcp.unread.items():
        names = ", ".join(f"{plain(name)} {_size(n)}" for name, n in one.by_name.items())
        rows.append(
            (
                reason,
                _size(one.bytes),
                Text(f"{names}: {_lower(UnreadReason(reason).sentence)}" if names else UnreadReason(reason).sentence, style="dim"),
            )
        )
    return [heading("Delivered but not read"), _grid(*rows)] if rows else []


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _again(s: Summary) -> list[RenderableType]:
    """What was seen more than once, or out of its turn; nothing of it is lost."""
    payload, decode, tcp = s.tcp.payload_bytes, s.decode, s.tcp
    rows: list[tuple[str | Text, str | Text, str | Text]] = []
    for name, n, size, remark in (
        ("copies", decode.duplicated, decode.duplicated_bytes, "of packets captured twice: ignored"),
        ("retransmitted", payload.retransmitted, payload.retransmitted, "bytes that the capture already had"),
        ("conflicting", payload.conflicting, payload.conflicting, "retransmitted with different bytes"),
    ):
        if n:
            rows.append((name, _size(size), remark))
    for name, n, remark in (
        ("holes filled", tcp.holes_filled, "missing ranges that arrived later"),
        ("after a hole", tcp.out_of_order_segments, "segments that arrived while earlier bytes were missing"),
        ("ignored resets", tcp.resets_ignored, "RSTs after which the connection continued"),
        ("ambiguous", tcp.ambiguous_streams, "streams that other TCP stacks would read differently (--overlap)"),
    ):
        if n:
            rows.append((name, f"{n:,}", remark))
    return [heading("Retransmitted or after a hole"), _grid(*rows)] if rows else []


def _lost(s: Summary) -> list[RenderableType]:
    rows: list[tuple[str | Text, str | Text, str | Text]] = []
    payload = s.tcp.payload_bytes
    if s.tcp.missing_bytes:
        rows.append(("missing", _size(s.tcp.missing_bytes), f"in {counted(s.tcp.gaps, 'gap')}"))
    for cause, n in s.tcp.gaps_by_cause.items():
        rows.append((f"  {cause}", f"{n:,}", Text(GapCause(cause).sentence, style="dim")))
    for name, n, remark in (
        ("late", payload.late, "arrived after their gap was given up"),
        ("out of window", payload.out_of_window, "have sequence numbers outside the stream's window"),
        ("dropped", payload.dropped, "given up: streams, connections without memory, segments with a wrong checksum"),
    ):
        if n:
            rows.append((name, _size(n), remark))
    if s.tcp.evicted_connections:
        rows.append(("evicted", f"{s.tcp.evicted_connections:,}", "connections removed from the full connection table"))
    bodies = s.http.bodies
    for name, n, remark in (
        ("gapped bodies", bodies.gapped, "HTTP bodies with missing bytes inside"),
        ("truncated", bodies.truncated, "HTTP messages that ended early or were cut"),
        ("dropped bodies", bodies.dropped, "HTTP bodies whose contents pcapflow gave up"),
    ):
        if n:
            rows.append((name, f"{n:,}", remark))
    for reason, count in s.drops.by_reason.items():
        label = Text(f"  {reason}", style="red")
        rows.append((label, f"{count.count:,}", Text(DropReason(reason).sentence, style="dim")))
    if not rows:
        return [heading("Lost"), Text("  nothing")]
    return [heading("Lost"), _grid(*rows)]


def _worst(s: Summary) -> list[RenderableType]:
    if not s.worst_streams:
        return []
    table = Table.grid(padding=(0, 2))
    table.add_column(width=18, style="cyan")
    table.add_column(justify="right", min_width=10)
    table.add_column()
    for stream in s.worst_streams[:_WORST]:
        ends = (stream.client, stream.server) if stream.stream == "client" else (stream.server, stream.client)
        between = " to ".join(f"[{end.ip}]:{end.port}" if ":" in end.ip else f"{end.ip}:{end.port}" for end in ends)
        what = stream.drop_reason or ("dropped" if stream.dropped_bytes else "missing")
        table.add_row(f"  connection {stream.connection}", _size(stream.missing_bytes + stream.dropped_bytes), Text(f"{what}, {between}"))
    rest = len(s.worst_streams) - _WORST
    if rest > 0:
        table.add_row(f"  and {rest} more", "", Text("(--json: worst_streams)", style="dim"))
    return [heading("Streams with the most missing bytes"), table]


_NEAR = 0.9
"""Part of a limit from which on it was near."""


def _memory(s: Summary, *, whole: bool) -> list[RenderableType]:
    memory = s.memory
    table = Table.grid(padding=(0, 2))
    table.add_column(width=18, style="cyan")
    table.add_column(justify="right", min_width=10)
    table.add_column(min_width=_BAR)
    table.add_column()
    rows = [("all accounts", memory.peak_bytes, memory.limit_bytes)]
    accounts = [(name, c.peak_bytes, c.limit_bytes) for name, c in memory.components.items() if c.peak_bytes]
    near = memory.pressure or any(peak > _NEAR * limit for _, peak, limit in (*rows, *accounts))
    for name, peak, limit in [*rows, *(accounts if whole or near else [])]:
        full = peak / limit if limit else 0.0
        style = "red" if full > _NEAR else "yellow" if full > 0.5 else "none"
        filled = max(1, round(full * _BAR)) if peak else 0
        bar = Text("\N{BLACK SQUARE}" * filled, style=style)
        bar.append("\N{MIDDLE DOT}" * (_BAR - filled), style="dim")
        table.add_row(f"  {name}", _mebibytes(peak), bar, f"of {_mebibytes(limit)}")
    table.add_row("  process", _mebibytes(memory.process.peak_rss_bytes), "", "resident peak")
    parts: list[RenderableType] = [heading("Memory high-water marks"), table]
    if memory.pressure:
        parts.append(Text("  a limit shared between connections was reached", style="yellow"))
    return parts


def _advice(s: Summary) -> list[RenderableType]:
    if not s.advice:
        return []
    table = Table.grid(padding=(0, 1))
    table.add_column(width=3)
    table.add_column()
    for line in s.advice:
        table.add_row("  -", Text(line))
    return [heading("Advice"), table]


def _run(s: Summary) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if s.interrupted:
        parts.append(Text("\ninterrupted: the report covers the part that was read", style="red"))
    if not s.tcp.payload_bytes.balanced:
        parts.append(Text("\nthe byte account does not balance: this is a defect of pcapflow, please report it", style="red"))
    return parts
