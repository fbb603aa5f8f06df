"""The two ends of a connection, as the report names them.

Contract: functions of addresses and ports. Community ID is version 1 of https://github.com/corelight/community-id-spec, seed 0: equal for both directions, and in other tools.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from struct import pack
from typing import cast

import msgspec

from pcapflow.fields import Endpoint, Ends
from pcapflow.streams.conversation import Conversation, End

_TCP = 6
_SEED = 0


def endpoint(end: End) -> Endpoint:
    """An end of a connection, for the report."""
    address = ipaddress.IPv6Address(end.address) if end.is_ipv6 else ipaddress.IPv4Address(end.address)
    return Endpoint(str(address), end.port)


def community_id(one: End, other: End) -> str:
    """Of the flow between two ends, whichever comes first."""
    (low, low_port), (high, high_port) = sorted((end.address.to_bytes(16 if end.is_ipv6 else 4, "big"), end.port) for end in (one, other))
    digest = hashlib.sha1(pack("!H", _SEED) + low + high + pack("!BBHH", _TCP, 0, low_port, high_port), usedforsecurity=False)
    return "1:" + base64.b64encode(digest.digest()).decode()


def ends_of(conversation: Conversation) -> Ends:
    """Both ends of a conversation whose client is known."""
    client, server = conversation.endpoints[conversation.client], conversation.endpoints[1 - conversation.client]
    said = [cast("Endpoint", msgspec.Raw(msgspec.json.encode(endpoint(end)))) for end in (client, server)]
    return Ends(said[0], said[1], community_id(client, server))


class LatestEnds:
    """Those of the conversation that was asked for last: connections are worked on one after the other."""

    def __init__(self) -> None:
        self._number = 0
        self._ends: Ends | None = None

    def __call__(self, conversation: Conversation) -> Ends:
        """Both ends of a conversation whose client is known."""
        if self._ends is None or self._number != conversation.number:
            self._number, self._ends = conversation.number, ends_of(conversation)
        return self._ends
