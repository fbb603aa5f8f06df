"""What a run finds, on its way to whoever writes it. Values; they can cross a process."""

from __future__ import annotations

from typing import NamedTuple


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
