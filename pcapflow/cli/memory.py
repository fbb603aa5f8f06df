"""How much memory a run is given: what was asked for, else what is usual, or as much of it as the container leaves.

Contract: `memory_limit` says on standard error what it took instead, and what does not fit. Invariant: what is asked for is never changed.
"""

from __future__ import annotations

from pcapflow.cli import errors
from pcapflow.errors import UsageError
from pcapflow.limits import Limits
from pcapflow.memory_scale import LEAST_MEMORY
from pcapflow.process_memory import FIXED_BYTES, container_limit
from pcapflow.sizes import show_size, typed_size
from pcapflow.stream_limits import MIB

ARROW_BYTES = 96 * MIB
"""What pyarrow takes for itself (docs/memory.md)."""


def memory_limit(asked: int | None, process_limit: int | None, beside: int = 0) -> int:
    """Bytes for `Limits.memory_limit`. asked, process_limit: by the command line; beside: what else is loaded. Raises `UsageError` for too little."""
    if asked is not None and asked < LEAST_MEMORY:
        raise UsageError(f"--memory-limit {show_size(asked)} is too small; the minimum is {show_size(LEAST_MEMORY)}")
    fixed = FIXED_BYTES + beside
    limit = asked or Limits().memory_limit
    for name, most in (("the container's limit", container_limit()), ("--process-limit", process_limit)):
        if most is None or limit + fixed <= most:
            continue
        room = (most - fixed) // MIB * MIB
        if room < LEAST_MEMORY:
            limit = asked or LEAST_MEMORY
            errors.say(
                f"warning: {name} of {show_size(most)} may be too little: with the least --memory-limit, {show_size(LEAST_MEMORY)}, "
                f"a run takes up to {show_size(fixed + LEAST_MEMORY)}"
            )
        elif asked is None:
            limit = room
            errors.say(
                f"memory limit {show_size(room)}: {name} of {show_size(most)} leaves no more than that after {show_size(fixed)} for the program itself"
            )
        else:
            errors.say(
                f"warning: --memory-limit {show_size(asked)} and up to {show_size(fixed)} for the program itself do not fit in {name} of "
                f"{show_size(most)}; give --memory-limit {typed_size(room)} or less"
            )
    return limit


def fitting_processes(limit: int) -> int | None:
    """How many processes with that memory limit the container holds, one at the least; None where it has no limit."""
    most = container_limit()
    return None if most is None else max(1, most // (limit + FIXED_BYTES))
