"""Many tasks, some at a time, each in a process of ours.

Contract: `results` gives what came of the tasks, in their order. Invariant: a process that is killed costs its own task alone; no more results wait than _AHEAD for each process; none of the processes is left
when the generator is closed. Where none can be started, this one does the work.
"""

from __future__ import annotations

import pickle
import selectors
import signal
from collections.abc import Callable, Generator, Sequence
from typing import Generic, NamedTuple, TypeVar

from pcapflow.capture.interrupt import held_back
from pcapflow.workers.link import TASK
from pcapflow.workers.process import Process

T = TypeVar("T")
R = TypeVar("R")
_THEN = "from pcapflow.workers import tasks; from {module} import {name} as do; tasks.main(do)"
_AHEAD = 4
"""Tasks a process that are given out before the one that is waited for: what is done of them waits too."""


class Kind(NamedTuple, Generic[T, R]):
    """What is done with tasks."""

    do: Callable[[T], R]
    """A function of a module, which a process can import."""
    lost: Callable[[T], R]
    """What came of one whose process was killed, and killed again."""
    clean_up: Callable[[T], object]
    """What a killed process had under way is removed."""


def results(kind: Kind[T, R], work: Sequence[T], workers: int) -> Generator[R, None, None]:
    """In order, whichever is done first."""
    pool = _Pool(kind, work, workers)
    try:
        for index in range(len(work)):
            yield pool.result(index)
    finally:
        pool.close()


class _Pool(Generic[T, R]):
    """Processes, and what each is asked."""

    def __init__(self, kind: Kind[T, R], work: Sequence[T], most: int) -> None:
        self._kind = kind
        self._work = work
        self._most = most
        self._next = 0
        self._again: list[int] = []
        """Tasks whose process was killed once."""
        self._tried: set[int] = set()
        """The same, those that were given out again too."""
        self._ready: dict[int, R] = {}
        self._idle: list[Process] = []
        self._asked: dict[Process, int] = {}
        self._selector = selectors.DefaultSelector()

    def result(self, index: int) -> R:
        """That of one task; asked in order."""
        while index not in self._ready:
            self._give_out(index)
            if self._asked:
                self._wait()
            elif index not in self._ready:
                self._next = max(self._next, index + 1)
                return self._kind.do(self._work[index])
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
        do = self._kind.do
        with held_back(signal.SIGINT, signal.SIGTERM):  # until it is known to be there
            process = Process(_THEN.format(module=do.__module__, name=do.__name__))
            self._idle.append(process)
        self._selector.register(process.answers, selectors.EVENT_READ, process)

    def _nobody_for(self, index: int) -> None:
        """A task whose process was killed: memory may be short. Those that are left are done one at a time, this one again; twice is enough."""
        self._most = 1
        if index in self._tried:
            self._ready[index] = self._kind.lost(self._work[index])
        else:
            self._tried.add(index)
            self._again.append(index)

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
            self._kind.clean_up(self._work[index])
            self._nobody_for(index)

    def close(self) -> None:
        """No process is left, and nothing that one had under way."""
        self._selector.close()
        for process in [*self._idle, *self._asked]:
            process.end()
        for index in self._asked.values():
            self._kind.clean_up(self._work[index])
