"""The command line: click, options, exit statuses, which renderer. Output happens here and nowhere else.

Invariant: nothing heavy is imported before a command needs it, so that `pcapflow --help` answers at once; every error becomes
one line on standard error and an exit status, in `errors.exit_with`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, MutableMapping

import click

from pcapflow import __version__
from pcapflow.cli.errors import exit_with
from pcapflow.files import is_there

STDIN = "-"
_NAMES = ("analyze", "bodies", "check", "diff", "docs", "extract", "follow", "protocols", "report-schema", "slice")
_EXAMPLES = """\b
Examples:
  pcapflow analyze trace.pcap                    a summary
  pcapflow analyze --ndjson trace.pcap | jq .    one record per line
  pcapflow follow trace.pcap --connection 22     the bytes of one connection
  pcapflow extract 'items[].id' trace.pcap       values from its JSON
  pcapflow bodies trace.pcap -o bodies           message bodies, one file each
  pcapflow check fixtures/*.pcap                 captures as CI fixtures
"""


# One function: each command is imported by name, so that what imports what stays visible.
def _load(name: str) -> click.Command:
    """A command by its name; its module is loaded by that."""
    match name:
        case "analyze":
            from pcapflow.cli.analyze import analyze

            return analyze
        case "bodies":
            from pcapflow.cli.bodies import bodies

            return bodies
        case "check":
            from pcapflow.cli.check import check

            return check
        case "diff":
            from pcapflow.cli.diff import diff

            return diff
        case "docs":
            from pcapflow.cli.docs import docs

            return docs
        case "extract":
            from pcapflow.cli.extract import extract

            return extract
        case "follow":
            from pcapflow.cli.follow import follow

            return follow
        case "protocols":
            from pcapflow.cli.protocols import protocols

            return protocols
        case "report-schema":
            from pcapflow.cli.report_schema import report_schema

            return report_schema
        case _:
            from pcapflow.cli.slice import slice_

            return slice_


class _ByName(MutableMapping[str, click.Command]):
    """The commands, each loaded when it is asked for: a run needs one of them."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command | None] = dict.fromkeys(_NAMES)

    def __getitem__(self, name: str) -> click.Command:
        command = self._loaded[name]
        if command is None:
            command = self._loaded[name] = _load(name)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


class _Commands(click.Group):
    """The commands; a capture in the place of one is answered with the command that is meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """See click."""
        name = args[0]
        if self.get_command(ctx, name) is None and (name == STDIN or (not name.startswith("-") and is_there(name))):
            ctx.fail(f"{name!r} is not a command; to analyze this capture: pcapflow analyze {shlex.quote(name)}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands, commands=_ByName(), epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, "-V", "--version", prog_name="pcapflow")
def cli() -> None:
    """Analyze packet captures offline: what the TCP connections carried, what could not be recovered, and why."""


def main() -> None:
    """The console script."""
    exit_with(cli)
