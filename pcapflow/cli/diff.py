"""`pcapflow diff`: what changed between two reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pcapflow.cli import errors
from pcapflow.cli.help import Command
from pcapflow.cli.output import open_output, refuse_overwriting

if TYPE_CHECKING:
    from pcapflow.check.comparing import Comparison

_EXAMPLES = """\b
Examples:
  pcapflow diff monday.json tuesday.json
  pcapflow diff --json a.ndjson b.ndjson | jq .endpoints
  pcapflow analyze --json a.pcap | pcapflow diff a.pcap.report.json /dev/stdin
"""


@click.command(cls=Command, epilog=_EXAMPLES, short_help="What changed between two reports.")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing but the exit status.")
@click.option("--summary", "only_summary", is_flag=True, help="Compare summaries and endpoints, not record by record.")
@click.option(
    "--most", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Differences shown, of each kind; all are counted."
)
def diff(old: str, new: str, *, as_json: bool, quiet: bool, only_summary: bool, most: int) -> None:
    """Compare two reports of `pcapflow analyze` (--json, --ndjson, or a baseline). Status 1 where they differ.

    What may differ between two equal runs is left out: times of the run, the process's memory, the version, folders of paths.
    """
    from pcapflow.check.comparing import compare
    from pcapflow.check.reports import read_report

    if not quiet:
        refuse_overwriting((old, new), {"the result": "-"})
    comparison = compare(read_report(old), read_report(new), most=most, records=not only_summary)
    if not quiet:
        with open_output(None) as out:
            if as_json:
                out.json()(_document(comparison))
            else:
                from pcapflow.check.tables import render

                for text in render(comparison):
                    out.write(text.encode("utf-8", "replace"))
    if not comparison.same:
        raise errors.Finished(errors.DIFFERENT)


def _document(comparison: Comparison) -> bytes:
    import msgspec

    found = msgspec.to_builtins(comparison)
    counts = {name: found[name] for name in ("summary_changes", "new", "gone", "changed")}
    return (
        msgspec.json.encode(
            {
                "same": comparison.same,
                "counts": counts,
                "summary": found["summary"],
                "endpoints": found["endpoints"],
                "records": found["records"],
            }
        )
        + b"\n"
    )
