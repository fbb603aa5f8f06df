"""`pcapflow bodies`: message bodies of any type, decoded."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from pcapflow.capture.interrupt import Ending
from pcapflow.cli import errors
from pcapflow.cli.help import Command, capture_arguments
from pcapflow.cli.options import finish, limit_option, run_options, settings, where_option, workers_option
from pcapflow.cli.output import Output, open_output
from pcapflow.cli.part_folder import open_part_folder
from pcapflow.cli.values import Size
from pcapflow.errors import UsageError
from pcapflow.files import is_url

_EXAMPLES = """\b
Examples:
  pcapflow bodies trace.pcap --where connection=22,side=response > body
  pcapflow bodies trace.pcap --where 'path=/v1/*,side=request' --pretty
  pcapflow bodies trace.pcap -o bodies && jq .file bodies/index.ndjson
"""


@click.command(cls=Command, epilog=_EXAMPLES, short_help="Print decoded HTTP message bodies of any type.")
@capture_arguments()
@where_option("Select only bodies of exchanges that match all conditions")
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    type=click.Path(),
    default=None,
    help="Write each body to its own file in DIR, plus index.ndjson.",
)
@click.option("--force", is_flag=True, help="With -o: overwrite the files of an earlier run.")
@click.option("--raw", "as_sent", is_flag=True, help="Do not undo content codings.")
@click.option(
    "--gaps",
    type=click.Choice(["cut", "fill", "refuse"]),
    default="cut",
    show_default=True,
    help="What to do with a body that has missing bytes: cut it there, fill them with zeros, or skip the body.",
)
@click.option("--pretty", is_flag=True, help="Pretty-print JSON, one value per line.")
@click.option("--show-secrets", is_flag=True, help="Do not mask tokens in URLs.")
@limit_option("--max-files", "bodies_max_files", click.IntRange(1), "Maximum number of files that -o writes.")
@limit_option("--max-bytes", "bodies_max_bytes", Size(), "Maximum total bytes to write.")
@workers_option
@run_options
def bodies(
    captures: tuple[str, ...],
    *,
    where: str,
    folder: str | None,
    force: bool,
    as_sent: bool,
    gaps: str,
    pretty: bool,
    **run: Any,
) -> None:
    """Print the HTTP message bodies in CAPTURE..., in the order in which they began, with chunking and content codings undone.

    A line between two bodies identifies the one that follows; -o DIR writes each body to its own file. Problems with a body are reported on
    standard error.
    """
    if force and folder is None:
        raise click.UsageError("--force requires -o")
    if pretty and as_sent:
        raise click.UsageError("--pretty and --raw exclude each other")
    if folder is not None and is_url(folder):
        raise UsageError(f"-o {folder}: bodies go to a folder on this machine")
    from pcapflow import pipeline
    from pcapflow.cli.progress import progress_bar
    from pcapflow.conditions import Conditions
    from pcapflow.findings.body_pieces import BodyPieces, Wanted
    from pcapflow.report.sinks.bodies import Bodies, FileEach, OneAfterTheOther

    pieces = BodyPieces(Wanted(Conditions.parse(where), as_sent, gaps, pretty))
    bounds, options = settings(run)
    pipeline.check(options)
    with Ending() as ending, ExitStack() as stack:
        out = stack.enter_context(open_output(None)) if folder is None else None
        progress = stack.enter_context(progress_bar(enabled=not run["quiet"]))
        target = (
            OneAfterTheOther(_write_to(out), names_first=out.is_terminal)
            if out is not None
            else FileEach(stack.enter_context(open_part_folder(folder or "", force=force)), bounds.bodies_max_files)
        )
        sink = Bodies(target, bounds, lambda line: errors.say(f"warning: {line}"))
        result = pipeline.run(
            captures, bounds, options, flush=out.flush if out is not None else None, progress=progress, sinks=[sink], listeners=[pieces]
        )
        ending.begin()
    for limit, n in sorted(sink.left_out.items()):
        what = "--gaps refuse" if limit == "gapped" else f"{limit}, {_bound(bounds, limit)}"
        result.warnings.append(f"{n:,} {'body is' if n == 1 else 'bodies are'} left out ({what})")
    if not sink.written and not sink.left_out:
        http = result.summary.http
        read = f"{http.requests:,} requests and {http.responses:,} responses"
        none = f"no message that matches --where {where} has a body ({read} were read)" if where else f"none of {read} has a body"
        result.warnings.append(f"no body: {none}")
    elif isinstance(target, OneAfterTheOther) and target.count > 1:
        errors.say(f"{target.count:,} bodies; a line between two bodies names the next one; -o DIR writes each to a file")
    finish(result)


def _bound(bounds: Any, limit: str) -> str:
    value = getattr(bounds, limit, None)
    return f"{value:,}" if value is not None else "the account of output"


def _write_to(out: Output) -> Any:
    """What writes bodies: to a terminal with nothing in them that a terminal would obey."""
    if not out.is_terminal:
        return out.write
    from pcapflow.terminal_text import plain_lines

    return lambda data: out.write(plain_lines(str(data, "utf-8", "replace").replace("\r\n", "\n")).encode())
