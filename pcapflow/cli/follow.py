"""`pcapflow follow`: the reassembled bytes of one connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from pcapflow.capture.interrupt import Ending
from pcapflow.cli.help import Command, capture_arguments
from pcapflow.cli.options import connection_option, finish, run_options, settings
from pcapflow.cli.output import Output, open_output, refuse_overwriting
from pcapflow.errors import UsageError
from pcapflow.files import can_be_read_twice
from pcapflow.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pcapflow.cli.conversation_view import MessageView, View
    from pcapflow.connection_names import ConnectionName
    from pcapflow.findings.follow import Following
    from pcapflow.pipeline import Options, Progress
    from pcapflow.protocols.follower import Part

_EXAMPLES = """\b
Examples:
  pcapflow follow trace.pcap --connection 4711
  pcapflow follow trace.pcap --connection 10.0.0.2:51000-10.0.0.1:80
  pcapflow follow trace.pcap --packet 5020
  pcapflow follow trace.pcap --connection 4711 --decode
  pcapflow follow trace.pcap --connection 4711 --stream server --raw > body
"""
_FILL = re.compile(r"[0-9a-fA-F]{2}")
_AT_ONCE = 64 << 10
"""Bytes that are written at one time; what is made of them takes many times as much."""
_MORE = 64
"""Packets behind the one whose connection is looked for: by them the clock tells whether a step in time before it is one."""


@click.command(cls=Command, epilog=_EXAMPLES, short_help="Print the bytes of one connection.")
@capture_arguments()
@connection_option
@click.option(
    "--packet", metavar="N", type=click.IntRange(1), default=None, help="Select the connection of packet N (frame.number in Wireshark)."
)
@click.option("--stream", type=click.Choice(["client", "server"]), default=None, help="Show only what this side sent.")
@click.option(
    "--decode", is_flag=True, help="Show HTTP messages with chunking and content codings undone, and only the beginning of binary bodies."
)
@click.option("--hex", "as_hex", is_flag=True, help="Show a hex dump: offsets, hexadecimal bytes and printable characters.")
@click.option("--raw", is_flag=True, help="Write only the raw bytes.")
@click.option("--gap-fill", metavar="HEX", default=None, help="With --raw: write this byte, such as 00, for each missing byte.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(), default=None, help="Write to FILE, created only when the output is complete."
)
@run_options
def follow(
    captures: tuple[str, ...],
    *,
    name: ConnectionName | None,
    packet: int | None,
    stream: str | None,
    decode: bool,
    as_hex: bool,
    raw: bool,
    gap_fill: str | None,
    output: str | None,
    **run: Any,
) -> None:
    """Print the reassembled bytes of one connection, both sides in capture order.

    Missing bytes are shown as a gap, with its cause (pcapflow docs drops) and the packet at which pcapflow detected it. With --raw they are omitted, unless --gap-fill is given; with --decode, gaps outside bodies are only counted.
    """
    _check_options(name, packet, gap_fill, as_hex=as_hex, raw=raw, decode=decode)
    refuse_overwriting(captures, {"-o": output or "-"})
    from pcapflow import pipeline
    from pcapflow.cli.conversation_view import MessageView, View
    from pcapflow.cli.progress import progress_bar
    from pcapflow.findings.decoding import Decoding
    from pcapflow.findings.follow import Following

    bounds, options = settings(run)
    with Ending() as ending, open_output(output) as out, progress_bar(enabled=not run["quiet"]) as progress:
        filled = _Raw(out, bytes.fromhex(gap_fill) if gap_fill else b"", bounds.gap_fill_max_bytes)
        view = View(out, as_hex=as_hex)
        show = filled if raw else view
        messages = MessageView(out, stream, as_hex=as_hex) if decode else None

        gaps = _Missing(stream, show if messages is None else None)

        name = name or connection_of(packet or 0, captures, bounds, options, progress)
        following = Following(name, gaps.take)
        result = pipeline.run(
            captures,
            bounds,
            options,
            flush=out.flush,
            progress=progress,
            follow=following,
            sinks=[messages] if messages is not None else [],
            listeners=[Decoding()] if messages is not None else [],
        )
        ending.begin()
        result.warnings += _warnings(following, filled, messages, gaps.bytes)
        if not following.number:
            raise UsageError(not_there(name, result.summary.decode.packets if options.packets is None else None))
    if following.others:
        others = ", ".join(map(str, following.others)) + (f" and {following.more:,} more" if following.more else "")
        result.warnings.append(
            f"this is connection {following.number}, the first of those with these ends; the others: {others} (--connection N)"
        )
    finish(result)


class _Missing:
    """Gives on what the wanted sides say, and counts the bytes that are missing there."""

    def __init__(self, side: str | None, show: View | _Raw | None) -> None:
        """side: None for both; show: None for messages alone, which are shown as they are read."""
        self._side = side
        self._show = show
        self.bytes = 0

    def take(self, side: str, part: Part) -> None:
        """The next part of a side."""
        if self._side in (None, side):
            self.bytes += part.gap.length if part.gap is not None else 0
            if self._show is not None:
                self._show.part(side, part)


def _warnings(following: Following, filled: _Raw, messages: MessageView | None, missing: int) -> list[str]:
    """What is to be said of what was shown. missing: bytes of the streams."""
    found: list[str] = []
    if following.unordered:
        found.append(
            f"{following.unordered:,} bytes stand where they were delivered, not where they were captured: while one side waited behind a hole, "
            "the other said more than the account of output holds; give a larger --memory-limit"
        )
    if messages is not None and following.number and not messages.heads:
        found.append("no HTTP message was read on this connection: nothing is shown; without --decode its bytes are")
    elif messages is not None and missing > messages.missing:
        from pcapflow.terminal_text import counted

        outside = counted(missing - messages.missing, "missing byte")
        found.append(f"{outside} in no body: --decode does not show them, follow without it does")
    if filled.left_out:
        found.append(f"gap_fill_max_bytes: {filled.left_out:,} missing bytes are not filled, so what follows them stands too early")
    return found


def _check_options(name: ConnectionName | None, packet: int | None, gap_fill: str | None, *, as_hex: bool, raw: bool, decode: bool) -> None:
    """Raises `click.UsageError` for options that do not go together."""
    if raw and (as_hex or decode):
        raise click.UsageError(f"--{'hex' if as_hex else 'decode'} and --raw exclude each other")
    if gap_fill is not None and not raw:
        raise click.UsageError("--gap-fill requires --raw")
    if gap_fill is not None and not _FILL.fullmatch(gap_fill):
        raise click.UsageError(f"--gap-fill: {gap_fill!r} is not a byte; write two hexadecimal digits")
    if name is not None and packet is not None:
        raise click.UsageError("--connection and --packet exclude each other")
    if name is None and packet is None:
        raise click.UsageError("select a connection with --connection or --packet")


def not_there(name: ConnectionName, packets: int | None) -> str:
    """What to say of a connection that is not in the capture, which has so many packets; None where nobody knows."""
    lists = "`pcapflow analyze --ndjson --records connection` lists all connections"
    if name.number is None:
        return f"no connection matches {name.text}; {lists}"
    if packets is not None and name.number > packets:
        return f"there is no packet {name.number}: the capture has {packets:,}"
    return f"no connection starts with packet {name.number}; --packet {name.number} selects the connection of that packet; {lists}"


def connection_of(
    packet: int, captures: tuple[str, ...], bounds: Limits, options: Options, progress: Callable[[Progress], object] | None
) -> ConnectionName:
    """The connection that a packet is of, by a run over the captures up to it."""
    from msgspec.structs import replace

    from pcapflow import pipeline
    from pcapflow.connection_names import ConnectionName
    from pcapflow.findings.follow import Finding

    again = next((path for path in captures if not can_be_read_twice(path)), None)
    if again is not None:
        raise UsageError(f"--packet reads a capture twice, but {again!r} can be read only once; save it to a file, or use --connection")
    if options.packets is not None and packet > options.packets:
        raise UsageError(f"--packet {packet} is beyond --packets {options.packets}")
    finding = Finding(packet)
    only_to_find = replace(options, packets=packet + _MORE, looks_for=packet, simulate={})
    result = pipeline.run(captures, bounds, only_to_find, progress=progress, follow=finding)
    found = result.summary
    if not finding.number:
        finish(result)
        raise UsageError(
            f"packet {packet} does not belong to a TCP connection that is read"
            if found.decode.packets >= packet
            else f"there is no packet {packet}: the capture has {found.decode.packets:,}"
        )
    return ConnectionName(str(finding.number), number=finding.number)


class _Raw:
    """The bytes alone."""

    def __init__(self, out: Output, fill: bytes, most: int) -> None:
        """fill: the byte for each that is missing, or none; most: how many of them are written."""
        self._out = out
        self._fill = fill
        self._room = most
        self.left_out = 0
        """Missing bytes for which there was no room."""

    def part(self, name: str, part: Part) -> None:
        """Write it."""
        if part.data:
            self._out.write(part.data)
        elif part.gap is not None and self._fill:
            left = min(part.gap.length, self._room)
            self._room -= left
            self.left_out += part.gap.length - left
            while left:
                n = min(left, _AT_ONCE)
                self._out.write(self._fill * n)
                left -= n
