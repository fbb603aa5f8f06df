"""`pcapflow report-schema`: the JSON Schema of the report."""

from __future__ import annotations

import click

from pcapflow.cli.help import Command
from pcapflow.cli.output import open_output

_EXAMPLES = """\b
Examples:
  pcapflow report-schema > report.schema.json
  pcapflow report-schema | jq '."$defs".Gap.properties | keys'
"""


@click.command("report-schema", cls=Command, epilog=_EXAMPLES, short_help="Print the JSON Schema of the report.")
def report_schema() -> None:
    """Print the JSON Schema of the report (--json) and of its records (--ndjson, under $defs)."""
    from pcapflow.report.schema import SHIPPED

    with open_output(None) as out:
        out.write(SHIPPED.read_bytes())
