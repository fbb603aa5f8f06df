"""Addresses of packets mapped under a key: the same address is always the same other one, and two that share a prefix share one as long afterwards.

Contract: `anonymized` gives packets with other MAC and IP addresses, in all headers that are decoded, tunnels too; packets with headers of IPv6 that may name further ones are left out; checksums that were right stay right. Text in what is said keeps its addresses: `--scrub` masks those of the
connections themselves. Source: Xu, Fan, Ammar and Moon, "Prefix-Preserving IP Address Anonymization" (ICNP 2002), with keyed BLAKE2 (RFC 7693) as its function. Invariant: of addresses MOST are
remembered, which saves time and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

from pcapflow.decode.dpkt_path import decode_packet
from pcapflow.decode.tunnels import ETHERNET
from pcapflow.errors import UsageError
from pcapflow.slicing.checksum import fix_checksums
from pcapflow.slicing.writing import Packet

LEAST_KEY = 16
"""Bytes of a key."""
MOST = 4096
_IPV4, _IPV6 = 4, 6
_COOKED = {113: (6, 8), 276: (12, 8)}
"""Link type to where Linux's cooked header has the sender's address, and its bytes."""
_NO_OPERATION = 1
_MULTIPATH, _ADD_ADDRESS = 30, 3
_WIRELESS = frozenset((105, 119, 127, 163))
_EXTENSIONS = frozenset((43, 60, 135))
"""Headers of IPv6 that may name other addresses: routing, destination options, mobility."""


def key_of(path: str) -> bytes:
    """The key in a file. Raises `UsageError`."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(1 << 20)
    except OSError as e:
        raise UsageError(f"--anonymize: {path}: cannot be read: {e.strerror}") from None
    if len(text) < LEAST_KEY:
        raise UsageError(f"--anonymize: {path}: the key must have at least {LEAST_KEY} bytes; head -c 32 /dev/urandom > {path} makes one")
    return blake2b(text).digest()


class Addresses:
    """Other addresses under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[bytes, bytes] = {}

    def other(self, address: bytes) -> bytes:
        """For one of IPv4 or IPv6, as bytes."""
        return self._of(b"ip" + address, lambda: self._prefix_preserving(address))

    def other_hardware(self, address: bytes) -> bytes:
        """For a MAC address: it stays one of a group, or of a single card, and is administered locally; the one for all stays."""
        if not any(address) or address == b"\xff" * len(address):
            return address

        def made() -> bytes:
            found = bytearray(blake2b(address, key=self._key, digest_size=max(1, len(address)), person=b"mac").digest())
            found[0] = found[0] & 0xFC | address[0] & 1 | 2
            return bytes(found)

        return self._of(b"mac" + address, made)

    def _of(self, name: bytes, make: Callable[[], bytes]) -> bytes:
        found = self._known.get(name)
        if found is None:
            if len(self._known) >= MOST:
                self._known.clear()
            found = self._known[name] = make()
        return found

    def _prefix_preserving(self, address: bytes) -> bytes:
        """Each bit is turned or not as a function of those before it says. The function's answers for the eight bits of a byte are the 255 inner nodes of a
        tree of eight levels under the bytes before it, which are one hash: sixteen of them for an address of IPv6, where one a bit would be 128.
        """
        other = bytearray()
        for i, byte in enumerate(address):
            said = blake2b(bytes([len(address), i]) + address[:i], key=self._key, digest_size=32, person=b"ip").digest()
            tree = int.from_bytes(said, "big")
            node, turned = 1, 0
            for bit in range(7, -1, -1):
                turned = turned << 1 | tree >> node & 1
                node = node << 1 | byte >> bit & 1
            other.append(byte ^ turned)
        return bytes(other)


def anonymized(packets: Iterator[Packet], key: bytes, left_out: Callable[[], object]) -> Iterator[Packet]:
    """The same packets with other addresses; key: see `key_of`; left_out is called for each that names addresses where they are not mapped. Raises `UsageError` for 802.11."""
    addresses = Addresses(key)
    for packet in packets:
        if packet.link_type in _WIRELESS:
            raise UsageError("--anonymize: the packets are of IEEE 802.11, whose addresses are not mapped")
        decoded = decode_packet(packet.data, packet.wirelen, packet.link_type)
        if any(kind == _IPV6 and at + 6 < len(packet.data) and packet.data[at + 6] in _EXTENSIONS for kind, at in decoded.headers):
            left_out()
            continue
        yield packet._replace(data=_changed(packet, addresses))


def _changed(packet: Packet, addresses: Addresses) -> bytes:
    before = packet.data
    decoded = decode_packet(before, packet.wirelen, packet.link_type)
    after = bytearray(before)
    if packet.link_type in _COOKED:
        at, n = _COOKED[packet.link_type]
        _map(after, at, n, addresses.other_hardware)
    for kind, at in decoded.headers:
        if kind == ETHERNET:
            _map(after, at, 6, addresses.other_hardware)
            _map(after, at + 6, 6, addresses.other_hardware)
        elif kind == _IPV4:
            _map(after, at + 12, 4, addresses.other)
            _map(after, at + 16, 4, addresses.other)
            size = (before[at] & 15) * 4
            after[at + 20 : at + size] = bytes([_NO_OPERATION]) * len(after[at + 20 : at + size])  # routes are addresses too
        elif kind == _IPV6:
            _map(after, at + 8, 16, addresses.other)
            _map(after, at + 24, 16, addresses.other)
    if decoded.kind == "tcp":
        _without_addresses(after, decoded.payload_at - decoded.options, decoded.payload_at)
    fix_checksums(before, after, decoded)
    return bytes(after)


def _without_addresses(data: bytearray, at: int, end: int) -> None:
    """Of TCP options those of Multipath TCP that name an address (RFC 8684 section 3.4.1) become as many that say nothing."""
    while at + 2 < end:
        kind = data[at]
        size = 1 if kind <= _NO_OPERATION else data[at + 1]
        if kind == 0 or not size or at + size > end:
            return
        if kind == _MULTIPATH and data[at + 2] >> 4 == _ADD_ADDRESS:
            data[at : at + size] = bytes([_NO_OPERATION]) * size
        at += size


def _map(data: bytearray, at: int, n: int, other: Callable[[bytes], bytes]) -> None:
    if at + n <= len(data):
        data[at : at + n] = other(bytes(data[at : at + n]))
