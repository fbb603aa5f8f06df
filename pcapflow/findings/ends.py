"""The two ends of a connection, as the report names them.

Contract: functions of addresses and ports. Community ID is version 1 of https://github.com/corelight/community-id-spec, seed 0: equal for both directions, and in other tools.
"""

from __future__ import annotations

import ipaddress
from binascii import b2a_base64
from struct import Struct
from typing import Any

import msgspec

from pcapflow.connection_names import ConnectionName, NamedEnd
from pcapflow.fields import Endpoint, Ends
from pcapflow.streams.conversation import Conversation, End

try:
    from _sha1 import sha1  # type: ignore[import-not-found]  # a tenth of what importing hashlib and its library takes
except ImportError:
    from hashlib import sha1

_TCP = 6
_encode = msgspec.json.Encoder().encode
_SEED = bytes(2)
_PORTS = Struct("!BBHH").pack


def endpoint(end: End) -> Endpoint:
    """An end of a connection, for the report."""
    if end.is_ipv6:
        return Endpoint(str(ipaddress.IPv6Address(end.address)), end.port)
    address = end.address
    return Endpoint(f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}", end.port)


def community_id(one: End, other: End) -> str:
    """Of the flow between two ends, whichever comes first."""
    if (one.address, one.port) > (other.address, other.port):
        one, other = other, one
    size = 16 if one.is_ipv6 else 4
    flow = b"".join((_SEED, one.address.to_bytes(size, "big"), other.address.to_bytes(size, "big"), _PORTS(_TCP, 0, one.port, other.port)))
    return "1:" + b2a_base64(sha1(flow, usedforsecurity=False).digest(), newline=False).decode()


def addresses(conversation: Conversation) -> tuple[str, str]:
    """Of client and server."""
    client = conversation.client
    return endpoint(conversation.endpoints[client]).ip, endpoint(conversation.endpoints[1 - client]).ip


def ends_of(conversation: Conversation) -> Ends:
    """Both ends of a conversation whose client is known."""
    client, server = conversation.endpoints[conversation.client], conversation.endpoints[1 - conversation.client]
    said: Any = msgspec.Raw
    return Ends(said(_encode(endpoint(client))), said(_encode(endpoint(server))), community_id(client, server))


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


def is_called(name: ConnectionName, number: int, ends: tuple[End, End]) -> bool:
    """Whether a connection of that number, between those ends, is one that a user named so."""
    if name.number is not None:
        return name.number == number
    if name.ends is not None:
        return name.ends == {NamedEnd(end.address, end.port, end.is_ipv6) for end in ends}
    return community_id(*ends) == name.community_id
