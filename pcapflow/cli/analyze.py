"""`pcapflow analyze`: one trace in, one report out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pcapflow.cli import errors
from pcapflow.cli.output import Output, open_output
from pcapflow.cli.values import Duration, Moment, Simulated, Size, show_size
from pcapflow.limits import MIB, Limits
from pcapflow.policy import Policy
from pcapflow.process import FIXED_BYTES, container_limit

if TYPE_CHECKING:
    from pcapflow.pipeline import Options, Result

_DEFAULTS = Limits()
_LEAST_MEMORY = 8 * MIB
"""Below this a block and its columns leave little for anything else."""
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
@_limit("--ring-ranges", "ring_ranges", click.IntRange(1), "Disjoint ranges that one stream holds behind its holes.")
@_limit("--max-connections", "max_connections", click.IntRange(1), "Connections tracked at one time.")
@_limit("--gap-timeout", "gap_timeout", Duration(), "Capture time that data waits behind a hole.")
@_limit("--idle-timeout", "idle_timeout", Duration(), "Silence after which a connection is over.")
@_limit("--block-size", "block_size", Size(), "Bytes read at one time; changes nothing but memory and speed.")
@click.option("--overload", type=click.Choice(["gap", "drop"]), default="gap", show_default=True,
              help="Over budget: give up a stream's oldest hole, or the stream.")  # fmt: skip
@click.option("--overlap", type=click.Choice([policy.value for policy in Policy]), default=Policy.FIRST.value, show_default=True,
              help="Whose copy is kept where segments behind a hole overlap with other bytes.")  # fmt: skip
@click.option("--filter", "expression", metavar="EXPRESSION", default=None, help="Only segments that match: 'host 10.0.0.1 and port 80' (docs/captures.md).")
@click.option("--from", "begin", type=Moment(), default=None, help="Only segments captured at that time or later: 2026-11-24T12:00:00Z, or seconds.")
@click.option("--to", "end", type=Moment(), default=None, help="Only segments captured before that time.")
@click.option("--packets", type=click.IntRange(1), default=None, help="Read no more than that many packets.")
@click.option("--verify-checksums", is_flag=True, help="Drop segments whose TCP checksum is wrong.")
@click.option("--sniff-json", is_flag=True, help="Look for JSON in bodies too that say they are something else, or nothing.")
@click.option("--hash-bodies", is_flag=True, help="Give the SHA-256 of every body that came whole.")
@click.option("--duplicate-keys", is_flag=True, help="Count keys that their JSON object had already.")
@click.option("--tunnels", type=click.Choice(["on", "off"]), default="on", show_default=True, help="Open tunnels, or leave them as packets of the outer protocol.")
@click.option("--process-limit", type=Size(), default=None, help="Hard limit on the process's memory: beyond it, the report so far and status 71.")
@click.option("--simulate", type=Simulated(), multiple=True, hidden=True, help="ACCOUNT=N: refuse its Nth reservation; process=N: no memory at block N.")
def analyze(
    captures: tuple[str, ...],
    *,
    as_json: bool,
    ndjson: bool,
    no_records: bool,
    output: str | None,
    quiet: bool,
    memory_limit: int | None,
    overload: str,
    overlap: str,
    tunnels: str,
    expression: str | None,
    begin: int | None,
    end: int | None,
    packets: int | None,
    verify_checksums: bool,
    sniff_json: bool,
    hash_bodies: bool,
    duplicate_keys: bool,
    process_limit: int | None,
    simulate: tuple[tuple[str, int], ...],
    **limits: int | None,
) -> None:
    """Reassemble the TCP streams of CAPTURE... and report what was said, what was lost, and why.

    Several captures are one trace, in the order of their first packets; a directory stands for those in it. `-` is standard input.
    """
    if as_json and ndjson:
        raise click.UsageError("--json and --ndjson exclude each other")
    if no_records and not as_json:
        raise click.UsageError("--no-records goes with --json")
    bounds = replace(
        _DEFAULTS.with_memory(memory_limit or _DEFAULTS.memory_limit), **{name: value for name, value in limits.items() if value is not None}
    )
    _say_what_does_not_fit(bounds, process_limit)
    from pcapflow import pipeline
    from pcapflow.looking import Looking

    options = pipeline.Options(
        looking=Looking(sniff=sniff_json, hashes=hash_bodies, duplicate_keys=duplicate_keys),
        drop_streams=overload == "drop",
        overlap=Policy(overlap),
        tunnels=tunnels == "on",
        filter=expression,
        begin=begin,
        end=end,
        verify_checksums=verify_checksums,
        packets=packets,
        process_limit=process_limit,
        simulate=dict(simulate),
    )
    with open_output(output) as out:
        job = _Job(captures, bounds, options, out, quiet=quiet)
        if ndjson:
            result = _ndjson(job)
        elif as_json:
            result = _document(job, records=not no_records)
        else:
            result = _summary(job, to_file=output is not None)
    _finish(result)


@dataclass(frozen=True)
class _Job:
    """What to analyse, how, and where the report goes."""

    captures: tuple[str, ...]
    bounds: Limits
    options: Options
    out: Output
    quiet: bool

    def run(self, write: Any) -> Result:
        from pcapflow import pipeline
        from pcapflow.cli.progress import progress_bar

        with progress_bar(enabled=not self.quiet) as progress:
            return pipeline.run(self.captures, self.bounds, self.options, write=write, flush=self.out.flush, progress=progress)


def _ndjson(job: _Job) -> Result:
    import msgspec

    from pcapflow.report.documents import NdjsonWriter

    writer = NdjsonWriter(job.out.write)
    result = job.run(writer.records)
    writer.records([msgspec.json.encode(result.summary)])
    return result


def _document(job: _Job, *, records: bool) -> Result:
    from pcapflow.report.documents import DocumentWriter

    writer = DocumentWriter(job.out.write, with_records=records)
    result = job.run(writer.records if records else None)
    writer.summary(result.summary)
    return result


def _summary(job: _Job, *, to_file: bool) -> Result:
    result = job.run(None)
    from pcapflow.report.terminal import render

    job.out.write(render(result.summary, color=False if to_file else None).encode("utf-8", "replace"))
    return result


def _say_what_does_not_fit(bounds: Limits, process_limit: int | None) -> None:
    """A memory limit that the container or --process-limit cannot hold is said at the start, not found out at the end."""
    wanted = bounds.memory_limit + FIXED_BYTES
    for name, most in (("the container's limit", container_limit()), ("--process-limit", process_limit)):
        if most is None or wanted <= most:
            continue
        room = (most - FIXED_BYTES) // MIB * MIB
        way = f"give --memory-limit {show_size(room)} or less"
        if room < _LEAST_MEMORY:
            way = f"whatever --memory-limit is, a run may need {show_size(FIXED_BYTES + _LEAST_MEMORY)} there"
        errors.say(
            f"warning: --memory-limit {show_size(bounds.memory_limit)} and about {show_size(FIXED_BYTES)} for the program itself do not fit in "
            f"{name} of {show_size(most)}; {way}"
        )


def _finish(result: Result) -> None:
    """Warnings to standard error, and the first exit status that holds."""
    for warning in result.warnings:
        errors.say(f"warning: {warning}")
    unbalanced = result.account_error()
    if unbalanced is not None:
        raise unbalanced
    if result.out_of_memory:
        errors.say("out of memory: the report covers what was read before")
    if result.nothing_decoded:
        raise errors.Finished(errors.NOT_A_CAPTURE)
    if result.summary.interrupted:
        raise errors.Finished(errors.INTERRUPTED)
    if result.out_of_memory:
        raise errors.Finished(errors.OUT_OF_MEMORY)
    if result.damaged:
        raise errors.Finished(errors.DAMAGED)
