"""What the report's types are made of: what a field means, and what several records share.

Contract: every field of a record is `Annotated` with what it means, by one of the functions here; JSON Schema and the field reference
(docs/report.md) come from that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple

import msgspec

from pcapflow.drops import DropReason

STREAM_STATUS = ("complete", "gapped", "dropped", "partial")
REASONS = tuple(reason.value for reason in DropReason)


def says(text: str, *values: str) -> msgspec.Meta:
    """What a field means; values: all that it may be, where they are few."""
    return msgspec.Meta(description=text, extra_json_schema={"enum": list(values)} if values else None)


def says_or_null(text: str, *values: str) -> msgspec.Meta:
    """The same for a field that may be null."""
    return msgspec.Meta(description=text, extra_json_schema={"enum": [*values, None]} if values else None)


def keyed(text: str, keys: Iterable[str]) -> msgspec.Meta:
    """What a map means whose keys are these."""
    return msgspec.Meta(description=text, extra_json_schema={"propertyNames": {"enum": list(keys)}})


def counts(text: str) -> msgspec.Meta:
    """What a count, a number of bytes or a time means: it is not below zero."""
    return msgspec.Meta(description=text, ge=0)


INSTANT = "seconds since the epoch"
"""What the type information says of a field that is a point in time: tables of typed columns have it as one."""


def instant(text: str) -> msgspec.Meta:
    """What a point of capture time means."""
    return msgspec.Meta(description=text, ge=0, extra={"unit": INSTANT})


def instant_or_null(text: str) -> msgspec.Meta:
    """The same for a field that may be null."""
    return msgspec.Meta(description=text, extra={"unit": INSTANT})


Side = Annotated[str, says("`client`: bytes sent by the client; `server`: by the server.", "client", "server")]
Number = Annotated[int, counts("Number of the connection's first packet in the trace, starting at 1.")]
Time = Annotated[float, instant("Capture time, seconds since the epoch.")]
Packet = Annotated[
    int,
    counts(
        "The packet at which pcapflow knew this, which may belong to another connection; Wireshark's `frame.number` for a single capture."
    ),
]
Sequence = Annotated[int, counts("TCP sequence number at `stream_offset`.")]


class Endpoint(msgspec.Struct, frozen=True):
    """An address and a port."""

    ip: Annotated[str, says("IPv4 or IPv6 address.")]
    port: Annotated[int, counts("TCP port.")]


class Ends(NamedTuple):
    """Both ends of a connection, as many records have them: encoded once, typed as what they stand for."""

    client: Endpoint
    server: Endpoint
    community_id: str


class PacketTime(msgspec.Struct):
    """A packet and its capture time."""

    ts: Time
    packet: Annotated[int, counts("Packet number in the trace.")]
