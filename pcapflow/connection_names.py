"""How a user names a connection: by the number of its first packet, by its two ends, by its Community ID. Vocabulary: knows nobody.

Contract: values; `cli.connections` reads them. Ends are a set: which of them asks does not matter.
"""

from __future__ import annotations

from typing import NamedTuple


class NamedEnd(NamedTuple):
    """One end."""

    address: int
    """As a number."""
    port: int
    is_ipv6: bool


class ConnectionName(NamedTuple):
    """One of the three is said."""

    text: str
    """As it was written."""
    number: int | None = None
    ends: frozenset[NamedEnd] | None = None
    community_id: str | None = None
