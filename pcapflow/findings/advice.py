"""What to do next time: the options under which no hole would have been given up for lack of memory, and what the capture says of how it was made.

Contract: `advise` takes the typed summary and what the reassembly says it would have needed, and returns sentences, each with what it means
for this report and what to do. Looks at counts alone.
"""

from __future__ import annotations

from shlex import quote

from pcapflow.body_options import EXTRAS
from pcapflow.decode.unread import QUIC, Kind
from pcapflow.decode.unread import name as name_of
from pcapflow.drops import DropReason, GapCause
from pcapflow.findings.adding import EXAMPLES_MAX
from pcapflow.reassembly.connection import CONNECTION_BYTES
from pcapflow.reassembly.half_open import SYN_BYTES
from pcapflow.reassembly.sizing import Needs
from pcapflow.stream_limits import KIB, MIB
from pcapflow.summary import Summary
from pcapflow.tables import shares
from pcapflow.terminal_text import counted, duration
from pcapflow.unread import UnreadReason

QUIC_NAME = name_of(Kind.SERVICE, QUIC)
_SHARE = 0.01
"""Part of the segments, or of the bytes, from which on a habit of the capture is worth a line."""
_ETHERNET = 1500
"""Bytes of a packet as Ethernet carries it."""
_MOST = 1 << 40
"""An option beyond this many bytes is no advice."""


def advise(s: Summary, needs: Needs) -> list[str]:
    """The lines, most telling first."""
    options = _options(s, needs)
    return [*_snapped(s), *options, *_codings(s), *_slow(s), *_not_looked_at(s), *_capture(s, options)]


_STALLED = 0.1
"""Seconds that answers waited for lost segments from which on that is said; and of an endpoint's p95, from which on it is slow."""
_PARTS = {
    "server": "spent waiting for the first byte of the response: the server",
    "network": "spent in the network: round trips, and waits for segments that it lost",
    "transfer": "spent sending the responses: they are large, or the path to the client is slow",
    "upload": "spent sending the requests: the client, or the path from it, is slow",
}
_MOSTLY = 0.5


def _slow(s: Summary) -> list[str]:
    """What was slow, and who made it so."""
    lines = []
    network = s.network
    if network.stalled >= _STALLED:
        connections = f"{network.stalled_connections:,} connections" if network.stalled_connections > 1 else "1 connection"
        lines.append(
            f"{connections} waited {duration(network.stalled)} in total for segments that the network lost: network loss, not the server, took that time"
        )
    for row in s.endpoints:
        if row.duration is None or row.duration.p95 < _STALLED or row.parts is None or row.slowest is None:
            continue
        name, share = next(iter(shares(row.parts)), ("", 0.0))  # none where all that was taken apart took no time
        if share >= _MOSTLY:
            lines.append(f"{share:.0%} of the time of {row.name} was {_PARTS[name]}{_command(s, row.slowest.connection)}")
        break
    return lines


def _command(s: Summary, connection: int) -> str:
    """What shows a connection."""
    if len(s.captures) != 1 or s.captures[0].path == "-":
        return ""
    return f" (slowest exchange: pcapflow follow {quote(s.captures[0].path)} --connection {connection})"


