"""A run on a cluster: its options, and what is refused there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from pcapflow.cli import errors
from pcapflow.cli.memory import fitting_processes
from pcapflow.cli.output import open_output, refuse_overwriting
from pcapflow.errors import UsageError
from pcapflow.files import is_url
from pcapflow.limits import Limits
from pcapflow.process_memory import address_limit
from pcapflow.terminal_text import counted

if TYPE_CHECKING:
    from pcapflow.cluster.report_a_capture import Outcome, Separate
    from pcapflow.entries import Kinds
    from pcapflow.pipeline import Options, Result
    from pcapflow.report.sinks.base import Sink

T = TypeVar("T")
_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--cluster", metavar="ADDRESS", default=None, help="Distribute the work over the workers of a Dask scheduler, such as tcp://host:8786 (pcapflow[dask])."),
    click.option("--shards", type=click.IntRange(1, 1024), default=None, help="With --cluster: number of tasks to divide the work into.  [default: the workers' threads]"),
    click.option("--separate", is_flag=True, help="Write one report per capture to the folder or URL given by -o (NAME.ndjson) and --parquet (NAME/*.parquet); captures are processed in parallel."),
    click.option("--spill", metavar="URL", default=None, help="With --cluster: where workers store records when there are too many to return as results, such as s3://bucket/tmp; removed at the end."),
)  # fmt: skip


def cluster_options(command: _Command) -> _Command:
    """Adds them to a command."""
    found: Any = command
    for option in reversed(_OPTIONS):
        found = option(found)
    return cast("_Command", found)


class Cluster:
    """What those options say."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Raises `UsageError` for options that do not go together."""
        self.address: str | None = given["cluster"]
        self.shards: int | None = given["shards"]
        self.spill: str = absolute(given["spill"] or "")
        self.separate: bool = given["separate"]
        self._workers: int | None = given["workers"]
        if self.separate:
            _refuse_with_separate(given)
        if self.address is None:
            for name in ("shards", "spill"):
                if given[name] is not None:
                    raise UsageError(f"--{name} requires --cluster")
            return
        for name, why in (
            ("html", "the page shows packets, which only the workers see"),
            ("process_limit", "a worker's memory is for its own options (dask worker --memory-limit)"),
            ("simulate", "nothing is refused on purpose there"),
        ):
            if given[name] not in (None, ()):
                raise UsageError(f"--{name.replace('_', '-')} cannot be used with --cluster: {why}")
        if given["workers"] is not None:
            raise UsageError("--workers is for this machine; with --cluster it is --shards")

    def run(
        self,
        captures: Sequence[str],
        bounds: Limits,
        options: Options,
        *,
        write: Any,
        kinds: Kinds,
        sinks: Sequence[Sink],
        separator: bytes | None,
        quiet: bool,
    ) -> Result:
        """See `pipeline.run`."""
        from pcapflow.cluster.executing import analyze_on, dask_executor
        from pcapflow.cluster.tasks import MOST

        assert self.address is not None
        with dask_executor(self.address) as cluster, _shown(quiet=quiet) as progress:
            shards = self.shards or min(cluster.threads, MOST)
            return analyze_on(
                cluster.executor,
                captures,
                shards,
                bounds,
                options,
                write=write,
                kinds=kinds,
                sinks=sinks,
                separator=separator,
                spill=self.spill,
                progress=progress,
            )

    def run_separately(self, captures: Sequence[str], bounds: Limits, options: Options, kinds: Kinds, given: Mapping[str, Any]) -> set[int]:
        """One report a capture. given: where they go. Returns the statuses."""
        from pcapflow.cluster import report_a_capture

        tasks = report_a_capture.plan(captures, bounds, options, kinds, absolute(given["output"] or ""), absolute(given["parquet"] or ""))
        refuse_overwriting(
            [task.path for task in tasks], {f"-o {task.ndjson}:": task.ndjson for task in tasks if task.ndjson and not is_url(task.ndjson)}
        )
        statuses: set[int] = set()
        with ExitStack() as stack:
            out = stack.enter_context(open_output(None))
            for outcome in self._outcomes(tasks, stack):
                statuses.add(outcome.status)
                for warning in outcome.warnings:
                    errors.say(f"warning: {warning}")
                if outcome.said:
                    errors.say(outcome.said)
                else:
                    out.write(_line(outcome).encode("utf-8", "replace"))
                    out.flush()
        return statuses

    def _outcomes(self, tasks: list[Separate], stack: ExitStack) -> Iterator[Outcome]:
        """In the order of the tasks."""
        from pcapflow.cluster import report_a_capture

        if self.address is not None:
            from pcapflow.cluster.executing import dask_executor, done

            executor = stack.enter_context(dask_executor(self.address)).executor
            yield from in_order(done(executor, report_a_capture.analyze_one, tasks, lambda task: task.path, report_a_capture.failed))
            return
        from pcapflow.processors import processors
        from pcapflow.workers.pool import Kind, results

        workers = (
            1
            if address_limit() is not None
            else min(self._workers or min(processors(), fitting_processes(tasks[0].limits.memory_limit) or len(tasks)), len(tasks))
        )
        kind = Kind(report_a_capture.analyze_one, report_a_capture.lost, report_a_capture.clean_up_after)
        if workers == 1:
            yield from map(report_a_capture.analyze_one, tasks)
        else:
            yield from stack.enter_context(closing(results(kind, tasks, workers)))


def in_order(some: Iterable[tuple[int, T]]) -> Iterator[T]:
    """What comes with its place, from 0 on, in any order."""
    waiting: dict[int, T] = {}
    n = 0
    for place, one in some:
        waiting[place] = one
        while n in waiting:
            yield waiting.pop(n)
            n += 1


def absolute(path: str) -> str:
    """A path that means the same in other folders; a URL, and nothing, as it is."""
    return path if not path or is_url(path) else os.path.abspath(path)  # noqa: PTH100 - a path that ends with a slash, or is none


def _refuse_with_separate(given: Mapping[str, Any]) -> None:
    if given["output"] == "-" or given["parquet"] == "-":
        raise UsageError("--separate writes a file for each capture: give a folder or a URL, not standard output")
    if not (given["output"] or given["parquet"]) or "" in (given["output"], given["parquet"]):
        raise UsageError("--separate needs a place for the reports: -o DIR, --parquet DIR, or both")
    for name in (
        "as_json",
        "html",
        "har",
        "sqlite",
        "postgres",
        "prometheus",
        "shards",
        "spill",
        "top",
        "sections",
        "memory",
        "no_records",
    ):
        if given[name] not in (None, False):
            raise UsageError(
                f"--{name.removeprefix('as_').replace('_', '-')} cannot be used with --separate, which writes a report of NDJSON, or tables, for each capture"
            )


def _line(outcome: Outcome) -> str:
    counts = ((outcome.packets, "packet"), (outcome.connections, "connection"), (outcome.requests, "request"), (outcome.drops, "drop"))
    said = ", ".join(counted(n, what) for n, what in counts)
    result = {0: "ok", errors.DAMAGED: "damaged"}.get(outcome.status, "unread")  # of a link type that is not supported
    return f"{result:8}{outcome.path}: {said}\n"


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """How many shards are done, where somebody looks."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("shards"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
