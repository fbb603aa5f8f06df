"""How a run is to be done, beside the limits. Values."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pcapflow.body_options import NOTHING_MORE, Looking
from pcapflow.conditions import Conditions
from pcapflow.header_options import NO_HEADERS, Headers
from pcapflow.policy import Policy, VlanKey


class Options(msgspec.Struct, frozen=True):
    """How to run, beside the limits."""

    drop_streams: bool = False
    """`--overload drop`: over budget, give up a stream instead of its oldest hole."""
    overlap: Policy = Policy.FIRST
    """Whose copy is delivered where segments behind a hole overlap with different bytes."""
    vlan_key: VlanKey = VlanKey.AUTO
    """Whether VLAN ids keep connections apart."""
    tunnels: bool = True
    """Whether tunnels are opened, or left as packets of the outer protocol."""
    filter: str | None = None
    """Which segments are looked at, see `decode.filters`; None for all."""
    begin: int | None = None
    """Only segments captured at that time (ns since the epoch) or later."""
    end: int | None = None
    """Only segments captured before that time."""
    verify_checksums: bool = False
    """Drop segments whose TCP checksum is wrong."""
    looking: Looking = NOTHING_MORE
    """What to look for in bodies, beside the JSON in those that say so."""
    headers: Headers = NO_HEADERS
    """Which fields of messages are recorded, and whether secrets are shown."""
    where: Conditions | None = None
    """Which exchanges have a record, in whatever form; None for all. What is counted covers all of them."""
    packets: int | None = None
    """How many packets are read; None for all."""
    process_limit: int | None = None
    """Bytes of data that the process may have; None for no limit of ours."""
    simulate: Mapping[str, int] = msgspec.field(default_factory=dict)
    """What fails on purpose: an account's name to which of its reservations is refused, `process` to the block at which the process
    has no memory left; from 1.
    """
    looks_for: int | None = None
    """A packet whose connection is looked for: copies of packets are segments like others, since it may be one, and what lies behind it counts for the clock alone."""
    workers: int | None = 1
    """Processes that share the run; None for as many as there are processors, where that is worth it."""
    walk_all: bool = False
    """Take every segment row by row; the column path is tested against it."""
