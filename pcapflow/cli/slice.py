"""`pcapflow slice`: the packets of chosen connections as a capture of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from pcapflow.capture.interrupt import Ending
from pcapflow.cli import errors
from pcapflow.cli.help import Command, capture_arguments
from pcapflow.cli.options import finish, run_options, settings, where_option, workers_option
from pcapflow.cli.output import open_output, refuse_overwriting
from pcapflow.cli.values import Connection
from pcapflow.errors import UsageError

if TYPE_CHECKING:
    from pcapflow.connection_names import ConnectionName
    from pcapflow.slicing.writing import Packet

_EXAMPLES = """\b
Examples:
  pcapflow slice trace.pcap --connection 4711 -o one.pcap
  pcapflow slice trace.pcap --where 'status=5xx,path=/v1/*' -o failed.pcapng
  pcapflow slice trace.pcap --problems -o problems.pcap.zst
"""


@click.command("slice", cls=Command, epilog=_EXAMPLES, short_help="The packets of chosen connections, as a capture.")
@capture_arguments()
@click.option(
    "--connection",
    "name",
    metavar="N|ENDS|ID",
    type=Connection(),
    default=None,
    help="The connection: the number of its first packet, its ends as IP:PORT-IP:PORT, or its community id.",
)
@click.option("--packet", metavar="N", type=click.IntRange(1), default=None, help="The connection that packet N is of.")
@where_option("Connections that have an exchange which meets all conditions")
@click.option(
    "--problems", is_flag=True, help="Connections with something wrong: errors, lost or unread bytes, exchanges without an answer."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    required=True,
    help="The capture: .pcap or .pcapng, compressed by .gz, .zst, .xz or .bz2; - is standard output.",
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
    **run: Any,
) -> None:
    """Write the packets of chosen connections of CAPTURE... to FILE, with the link layer, times and order that they have.

    Where several are given, all must hold. Several captures are one trace.
    """
    if name is not None and packet is not None:
        raise click.UsageError("--connection and --packet exclude each other")
    if name is None and packet is None and not where and not problems:
        raise click.UsageError("say which connections: --connection, --packet, --where or --problems")
    refuse_overwriting(captures, {"-o": output})
    from pcapflow.cli.follow import connection_of, not_there
    from pcapflow.cli.progress import progress_bar
    from pcapflow.conditions import Conditions
    from pcapflow.findings.choosing import Choice
    from pcapflow.slicing.run import make
    from pcapflow.slicing.writing import Compressing, writer_for

    bounds, options = settings(run)
    conditions = Conditions.parse(where) if where else None
    with Ending() as ending, ExitStack() as stack:
        out = stack.enter_context(open_output(output))
        if out.is_terminal:
            raise UsageError("-o -: a capture is not written to a terminal")
        progress = stack.enter_context(progress_bar(enabled=not run["quiet"]))
        compressing = Compressing(output, out.write)
        if packet is not None:
            name = connection_of(packet, captures, bounds, options, progress)

        def write(packets: Iterator[Packet], nanoseconds: bool) -> None:  # noqa: FBT001 - as `make` calls it
            writer = writer_for(output, compressing.write, nanoseconds=nanoseconds)
            for one in packets:
                writer.add(one)
            writer.begin()
            if len(writer.places) > 1:
                errors.say(
                    "warning: the packets are of several interfaces or captures, which a pcap file does not tell apart; a name that ends in .pcapng does"
                )

        made = make(captures, bounds, options, Choice(name, conditions, problems), write, progress)
        if made.result is not None and (made.result.asked_to_stop or made.result.out_of_memory):
            ending.begin()
            finish(made.result)
        if name is not None and not made.packets:
            raise UsageError(not_there(name))
        compressing.close()
        ending.begin()
    errors.say(f"{made.packets:,} of {made.seen:,} packets, {made.connections:,} connection{'' if made.connections == 1 else 's'}")
    if made.left_out:
        errors.say(f"warning: {made.left_out:,} connections are left out, for want of memory; give a larger --memory-limit")
    if made.result is not None:
        finish(made.result)
