"""Which of ijson's backends runs. Vocabulary: knows nobody but the errors."""

from __future__ import annotations

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
