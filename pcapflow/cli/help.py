"""Help that is read: options in groups, examples as they are typed, captures completed as files.

Contract: `Command` is click's, with `groups`: heading to the options under it, in that order; what is in none of them comes first. `--help` leaves out the
options that few need, which `--help-all`, the man page (docs/generate.py) and completion have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

GROUPS = {
    "Output": (
        "as_json",
        "ndjson",
        "kinds",
        "no_records",
        "output",
        "top",
        "sections",
        "memory",
        "html",
        "har",
        "har_body_max_bytes",
        "parquet",
        "sqlite",
        "postgres",
        "sink_timeout",
        "sink_overload",
        "prometheus",
        "quiet",
        "junit",
        "form",
        "with_source",
        "as_hex",
        "raw",
        "gap_fill",
    ),
    "Input selection": ("where", "expression", "begin", "end", "packets", "tunnels", "vlan_key", "verify_checksums"),
    "Message contents": ("headers", "show_secrets", "sniff_json", "hash_bodies", "duplicate_keys", "shapes"),
    "Memory and limits": (
        "memory_limit",
        "process_limit",
        "ring_size",
        "ring_ranges",
        "max_connections",
        "gap_timeout",
        "idle_timeout",
        "block_size",
        "workers",
        "json_parser",
        "overload",
        "overlap",
    ),
    "Batches and clusters": ("separate", "cluster", "shards", "spill"),
}
"""Headings of options that several commands have."""
RARE = frozenset(
    (
        "verify_checksums",
        "tunnels",
        "vlan_key",
        "sniff_json",
        "hash_bodies",
        "duplicate_keys",
        "shapes",
        "har_body_max_bytes",
        "postgres",
        "sink_timeout",
        "sink_overload",
        *GROUPS["Memory and limits"],
        *GROUPS["Batches and clusters"],
    )
) - {"memory_limit"}
"""What `--help` leaves out: what those need who have read docs/memory.md, docs/captures.md or docs/overlaps.md."""
_ALL = "pcapflow.help_all"
REST = "Options"
LAST = "Help"


def grouped(command: click.Command) -> list[tuple[str, list[click.Option]]]:
    """A command's options under their headings, hidden ones left out."""
    found: dict[str, list[click.Option]] = {REST: [], **{name: [] for name in GROUPS}, LAST: []}
    heading = {name: group for group, names in GROUPS.items() for name in names}
    for param in command.get_params(click.Context(command, info_name=command.name, **command.context_settings)):
        if isinstance(param, click.Option) and not param.hidden:
            group = LAST if {"--help", "--help-all"} & set(param.opts) else heading.get(param.name or "", REST)
            found[group].append(param)
    return [(name, options) for name, options in found.items() if options]


class Command(click.Command):
    """A command whose help has groups."""

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        from pcapflow.process_memory import can_load_libraries

        if not can_load_libraries():
            raise MemoryError
        return super().invoke(ctx)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """See click."""
        params = super().get_params(ctx)
        rare = sum(param.name in RARE for param in params)
        if rare:
            text = f"Show {rare} more options and exit."
            params.append(click.Option(["--help-all"], is_flag=True, expose_value=False, is_eager=True, callback=_show_all, help=text))
        return params

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click."""
        for name, options in grouped(self):
            shown = options if ctx.meta.get(_ALL) else [option for option in options if option.name not in RARE]
            rows = [row for option in shown if (row := option.get_help_record(ctx)) is not None]
            if rows:
                with formatter.section(name):
                    formatter.write_dl(rows)


def _show_all(ctx: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - as click calls it
    """The callback of `--help-all`."""
    if asked and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


_Function = TypeVar("_Function", bound=Callable[..., Any])


def capture_arguments() -> Callable[[_Function], _Function]:
    """The argument that every command has which reads captures; shells complete it as files."""
    return click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True, type=click.Path(readable=False))
