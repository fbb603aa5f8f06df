"""What to do next time: the options under which nothing would have been dropped, and what the capture says of how it was made.

Contract: `advise` takes the typed summary and what the reassembly says it would have needed, and returns sentences, each with what it means
for this report and what to do. Looks at counts alone.
"""

from __future__ import annotations

from pcapflow.drops import DropReason
from pcapflow.limits import KIB, MIB
from pcapflow.looking import EXTRAS
from pcapflow.reassembly.connection import CONNECTION_BYTES
from pcapflow.reassembly.needs import Needs
from pcapflow.reassembly.unanswered import SYN_BYTES
from pcapflow.summary import Summary

_SHARE = 0.01
"""Part of the segments, or of the bytes, from which on a habit of the capture is worth a line."""
_MOST = 1 << 40
"""An option beyond this many bytes is no advice."""


def advise(s: Summary, needs: Needs) -> list[str]:
    """The lines, most telling first."""
    return [*_options(s, needs), *_codings(s), *_capture(s)]


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
        account = table * CONNECTION_BYTES + limits["max_unanswered"] * SYN_BYTES
        memory = max(memory, account + others, -(-account * limits["memory_limit"] // limits["connections_total"]))
        flags["--max-connections"] = str(-(-table // 1000) * 1000)
    if memory > limits["memory_limit"]:
        flags = {"--memory-limit": _round(memory, 8 * MIB), **flags}
    if flags and memory < _MOST:
        certain = not needs.unknown and not (needs.evicted and needs.shadowed) and not needs.unseen
        lines.append(_claim(s, needs, certain=certain) + " ".join(f"{flag} {value}" for flag, value in flags.items()))
    for reason in (DropReason.HTTP_MEMORY, DropReason.CONTENT_MEMORY, DropReason.JSON_MEMORY):
        count = s.drops.by_reason.get(reason)
        if count is not None:
            lines.append(f"the {reason.layer} account was full {count.count:,} times: try --memory-limit {_round(2 * limits['memory_limit'], MIB)}")
    return lines


def _claim(s: Summary, needs: Needs, *, certain: bool) -> str:
    """What holds with the options that follow. Not certain: what some holes take, those of connections that left for instance, was not seen."""
    if not certain:
        return "less would have been dropped, and what the rest takes would show, with "
    if needs.evicted:
        also = f" ({needs.unanswered:,} that nobody answered left too, which loses nothing)" if needs.unanswered else ""
        return f"no connection would have been evicted{also} with "
    mended = {DropReason.HOLE_MEMORY.value}
    return "nothing would have been dropped with " if set(s.drops.by_reason) <= mended else "no hole would have been given up for want of room with "


def _codings(s: Summary) -> list[str]:
    return [
        f"{count:,} bodies in content coding {coding} were not looked into: install pcapflow[{coding}]"
        for coding, count in s.http.codings_missing.items()
        if coding in EXTRAS
    ]


def _capture(s: Summary) -> list[str]:
    lines: list[str] = []
    decode, tcp = s.decode, s.tcp
    sent = tcp.payload_bytes.delivered + tcp.missing_bytes
    lost = tcp.acknowledged_missing_bytes - tcp.payload_bytes.late  # what came late the capture has
    if lost > 0:
        lines.append(
            f"the capture lost {_percent(lost, sent)} of the bytes, which their receivers acknowledged: streams and bodies are "
            "gapped there; capture with a larger buffer (tcpdump -B 65536), a filter, or a faster disk"
        )
    if decode.snapped:
        lines.append(
            f"{_percent(decode.snapped, decode.packets)} of the packets were cut by the snap length: their tails are missing; capture whole packets (tcpdump -s 0)"
        )
    talked = tcp.connections - tcp.unanswered_connections
    if decode.fragments_dropped:
        overlap = f"; {decode.fragments_overlapping:,} datagrams were given up since their fragments overlap, which is an attack or a defect" if decode.fragments_overlapping else ""
        lines.append(
            f"{decode.fragments_dropped:,} of {decode.fragments:,} IP fragments came to nothing: others of their datagrams are not in the capture, or came "
            f"too late{overlap}; a filter on ports captures only the first fragment of each (add: or ip[6:2] & 0x1fff != 0)"
        )
    if tcp.one_sided_connections and tcp.one_sided_connections >= _SHARE * talked:
        lines.append(
            f"{_percent(tcp.one_sided_connections, talked)} of the connections were seen in one direction only: answers have no requests, and holes nobody "
            "acknowledges; capture both directions (both ports of a mirror, both paths of a route)"
        )
    if decode.duplicated >= max(1, _SHARE * decode.tcp):
        lines.append(
            f"{_percent(decode.duplicated, decode.tcp)} of the segments came twice at once, as a mirror port shows them that sees a packet come and go: they count as "
            "retransmitted; mirror one direction of each port"
        )
    if decode.oversized >= max(1, _SHARE * decode.tcp):
        lines.append(
            f"{_percent(decode.oversized, decode.tcp)} of the segments are longer than a packet of 1,500 bytes: offloading put them together before the capture saw "
            "them (or jumbo frames); nothing is lost, but sizes and times are not those of the wire (ethtool -K IFACE tso off gso off gro off)"
        )
    if decode.checksums_wrong:
        lines.append(
            f"{decode.checksums_wrong:,} of {decode.checksums_checked:,} TCP checksums that were looked at are wrong, and were accepted: a sender's own capture sees them "
            "before the network card fills them in (ethtool -K IFACE tx off); on another machine's they mean damage"
        )
    disordered = tcp.early_acknowledgements + decode.backwards
    if disordered > _SHARE / 10 * decode.packets:
        lines.append(
            f"the capture itself changed the order: {tcp.early_acknowledgements:,} acknowledgements before their data, {decode.backwards:,} packets older than the one "
            "before; reassembly waits for them; capture on one queue, or merge by time (mergecap)"
        )
    return lines


def _round(n: int, unit: int) -> str:
    return f"{-(-n // unit) * unit // MIB}MiB"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f}%" if share >= 0.1 else "less than 0.1%"
