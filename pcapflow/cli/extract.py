"""`pcapflow extract`: the JSON values at a prefix, one a line."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from pcapflow.body_options import Looking
from pcapflow.capture.interrupt import Ending
from pcapflow.cli import errors
from pcapflow.cli.help import Command, capture_arguments
from pcapflow.cli.options import finish, run_options, settings, where_option, workers_option
from pcapflow.cli.output import Output, open_output, refuse_overwriting
from pcapflow.cli.sinks import refuse_one_place_twice

if TYPE_CHECKING:
    from pcapflow.report.sinks.values import NothingFound

_NEAREST = 3
_LARGE = 64 << 10
"""Bytes of a value that is written by itself."""
_EXAMPLES = """\b
Examples:
  pcapflow extract 'items[].id' trace.pcap
  pcapflow extract '' trace.pcap --where status=5xx --with-source
  pcapflow extract 'domains.*.serial' trace.pcap
  pcapflow extract '..id' trace.pcap
  pcapflow extract '[]' --where 'path=/v1/*' trace.pcap | jq -s length
"""


class _Extract(Command):
    """Takes a path before the captures, which is easily forgotten."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Says so where the only argument is a capture."""
        try:
            return super().parse_args(ctx, args)
        except click.MissingParameter as e:
            only = str(ctx.params.get("path", ""))
            if e.param is not None and e.param.name == "captures" and Path(only).exists():
                raise click.UsageError(
                    f"PATH is missing: write it before the capture, as in pcapflow extract 'items[].id' {quote(only)}", ctx
                ) from None
            raise


@click.command(cls=_Extract, epilog=_EXAMPLES, short_help="Extract JSON values from bodies.")
@click.argument("path")
@capture_arguments()
@where_option("Search only bodies of exchanges that match all conditions")
@click.option("--with-source", is_flag=True, help="Wrap each value in an object that gives its source.")
@click.option(
    "--drops",
    metavar="FILE",
    type=click.Path(),
    default=None,
    help="Write records of left-out values and of incomplete or invalid bodies to FILE, instead of a line for each to standard error.",
)
@click.option("--sniff-json", is_flag=True, help="Also look for JSON in bodies with another Content-Type, or none.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    default=None,
    help="Write the values to FILE, created only when the output is complete.",
)
@workers_option
@run_options
def extract(
    path: str,
    captures: tuple[str, ...],
    *,
    where: str,
    with_source: bool,
    drops: str | None,
    sniff_json: bool,
    output: str | None,
    **run: Any,
) -> None:
    """Print the JSON values at PATH in the bodies and streams of CAPTURE..., one per line, as they were sent.

    PATH uses jq syntax: keys separated by dots, `[]` or `*` for every element or value, `[0]` for one element, `..id` for a key at any depth. '' selects whole documents;
    unusual keys are quoted. An ijson prefix, with `item` for an element, also works. Numbers are not rounded. A value over its size limit is omitted and reported on standard
    error.
    """
    from pcapflow import pipeline
    from pcapflow.cli.progress import progress_bar
    from pcapflow.conditions import Conditions
    from pcapflow.findings.extract import SEARCHED, VALUE, Extraction
    from pcapflow.report.sinks.values import NothingFound, ValueLines

    refuse_one_place_twice({"the output": output or "-", "--drops": drops})
    refuse_overwriting(captures, {"-o": output or "-", "--drops": drops})
    extraction = Extraction(path, Conditions.parse(where), with_source=with_source)
    bounds, options = settings({**run, "where": where}, Looking(sniff=sniff_json))
    with Ending() as ending, ExitStack() as stack:
        out = stack.enter_context(open_output(output))
        others = stack.enter_context(open_output(drops)) if drops is not None else None
        progress = stack.enter_context(progress_bar(enabled=not run["quiet"]))
        values, nothing = ValueLines(VALUE, _lines_to(out), _lines_to(others)), NothingFound(SEARCHED)
        result = pipeline.run(
            captures,
            bounds,
            options,
            flush=out.flush,
            progress=progress,
            sinks=[values, nothing],
            listeners=[extraction],
        )
        ending.begin()
    if not values.count:
        errors.say(_nothing(path, where, nothing))
    finish(result)


def _nothing(path: str, conditions: str, searched: NothingFound) -> str:
    """What to say where no value was found."""
    if not searched.bodies and conditions:
        return f"no value: no body that can be searched matches --where {conditions}"
    if not searched.bodies:
        return "no value: there is no JSON to search: no body has a JSON Content-Type, and no stream is JSON; --sniff-json looks in other bodies too"
    from pcapflow.terminal_text import counted

    one = searched.bodies == 1
    meant = f" that {'matches' if one else 'match'} --where {conditions}" if conditions else ""
    bodies = f"{counted(searched.bodies, 'body')}{meant} {'was' if one else 'were'}"
    from pcapflow.findings.extract import nearest_to

    near = nearest_to(path, searched.elsewhere, _NEAREST)
    where = "".join(f"; {other} has {count:,} value{'' if count == 1 else 's'}" for other, count in near)
    return f"no value: {bodies} searched, none has {path or '.'}{where}"


def _words(line: bytes) -> str:
    """What a record says of a value that is left out, or of a body that did not end well."""
    from pcapflow.contents import invalid_json
    from pcapflow.records import Drop, Json, decode

    record = decode(line)
    assert isinstance(record, Drop | Json)
    whose = f"connection {record.connection}, {record.stream}"
    if isinstance(record, Drop):
        limit = f", {record.limit.name} {record.limit.value:,}" if record.limit is not None else ""
        return f"{whose}: {record.reason} at byte {record.stream_offset:,} of the stream (packet {record.packet}{limit}): {record.detail}"
    if record.exchange is not None:
        whose = f"connection {record.connection}, exchange {record.exchange}, {'request' if record.stream == 'client' else 'response'}"
    if record.status == "invalid" and record.error is not None:
        return f"{whose}: {invalid_json(record.error)}"
    return f"{whose}: {record.status}{f' ({record.drop_reason})' if record.drop_reason else ''}; {record.bytes:,} bytes of it were read"


def _lines_to(out: Output | None) -> Any:
    """A writer of lines; to standard error where out is None."""
    to = out.json() if out is not None else None

    def write(lines: list[bytes]) -> None:
        if to is not None:
            small = [line for line in lines if len(line) <= _LARGE] if any(len(line) > _LARGE for line in lines) else lines
            if len(small) == len(lines):
                to(b"\n".join((*lines, b"")))
                return
            for line in lines:
                to(line)
                to(b"\n")
        else:
            for line in lines:
                errors.say(f"warning: {_words(line)}")

    return write
