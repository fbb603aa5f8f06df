"""The command line: click, options, exit statuses, which renderer. Output happens here and nowhere else.

Invariant: nothing heavy is imported before a command needs it, so that `pcapflow --help` answers at once; every error becomes
one line on standard error and an exit status, in `errors.exit_with`.
"""

from __future__ import annotations

import shlex

import click

from pcapflow import __version__
from pcapflow.cli.analyze import analyze
from pcapflow.cli.bodies import bodies
from pcapflow.cli.check import check
from pcapflow.cli.diff import diff
from pcapflow.cli.docs import docs
from pcapflow.cli.errors import exit_with
from pcapflow.cli.extract import extract
from pcapflow.cli.follow import follow
from pcapflow.cli.protocols import protocols
from pcapflow.cli.report_schema import report_schema
from pcapflow.cli.slice import slice_
from pcapflow.files import is_there

STDIN = "-"
_EXAMPLES = """\b
Examples:
  pcapflow analyze trace.pcap                    a summary
  pcapflow analyze --ndjson trace.pcap | jq .    one record per line
  pcapflow follow trace.pcap --connection 22     the bytes of one connection
  pcapflow extract 'items[].id' trace.pcap       values from its JSON
  pcapflow bodies trace.pcap -o bodies           message bodies, one file each
  pcapflow check fixtures/*.pcap                 captures as CI fixtures
"""


class _Commands(click.Group):
    """The commands; a capture in the place of one is answered with the command that is meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """See click."""
        name = args[0]
        if self.get_command(ctx, name) is None and (name == STDIN or (not name.startswith("-") and is_there(name))):
            ctx.fail(f"{name!r} is not a command; to analyze this capture: pcapflow analyze {shlex.quote(name)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="pcapflow")
def cli() -> None:
    """Analyze packet captures offline: what the TCP connections carried, what could not be recovered, and why."""


for _command in (analyze, bodies, check, diff, docs, extract, follow, protocols, report_schema, slice_):
    cli.add_command(_command)


def main() -> None:
    """The console script."""
    exit_with(cli)
