"""The processes that share a run, as the one that started them sees them.

Contract: `Team` starts a process for each part but the first, which is its own; `advance` hands on what is in order of all that came, `stop` lets all end behind the same packet, `results` waits for
what they counted. Invariant: of each part at most `queue` bytes of entries wait for those of others, in memory that a worker shares with this process, or one step of entries that has no place there: then the part
waits itself. A worker that is gone before its result ends the run with `WorkerError`; on leaving the context no process is left.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from pcapflow.capture.interrupt import Interrupt, held_back
from pcapflow.entries import Entry
from pcapflow.errors import WorkerError
from pcapflow.shard import Partial
from pcapflow.workers.feed import Feed
from pcapflow.workers.frames import Frame, place_of
from pcapflow.workers.job import Job
from pcapflow.workers.link import (
    BYTES,
    ENTRIES,
    FAILED,
    GONE,
    LAST,
    PAUSE,
    PAUSED,
    PIECE,
    REACHED,
    READ,
    RESULT,
    SHARED,
    UNTIL,
    Message,
)
from pcapflow.workers.merge import BEYOND, Merge
from pcapflow.workers.process import Process
from pcapflow.workers.ring import filled, mapped, shared

_STEP = 256 << 10
_LOOKS = 0.5
"""Seconds between two looks at whether a second signal came, while others are waited for."""
_THEN = "from pcapflow.workers import worker; from pcapflow.pipeline import work; worker.main(work, {order})"


class _Worker(Process):
    """One process."""

    def __init__(self, job: Job, feed: Feed | None) -> None:
        """Raises OSError where it cannot be started."""
        self.number = job.part.number
        self.paused: int | None = None
        """Behind which packet it waits."""
        self.result: Partial | None = None
        self.failed: tuple[int, str] | None = None
        given = [shared(job.shared_bytes)] if job.takes else []
        try:
            self._memory = memoryview(mapped(given[0], job.shared_bytes)) if job.takes else memoryview(b"")
            job = job._replace(shared=given[0] if job.takes else -1, fed=feed.fd if feed is not None else -1)
            given.append(filled(pickle.dumps(job, pickle.HIGHEST_PROTOCOL)))
            super().__init__(_THEN.format(order=given[-1]), [*given, *([feed.fd] if feed is not None else [])])
        finally:
            for fd in given:
                os.close(fd)

    def frame(self, told: Message) -> Frame:
        """The entries of a message."""
        if told.kind != SHARED:
            return Frame.unpacked(told.body)
        at, n = PIECE.unpack(told.body)
        return Frame.unpacked(self._memory[at : at + n])

    def gone(self, frames: int) -> None:
        """So many of its frames are written."""
        if frames:
            self.order(GONE, b"%d" % frames)


class Team:
    """One run's."""

    def __init__(self, jobs: Sequence[Job], out: Callable[[list[Any]], object] | None, interrupt: Interrupt, *, whole: bool) -> None:
        """jobs: of the parts from 1 on. out: takes what is in order: entries where whole, else lines in pieces. interrupt: a second signal ends what waits."""
        self._interrupt = interrupt
        self._merge = Merge(len(jobs) + 1)
        self._out = out
        self._whole = whole
        self._separator, self._queue = jobs[0].separator, jobs[0].shared_bytes
        self._ended = False
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self.feed: Feed | None = None
        """Who gives the bytes of the capture to the others; None where each reads it itself."""
        try:
            if jobs[0].fed_bytes:
                self.feed = Feed(jobs[0].fed_bytes, len(jobs), self._tell_bytes, self._tell_last, lambda: self._hand_on(_LOOKS))
            with held_back(signal.SIGINT, signal.SIGTERM):  # until they are known to be there
                for job in jobs:
                    self._workers.append(_Worker(job, self.feed))
        except OSError as e:
            self._close()
            raise WorkerError(f"a worker cannot be started: {e.strerror}") from None
        if self.feed is not None:
            self.feed.close()
        for worker in self._workers:
            self._selector.register(worker.answers, selectors.EVENT_READ, worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        """No process is left."""
        self._selector.close()
        for worker in self._workers:
            worker.end()

    # --- what the workers say

    def _look(self, seconds: float | None) -> None:
        """Take what they said, and wait for something where nothing is there; None for not at all. Raises `WorkerError` where one failed."""
        if self._interrupt.signals > 1:
            raise KeyboardInterrupt
        for key, _ in self._selector.select(seconds if seconds is not None else 0):
            worker: _Worker = key.data
            worker.inbox.fill()
            for told in worker.inbox.messages():
                self._hear(worker, told)
            if worker.inbox.ended:
                self._selector.unregister(worker.answers)
                if worker.result is None and worker.failed is None:
                    worker.failed = worker.how_it_ended()
        for worker in self._workers:
            if worker.failed is not None:
                status, problem = worker.failed
                name = f"worker {worker.number + 1} of {len(self._workers) + 1} (process {worker.pid})"
                raise WorkerError(f"{name} {problem}: its connections were not read to the end", status)

    def _hear(self, worker: _Worker, told: Message) -> None:
        merge, number = self._merge, worker.number
        if told.kind in (ENTRIES, SHARED):
            merge.put(number, worker.frame(told))
        elif told.kind == REACHED:
            merge.reached(number, (int(told.body), BEYOND))
        elif told.kind == PAUSED:
            worker.paused = int(told.body)
        elif told.kind == READ and self.feed is not None:
            self.feed.read[number - 1] = int(told.body)
        elif told.kind == RESULT:
            worker.result = pickle.loads(told.body)  # noqa: S301 - from a process of ours
            merge.reached(number, (BEYOND, BEYOND))
            if self.feed is not None:
                self.feed.read[number - 1] = BEYOND  # it needs no more
        elif told.kind == FAILED:
            status, problem = pickle.loads(told.body)  # noqa: S301 - from a process of ours
            worker.failed = status, f"failed ({problem})"

    # --- what the first part does

    def take(self, some: list[Entry]) -> None:
        """The first part's own entries, in order."""
        self._merge.put(0, Frame.of(some, self._separator, at_the_end=self._ended))
        if self._merge.held[0] <= self._queue:
            return
        self._hand_on()
        while self._merge.held[0] > self._queue:  # it waits for the others
            self._hand_on(_LOOKS)

    def advance(self, packet: int) -> None:
        """The first part's entries up to that packet were taken: hand on what is in order."""
        self._merge.reached(0, (place_of(packet, at_the_end=False), BEYOND))
        self._hand_on()

    def _hand_on(self, seconds: float | None = None) -> None:
        """Everything that is in order now, or, where nothing came, in so many seconds."""
        self._look(seconds)
        ready = self._merge.ready()
        if self._out is not None:
            for some in (ready.entries if self._whole else ready.pieces)(_STEP):
                self._out(some)
        for worker in self._workers:
            worker.gone(self._merge.done(worker.number))

    def _tell_bytes(self, until: int) -> None:
        for worker in self._workers:
            worker.order(BYTES, b"%d" % until)

    def _tell_last(self) -> None:
        for worker in self._workers:
            worker.order(LAST)

    def stop(self, taken: int) -> int:
        """The first part took packets up to that one, and is to end: up to which packet all go on. Those who are fed cannot be beyond it, and may wait for bytes that never come."""
        until = taken
        if self.feed is None:
            for worker in self._workers:
                worker.order(PAUSE)
            while any(worker.paused is None for worker in self._workers):
                self._hand_on(_LOOKS)
            until = max(taken, *(worker.paused or 0 for worker in self._workers))
        for worker in self._workers:
            worker.order(UNTIL, b"%d" % until)
        return until

    def end(self) -> None:
        """No block comes any more: what the first part still finds stands behind its last packet."""
        self._ended = True
        if self.feed is not None:
            self.feed.end()

    def results(self) -> list[Partial]:
        """What the others counted. All entries are handed on then."""
        self._merge.reached(0, (BEYOND, BEYOND))
        self._hand_on()
        while any(worker.result is None for worker in self._workers):
            self._hand_on(_LOOKS)
        return [worker.result for worker in self._workers if worker.result is not None]
