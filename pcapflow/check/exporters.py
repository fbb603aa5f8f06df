"""What came of a check, for CI systems: JUnit XML and GitHub's annotations.

Contract: `github` returns the lines of a verdict; `JUnit` takes verdicts one by one and writes them to a callable. Invariant: of JUnit's cases one is in
memory at a time.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Self

from pcapflow.check.verdicts import Problem, Verdict
from pcapflow.errors import OutputError
from pcapflow.files import spool

_STEP = 64 << 10

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has not: a path or a payload may."""


def told(problem: Problem) -> str:
    """A problem on one line."""
    places = [f"{name} {n}" for name, n in (("connection", problem.connection), ("packet", problem.packet)) if n is not None]
    more = f", and {problem.more:,} more" if problem.more else ""
    return f"{problem.message} ({', '.join(places)}){more}" if places else problem.said


def rest(verdict: Verdict) -> list[str]:
    """What stands below the problems."""
    more = [f"and {verdict.more:,} more"] if verdict.more else []
    if verdict.followed:
        more.append(f"and {verdict.followed:,} differences that follow from these")
    more += verdict.diff
    if verdict.show:
        more.append(f"to see the first: {verdict.show}")
    return [*more, f"to accept this: {verdict.accept}"] if verdict.accept else more


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


class JUnit:
    """JUnit XML as Jenkins, GitLab and GitHub's reporters read it: a test case a capture. A context: cases wait in a temporary file, since the counts of all
    stand before them.
    """

    def __init__(self) -> None:
        self._cases = spool()
        self._tests = self._failures = self._errors = 0
        self._seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._cases.close()

    def add(self, verdict: Verdict) -> None:
        """One more. Raises `OutputError`."""
        self._tests += 1
        self._failures += verdict.result == "failed"
        self._errors += verdict.result == "error"
        self._seconds += verdict.seconds
        case = ET.Element("testcase", {"classname": "pcapflow", "name": _xml(verdict.capture), "time": f"{verdict.seconds:.3f}"})
        if verdict.problems:
            tag = "error" if verdict.result == "error" else "failure"
            lines = [*(told(problem) for problem in verdict.problems), *rest(verdict)]
            found = ET.SubElement(case, tag, {"type": verdict.problems[0].kind, "message": _xml(lines[0])})
            found.text = _xml("\n".join(lines))
        ET.indent(case, level=2)
        try:
            self._cases.write(b"\n    ")
            self._cases.write(ET.tostring(case, encoding="utf-8"))
        except OSError as e:
            raise OutputError(f"a temporary file cannot be written: {e.strerror}") from None

    def write(self, out: Callable[[bytes], object]) -> None:
        """All of it."""
        numbers = f'tests="{self._tests}" failures="{self._failures}" errors="{self._errors}" time="{self._seconds:.3f}"'
        suites = f'<testsuites {numbers}>\n  <testsuite name="pcapflow check" {numbers}>'
        out(f"<?xml version='1.0' encoding='utf-8'?>\n{suites}".encode())
        self._cases.seek(0)
        while some := self._cases.read(_STEP):
            out(some)
        out(b"\n  </testsuite>\n</testsuites>\n")


_ANNOTATIONS = 10
"""GitHub shows as many of a step."""


def github(verdict: Verdict) -> list[str]:
    """Workflow commands that GitHub shows beside the capture: an error a problem, a notice for a new baseline."""
    lines = [
        f"::error file={_property(verdict.capture)},title=pcapflow {problem.kind}::{_data(told(problem))}"
        for problem in verdict.problems[:_ANNOTATIONS]
    ]
    beyond = len(verdict.problems) - _ANNOTATIONS
    if beyond > 0:
        lines.append(f"::notice file={_property(verdict.capture)},title=pcapflow::and {beyond:,} more, in the job's summary")
    if verdict.problems:
        lines += [f"::notice file={_property(verdict.capture)},title=pcapflow::{_data(line)}" for line in rest(verdict)]
    if verdict.accepted:
        lines.append(f"::notice file={_property(verdict.capture)},title=pcapflow::baseline {verdict.accepted}")
    return lines


def markdown(verdict: Verdict) -> str:
    """A capture's part of a job's summary: a heading, and a row a problem."""
    lines = [f"### {_cell(verdict.capture)}: {verdict.result}", ""]
    if verdict.problems:
        lines += ["| what | problem | connection | packet |", "|---|---|---|---|"]
        lines += [
            f"| {problem.kind} | {_cell(problem.said)} | {problem.connection or ''} | {problem.packet or ''} |"
            for problem in verdict.problems
        ]
        lines += ["", *(_cell(line) + "  " for line in rest(verdict)), ""]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text within Markdown's table, as it is."""
    return _xml(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'").replace("\r", " ").replace("\n", " ")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
