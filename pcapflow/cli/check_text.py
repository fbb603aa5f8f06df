"""What `pcapflow check` says: lines for a person, annotations and a job summary for GitHub.

Contract: `Text` takes verdicts as they come, and says the sum at the end. A reader that leaves ends nothing: the status is still for whoever asked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pcapflow.cli import errors
from pcapflow.cli.output import Output, ReaderLeft
from pcapflow.terminal_text import counted, plain

if TYPE_CHECKING:
    from pcapflow.check.verdicts import Verdict

_RESULTS = {"ok": "ok     ", "failed": "FAILED ", "error": "ERROR  "}
_COLOURS = {"ok": "green", "failed": "red", "error": "red"}
_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Names the file that GitHub shows as a job's summary, in Markdown."""


class Text:
    """Lines for a person, or for GitHub."""

    def __init__(self, out: Output, form: str, *, quiet: bool) -> None:
        self._out = out
        self._form = form
        self._quiet = quiet
        self._left = False
        self._color = out.is_terminal and not os.environ.get("NO_COLOR")

    def _line(self, text: str, color: str | None = None) -> None:
        if self._left:
            return
        shown = plain(text)
        if color is not None and self._color:
            shown = click.style(shown, fg=color)
        try:
            self._out.write(shown.encode("utf-8", "replace") + b"\n")
            self._out.flush()
        except ReaderLeft:
            # whoever read has seen enough; the status is still for whoever asked
            self._left = True
            errors.nobody_reads()

    def github(self, verdict: Verdict) -> None:
        """Annotations, and its part of the job's summary, which has all."""
        from pcapflow.check.exporters import github, markdown

        for line in github(verdict):
            self._line(line)
        place = os.environ.get(_SUMMARY)
        if place:
            try:
                with Path(place).open("a", encoding="utf-8") as file:
                    file.write(markdown(verdict))
            except OSError as e:
                errors.say(f"warning: {_SUMMARY}: {place}: cannot be written: {e.strerror}")

    def verdict(self, verdict: Verdict) -> None:
        """One capture, as it is done: a line where it is quiet, else what is wrong with it, if anything is; the table comes at the end."""
        for warning in verdict.warnings:
            errors.say(f"warning: {warning}")
        n = len(verdict.problems) + verdict.more
        counts = ([f"baseline {verdict.accepted}"] if verdict.accepted else []) + ([f"{n:,} problem{'s' if n > 1 else ''}"] if n else [])
        if self._quiet or n or verdict.accepted in ("updated", "replaced"):
            self._line(_RESULTS[verdict.result] + verdict.capture + (f": {', '.join(counts)}" if counts else ""), _COLOURS[verdict.result])
        if not self._quiet:
            self._details(verdict)

    def _details(self, verdict: Verdict) -> None:
        from pcapflow.check.exporters import rest, told

        for line in (*(told(problem) for problem in verdict.problems), *rest(verdict)):
            self._line("    " + line)
        if verdict.accepted == "updated":
            for problem in verdict.changes:
                self._line("    accepted: " + told(problem))
            if verdict.more_changes:
                self._line(f"    and {verdict.more_changes:,} more")

    def end(self, verdicts: list[Verdict]) -> None:
        """The table, and the sum."""
        if self._quiet:
            return
        if self._form == "text":
            self._table(verdicts)
        failed = sum(verdict.result != "ok" for verdict in verdicts)
        accepted = sum(bool(verdict.accepted) for verdict in verdicts)
        counts = (
            [f"{len(verdicts) - failed:,} ok"]
            + [f"{failed:,} failed"] * bool(failed)
            + [f"{counted(accepted, 'baseline')} written"] * bool(accepted)
        )
        self._line(f"{counted(len(verdicts), 'capture')}: {', '.join(counts)}", "red" if failed else "green")

    def _table(self, verdicts: list[Verdict]) -> None:
        wide = max(7, *(len(plain(verdict.capture)) for verdict in verdicts))
        self._line(f"{'result':<7}{'capture':<{wide}}  {'packets':>11}  {'problems':>8}  baseline")
        for verdict in verdicts:
            problems = len(verdict.problems) + verdict.more
            name = plain(verdict.capture)
            row = f"{_RESULTS[verdict.result]}{name:<{wide}}  {verdict.packets:>11,}  {problems or '':>8}  {verdict.accepted}"
            self._line(row.rstrip(), _COLOURS[verdict.result])
