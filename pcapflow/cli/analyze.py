"""`pcapflow analyze`: one trace in, one report out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pcapflow.cli import errors
from pcapflow.cli.output import Output, open_output
from pcapflow.cli.values import Duration, Size, show_size
from pcapflow.limits import Limits

if TYPE_CHECKING:
    from pcapflow.pipeline import Result

_DEFAULTS = Limits()
_EXAMPLES = """\b
Examples:
  pcapflow analyze trace.pcap
  pcapflow analyze --json trace.pcap | jq .tcp.gaps_by_cause
  pcapflow analyze --ndjson trace.pcap | jq -c 'select(.record == "drop")'
  ssh host tcpdump -w - port 8080 | pcapflow analyze -
"""


_Command = TypeVar("_Command", bound=Callable[..., Any])


def _limit(flag: str, name: str, kind: Any, text: str) -> Callable[[_Command], _Command]:
    default = getattr(_DEFAULTS, name)
    shown = show_size(default) if isinstance(kind, Size) else f"{default / 1e9:g}s" if isinstance(kind, Duration) else str(default)
    return click.option(flag, name, type=kind, default=None, help=f"{text}  [default: {shown}]")


@click.command(epilog=_EXAMPLES)
@click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of the summary for a terminal.")
@click.option("--ndjson", is_flag=True, help="One record a line, written while the capture is read.")
@click.option("--no-records", is_flag=True, help="With --json: leave the array of records out.")
@click.option("-o", "--output", metavar="FILE", default=None, help="Write the report to FILE, which appears when it is whole.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@_limit("--memory-limit", "memory_limit", Size(), "Bound on everything that is kept.")
@_limit("--ring-size", "ring_size", Size(), "Bound on what one stream holds behind its holes.")
@_limit("--max-connections", "max_connections", click.IntRange(1), "Connections tracked at one time.")
@_limit("--gap-timeout", "gap_timeout", Duration(), "Capture time that data waits behind a hole.")
@_limit("--idle-timeout", "idle_timeout", Duration(), "Silence after which a connection is over.")
@_limit("--block-size", "block_size", Size(), "Bytes read at one time; changes nothing but memory and speed.")
@click.option("--overload", type=click.Choice(["gap", "drop"]), default="gap", show_default=True,
              help="Over budget: give up a stream's oldest hole, or the stream.")  # fmt: skip
def analyze(
    captures: tuple[str, ...],
    *,
    as_json: bool,
    ndjson: bool,
    no_records: bool,
    output: str | None,
    quiet: bool,
    overload: str,
    **limits: int | None,
) -> None:
    """Reassemble the TCP streams of CAPTURE... and report what was said, what was lost, and why.

    Several captures are one trace, in the order given. `-` is standard input.
    """
    if as_json and ndjson:
        raise click.UsageError("--json and --ndjson exclude each other")
    if no_records and not as_json:
        raise click.UsageError("--no-records goes with --json")
    bounds = replace(_DEFAULTS, **{name: value for name, value in limits.items() if value is not None})
    drop_streams = overload == "drop"
    with open_output(output) as out:
        if ndjson:
            result = _ndjson(captures, bounds, out, quiet=quiet, drop_streams=drop_streams)
        elif as_json:
            result = _document(captures, bounds, out, records=not no_records, quiet=quiet, drop_streams=drop_streams)
        else:
            result = _summary(captures, bounds, out, to_file=output is not None, quiet=quiet, drop_streams=drop_streams)
    _finish(result)


def _ndjson(captures: tuple[str, ...], bounds: Limits, out: Output, *, quiet: bool, drop_streams: bool) -> Result:
    import msgspec

    from pcapflow.report.documents import NdjsonWriter

    writer = NdjsonWriter(out.write)
    result = _run(captures, bounds, writer.records, out, quiet=quiet, drop_streams=drop_streams)
    writer.records([msgspec.json.encode(result.summary)])
    return result


def _document(captures: tuple[str, ...], bounds: Limits, out: Output, *, records: bool, quiet: bool, drop_streams: bool) -> Result:
    from pcapflow.report.documents import DocumentWriter

    writer = DocumentWriter(out.write, with_records=records)
    result = _run(captures, bounds, writer.records if records else None, out, quiet=quiet, drop_streams=drop_streams)
    writer.summary(result.summary)
    return result


def _summary(captures: tuple[str, ...], bounds: Limits, out: Output, *, to_file: bool, quiet: bool, drop_streams: bool) -> Result:
    result = _run(captures, bounds, None, out, quiet=quiet, drop_streams=drop_streams)
    from pcapflow.report.terminal import render

    out.write(render(result.summary, color=False if to_file else None).encode("utf-8", "replace"))
    return result


def _run(captures: tuple[str, ...], bounds: Limits, write: Any, out: Output, *, quiet: bool, drop_streams: bool) -> Result:
    from pcapflow import pipeline
    from pcapflow.cli.progress import progress_bar

    with progress_bar(enabled=not quiet) as progress:
        return pipeline.run(
            captures, bounds, pipeline.Options(drop_streams=drop_streams), write=write, flush=out.flush, progress=progress
        )


def _finish(result: Result) -> None:
    """Warnings to standard error, and the first exit status that holds."""
    for warning in result.warnings:
        errors.say(f"warning: {warning}")
    unbalanced = result.account_error()
    if unbalanced is not None:
        raise unbalanced
    if result.nothing_decoded:
        raise errors.Finished(errors.NOT_A_CAPTURE)
    if result.summary.interrupted:
        raise errors.Finished(errors.INTERRUPTED)
    if result.damaged:
        raise errors.Finished(errors.DAMAGED)
