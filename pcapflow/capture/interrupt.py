"""Ctrl-C, taken between blocks, so that the report of what was read is whole.

Contract: `Interrupt` is a context. Inside it a SIGINT sets `asked`, and raises KeyboardInterrupt only while a read waits
(`waiting`), where nothing is half done. Outside the main thread, and where somebody else handles SIGINT, it changes nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False
        self._waits = False
        self._installed = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A read that may wait for long goes on inside."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._waits:
            raise KeyboardInterrupt
