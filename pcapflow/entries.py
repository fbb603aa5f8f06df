"""What a run finds, on its way to whoever writes it. Values; they can cross a process."""

from __future__ import annotations

from typing import NamedTuple

OWNED_JSON = "json.exchange"
"""The kind of a record of JSON that stands in its exchange too: for those who name `json`."""
RECORD_TYPES = ("http", "connection", "json", "gap", "drop", "conflict", "plugin")
"""What may be asked for; `plugin` for what any plug-in finds."""


def is_record_type(name: str) -> bool:
    """Whether it may be asked for."""
    return name in RECORD_TYPES or name.startswith("plugin.")


Kinds = frozenset[str] | None
"""Kinds of entries that somebody takes; None for all but what stands elsewhere already."""


def takes(kinds: Kinds, kind: str) -> bool:
    """Whether who takes those kinds takes that one. `json` stands for all records of JSON, `plugin` for what any plug-in finds."""
    if kinds is None:
        return kind != OWNED_JSON
    return kind in kinds or kind.partition(".")[0] in kinds


class Entry(NamedTuple):
    """One record, encoded, with its place among all of them: they are in the order of these fields."""

    packet: int
    """The packet that completed it."""
    connection: int
    rank: int
    """Its place among what one packet completes on one connection."""
    order: int
    """Its place among those of one rank, as far as they are told apart."""
    number: int
    """Its place among those told: where nothing else does, that decides."""
    kind: str
    """The record's type; or the sink's that it was made for, see `report.sinks.base.Sink.own`."""
    line: bytes
    """JSON, without a line's end."""
