"""Which of ijson's backends runs, and how long a number Python converts. Vocabulary: knows nobody but the errors."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from pcapflow.errors import UsageError

_BACKENDS = ("yajl2_c", "yajl2_cffi", "yajl2")


@cache
def ijson_backend() -> Any:
    """The fastest that is installed, whatever IJSON_BACKEND says; ijson itself where none of yajl is. Imported when the first is asked for."""
    try:
        import ijson  # noqa: PLC0415 - see above
    except ImportError as e:
        raise UsageError(f"ijson cannot be loaded: {e}; unset IJSON_BACKEND") from None
    for name in _BACKENDS:
        try:
            return ijson.get_backend(name)
        except ImportError:
            continue
    return ijson


_digits_lock = threading.Lock()
_digits_before: list[int] = []
"""What held before the first of the runs that go on in several threads, once for each."""


@contextmanager
def known_digits() -> Iterator[None]:
    """Which JSON numbers Python converts is the same whatever its environment says (PYTHONINTMAXSTRDIGITS)."""
    with _digits_lock:
        _digits_before.append(_digits_before[0] if _digits_before else sys.get_int_max_str_digits())
        sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)
    try:
        yield
    finally:
        with _digits_lock:
            before = _digits_before.pop()
            if not _digits_before:
                sys.set_int_max_str_digits(before)
