"""What a worker is told to do. Values; they cross a process."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pcapflow.capture.source import Source
from pcapflow.entries import Entry
from pcapflow.findings.listening import Who
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.shard import Part


class Job(NamedTuple):
    """One shard of a run."""

    paths: list[str]
    limits: Limits
    """The shard's: its part of the run's memory."""
    whole: Limits
    """The run's."""
    options: Options
    part: Part
    who: Who
    takes: bool
    """Whether somebody takes entries."""
    separator: bytes
    """What stands between lines as they are written."""
    shared_bytes: int
    """Of the memory that entries go through."""
    shared: int = -1
    """Its descriptor, which the process inherits."""
    fed_bytes: int = 0
    """Of the memory through which the bytes of the capture come; 0 where the process reads it itself."""
    fed: int = -1
    """Its descriptor."""


class Link(Protocol):
    """Whoever wanted the job, as it sees that."""

    @property
    def source(self) -> Source | None:
        """Where the bytes of the capture come from; None where they are to be read."""
        ...

    def ask(self, taken: int) -> int | None:
        """See `gate.Ask`."""
        ...

    def take(self, some: list[Entry]) -> object:
        """Entries, in order."""
        ...

    def reached(self, packet: int) -> None:
        """All that packets up to that one completed was given."""
        ...

    def end(self) -> None:
        """No block comes any more."""
        ...
