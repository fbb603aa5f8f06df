"""A process of this interpreter that works for another, and the pipes between them.

Contract: `Process` starts one, `order` tells it something, `inbox` has what it says, `end` leaves nothing of it; `get_ready` is what it does first. Invariant: the process shares a terminal's group with
whoever started it, and takes no signal that is meant for that: SIGINT and SIGTERM go to a whole group of processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from pcapflow.capture.interrupt import held_back
from pcapflow.errors import WorkerError
from pcapflow.files import write_all
from pcapflow.workers.link import Inbox, message

_START = "import sys; sys.path[:] = {path!r}; from pcapflow.workers import process; process.get_ready(); {then}"


class Process:
    """One."""

    def __init__(self, then: str, inherited: Sequence[int] = ()) -> None:
        """then: the Python text of what it does; inherited: descriptors that are open in it too. Raises OSError where it cannot be started."""
        with held_back(signal.SIGINT, signal.SIGTERM):  # until it says so
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-c", _START.format(path=sys.path, then=then)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=inherited,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders = self._process.stdin.fileno()
        self.answers = self._process.stdout.fileno()
        """The descriptor to wait for."""
        self.inbox = Inbox(self.answers)
        self.pid = self._process.pid

    def order(self, kind: bytes, body: bytes = b"") -> None:
        """Tell it something; it always listens."""
        with suppress(OSError):  # it is gone, which whoever reads its answers sees
            write_all(self._orders, message(kind, body))

    def how_it_ended(self) -> tuple[int, str]:
        """The status and what is said of a process that ended before it gave its result."""
        code = self._process.wait()
        return WorkerError("").exit_status, f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with status {code}"

    def end(self) -> None:
        """It is not needed any more."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


def get_ready() -> None:
    """Before anything is imported that takes long."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def answers() -> int:
    """In such a process: the descriptor that whoever started it reads. What anybody prints is no message, and goes to standard error from here on."""
    fd = os.dup(1)
    os.dup2(2, 1)
    return fd


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
