"""Ctrl-C and SIGTERM, taken between blocks, so that the report of what was read is whole.

Contract: `Interrupt` is a context. Inside it a SIGINT sets `asked`, and raises KeyboardInterrupt only while a read waits
(`waiting`), where nothing is half done; a SIGTERM does the same where the program takes it as `terminate`. Outside the main thread, and where somebody
else handles the signals, it changes nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_seen: set[int] = set()


def interrupt(number: int, frame: FrameType | None) -> None:
    """The handler of SIGINT of a program whose business this is. While something is imported nothing is half done, and an exception might be swallowed
    there, or leave its mark on how the process ends: the process ends at once, as any other program.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        frame = frame.f_back
    raise KeyboardInterrupt


def terminate(number: int, frame: FrameType | None) -> None:
    """The same of SIGTERM, which is remembered."""
    _seen.add(number)
    interrupt(number, frame)


def was_terminated() -> bool:
    """Whether a SIGTERM came that `terminate` or an `Interrupt` took."""
    return signal.SIGTERM in _seen


_OURS: dict[int, tuple[Any, ...]] = {signal.SIGINT: (interrupt, signal.default_int_handler), signal.SIGTERM: (terminate,)}
"""The handlers that an `Interrupt` takes the place of."""


def _take_over(handle: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Let `handle` take the signals that are this program's business. What took them before, for `_give_back`; nothing outside the main thread."""
    replaced: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number, handlers in _OURS.items():
            if signal.getsignal(number) in handlers:
                replaced[number] = signal.signal(number, handle)
    return replaced


def _give_back(replaced: dict[int, Any]) -> None:
    for number, handler in replaced.items():
        signal.signal(number, handler)
    replaced.clear()


@contextmanager
def held_back(*numbers: int) -> Iterator[None]:
    """Processes that begin in here never see those signals, until they say so; this one sees them behind."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Interrupt:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False
        self.patient = False
        """The first signal is only counted: whoever set this looks at `signals`, and stops at its own time."""
        self.signals = 0
        """How many came."""
        self._waits = False
        self._replaced: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._replaced = _take_over(self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        _give_back(self._replaced)

    def check(self) -> None:
        """Raises KeyboardInterrupt where the user asked to stop: between two pieces of work of which nothing is half done."""
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A read that may wait for long goes on inside; it does not begin where the user asked before."""
        self._waits = True
        try:
            self.check()
            yield
        finally:
            self._waits = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        _seen.add(number)
        self.signals += 1
        if self.patient and self.signals == 1:
            return
        self.asked = True
        if self._waits:
            raise KeyboardInterrupt


class Ending:
    """From `begin` until the context is left a signal is remembered, and raised then: what is done in between, the end of a report and files that take
    their places, is short, and half of it is nothing. A second signal is raised at once: a reader may have stopped reading.
    """

    def __init__(self) -> None:
        self._asked = False
        self._replaced: dict[int, Any] = {}

    def begin(self) -> None:
        """All was read."""
        self._replaced = _take_over(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        _give_back(self._replaced)
        if self._asked and kind is None:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        _seen.add(number)
        if self._asked:
            _give_back(self._replaced)
            raise KeyboardInterrupt
        self._asked = True
