"""`pcapflow slice`: the packets of chosen connections as a capture of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pcapflow.capture.interrupt import Ending
from pcapflow.cli import errors
from pcapflow.cli.help import Command, capture_arguments
from pcapflow.cli.options import connection_option, finish, run_options, settings, where_option, workers_option
from pcapflow.cli.output import open_output, refuse_overwriting
from pcapflow.errors import OutputError, UsageError
from pcapflow.terminal_text import counted

if TYPE_CHECKING:
    from pcapflow.connection_names import ConnectionName
    from pcapflow.slicing.run import Made
    from pcapflow.slicing.scrub import Counts
    from pcapflow.slicing.writing import CaptureWriter, Packet

_EXAMPLES = """\b
Examples:
  pcapflow slice trace.pcap --connection 4711 -o one.pcap
  pcapflow slice trace.pcap --where 'status=5xx,path=/v1/*' -o failed.pcapng
  pcapflow slice trace.pcap --problems -o problems.pcap.zst
"""


@click.command("slice", cls=Command, epilog=_EXAMPLES, short_help="Write the packets of selected connections to a capture.")
@capture_arguments()
@connection_option
@click.option("--packet", metavar="N", type=click.IntRange(1), default=None, help="Select the connection of packet N.")
@where_option("Select connections with an exchange that matches all conditions")
@click.option(
    "--problems", is_flag=True, help="Select connections with problems: errors, missing or unread bytes, requests without a response."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    required=True,
    help="Capture to write: .pcap or .pcapng, compressed if it ends in .gz, .zst, .xz or .bz2; - is standard output.",
)
@click.option("--scrub", is_flag=True, help="Mask credentials, cookies and tokens in place, keeping their length.")
@click.option(
    "--mask-json", "masked", metavar="PATH", multiple=True, help="With --scrub: also mask the JSON values at PATH; may be repeated."
)
@click.option(
    "--anonymize",
    metavar="KEYFILE",
    type=click.Path(),
    default=None,
    help="Anonymize addresses with the key in KEYFILE, preserving network prefixes.",
)
@workers_option
@run_options
def slice_(
    captures: tuple[str, ...],
    *,
    name: ConnectionName | None,
    packet: int | None,
    where: str,
    problems: bool,
    output: str,
    scrub: bool,
    masked: tuple[str, ...],
    anonymize: str | None,
    **run: Any,
) -> None:
    """Write the packets of selected connections in CAPTURE... to FILE, keeping their link layer, timestamps and order.

    Several selections must all match. Several captures form one trace.
    """
    _check_options(name, packet, where, masked, problems=problems, scrub=scrub)
    refuse_overwriting((*captures, *([anonymize] if anonymize is not None else [])), {"-o": output})
    from pcapflow.cli.follow import connection_of, not_there
    from pcapflow.cli.progress import progress_bar
    from pcapflow.conditions import Conditions
    from pcapflow.findings.choosing import Choice
    from pcapflow.slicing.anonymize import anonymized, key_of
    from pcapflow.slicing.run import make
    from pcapflow.slicing.scrub import Counts, check_paths, scrubbed
    from pcapflow.slicing.writing import Compressing, writer_for

    check_paths(masked)
    key = key_of(anonymize) if anonymize is not None else None
    bounds, options = settings(run)
    conditions = Conditions.parse(where) if where else None
    counts = Counts() if scrub else None
    unmapped = Unmapped()
    with Ending() as ending, ExitStack() as stack:
        out = stack.enter_context(open_output(output))
        if out.is_terminal:
            raise UsageError("-o -: a capture is not written to a terminal")
        progress = stack.enter_context(progress_bar(enabled=not run["quiet"]))
        compressing = Compressing(output, out.write)
        if packet is not None:
            name = connection_of(packet, captures, bounds, options, progress)

        def write(packets: Iterator[Packet], nanoseconds: bool) -> None:  # noqa: FBT001 - as `make` calls it
            if counts is not None:
                packets = scrubbed(stack.enter_context(kept(packets)), bounds, options, masked, counts, addresses=key is not None)
            if key is not None:
                packets = anonymized(packets, key, unmapped.one)
            _write(packets, writer_for(output, compressing.write, nanoseconds=nanoseconds))

        made = make(captures, bounds, options, Choice(name, conditions, problems), write, progress)
        if made.result is not None and (made.result.asked_to_stop or made.result.out_of_memory):
            ending.begin()
            finish(made.result)
        if name is not None and conditions is None and not problems and not made.packets:
            read = made.result if options.packets is None else None
            raise UsageError(not_there(name, read.summary.decode.packets if read is not None else None))
        compressing.close()
        ending.begin()
    _say(made, counts, unmapped)


def _check_options(
    name: ConnectionName | None, packet: int | None, where: str, masked: tuple[str, ...], *, problems: bool, scrub: bool
) -> None:
    """Raises `click.UsageError` for options that do not go together."""
    if name is not None and packet is not None:
        raise click.UsageError("--connection and --packet exclude each other")
    if name is None and packet is None and not where and not problems:
        raise click.UsageError("select connections with --connection, --packet, --where or --problems")
    if masked and not scrub:
        raise click.UsageError("--mask-json requires --scrub")


def _write(packets: Iterator[Packet], writer: CaptureWriter) -> None:
    from pcapflow.slicing.writing import Pcap

    for one in packets:
        writer.add(one)
    writer.begin()
    if isinstance(writer, Pcap) and len(writer.places) > 1:
        errors.say(
            "warning: the packets come from several interfaces or captures, which a pcap file cannot distinguish; a .pcapng file can"
        )


class Unmapped:
    """Packets that --anonymize leaves out."""

    def __init__(self) -> None:
        self.count = 0

    def one(self) -> None:
        """One more."""
        self.count += 1

    def say(self) -> None:
        """How many, if any."""
        if self.count:
            its = "its" if self.count == 1 else "their"
            errors.say(f"{counted(self.count, 'packet')} left out: {its} IPv6 headers may contain other addresses")


def _say(made: Made, counts: Counts | None, unmapped: Unmapped) -> None:
    """What was written; leaves with the status."""
    errors.say(f"{made.packets:,} of {made.seen:,} packets, {counted(made.connections, 'connection')}")
    if not made.packets and not made.left_out:
        errors.say("warning: no connection was selected: the slice has no packets")
    elif made.packets and counts is not None:
        _say_masked(counts)
    if made.left_out:
        errors.say(f"warning: {counted(made.left_out, 'connection')} left out because memory ran short; increase --memory-limit")
    unmapped.say()
    if made.result is not None:
        finish(made.result)


def _say_masked(counts: Counts) -> None:
    """What was masked, and what could not be masked in place."""
    errors.say(f"{counted(counts.bytes, 'byte')} overwritten ({counted(counts.secrets, 'known secret')})")
    for n, what, why_one, why_many in (
        (
            counts.coded,
            "compressed body",
            "overwritten completely: it contains a secret or could not be decoded",
            "overwritten completely: they contain secrets or could not be decoded",
        ),
        (
            counts.whole,
            "stream",
            "overwritten completely: it could not be read to its end, or memory was too short to mask its secrets",
            "overwritten completely: they could not be read to their ends, or memory was too short to mask their secrets",
        ),
        (
            counts.unread,
            "connection",
            "of a protocol that pcapflow does not read: secrets were masked only in what looks like text",
            "of protocols that pcapflow does not read: secrets were masked only in what looks like text",
        ),
        (counts.left_out, "packet", "left out: it is an IP fragment or not TCP", "left out: they are IP fragments or not TCP"),
    ):
        if n:
            errors.say(f"{counted(n, what)} {why_one if n == 1 else why_many}")


@contextmanager
def kept(packets: Iterator[Packet]) -> Iterator[str]:
    """The path of a capture of them that nobody else can read; it is gone on leaving. Where the system has /proc the file has no name, so that it is gone however the process ends."""
    from pcapflow.slicing.writing import Pcapng

    file: Any
    try:
        file = tempfile.TemporaryFile(prefix=".pcapflow-")  # noqa: SIM115 - closed below
        path = f"/proc/self/fd/{file.fileno()}"
        if not Path(path).exists():
            file.close()
            file = tempfile.NamedTemporaryFile(prefix=".pcapflow-", suffix=".pcapng")  # noqa: SIM115 - the same
            path = file.name
    except OSError as e:
        raise OutputError(f"no temporary file can be made: {e.strerror}") from None
    with closing(file):
        try:
            writer = Pcapng(file.write)
            for packet in packets:
                writer.add(packet)
            writer.begin()
            file.flush()
        except OSError as e:
            raise OutputError(f"a temporary file in {tempfile.gettempdir()} cannot be written: {e.strerror}") from None
        yield path
