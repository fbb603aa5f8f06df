"""The exceptions that end a run; what the wire said never raises.

    PcapflowError
    |-- UsageError            an option that is not what it should be             status 2
    |-- CaptureError          an input that cannot be opened or is no capture     status 3
    |-- ReportError           a report that cannot be read, or is none         status 3
    |-- OutputError           a report that cannot be written                     status 73
    |   `-- DatabaseError     a database that does not take records               status 74
    |-- WorkerError           a process that shares the run is gone              status 71
    `-- AccountError          an account that does not balance: a defect of ours  status 70

Each carries the exit status that the command line returns (docs/exit-status.md). A stream that is given up is no
exception: it is a `pcapflow.drops.Drop`, and the run goes on.
"""

from __future__ import annotations

from typing import Any

DIFFERENT = 1
NOT_A_CAPTURE = 3
DAMAGED = 4
INTERNAL = 70
OUT_OF_MEMORY = 71
INTERRUPTED = 130
TERMINATED = 143
"""Exit statuses that are no exception's own."""


class PcapflowError(Exception):
    """Base of all errors that pcapflow raises on purpose."""

    exit_status = 70


class CaptureWarning(UserWarning):
    """What the command line says as a warning: damage, a cut record, a link type that is not read. The report has it too."""


class UsageError(PcapflowError):
    """An option or argument that is not of its form."""

    exit_status = 2


class CaptureError(PcapflowError):
    """An input that could not be opened, or is not a capture."""

    exit_status = 3

    def __init__(self, path: str, problem: str, *, unreadable: bool = False) -> None:
        """unreadable: nobody knows whether it is a capture."""
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
        self.unreadable = unreadable

    def __reduce__(self) -> tuple[Any, ...]:
        """It can cross a process."""
        return _capture_error, (self.path, self.problem, self.unreadable)


def _capture_error(path: str, problem: str, unreadable: bool) -> CaptureError:  # noqa: FBT001 - of a pickle
    return CaptureError(path, problem, unreadable=unreadable)


class ReportError(PcapflowError):
    """A report that could not be read, or is no report."""

    exit_status = 3


class OutputError(PcapflowError):
    """A report that could not be written. 73 is EX_CANTCREAT of sysexits.h."""

    exit_status = 73


class DatabaseError(OutputError):
    """A database that does not take records. 74 is EX_IOERR of sysexits.h."""

    exit_status = 74


class WorkerError(PcapflowError):
    """A process that shares the run failed, was killed, or could not be started."""

    def __init__(self, problem: str, exit_status: int = OUT_OF_MEMORY) -> None:
        super().__init__(problem, exit_status)
        self.exit_status = exit_status

    def __str__(self) -> str:
        return str(self.args[0])


class AccountError(PcapflowError):
    """The conservation law does not hold for a stream: a defect of pcapflow, to be reported."""

    exit_status = 70