def _options(s: Summary, needs: Needs) -> list[str]:
    limits = s.limits
    lines: list[str] = []
    flags: dict[str, str] = {}
    memory = 0
    others = sum(c.peak_bytes for name, c in s.memory.components.items() if name != "rings")
    if needs.shadowed:
        rings = needs.rings * 11 // 10 + 64 * KIB
        rings = rings * 100 // limits["soft_percent"]  # below the soft threshold
        memory = max(rings + others, -(-rings * limits["memory_limit"] // limits["rings_total"]))
        if needs.ring_size > limits["ring_size"]:
            flags["--ring-size"] = _round(needs.ring_size + 64 * KIB, MIB)
        if needs.ring_ranges > limits["ring_ranges"]:
            flags["--ring-ranges"] = str(-(-needs.ring_ranges // 64) * 64)
    if needs.evicted:
        table = limits["max_connections"] + needs.evicted
        account = table * CONNECTION_BYTES + limits["max_half_open"] * SYN_BYTES
        memory = max(memory, account + others, -(-account * limits["memory_limit"] // limits["connections_total"]))
        flags["--max-connections"] = str(-(-table // 1000) * 1000)
    if memory > limits["memory_limit"]:
        flags = {"--memory-limit": _round(memory, 8 * MIB), **flags}
    if flags and memory < _MOST:
        certain = not needs.unknown and not (needs.evicted and needs.shadowed) and not needs.unseen
        lines.append(_claim(needs, " ".join(f"{flag} {value}" for flag, value in flags.items()), certain=certain))
    for reason in (DropReason.HTTP_MEMORY, DropReason.CONTENT_MEMORY, DropReason.JSON_MEMORY):
        count = s.drops.by_reason.get(reason)
        if count is not None:
            lines.append(
                f"the {reason.layer} account was full {'once' if count.count == 1 else f'{count.count:,} times'}: try --memory-limit {_round(2 * limits['memory_limit'], MIB)}"
            )
    return lines


def _claim(needs: Needs, options: str, *, certain: bool) -> str:
    """What holds with those options. Not certain: what some holes take, those of connections that left for instance, was not seen."""
    if not certain:
        return f"fewer holes would be given up with {options}; rerun to see whether that suffices"
    if needs.evicted:
        also = f" ({needs.half_open:,} unanswered ones were evicted too, which loses no data)" if needs.half_open else ""
        return f"no connection would be evicted{also} with {options}"
    return f"no hole would be given up for lack of buffer space with {options}"


def _codings(s: Summary) -> list[str]:
    return [
        f"{count:,} bodies with content coding {coding} were not decoded: install pcapflow[{coding}]"
        for coding, count in s.http.codings_missing.items()
        if coding in EXTRAS
    ]


def _not_looked_at(s: Summary) -> list[str]:
    n = s.json.not_looked_at
    return [f"{n:,} HTTP bodies start like JSON but have another Content-Type, or none: --sniff-json reads them"] if n else []


def _capture(s: Summary, options: list[str]) -> list[str]:
    return [*_lost(s), *_not_read(s, options), *_shape(s), *_order(s)]


def _snapped(s: Summary) -> list[str]:
    """Packets that were captured and cut: no buffer and no disk would have kept their tails."""
    decode, tcp = s.decode, s.tcp
    if not decode.snapped:
        return []
    sent = tcp.payload_bytes.delivered + tcp.missing_bytes
    cut_at = min((capture.snaplen for capture in s.captures if capture.snaplen), default=0)
    longer = (
        f"; with offloading, packets can be longer than 1,500 bytes, so a snap length of {cut_at:,} bytes is too short"
        if decode.oversized and _ETHERNET <= cut_at <= 2 * _ETHERNET
        else ""
    )
    return [
        (
            f"{_percent(decode.snapped, decode.packets)} of the packets were truncated by the snap length, which loses {_percent(tcp.snapped_missing_bytes, sent)} of "
            f"the bytes and leaves gaps in streams and bodies{longer}; capture whole packets (tcpdump -s 0)"
        )
    ]


def _lost(s: Summary) -> list[str]:
    """What the capture lost, and what cannot be placed."""
    lines: list[str] = []
    decode, tcp = s.decode, s.tcp
    sent = tcp.payload_bytes.delivered + tcp.missing_bytes
    lost = tcp.acknowledged_missing_bytes - tcp.payload_bytes.late  # what came late the capture has
    if lost > 0:
        lines.append(
            f"the capture lost {_percent(lost, sent)} of the bytes, although the receivers acknowledged them: streams and bodies have "
            "gaps there; capture with a larger buffer (tcpdump -B 65536), a filter, or a faster disk"
        )
    if decode.fragments_dropped:
        overlap = (
            f"; {decode.fragments_overlapping:,} datagrams were given up because their fragments overlap, which indicates an attack or a defect"
            if decode.fragments_overlapping
            else ""
        )
        lines.append(
            f"{decode.fragments_dropped:,} of {decode.fragments:,} IP fragments could not be reassembled: other fragments of their datagrams are missing from the capture or arrived "
            f"too late{overlap}; a port filter captures only the first fragment of each datagram (add: or ip[6:2] & 0x1fff != 0)"
        )
    talked = tcp.connections - tcp.half_open_connections
    if tcp.one_directional_connections and tcp.one_directional_connections >= _SHARE * talked:
        lines.append(
            f"{_percent(tcp.one_directional_connections, talked)} of the connections{_examples(s, 'one_directional', tcp.one_directional_connections)} were captured in one direction only: requests or responses are missing, and holes are "
            "never acknowledged; capture both directions (both ports of a mirror, both paths of a route)"
        )
    if tcp.streams_out_of_window:
        lines.append(
            f"{_some(tcp.streams_out_of_window, 'stream has', 'streams have')} bytes with impossible sequence numbers, at least 1% of what was captured{_examples(s, 'out_of_window', tcp.streams_out_of_window)}: these bytes were "
            "not delivered; inspect the packets (pcapflow follow --connection N)"
        )
    if DropReason.CHECKSUM_WRONG in s.drops.by_reason:
        lines.append(
            f"{_some(s.drops.by_reason[DropReason.CHECKSUM_WRONG].count, 'segment was', 'segments were')} dropped because of a wrong TCP checksum: a capture on the sender sees them before the network card fills in the checksum; "
            "omit --verify-checksums, or capture on another machine (or: ethtool -K IFACE tx off)"
        )
    elif decode.checksums_wrong and (tcp.conflicts or (s.json.invalid and 2 * decode.checksums_wrong < decode.checksums_checked)):
        lines.append(
            f"{decode.checksums_wrong:,} of {decode.checksums_checked:,} verified TCP checksums are wrong, and bytes conflict or bodies are not valid JSON: damaged segments may "
            "be the cause; rerun with --verify-checksums to drop them, unless the capture was made on the sender"
        )
    return lines


def _not_read(s: Summary, options: list[str]) -> list[str]:
    """Traffic that is there and is not read."""
    lines: list[str] = []
    quic = s.decode.not_read.get(QUIC_NAME)
    if quic is not None and quic.bytes >= _SHARE * s.decode.bytes:
        lines.append(
            f"{_percent(quic.bytes, s.decode.bytes)} of the bytes are UDP {QUIC} (QUIC), which is not read; disable QUIC (HTTP/3) in the client to make it use TCP"
        )
    lines += _unread(s, options)
    if s.tcp.multipath_connections:
        lines.append(
            f"{_some(s.tcp.multipath_connections, 'connection offers', 'connections offer')} Multipath TCP (MP_CAPABLE){_examples(s, 'multipath', s.tcp.multipath_connections)}: the data of one side may be spread over several of them, sent "
            "twice, and carry its own sequence numbers, so that bodies seem broken; disable it for the capture (sysctl net.mptcp.enabled=0)"
        )
    return lines


_UNREAD = {
    "tls": (
        "is TLS",
        "are TLS",
        "pcapflow does not decrypt; capture behind the proxy or load balancer that terminates TLS",
    ),
    "http2": (
        "speaks HTTP/2",
        "speak HTTP/2",
        "HTTP/2 is recognized but not read; make the client use HTTP/1.1 (curl --http1.1)",
    ),
    "websocket": ("upgraded to WebSocket", "upgraded to WebSocket", "WebSocket messages are not read"),
    "opaque": (
        "speaks a protocol that pcapflow did not recognize",
        "speak protocols that pcapflow did not recognize",
        "for connections that began before the capture, start it earlier; for others, you can write a plug-in (pcapflow docs extending)",
    ),
}
"""What connections are whose bytes are delivered and read by nobody, by protocol: of one, of several, and what would help."""
_UNREAD_BYTES = {
    UnreadReason.BEFORE_PROTOCOL: ("precede the first recognized message", "capture connections from their start"),
    UnreadReason.BEHIND_LOSS: (
        "belong to messages with missing bytes and cannot be parsed",
        "avoid capture loss (pcapflow docs capture-well)",
    ),
    UnreadReason.MALFORMED: (
        "violate their protocol",
        "inspect their packets (`unread` in the connection record names the first)",
    ),
}
"""What of the connections that are read is not, and what would help."""


_NOT_OURS = frozenset((GapCause.ACKNOWLEDGED, GapCause.SNAPPED, GapCause.END))
"""Causes of gaps that no option would have kept from being."""


def _unread(s: Summary, options: list[str]) -> list[str]:
    """What is delivered and little or nothing of it read, where that is a part of what was said."""
    delivered = s.tcp.payload_bytes.delivered
    least = max(1, _SHARE * delivered)
    lines = []
    for name, (one, several, help_) in _UNREAD.items():
        spoken = s.tcp.spoken.get(name)
        if spoken is not None and spoken.delivered_bytes >= least:
            n, most = spoken.connections, s.tcp.connections
            who = "the only connection" if most == 1 else f"{n:,} of {most:,} connections"
            share = _percent(spoken.delivered_bytes, delivered)
            lines.append(f"{who} ({share} of the delivered bytes) {one if n == 1 else several}: {help_}")
    for reason, (what, help_) in _UNREAD_BYTES.items():
        unread = s.tcp.unread.get(reason)
        if unread is not None and unread.bytes >= least:
            numbers = s.tcp.examples.get(reason, [])
            such = f"{'connections' if len(numbers) > 1 else 'connection'} {', '.join(map(str, numbers))}"
            if reason == UnreadReason.BEHIND_LOSS and options and not s.tcp.gaps_by_cause.keys() <= _NOT_OURS:
                help_ = "apply the options named above"
            lines.append(f"{_percent(unread.bytes, delivered)} of the delivered bytes {what} (for example {such}): {help_}")
    return lines


def _shape(s: Summary) -> list[str]:
    """How the capture shows packets."""
    decode = s.decode
    if decode.duplicated < max(1, _SHARE * decode.tcp):
        return []
    by = decode.duplicated_by_place
    where, way = max(
        (by.file, ("in another capture", "the captures are from two points on the path, and one of them is enough")),
        (
            by.interface,
            (
                "on another interface, or in the other direction through one",
                "tcpdump -i any shows them on a bridge or router; capture on one interface",
            ),
        ),
        (by.vlan, ("with another VLAN tag", "a mirror of a router shows them; mirror one side of it")),
        (
            by.same,
            (
                "at the same place, immediately after the first",
                "a mirror port that sees packets enter and leave shows them; mirror one direction of each port",
            ),
        ),
        key=lambda found: found[0],
    )[1]
    return [
        f"{_percent(decode.duplicated, decode.tcp)} of the segments are copies of packets already captured, most of them {where}: {way}; copies are ignored, and nothing is lost"
    ]


def _order(s: Summary) -> list[str]:
    """Packets that are not in the order of the wire."""
    tcp, decode = s.tcp, s.decode
    if tcp.clock_skew is not None:
        return [
            (
                f"acknowledgements were captured {tcp.clock_skew * 1000:,.1f} ms before the data they acknowledge: the clocks of two capture points differ by about that much; reassembly "
                "waited for the data, but times between the two sides are off by that much; synchronize the clocks (NTP, PTP), or shift one capture (editcap -t)"
            )
        ]
    if tcp.early_acknowledgements + decode.backwards <= _SHARE / 10 * decode.packets:
        return []
    found = [
        f"{counted(n, one)} {behind}"
        for n, one, behind in (
            (tcp.early_acknowledgements, "acknowledgement", "captured before the data that was acknowledged"),
            (decode.backwards, "packet", "with an earlier timestamp than the packet before"),
        )
        if n
    ]
    return [
        (
            f"the capture recorded packets out of order: {' and '.join(found)}; reassembly waits for the data; capture on a single receive queue"
            + (", or sort by time (reordercap; mergecap for several files)" if decode.backwards else "")
        )
    ]


def _examples(s: Summary, name: str, most: int) -> str:
    """Which connections a line speaks of, of so many at the most."""
    numbers = s.tcp.examples.get(name, [])
    if not numbers:
        return ""
    more = ", ..." if most > len(numbers) == EXAMPLES_MAX else ""
    return f" (connection{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}{more})"


def _some(n: int, one: str, several: str) -> str:
    """So many of something, with their verb."""
    return f"{n:,} {one if n == 1 else several}"


def _round(n: int, unit: int) -> str:
    return f"{-(-n // unit) * unit // MIB}MiB"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f}%" if share >= 0.1 else "less than 0.1%"
