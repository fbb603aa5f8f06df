"""`pcapflow follow`: the reassembled bytes of one connection."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any

import click

from pcapflow.capture.interrupt import Ending
from pcapflow.cli.help import Command, capture_arguments
from pcapflow.cli.options import finish, run_options, settings
from pcapflow.cli.output import Output, open_output, refuse_overwriting
from pcapflow.errors import UsageError
from pcapflow.terminal_text import plain_lines

if TYPE_CHECKING:
    from pcapflow.protocols.follower import Part

_EXAMPLES = """\b
Examples:
  pcapflow follow trace.pcap --connection 4711
  pcapflow follow trace.pcap --connection 4711 --stream server --raw > body
"""
_FILL = re.compile(r"[0-9a-fA-F]{2}")
_AT_ONCE = 64 << 10
"""Bytes that are written at one time; what is made of them takes many times as much."""
_COLUMNS = 16
_ENDS = {"fin": "ends with FIN", "rst": "ends with RST", "cut": "was not seen to end"}


@click.command(cls=Command, epilog=_EXAMPLES, short_help="The bytes of one connection.")
@capture_arguments()
@click.option(
    "--connection", "number", metavar="N", type=click.IntRange(1), required=True, help="The connection, by the number of its first packet."
)
@click.option("--stream", type=click.Choice(["client", "server"]), default=None, help="Only what that side sent.")
@click.option("--hex", "as_hex", is_flag=True, help="Offsets, bytes in hexadecimal, and what can be printed of them.")
@click.option("--raw", is_flag=True, help="The bytes and nothing else.")
@click.option("--gap-fill", metavar="HEX", default=None, help="With --raw: write this byte for each that is missing, such as 00.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), default=None, help="Write to FILE, which appears when it is whole.")
@run_options
def follow(
    captures: tuple[str, ...],
    *,
    number: int,
    stream: str | None,
    as_hex: bool,
    raw: bool,
    gap_fill: str | None,
    output: str | None,
    **run: Any,
) -> None:
    """Print the bytes of connection N as they were reassembled, both sides in the order in which they were captured.

    What is missing is shown as a gap. With --raw nothing stands for it, unless --gap-fill says what.
    """
    if as_hex and raw:
        raise click.UsageError("--hex and --raw exclude each other")
    if gap_fill is not None and not raw:
        raise click.UsageError("--gap-fill goes with --raw")
    if gap_fill is not None and not _FILL.fullmatch(gap_fill):
        raise click.UsageError(f"--gap-fill: {gap_fill!r} is not a byte; write two hexadecimal digits")
    refuse_overwriting(captures, {"-o": output or "-"})
    from pcapflow import pipeline
    from pcapflow.cli.progress import progress_bar
    from pcapflow.findings.follow import Following

    bounds, options = settings(run)
    with Ending() as ending, open_output(output) as out, progress_bar(enabled=not run["quiet"]) as progress:
        filled = _Raw(out, bytes.fromhex(gap_fill) if gap_fill else b"", bounds.gap_fill_max_bytes)
        show = filled if raw else _View(out, as_hex=as_hex)

        def take(name: str, part: Part) -> None:
            if stream is None or name == stream:
                show.part(name, part)

        following = Following(number, take)
        result = pipeline.run(captures, bounds, options, flush=out.flush, progress=progress, follow=following)
        ending.begin()
        if following.unordered:
            result.warnings.append(
                f"{following.unordered:,} bytes stand where they were delivered, not where they were captured: while one side waited behind a hole, "
                "the other said more than the account of output holds; give a larger --memory-limit"
            )
        if filled.left_out:
            result.warnings.append(
                f"gap_fill_max_bytes: {filled.left_out:,} missing bytes are not filled, so what follows them stands too early"
            )
        if not following.seen:
            raise UsageError(f"no connection begins with packet {number}; `pcapflow analyze --ndjson` lists them (.connection)")
    finish(result)


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


class _View:
    """For a person: who speaks, and what can be printed of it."""

    def __init__(self, out: Output, *, as_hex: bool) -> None:
        self._out = out
        self._as_hex = as_hex
        self._speaker = ""
        self._line_open = False
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"client": make("replace"), "server": make("replace")}

    def part(self, name: str, part: Part) -> None:
        """Write it."""
        if part.end is not None:
            self._say(f"the {name} {_ENDS[part.end]} at byte {part.offset}, packet {part.packet}")
            return
        if part.gap is not None:
            self._say(
                f"gap: bytes {part.gap.start} to {part.gap.start + part.gap.length - 1} of the {name} are missing ({part.gap.cause.value}), packet {part.packet}"
            )
            self._speaker = ""
            return
        if name != self._speaker:
            self._say(f"{name}, from byte {part.offset}, packet {part.packet}")
            self._speaker = name
        for at in range(0, len(part.data), _AT_ONCE):
            data = part.data[at : at + _AT_ONCE]
            self._out.write(self._hexadecimal(part.offset + at, data) if self._as_hex else self._text(name, data))

    def _say(self, text: str) -> None:
        self._out.write((b"\n" if self._line_open else b"") + b"--- " + text.encode() + b"\n")
        self._line_open = False

    def _text(self, name: str, data: bytes) -> bytes:
        text = plain_lines(self._decoders[name].decode(data).replace("\r", ""))
        self._line_open = not text.endswith("\n") if text else self._line_open
        return text.encode()

    @staticmethod
    def _hexadecimal(offset: int, data: bytes) -> bytes:
        lines = []
        for at in range(0, len(data), _COLUMNS):
            some = data[at : at + _COLUMNS]
            lines.append(b"%08x  %-47s  %s\n" % (offset + at, some.hex(" ").encode(), some.translate(_PRINTABLE)))
        return b"".join(lines)


_PRINTABLE = bytes(c if 0x20 <= c < 0x7F else 0x2E for c in range(256))
