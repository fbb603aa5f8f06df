"""Names of connections, as users write them.

Contract: `connection_name` reads what was written, and raises `ValueError` for what is none.
"""

from __future__ import annotations

import ipaddress
import re

from pcapflow.connection_names import ConnectionName, NamedEnd

_NUMBER = re.compile(r"[0-9]{1,18}")
_COMMUNITY_ID = re.compile(r"1:[A-Za-z0-9+/]{27}=")
_END = r"(?:\[(?P<v6_{0}>[0-9A-Fa-f:.]{{2,45}})\]|(?P<v4_{0}>[0-9.]{{7,15}})):(?P<port_{0}>[0-9]{{1,5}})"
_ENDS = re.compile(rf"{_END.format('a')}\s*(?:-|->|<->)\s*{_END.format('b')}")
_MOST = 0xFFFF
HOW = "write the number of its first packet, IP:PORT-IP:PORT with an IPv6 address in brackets, or its community id"


def connection_name(text: str) -> ConnectionName:
    """What a user wrote. Raises `ValueError`, which says how it is written."""
    if _NUMBER.fullmatch(text):
        if not int(text):
            raise ValueError("packets are counted from 1")
        return ConnectionName(text, number=int(text))
    if _COMMUNITY_ID.fullmatch(text):
        return ConnectionName(text, community_id=text)
    match = _ENDS.fullmatch(text)
    if match is None:
        raise ValueError(f"{HOW}")
    return ConnectionName(text, ends=frozenset(_end(match, name) for name in ("a", "b")))


def _end(match: re.Match[str], name: str) -> NamedEnd:
    v6, port = match[f"v6_{name}"], int(match[f"port_{name}"])
    if port > _MOST:
        raise ValueError(f"{port} is not a port: the highest is {_MOST}")
    address = ipaddress.IPv6Address(v6) if v6 is not None else ipaddress.IPv4Address(match[f"v4_{name}"])
    return NamedEnd(int(address), port, v6 is not None)
