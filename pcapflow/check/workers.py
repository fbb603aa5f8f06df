"""Verdicts on many captures, some at a time, each in a process of its own.

Contract: `verdicts_of` gives them in the order of the jobs. Invariant: a process that is killed costs its own capture alone, and no more verdicts wait than
_AHEAD for each process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from typing import Any

from pcapflow.capture.interrupt import held_back
from pcapflow.check.checking import check as check_one
from pcapflow.check.checking import in_a_worker
from pcapflow.check.verdicts import Job, Verdict, interrupted, lost
from pcapflow.errors import INTERRUPTED
from pcapflow.process_memory import address_limit

_GRACE = 0.5
"""Seconds for a process to go, more than it takes to look whether it should."""
_AHEAD = 4
"""Captures a worker that are given out before the one that is waited for: what is done of them waits too."""


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def verdicts_of(work: list[Job], jobs: int) -> Iterator[Verdict]:
    """In the order of the command line, whichever is done first, so many at one time. After Ctrl-C those that are left are `interrupted`."""
    # a pool has threads, each of which takes addresses: where these are few it may wait for ever for one that could not be started
    workers = min(jobs, len(work)) if address_limit() is None else 1
    given = map(check_one, work) if workers <= 1 else _in_processes(work, workers)
    stopped = False
    done = 0
    try:
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


def _in_processes(work: list[Job], workers: int) -> Iterator[Verdict]:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()

    def submit(to: ProcessPoolExecutor, job: Job) -> Future[Verdict]:
        # Ctrl-C is for this process: in one that is just being loaded it would end in a traceback
        with held_back(signal.SIGINT):
            return to.submit(check_one, job)

    def pool(n: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(n, mp_context=context, initializer=in_a_worker, initargs=(stop,))

    together = pool(workers)
    futures: dict[int, Future[Verdict]] = {}
    """Of captures whose verdict is not given yet."""
    try:
        given = iter(enumerate(work))
        for index, job in enumerate(work):
            with suppress(BrokenProcessPool, RuntimeError):  # or no thread can be started
                for ahead, one in islice(given, _AHEAD * workers - len(futures)):
                    futures[ahead] = submit(together, one)
            try:
                verdict = futures.pop(index).result() if index in futures else None
            except BrokenProcessPool:
                verdict = None
            if verdict is None:
                # a process that is killed takes the pool with it: each of the others gets a process of its own
                try:
                    with pool(1) as alone:
                        verdict = submit(alone, job).result()
                except (BrokenProcessPool, RuntimeError):
                    verdict = lost(job)
            yield verdict
    except KeyboardInterrupt:
        stop.set()
        _end(multiprocessing.active_children())
        raise
    finally:
        together.shutdown(wait=True, cancel_futures=True)


def _end(processes: list[Any]) -> None:
    """Those that were told to go do so soon; one that is still being loaded would find its parent gone, and say so."""
    for process in processes:
        process.join(_GRACE)
        if process.is_alive():
            process.kill()
            process.join()
