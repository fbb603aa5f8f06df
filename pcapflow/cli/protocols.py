"""`pcapflow protocols`: what is read, and which package brings it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pcapflow.cli.help import Command
from pcapflow.cli.output import open_output

if TYPE_CHECKING:
    from pcapflow.plugin_loading import Point

_EXAMPLES = """\b
Examples:
  pcapflow protocols
  pcapflow protocols --json | jq -r '.[] | select(.problem) | .name'
"""


_PAYLOADS = {
    "json": "bodies of JSON, lines, JSON text sequences and event streams of it",
    "yaml": "bodies of YAML, with pcapflow[yaml]",
    "form": "fields of forms, and JSON in them",
    "multipart": "parts of multipart bodies",
    "graphql": "operations of GraphQL and JSON-RPC requests",
}


@click.command("protocols", cls=Command, epilog=_EXAMPLES, short_help="List the protocols and payloads that pcapflow reads.")
@click.option("--json", "as_json", is_flag=True, help="Write an array of JSON objects instead of the table.")
def protocols(*, as_json: bool) -> None:
    """List the protocols and body types that pcapflow reads, and the package that provides each. A plug-in that cannot be used is listed with its problem."""
    import msgspec

    from pcapflow import __version__
    from pcapflow.payload import registry as payloads
    from pcapflow.protocols import registry

    ours = f"pcapflow {__version__}"
    rows = [_row("protocol", factory.name, ours, factory.reads) for factory in registry.BUILT_IN]
    rows += [_plugged("protocol", point) for point in registry.plugged()]
    rows += [_row("payload", name, ours, reads) for name, reads in _PAYLOADS.items()]
    rows += [_plugged("payload", point) for point in payloads.plugged()]
    with open_output(None) as out:
        out.write(msgspec.json.encode(rows) + b"\n" if as_json else _table(rows).encode("utf-8", "replace"))


def _row(kind: str, name: str, package: str, reads: str, problem: str = "") -> dict[str, str]:
    return {"kind": kind, "name": name, "from": package, "reads": reads, "problem": problem}


def _plugged(kind: str, point: Point) -> dict[str, str]:
    if point.problem:
        return _row(kind, point.name, point.package, "", point.problem)
    types = ", ".join(getattr(point.plugin, "media_types", ()))
    reads = f"bodies of {types}, as records plugin.{point.name}" if types else f"its messages, as records plugin.{point.name}"
    return _row(kind, point.name, point.package, reads)


def _table(rows: list[dict[str, str]]) -> str:
    from rich.table import Table

    from pcapflow.report.console import as_text
    from pcapflow.terminal_text import plain

    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for heading in ("", "name", "from", "reads"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        reads = f"not used: {row['problem']}" if row["problem"] else row["reads"]
        table.add_row(*(plain(text) for text in (row["kind"], row["name"], row["from"], reads)))
    return as_text([table], None, color=None)
