"""The one place where an error becomes a line on standard error and an exit status (docs/exit-status.md)."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import click

from pcapflow.capture.interrupt import interrupt, terminate, was_terminated
from pcapflow.cli.output import ReaderLeft
from pcapflow.errors import (
    DAMAGED,
    DIFFERENT,
    INTERNAL,
    INTERRUPTED,
    NOT_A_CAPTURE,
    OUT_OF_MEMORY,
    TERMINATED,
    OutputError,
    PcapflowError,
    UsageError,
)
from pcapflow.terminal_text import plain

__all__ = [
    "DAMAGED",
    "DIFFERENT",
    "INTERNAL",
    "INTERRUPTED",
    "NOT_A_CAPTURE",
    "OUT_OF_MEMORY",
    "Finished",
    "exit_with",
    "nobody_reads",
    "say",
]


class Finished(Exception):
    """The command is done and has said what it had to; the process ends with that status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def say(message: str) -> None:
    """One line on standard error, where that takes it: nothing that happens there changes what the run came to."""
    with suppress(OSError, ValueError):
        click.echo("pcapflow: " + plain(message), err=True)


def nobody_reads() -> None:
    """Standard output takes nothing more: nothing to flush at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_COMPLETION = "_PCAPFLOW_COMPLETE"
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))
_NO_MEMORY = ("failed to map segment", "annot allocate memory", "cannot create shared object")
"""What the system's loader says where memory is short."""
_NO_FILES = frozenset((errno.EMFILE, errno.ENFILE))


_WORST_FIRST = (INTERNAL, UsageError.exit_status, NOT_A_CAPTURE, OutputError.exit_status, INTERRUPTED, OUT_OF_MEMORY, DAMAGED, DIFFERENT, 0)


def first_of(statuses: Collection[int]) -> int:
    """Of several captures' statuses that of the command (docs/exit-status.md)."""
    return next(status for status in _WORST_FIRST if status in statuses)


def exit_with(command: click.Command) -> None:
    """Run the command line and leave the process with the documented status."""
    signal.signal(signal.SIGINT, interrupt)
    # a CI job that is out of time: as Ctrl-C
    signal.signal(signal.SIGTERM, terminate)
    status = _status_of(lambda: _run(command))
    if status in (0, DIFFERENT):
        # what is still to be written may be refused too
        flushed = _status_of(lambda: sys.stdout.flush() if sys.stdout is not None else None)
        status = flushed or status
    if status not in (0, DIFFERENT):
        nobody_reads()  # what was refused once is not tried again at exit
    if status == INTERRUPTED and was_terminated():
        status = TERMINATED
    gc.freeze()  # all was written and closed: a last search among all that was loaded takes as long as reading a megabyte of a capture
    sys.exit(status)


def _run(command: click.Command) -> Any:
    try:
        return command.main(standalone_mode=False)
    except SystemExit:
        # click's own, where what it prints, such as --help, has no reader any more
        raise ReaderLeft from None
    except (KeyError, ValueError) as e:
        if _COMPLETION not in os.environ:
            raise
        raise click.UsageError(f"completion: {e}: the shell sets {_COMPLETION}, COMP_WORDS and COMP_CWORD") from None


def _status_of(run: Callable[[], Any]) -> int:
    """The exit status of some work; what ends it is said."""
    try:
        status = run()
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as e:
        if sys.stderr is not None:  # else click takes standard output
            with suppress(OSError):
                e.show()
        return e.exit_code
    except Finished as e:
        return e.status
    except PcapflowError as e:
        say(str(e))
        return e.exit_status
    except (ReaderLeft, BrokenPipeError):
        nobody_reads()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError:
        say("out of memory")
        return OUT_OF_MEMORY
    except ImportError as e:
        if not any(text in str(e) for text in _NO_MEMORY):
            return _of_ours(e)
        say("out of memory: a library cannot be loaded")
        return OUT_OF_MEMORY
    except OSError as e:
        return _of_the_system(e)
    except Exception as e:  # noqa: BLE001 - said, and where it is to be reported
        return _of_ours(e)
    return status if isinstance(status, int) else 0


def _of_the_system(problem: OSError) -> int:
    """What the system refused where nobody else says it: room to write, or another open file."""
    what = f"{problem.filename}: " if problem.filename else ""
    if problem.errno in _NO_ROOM:
        say(f"{what or 'output: '}cannot be written: {problem.strerror}")
        return OutputError.exit_status
    if problem.errno in _NO_FILES:
        say(f"{what}{problem.strerror}: allow more of them (ulimit -n), or give fewer captures at one time")
        return NOT_A_CAPTURE
    return _of_ours(problem)


def _of_ours(problem: Exception) -> int:
    say(f"internal error: {type(problem).__name__}: {problem}; please report it with the capture (PCAPFLOW_TRACEBACK=1 shows where)")
    if os.environ.get("PCAPFLOW_TRACEBACK"):
        raise problem
    return INTERNAL
