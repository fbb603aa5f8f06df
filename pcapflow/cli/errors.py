"""The one place where an error becomes a line on standard error and an exit status (docs/exit-status.md)."""

from __future__ import annotations

import os
import signal
import sys

import click

from pcapflow.capture.interrupt import terminate, was_terminated
from pcapflow.cli.output import ReaderLeft
from pcapflow.errors import DAMAGED, DIFFERENT, INTERNAL, INTERRUPTED, NOT_A_CAPTURE, OUT_OF_MEMORY, TERMINATED, PcapflowError
from pcapflow.plain import plain

__all__ = ["DAMAGED", "DIFFERENT", "INTERNAL", "INTERRUPTED", "NOT_A_CAPTURE", "OUT_OF_MEMORY", "Finished", "exit_with", "nobody_reads", "say"]


class Finished(Exception):
    """The command is done and has said what it had to; the process ends with that status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def say(message: str) -> None:
    """One line on standard error."""
    click.echo("pcapflow: " + plain(message), err=True)


def nobody_reads() -> None:
    """Whoever read standard output has left: nothing more to say, and nothing to flush at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_with(command: click.Command) -> None:
    """Run the command line and leave the process with the documented status."""
    # a CI job that is out of time: as Ctrl-C
    signal.signal(signal.SIGTERM, terminate)
    try:
        status = command.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        status = INTERRUPTED
    except click.ClickException as e:
        e.show()
        status = e.exit_code
    except Finished as e:
        status = e.status
    except PcapflowError as e:
        say(str(e))
        status = e.exit_status
    except (ReaderLeft, BrokenPipeError):
        status = 0
        nobody_reads()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except MemoryError:
        say("out of memory")
        status = OUT_OF_MEMORY
    except Exception as e:
        say(f"internal error: {type(e).__name__}: {e}; please report it with the capture (PCAPFLOW_TRACEBACK=1 shows where)")
        if os.environ.get("PCAPFLOW_TRACEBACK"):
            raise
        status = INTERNAL
    if status == INTERRUPTED and was_terminated():
        status = TERMINATED
    sys.exit(status if isinstance(status, int) else 0)
