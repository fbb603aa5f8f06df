"""A capture's report as it was accepted: `a.pcap.report.json`, beside it.

Contract: `Baseline` writes what `reports.read_report` reads: the document of `--json`, a record a line, the summary a field a line, without what differs between two
runs or machines. So a change of the report is a change of few lines in git. The file appears when it is whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pcapflow.check.walk_summary import settled
from pcapflow.report.documents import DocumentWriter, Out
from pcapflow.summary import Summary

SUFFIX = ".report.json"


def path_of(capture: str) -> Path:
    """Where a capture's baseline lies."""
    return Path(capture + SUFFIX)


class Baseline:
    """Writes one."""

    def __init__(self, out: Out) -> None:
        self._document = DocumentWriter(out, with_records=True)
        self.records = self._document.records

    def summary(self, summary: Summary) -> None:
        """The rest of it."""
        self._document.end(_left(settled(summary)))


def _left(summary: Summary) -> dict[str, Any]:
    """A settled summary's fields, those that were settled left out."""
    fields: dict[str, Any] = msgspec.to_builtins(summary)
    for name in ("record", "schema", "pcapflow", "run"):
        del fields[name]
    del fields["memory"]["process"], fields["json"]["backend"]
    return fields
