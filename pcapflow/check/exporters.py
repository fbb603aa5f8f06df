"""What came of a check, for CI systems: JUnit XML and GitHub's annotations.

Contract: functions of verdicts that return text; they write nothing.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from pcapflow.check.checking import Problem, Verdict

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has not: a path or a payload may."""


def told(problem: Problem) -> str:
    """A problem on one line."""
    at = f" (packet {problem.packet})" if problem.packet is not None else ""
    return problem.message + at


def rest(verdict: Verdict) -> list[str]:
    """What stands below the problems."""
    more = [f"and {verdict.more:,} more"] if verdict.more else []
    return [*more, f"if that is as it should be: {verdict.accept}"] if verdict.accept else more


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def junit(verdicts: Sequence[Verdict]) -> bytes:
    """JUnit XML as Jenkins, GitLab and GitHub's reporters read it: a test case a capture."""
    errors = sum(verdict.result == "error" for verdict in verdicts)
    failures = sum(verdict.result == "failed" for verdict in verdicts)
    seconds = f"{sum(verdict.seconds for verdict in verdicts):.3f}"
    numbers = {"tests": str(len(verdicts)), "failures": str(failures), "errors": str(errors), "time": seconds}
    root = ET.Element("testsuites", numbers)
    suite = ET.SubElement(root, "testsuite", {"name": "pcapflow check", **numbers})
    for verdict in verdicts:
        case = ET.SubElement(suite, "testcase", {"classname": "pcapflow", "name": _xml(verdict.capture), "time": f"{verdict.seconds:.3f}"})
        if verdict.problems:
            tag = "error" if verdict.result == "error" else "failure"
            lines = [*(told(problem) for problem in verdict.problems), *rest(verdict)]
            found = ET.SubElement(case, tag, {"type": verdict.problems[0].kind, "message": _xml(lines[0])})
            found.text = _xml("\n".join(lines))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def github(verdict: Verdict) -> list[str]:
    """Workflow commands that GitHub shows beside the capture: an error a problem, a notice for a new baseline."""
    lines = [f"::error file={_property(verdict.capture)},title=pcapflow {problem.kind}::{_data(told(problem))}" for problem in verdict.problems]
    if verdict.problems:
        lines += [f"::notice file={_property(verdict.capture)},title=pcapflow::{_data(line)}" for line in rest(verdict)]
    if verdict.accepted:
        lines.append(f"::notice file={_property(verdict.capture)},title=pcapflow::baseline {verdict.accepted}")
    return lines


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
