"""Verdicts on many captures, some at a time, each in a process of its own.

Contract: `verdicts_of` gives them in the order of the jobs. Invariant: a process that is killed costs its own capture alone, and leaves nothing behind; no more verdicts wait than
_AHEAD for each process; none is left when the generator is closed.
"""

from __future__ import annotations

import pickle
import selectors
import signal
import tempfile
from collections.abc import Generator
from contextlib import closing

from pcapflow.capture.interrupt import held_back
from pcapflow.check.checking import check as check_one
from pcapflow.check.checking import folder_of
from pcapflow.check.verdicts import Job, Verdict, interrupted, lost
from pcapflow.errors import INTERRUPTED
from pcapflow.files import remove_what_is_left
from pcapflow.process_memory import address_limit
from pcapflow.workers.link import TASK
from pcapflow.workers.process import Process

_THEN = "from pcapflow.check.worker import main; main()"
_AHEAD = 4
"""Captures a worker that are given out before the one that is waited for: what is done of them waits too."""


def verdicts_of(work: list[Job], jobs: int) -> Generator[Verdict, None, None]:
    """In the order of the command line, whichever is done first, so many at one time. After Ctrl-C those that are left are `interrupted`."""
    workers = min(jobs, len(work)) if address_limit() is None else 1
    given = (check_one(job) for job in work) if workers <= 1 else _in_processes(work, workers)
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


def _in_processes(work: list[Job], workers: int) -> Generator[Verdict, None, None]:
    pool = _Pool(work, workers)
    try:
        for index in range(len(work)):
            yield pool.verdict(index)
    finally:
        pool.close()


class _Pool:
    """Processes, and what each is asked."""

    def __init__(self, work: list[Job], most: int) -> None:
        self._work = work
        self._most = most
        self._next = 0
        self._again: list[int] = []
        """Captures whose process was killed while others ran."""
        self._ready: dict[int, Verdict] = {}
        self._idle: list[Process] = []
        self._asked: dict[Process, int] = {}
        self._selector = selectors.DefaultSelector()

    def verdict(self, index: int) -> Verdict:
        """That on one capture; asked in order."""
        while index not in self._ready:
            self._give_out(index)
            if self._asked:
                self._wait()
            elif index not in self._ready:
                self._next = max(self._next, index + 1)
                return check_one(self._work[index])
        return self._ready.pop(index)

    def _give_out(self, first: int) -> None:
        """As many as may be under way, of what is not too far ahead of the one that is waited for."""
        while len(self._asked) < self._most:
            ahead = self._next < min(len(self._work), first + _AHEAD * self._most)
            if not self._again and not ahead:
                return
            try:
                if not self._idle:
                    self._start()
            except OSError:
                self._most = len(self._asked)  # none at all: this process does it
                continue
            if self._again:
                index = self._again.pop()
            else:
                index = self._next
                self._next += 1
            process = self._idle.pop()
            self._asked[process] = index
            process.order(TASK, pickle.dumps(self._work[index], pickle.HIGHEST_PROTOCOL))

    def _start(self) -> None:
        with held_back(signal.SIGINT, signal.SIGTERM):  # until it is known to be there
            process = Process(_THEN)
            self._idle.append(process)
        self._selector.register(process.answers, selectors.EVENT_READ, process)

    def _nobody_for(self, index: int) -> None:
        """A capture whose process was killed: memory may be short. Those that are left are checked one at a time, this one again; twice is enough."""
        if self._most == 1:
            self._ready[index] = lost(self._work[index])
        else:
            self._again.append(index)
            self._most = 1

    def _wait(self) -> None:
        for key, _ in self._selector.select():
            process: Process = key.data
            process.inbox.fill()
            for told in process.inbox.messages():
                self._ready[self._asked.pop(process)] = pickle.loads(told.body)  # noqa: S301 - from a process of ours
                self._idle.append(process)
            if process.inbox.ended:
                self._leave(process)

    def _leave(self, process: Process) -> None:
        """It is gone."""
        self._selector.unregister(process.answers)
        process.end()
        if process in self._idle:
            self._idle.remove(process)
        index = self._asked.pop(process, None)
        if index is not None:
            _clean_up_after(self._work[index])
            self._nobody_for(index)

    def close(self) -> None:
        """No process is left, and nothing that one had under way."""
        self._selector.close()
        for process in [*self._idle, *self._asked]:
            process.end()
        for index in self._asked.values():
            _clean_up_after(self._work[index])


def _clean_up_after(job: Job) -> None:
    """What the process had under way that was killed at it."""
    remove_what_is_left(folder_of(job) or tempfile.gettempdir())
