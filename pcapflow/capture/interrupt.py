"""Ctrl-C and SIGTERM, taken between blocks, so that the report of what was read is whole.

Contract: `Interrupt` is a context. Inside it a SIGINT sets `asked`, and raises KeyboardInterrupt only while a read waits
(`waiting`), where nothing is half done; a SIGTERM does the same where the program takes it as `terminate`. Outside the main thread, and where somebody
else handles the signals, it changes nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_seen: set[int] = set()


def terminate(number: int, _frame: FrameType | None) -> None:
    """The handler of SIGTERM of a program whose business this is: as Ctrl-C, but remembered."""
    _seen.add(number)
    raise KeyboardInterrupt


def was_terminated() -> bool:
    """Whether a SIGTERM came that `terminate` or an `Interrupt` took."""
    return signal.SIGTERM in _seen


_OURS: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}
"""The handlers that an `Interrupt` takes the place of."""


class Interrupt:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False
        self._waits = False
        self._replaced: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, handler in _OURS.items():
                if signal.getsignal(number) is handler:
                    signal.signal(number, self._handle)
                    self._replaced.append(number)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for number in self._replaced:
            signal.signal(number, _OURS[number])
        self._replaced = []

    def check(self) -> None:
        """Raises KeyboardInterrupt where the user asked to stop: between two pieces of work of which nothing is half done."""
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A read that may wait for long goes on inside."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        _seen.add(number)
        self.asked = True
        if self._waits:
            raise KeyboardInterrupt
