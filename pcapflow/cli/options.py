"""Options that every command has which reads captures, and what they make: limits and `pipeline.Options`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pcapflow.body_options import NOTHING_MORE, Looking
from pcapflow.cli import errors
from pcapflow.cli.memory import ARROW_BYTES, memory_limit
from pcapflow.cli.values import Connection, Duration, Moment, Simulated, Size
from pcapflow.header_options import Headers
from pcapflow.limits import Limits
from pcapflow.policy import Policy, VlanKey
from pcapflow.sizes import show_size

if TYPE_CHECKING:
    from pcapflow.pipeline import Options, Result

_DEFAULTS = Limits()
KEYS = ("method", "host", "path", "status", "type", "side", "connection", "exchange", "min-duration")
"""Of `conditions`, which is imported late; a test holds them equal."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def limit_option(flag: str, name: str, kind: Any, text: str) -> Callable[[_Command], _Command]:
    """Adds an option that sets a limit."""
    default = getattr(_DEFAULTS, name)
    shown = show_size(default) if isinstance(kind, Size) else f"{default / 1e9:g}s" if isinstance(kind, Duration) else str(default)
    return click.option(flag, name, type=kind, default=None, help=f"{text}  [default: {shown}]")


_OPTIONS = (
    click.option("-q", "--quiet", is_flag=True, help="Hide the progress bar; with check, print one line per capture."),
    limit_option("--memory-limit", "memory_limit", Size(), "Limit on all data held in memory."),
    limit_option("--ring-size", "ring_size", Size(), "Limit on the bytes one stream buffers out of order."),
    limit_option("--ring-ranges", "ring_ranges", click.IntRange(1), "Limit on the disjoint ranges one stream buffers out of order."),
    limit_option("--max-connections", "max_connections", click.IntRange(1), "Maximum connections tracked at a time."),
    limit_option("--gap-timeout", "gap_timeout", Duration(), "How long, in capture time, data waits for a hole to be filled."),
    limit_option(
        "--idle-timeout", "idle_timeout", Duration(), "How long, in capture time, a connection may be silent before it counts as over."
    ),
    limit_option("--block-size", "block_size", Size(), "Bytes to read at a time; affects only memory use and speed."),
    click.option(
        "--overload",
        type=click.Choice(["gap", "drop"]),
        default="gap",
        show_default=True,
        help="When over budget: give up a stream's oldest hole, or the whole stream.",
    ),
    click.option(
        "--overlap",
        type=click.Choice([policy.value for policy in Policy]),
        default=Policy.FIRST.value,
        show_default=True,
        help="Which copy to keep where out-of-order segments overlap with different bytes.",
    ),
    click.option(
        "--filter",
        "expression",
        metavar="EXPRESSION",
        default=None,
        help="Read only segments that match, such as 'host 10.0.0.1 and port 80' (pcapflow docs captures).",
    ),
    click.option(
        "--from",
        "begin",
        type=Moment(),
        default=None,
        help="Read only segments captured at this time or later: 2026-11-24T12:00:00Z, 12:00:00 (UTC) in a single-day capture, or seconds since the epoch.",
    ),
    click.option("--to", "end", type=Moment(), default=None, help="Read only segments captured before this time."),
    click.option(
        "--json-parser",
        type=click.Choice(["auto", "ijson"]),
        default="auto",
        show_default=True,
        help="JSON parser: `auto` reads complete texts in one pass and the rest with ijson; `ijson` reads everything with ijson. Affects only memory use and speed.",
    ),
    click.option("--packets", type=click.IntRange(1), default=None, help="Stop after this many packets."),
    click.option("--verify-checksums", is_flag=True, help="Drop segments with a wrong TCP checksum."),
    click.option(
        "--tunnels",
        type=click.Choice(["on", "off"]),
        default="on",
        show_default=True,
        help="Decode tunnels, or treat them as packets of the outer protocol.",
    ),
    click.option(
        "--vlan-key",
        type=click.Choice(["auto", "on", "off"]),
        default="auto",
        show_default=True,
        help="Whether VLAN IDs separate connections: `auto` decides by addresses, ports, and sequence numbers; `on` always; `off` never.",
    ),
    click.option(
        "--process-limit",
        type=Size(),
        default=None,
        help="Hard limit on process memory; when exceeded, the run ends with the report so far and exit status 71.",
    ),
    click.option(
        "--simulate",
        type=Simulated(),
        multiple=True,
        hidden=True,
        help="ACCOUNT=N: refuse its Nth reservation; process=N: no memory at block N.",
    ),
)


