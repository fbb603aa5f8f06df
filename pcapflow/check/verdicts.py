"""What is to be checked, and what came of it. Values that cross a process."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from pcapflow import pipeline
from pcapflow.check import baseline
from pcapflow.check.expectations import Expectation
from pcapflow.check.ignoring import Rules
from pcapflow.errors import DIFFERENT, INTERRUPTED, OUT_OF_MEMORY
from pcapflow.limits import Limits

MOST = 20
"""Violations of one capture that are told one by one."""


@dataclass(frozen=True)
class Job:
    """What to check, and how. There may be many: of each, nothing is kept beside its path but what all share."""

    capture: str
    limits: Limits
    options: pipeline.Options
    has_baseline: bool
    """Whether it has one, or is to have; False for a project without."""
    expectations: tuple[Expectation, ...] = ()
    fail_on: tuple[str, ...] = ()
    update: bool = False
    command: tuple[str, ...] = ()
    """What accepts a report as it is, without the capture's path."""
    takes_path: bool = True
    """The path stands behind that."""

    compare: str | None = None
    """`content` or `exact`; None for the mode of the baseline that is there."""
    rules: Rules = field(default_factory=Rules)
    """What content mode leaves out and compares beside."""
    accept: tuple[str, ...] = ()
    """Kinds of causes that an update takes; none for all."""
    everything: bool = False
    """What follows from a cause is told too."""
    shows_diff: bool = False
    """How the baseline would change is shown."""
    allow_empty: bool = False
    """A capture in which there is no connection is one too."""

    @property
    def baseline(self) -> Path | None:
        """Where it lies."""
        return baseline.place_of_baseline(self.capture, self.compare)[0] if self.has_baseline else None

    @property
    def mode(self) -> str:
        """How it is compared."""
        return baseline.place_of_baseline(self.capture, self.compare)[1] if self.has_baseline else "exact"

    @property
    def update_command(self) -> str:
        """What accepts the report as it is."""
        return shlex.join(
            [
                *self.command,
                *(["--"] if self.takes_path and self.capture.startswith("-") else []),
                *([self.capture] if self.takes_path else []),
            ]
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a check failed. kind: `difference`, `expectation`, `fail-on`, `baseline` or `error`; packet: to look at."""

    kind: str
    message: str
    packet: int | None = None
    connection: int | None = None
    more: int = 0
    """Others of the same kind."""

    @property
    def said(self) -> str:
        """Without its place."""
        return f"{self.message}, and {self.more:,} more" if self.more else self.message


@dataclass(slots=True)
class Verdict:
    """What came of one capture. result: `ok`, `failed`, or `error` for one that could not be checked; accepted: what became of its baseline, `created` or `updated`."""

    capture: str
    result: str = "ok"
    accepted: str = ""
    accept: str = ""
    """The command that accepts what differs from the baseline."""
    exit_status: int = 0
    problems: list[Problem] = field(default_factory=list)
    more: int = 0
    """Problems beside those, counted alone."""
    changes: list[Problem] = field(default_factory=list)
    """What an update of the baseline accepted, MOST at the most."""
    more_changes: int = 0
    """Differences beside those, counted alone."""
    warnings: list[str] = field(default_factory=list)
    followed: int = 0
    """Differences that follow from the problems."""
    diff: list[str] = field(default_factory=list)
    """Of the baseline, as `diff -u` has it."""
    show: str = ""
    """The command that shows the first problem."""
    ignored: dict[str, int] = field(default_factory=dict)
    """By rule, how much it left out."""
    packets: int = 0
    seconds: float = 0.0

    def told(self) -> None:
        """It was shown: from here on only counts are kept."""
        self.more += len(self.problems)
        self.problems, self.changes, self.warnings, self.accept, self.show = [], [], [], "", ""
        self.diff = []

    def fail(self, problem: Problem, *, status: int = DIFFERENT) -> None:
        """Add a problem."""
        self.result = "failed" if status == DIFFERENT else "error"
        self.exit_status = status
        if len(self.problems) < MOST:
            self.problems.append(problem)
        else:
            self.more += 1


def interrupted(job: Job) -> Verdict:
    """The verdict on a capture that was not looked at, or not to its end, since the user asked to stop."""
    verdict = Verdict(job.capture)
    verdict.fail(Problem("error", "interrupted"), status=INTERRUPTED)
    return verdict


def lost(job: Job) -> Verdict:
    """The verdict on a capture whose process ended without one: the system killed it, or it crashed."""
    verdict = Verdict(job.capture)
    verdict.fail(Problem("error", "its process was killed, most likely because memory ran short"), status=OUT_OF_MEMORY)
    return verdict
