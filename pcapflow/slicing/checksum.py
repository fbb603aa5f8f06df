"""Internet checksums changed with what they cover, without reading the rest of it (RFC 1624, equation 3).

Contract: `adjusted` and `fix_checksums` make checksums right that were right before, and leave those wrong that were wrong.
"""

from __future__ import annotations

import numpy as np

from pcapflow.decode.dpkt_path import Packet

_IPV4, _IPV6, _UDP, _TCP = 4, 6, 17, 6
_TCP_CHECKSUM, _UDP_CHECKSUM, _IP_CHECKSUM = 16, 6, 10


def adjusted(data: bytearray, at: int, before: bytes, after: bytes) -> None:
    """Change the checksum at a place of data; before, after: as many bytes that it covers, which begin at an even place of what it covers, and hold it or not."""
    if at < 0 or at + 2 > len(data):
        return
    old = int.from_bytes(data[at : at + 2], "big")
    total = (~old & 0xFFFF) + _sum(after) - _sum(before)
    data[at : at + 2] = (~(total % 0xFFFF) & 0xFFFF).to_bytes(2, "big")


def _sum(data: bytes) -> int:
    """Of 16-bit words."""
    return int(np.frombuffer(data + b"\0" * (len(data) & 1), dtype=">u2").sum(dtype=np.int64))


def fix_checksums(before: bytes, after: bytearray, decoded: Packet) -> None:
    """All of a packet's, after some of its bytes changed. From the innermost header outwards: what is around one covers it."""
    places = [(at, _UDP_CHECKSUM) for kind, at in decoded.headers if kind == _UDP]
    if decoded.kind == "tcp":
        places.append((decoded.payload_at - decoded.options - 20, _TCP_CHECKSUM))
    networks = [(kind, at) for kind, at in decoded.headers if kind in (_IPV4, _IPV6)]
    fragment = decoded.fragment
    if fragment is not None and not fragment.start and fragment.protocol == _TCP and networks and networks[-1][0] == _IPV4:
        at = networks[-1][1]
        places.append((at + (before[at] & 15) * 4, _TCP_CHECKSUM))
    places += [(at, _IP_CHECKSUM) for kind, at in networks if kind == _IPV4]
    for at, place in sorted(places, reverse=True):
        if place == _IP_CHECKSUM:
            end = at + (before[at] & 15) * 4
            adjusted(after, at + place, before[at:end], bytes(after[at:end]))
            continue
        around = max((one for one in networks if one[1] < at), key=lambda one: one[1], default=None)
        if around is None or (place == _UDP_CHECKSUM and not any(before[at + 6 : at + 8])):
            continue
        begin, end = (around[1] + 12, around[1] + 20) if around[0] == _IPV4 else (around[1] + 8, around[1] + 40)
        stop = _end_of(before, *around)
        adjusted(after, at + place, before[begin:end] + before[at:stop], bytes(after[begin:end] + after[at:stop]))


def _end_of(data: bytes, kind: int, at: int) -> int:
    """Where an IP packet ends, as it says; what fills its frame is no part of it."""
    length = int.from_bytes(data[at + 2 : at + 4], "big") if kind == _IPV4 else 40 + int.from_bytes(data[at + 4 : at + 6], "big")
    return at + length if length > (0 if kind == _IPV4 else 40) else len(data)