_LOOKING = (
    click.option("--sniff-json", is_flag=True, help="Also look for JSON in bodies with another Content-Type, or none."),
    click.option("--hash-bodies", is_flag=True, help="Record the SHA-256 of every complete body."),
    click.option("--shapes", is_flag=True, help="Record the shape of every JSON body: its paths and their types."),
    click.option("--duplicate-keys", is_flag=True, help="Count duplicate keys in JSON objects."),
)


_HEADERS = (
    click.option(
        "--headers",
        metavar="none|names|all|NAME,...",
        default="none",
        show_default=True,
        help="Header and trailer fields to record: none, their names only, all, or only the named ones. Secrets are replaced by their length, as in `[32 bytes]`.",
    ),
    click.option(
        "--show-secrets",
        is_flag=True,
        help="Show credentials, cookies and tokens in URLs and recorded header fields instead of their length.",
    ),
)


def looking_options(command: _Command) -> _Command:
    """Adds what to look for in bodies, for commands that make a report."""
    for option in reversed((*_LOOKING, *_HEADERS)):
        command = option(command)
    return command


def looking(given: Mapping[str, Any]) -> Looking:
    """What those options say."""
    return Looking(sniff=given["sniff_json"], hashes=given["hash_bodies"], duplicate_keys=given["duplicate_keys"], shapes=given["shapes"])


def where_option(text: str) -> Callable[[_Command], _Command]:
    """Adds conditions on exchanges (`conditions`); text: what they do in the command."""
    return click.option(
        "--where", metavar="KEY=VALUE,...", default="", help=f"{text} (pcapflow docs bodies): {', '.join(f'{key}=' for key in KEYS)}."
    )


def connection_option(command: _Command) -> _Command:
    """Adds which connection is meant, as `name`."""
    return click.option(
        "--connection",
        "name",
        metavar="N|ENDS|ID",
        type=Connection(),
        default=None,
        help="Select a connection by the number of its first packet, its endpoints as IP:PORT-IP:PORT, or its Community ID.",
    )(command)


def workers_option(command: _Command) -> _Command:
    """Adds how many processes share a run, for commands whose runs can be shared."""
    return click.option(
        "--workers",
        type=click.IntRange(1),
        default=None,
        help="Processes to share the work, each handling its own connections; affects only memory use and speed.  [default: number of processors, fewer for small captures]",
    )(command)


def run_options(command: _Command) -> _Command:
    """Adds them to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _parameters() -> list[click.Parameter]:
    def nothing() -> None: ...

    return click.command(looking_options(run_options(nothing))).params


OPTIONS_OF_A_RUN = _parameters()
"""All of them, as click knows them."""


def settings(given: Mapping[str, Any], looking: Looking = NOTHING_MORE) -> tuple[Limits, Options]:
    """The limits and options that a command line says."""
    names = _DEFAULTS.as_dict()
    bounds = replace(
        _DEFAULTS.with_memory(memory_limit(given["memory_limit"], given["process_limit"], ARROW_BYTES if given.get("parquet") else 0)),
        **{name: value for name, value in given.items() if name in names and name != "memory_limit" and value is not None},
    )
    if given["json_parser"] == "ijson":
        bounds = replace(bounds, json_whole_max_bytes=1)
    from pcapflow import pipeline
    from pcapflow.conditions import Conditions

    return bounds, pipeline.Options(
        looking=looking,
        headers=Headers(given.get("headers") or "none", secrets=given.get("show_secrets", False)),
        drop_streams=given["overload"] == "drop",
        overlap=Policy(given["overlap"]),
        tunnels=given["tunnels"] == "on",
        vlan_key=VlanKey(given["vlan_key"]),
        filter=given["expression"],
        begin=given["begin"],
        end=given["end"],
        verify_checksums=given["verify_checksums"],
        where=Conditions.parse(given["where"]) if given.get("where") else None,
        packets=given["packets"],
        process_limit=given["process_limit"],
        simulate=dict(given["simulate"]),
        workers=given.get("workers", 1),
    )


def finish(result: Result) -> None:
    """Warnings to standard error, and the first exit status that holds."""
    for warning in result.warnings:
        errors.say(f"warning: {warning}")
    unbalanced = result.account_error()
    if unbalanced is not None:
        raise unbalanced
    if result.out_of_memory:
        errors.say("out of memory: the report covers what was read before")
    if result.nothing_decoded:
        raise errors.Finished(errors.NOT_A_CAPTURE)
    if result.asked_to_stop:
        raise errors.Finished(errors.INTERRUPTED)
    if result.out_of_memory:
        raise errors.Finished(errors.OUT_OF_MEMORY)
    if result.damaged:
        raise errors.Finished(errors.DAMAGED)
