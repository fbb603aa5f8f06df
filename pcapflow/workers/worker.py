"""The process of a worker: reads the same captures as all others, and works on its own connections.

Contract: `main` takes what does the work, and one job from an inherited descriptor, puts entries into shared memory as they are found, and sends what it counted at the end to what was standard output.
Invariant: it ends when whoever started it is gone.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

from pcapflow.entries import Entry
from pcapflow.errors import OUT_OF_MEMORY, PcapflowError
from pcapflow.files import write_all
from pcapflow.shard import Partial
from pcapflow.workers.feed import Fed
from pcapflow.workers.frames import packed, place_of
from pcapflow.workers.job import Job, Link
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
    message,
    receive,
)
from pcapflow.workers.process import answers
from pcapflow.workers.ring import Room, mapped


class _Link:
    """The worker's side."""

    def __init__(self, answers: int, job: Job) -> None:
        self._answers = answers
        self._separator = job.separator
        self._room = Room(job.shared_bytes)
        self._memory = mapped(job.shared, job.shared_bytes) if job.takes else None
        self._changed = threading.Condition()
        self._asked = self._told = False
        self._last = 0
        self._until: int | None = None
        self._at_the_end = False
        self.source = Fed(job.paths[0], job.fed, job.fed_bytes, self._has_read) if job.fed_bytes else None
        """See `Link`."""

    def listen(self) -> None:
        """Takes orders, in a thread of its own."""
        while (order := receive(sys.stdin.buffer)) is not None:
            with self._changed:
                if order.kind == PAUSE:
                    self._asked = True
                elif order.kind == UNTIL:
                    self._until = int(order.body)
                    self._told = True
                elif order.kind == GONE:
                    self._room.gone(int(order.body))
                elif order.kind == BYTES and self.source is not None:
                    self.source.may_read(int(order.body))
                elif order.kind == LAST and self.source is not None:
                    self.source.no_more()
                self._changed.notify_all()
        os._exit(OUT_OF_MEMORY)  # whoever wanted this is gone

    def ask(self, taken: int) -> int | None:
        """See `gate.Ask`."""
        if self._is_asked():
            self._send(PAUSED, b"%d" % taken)
            with self._changed:
                self._changed.wait_for(lambda: self._told)
        return self._until

    def take(self, some: list[Entry]) -> None:
        """Entries, in order."""
        piece = packed(some, self._separator, at_the_end=self._at_the_end)
        room, small = self._room, self._room.fits(len(piece))
        with self._changed:
            # one that is too large goes through the pipe, when nothing else waits; whoever is asked where it is waits for nothing
            while (at := room.place(len(piece)) if small else None) is None and not room.is_empty and not self._is_asked():
                self._changed.wait()
            if at is None:
                room.pass_by()
        if at is None or self._memory is None:
            self._send(ENTRIES, piece)
            return
        self._memory[at : at + len(piece)] = piece
        self._send(SHARED, PIECE.pack(at, len(piece)))

    def _is_asked(self) -> bool:
        """Whether all others wait to be told where this one is."""
        return self._asked and not self._told

    def reached(self, packet: int) -> None:
        """All that packets up to that one completed was given."""
        self._last = packet
        self._send(REACHED, b"%d" % place_of(packet, at_the_end=False))

    def _has_read(self, until: int) -> None:
        self._send(READ, b"%d" % until)

    def end(self) -> None:
        """What comes now stands behind the last packet, which is said to whoever asks, or will."""
        self._at_the_end = True
        self._send(PAUSED, b"%d" % self._last)

    def answer(self, kind: bytes, value: object) -> None:
        """The last message."""
        self._send(kind, pickle.dumps(value, pickle.HIGHEST_PROTOCOL))

    def _send(self, kind: bytes, body: bytes | bytearray) -> None:
        write_all(self._answers, message(kind, body))


def main(work: Callable[[Job, Link], Partial], order: int) -> None:
    """Until the job is done; order: the descriptor from which it is read."""
    out = answers()
    with os.fdopen(order, "rb") as file:
        job: Job = pickle.load(file)  # noqa: S301 - from whoever started this process
    with suppress(BrokenPipeError):
        _answer(work, job, _Link(out, job))
    os._exit(0)


def _answer(work: Callable[[Job, Link], Partial], job: Job, link: _Link) -> None:
    threading.Thread(target=link.listen, daemon=True).start()
    try:
        found = work(job, link)
    except BrokenPipeError:
        raise
    except PcapflowError as e:
        link.answer(FAILED, (e.exit_status, str(e)))
    except MemoryError:
        link.answer(FAILED, (OUT_OF_MEMORY, "out of memory"))
    except BaseException:  # noqa: BLE001 - said by who started this process
        link.answer(FAILED, (70, f"internal error: {traceback.format_exc(limit=-3)}"))
    else:
        link.answer(RESULT, found)
