"""Verdicts on many captures, some at a time, each in a process of its own.

Contract: `verdicts_of` gives them in the order of the jobs. Invariant: a process that is killed costs its own capture alone, and leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import closing

from pcapflow.check.checking import check, folder_of
from pcapflow.check.verdicts import Job, Verdict, interrupted, lost
from pcapflow.errors import INTERRUPTED
from pcapflow.files import remove_what_is_left
from pcapflow.process_memory import address_limit
from pcapflow.workers.pool import Kind, results


def _clean_up_after(job: Job) -> None:
    remove_what_is_left(folder_of(job) or tempfile.gettempdir())


_CHECKS = Kind(check, lost, _clean_up_after)


def verdicts_of(work: list[Job], jobs: int) -> Generator[Verdict, None, None]:
    """In the order of the command line, whichever is done first, so many at one time. After Ctrl-C those that are left are `interrupted`."""
    workers = min(jobs, len(work)) if address_limit() is None else 1
    given = (check(job) for job in work) if workers <= 1 else results(_CHECKS, work, workers)
    stopped = False
    done = 0
    try:
        with closing(given):
            for verdict in given:
                done += 1
                yield verdict
                if verdict.exit_status == INTERRUPTED:
                    stopped = True
                    break
    except KeyboardInterrupt:
        stopped = True
    if stopped:
        yield from map(interrupted, work[done:])
