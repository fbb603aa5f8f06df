"""`pcapflow analyze`: one trace in, one report out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from pcapflow.capture.interrupt import Ending
from pcapflow.cli import errors
from pcapflow.cli.cluster import Cluster, cluster_options
from pcapflow.cli.help import Command, capture_arguments
from pcapflow.cli.options import finish, looking, looking_options, run_options, settings, where_option, workers_option
from pcapflow.cli.output import Output, ReaderLeft, open_output
from pcapflow.cli.sinks import load_sinks, open_sinks, refuse_clashes, sink_options
from pcapflow.cli.values import SECTIONS, RecordTypes, Sections
from pcapflow.limits import Limits
from pcapflow.process_memory import loading

if TYPE_CHECKING:
    from pcapflow.entries import Kinds
    from pcapflow.pipeline import Options, Result
    from pcapflow.report.sinks.base import Sink

_EXAMPLES = """\b
Examples:
  pcapflow analyze trace.pcap
  pcapflow analyze --json trace.pcap | jq .tcp.gaps_by_cause
  pcapflow analyze --ndjson trace.pcap | jq -c 'select(.record == "drop")'
  ssh host tcpdump -w - port 8080 | pcapflow analyze -
"""


@click.command(cls=Command, epilog=_EXAMPLES, short_help="Report what was sent, what is missing, and why.")
@capture_arguments()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document instead of the terminal summary.")
@click.option("--ndjson", is_flag=True, help="Write one JSON record per line while the capture is read.")
@click.option(
    "--records",
    "kinds",
    type=RecordTypes(),
    default=None,
    help="Write only records of these types: http, connection, json, gap, drop, conflict, plugin or plugin.NAME. `json` includes a record of each JSON body in an HTTP exchange; without it, such a body is only in its `http` record.",
)
@where_option(
    "Write only records of HTTP exchanges that match all conditions (with --json, --ndjson, --har, --html, --parquet, --sqlite or --postgres); the counts still cover everything"
)
@click.option("--no-records", is_flag=True, help="With --json: omit the records array.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    default=None,
    help="Write the report to FILE, created only when the report is complete.",
)
@click.option("--top", type=click.IntRange(1), default=None, help="Rows to show in the problem and slow-endpoint tables.  [default: 8]")
@click.option(
    "--section", "sections", type=Sections(), default=None, help=f"Show only these sections of the summary: {', '.join(SECTIONS)}."
)
@click.option("--memory", is_flag=True, help="Show the high-water mark of every memory account, even those far below their limits.")
@sink_options
@looking_options
@workers_option
@cluster_options
@run_options
def analyze(
    captures: tuple[str, ...],
    *,
    as_json: bool,
    ndjson: bool,
    kinds: frozenset[str] | None,
    where: str,
    no_records: bool,
    output: str | None,
    top: int | None,
    sections: tuple[str, ...] | None,
    memory: bool,
    **run: Any,
) -> None:
    """Reassemble the TCP streams in CAPTURE... and report what was sent, what is missing, and why.

    Several captures form one trace, ordered by their first packets. A directory means all captures in it; `-` is standard input.
    """
    if as_json and ndjson:
        raise click.UsageError("--json and --ndjson exclude each other")
    if no_records and not as_json:
        raise click.UsageError("--no-records requires --json")
    if kinds is not None and (no_records or not (as_json or ndjson or run["separate"])):
        raise click.UsageError("--records requires --json or --ndjson, and excludes --no-records")
    if (as_json or ndjson) and (top is not None or sections is not None or memory):
        raise click.UsageError("--top, --section and --memory apply to the summary, not to --json or --ndjson")
    if where and not (as_json or ndjson or any(run.get(sink) for sink in ("har", "html", "parquet", "sqlite", "postgres"))):
        raise click.UsageError("--where requires --json, --ndjson, --har, --html, --parquet, --sqlite or --postgres")
    if where and kinds is not None and kinds != {"http"}:
        raise click.UsageError("--where: --records accepts only http with it")
    kinds = frozenset(("http",)) if where else kinds
    run["where"] = where
    cluster = Cluster(
        {**run, "output": output, "as_json": as_json, "no_records": no_records, "top": top, "sections": sections, "memory": memory}
    )
    if cluster.separate:
        load_sinks(run)  # says what is not installed
        raise errors.Finished(
            errors.first_of(cluster.run_separately(captures, *settings(run, looking(run)), kinds, {**run, "output": output}))
        )
    refuse_clashes(captures, output, run)
    bounds, options = settings(run, looking(run))
    loaded = load_sinks(run)
    with loading():
        _import_all(to_terminal=not (as_json or ndjson))
    with Ending() as ending, ExitStack() as stack:
        out = stack.enter_context(open_output(output))
        job = _Job(captures, bounds, options, out, open_sinks(loaded, bounds, stack, run), ending, kinds, cluster, quiet=run["quiet"])
        try:
            if ndjson:
                result = _ndjson(job)
            elif as_json:
                result = _document(job, records=not no_records)
            else:
                result = _summary(job, {"top": top, "sections": sections, "memory": memory}, to_file=output is not None)
        except ReaderLeft:
            if job.beside:
                errors.say("standard output was closed before the end: the other outputs are not written")
            raise
    finish(result)


def _import_all(*, to_terminal: bool) -> None:
    """What the run needs, before a file is opened: a signal during an import ends the process at once."""
    from pcapflow import pipeline  # noqa: F401
    from pcapflow.cli import progress  # noqa: F401
    from pcapflow.report import documents  # noqa: F401

    if to_terminal:
        from pcapflow.report import terminal  # noqa: F401


class _Job:
    """What to analyze, how, and where the report goes."""

    def __init__(
        self,
        captures: tuple[str, ...],
        bounds: Limits,
        options: Options,
        out: Output,
        beside: list[Sink],
        ending: Ending,
        kinds: Kinds,
        cluster: Cluster,
        *,
        quiet: bool,
    ) -> None:
        self.captures = captures
        self.bounds = bounds
        self.options = options
        self.out = out
        self.beside = beside
        self.ending = ending
        self.kinds = kinds
        self.cluster = cluster
        self.quiet = quiet

    def run(self, write: Any, separator: bytes | None = None) -> Result:
        """write, separator: see `pipeline.run`."""
        if self.cluster.address is not None:
            result = self.cluster.run(
                self.captures,
                self.bounds,
                self.options,
                write=write,
                kinds=self.kinds,
                sinks=self.beside,
                separator=separator,
                quiet=self.quiet,
            )
            self.ending.begin()
            return result
        from pcapflow import pipeline
        from pcapflow.cli.progress import progress_bar

        with progress_bar(enabled=not self.quiet) as progress:
            result = pipeline.run(
                self.captures,
                self.bounds,
                self.options,
                write=write,
                kinds=self.kinds,
                flush=self.out.flush,
                progress=progress,
                sinks=self.beside,
                separator=separator,
            )
        self.ending.begin()
        return result


def _ndjson(job: _Job) -> Result:
    import msgspec

    from pcapflow.report.documents import NdjsonWriter

    writer = NdjsonWriter(job.out.json())
    result = job.run(writer.records, writer.separator)
    writer.records([msgspec.json.encode(result.summary)])
    return result


def _document(job: _Job, *, records: bool) -> Result:
    from pcapflow.report.documents import DocumentWriter

    writer = DocumentWriter(job.out.json(), with_records=records)
    result = job.run(writer.records if records else None, writer.separator)
    writer.summary(result.summary)
    return result


def _summary(job: _Job, shown: dict[str, Any], *, to_file: bool) -> Result:
    result = job.run(None)
    from pcapflow.report.terminal import Shown, render

    what = Shown(**{name: value for name, value in shown.items() if value is not None})
    job.out.write(render(result.summary, color=False if to_file else None, shown=what).encode("utf-8", "replace"))
    return result
