"""A capture's baseline, beside it: its report as it was accepted (`a.pcap.report.json`, exact mode), or what it says (`a.pcap.content.json`, `check.content`).

Contract: `Baseline` writes what `reports.read_report` reads: the document of `--json`, a record a line, the summary a field a line, without what differs between two
runs or machines. So a change of the report is a change of few lines in git. The file appears when it is whole.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from pcapflow.check import content
from pcapflow.check.walk_summary import of_baseline
from pcapflow.report.documents import DocumentWriter, Out
from pcapflow.summary import Summary

SUFFIX = ".report.json"


MODES = ("content", "exact")


def place_of_baseline(capture: str, compare: str | None) -> tuple[Path, str]:
    """Where a capture's baseline lies, or is to lie, and its mode. compare: the mode that is asked for; None for that of the baseline that is there, content where there is none."""
    by_content, exact = content.path_of(capture), Path(capture + SUFFIX)
    if compare is None:
        compare = "exact" if os.path.lexists(exact) and not os.path.lexists(by_content) else "content"
    return (by_content if compare == "content" else exact), compare


class Baseline:
    """Writes one."""

    def __init__(self, out: Out) -> None:
        self._document = DocumentWriter(out, with_records=True)
        self.records = self._document.records

    def summary(self, summary: Summary) -> None:
        """The rest of it."""
        self._document.end(_left(of_baseline(summary)))


def _left(summary: Summary) -> dict[str, Any]:
    """A settled summary's fields, those that were settled left out."""
    fields: dict[str, Any] = msgspec.to_builtins(summary)
    for name in ("record", "schema", "pcapflow", "run"):
        del fields[name]
    del fields["memory"]["process"], fields["json"]["backend"]
    return fields
