"""A run on a cluster: its options, and what is refused there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from pcapflow.errors import UsageError
from pcapflow.limits import Limits

if TYPE_CHECKING:
    from pcapflow.entries import Kinds
    from pcapflow.pipeline import Options, Result
    from pcapflow.report.sinks.base import Sink

_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--cluster", metavar="ADDRESS", default=None, help="Share the work among the workers of a scheduler of Dask's, such as tcp://host:8786 (pcapflow[dask])."),
    click.option("--shards", type=click.IntRange(1, 1024), default=None, help="With --cluster: tasks that the work is divided into.  [default: the workers' threads]"),
    click.option("--spill", metavar="URL", default=None, help="With --cluster: where workers put records that are too many for results, such as s3://bucket/tmp; removed behind it."),
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
        self.spill: str = given["spill"] or ""
        if self.address is None:
            for name in ("shards", "spill"):
                if given[name] is not None:
                    raise UsageError(f"--{name} goes with --cluster")
            return
        for name, why in (
            ("html", "the page shows packets, which only the workers see"),
            ("process_limit", "a worker's memory is for its own options (dask worker --memory-limit)"),
        ):
            if given[name] is not None:
                raise UsageError(f"--{name.replace('_', '-')} does not go with --cluster: {why}")
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

        assert self.address is not None
        with dask_executor(self.address) as cluster, _shown(quiet=quiet) as progress:
            shards = self.shards or cluster.threads
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
