"""The bounds of reading a capture and of reassembly; those of what streams hold are beside them, in `limits`. Vocabulary: knows nobody.

Contract and invariant are those of `limits`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SECOND, MILLISECOND = 1_000_000_000, 1_000_000


def limit(default: int, unit: str, reached: str, reason: str) -> Any:
    """A bound: its unit, what happens when it is reached, and why the default is what it is."""
    return field(default=default, metadata={"unit": unit, "reached": reached, "reason": reason})


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """See `Limits`."""

    memory_limit: int = limit(
        64 * MIB,
        "bytes",
        "the stream that holds most gives up its oldest hole (gap cause `memory`)",
        "the sum of all accounts; leaves a 128 MB container room for Python and numpy",
    )
    block_size: int = limit(
        2 * MIB,
        "bytes",
        "the next block begins",
        "one read of the capture; large enough that the cost per block vanishes, small enough for the processor's cache; less where the memory limit is less than 24 MiB",
    )
    block_packets: int = limit(
        8_192,
        "packets",
        "the next block begins",
        "bounds the columns of a block of tiny packets to about 4 MB, and its records; as block_size fewer where the memory limit is less than 24 MiB",
    )
    record_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "the capture is damaged there: reading stops, exit status 4",
        "the largest packet record believed; tcpdump and Wireshark write at most 256 KiB",
    )
    decompress_max_bytes: int = limit(
        16 * MIB,
        "bytes",
        "the capture is refused, exit status 3; decompress it first",
        "the window that a compressed capture may ask for, reserved in the account of blocks: xz -6 takes 9 MiB, zstd -19 8 MiB",
    )
    decompress_max_ratio: int = limit(
        10_000,
        "decompressed bytes per compressed byte",
        "the capture is damaged there: reading stops, exit status 4",
        "counts beyond 16 MiB; gzip reaches 1,032, packets of 64 KiB that hold nothing but zeros about 8,000, and a file of empty records over 11,000",
    )
    fragment_timeout: int = limit(
        30 * SECOND,
        "nanoseconds",
        "the datagram is given up; its fragments are counted (`fragments_dropped`)",
        "capture time within which a datagram's fragments must come; as Linux's",
    )
    fragments_total: int = limit(
        4 * MIB,
        "bytes",
        "the oldest datagram is given up (`fragments_dropped`)",
        "the account of datagrams that are not whole: 50 of the largest, 2,000 of two packets",
    )
    max_connections: int = limit(
        10_000,
        "connections",
        "closed connections leave first, then the one that was silent longest (`end`: `evicted`)",
        "connections tracked at one time; each may cost 3 to 4 KB",
    )
    max_half_open: int = limit(
        16_384,
        "connections",
        "the one whose last SYN is oldest leaves (`end`: `evicted`)",
        "connections of which only a SYN was seen, beside max_connections, so that a flood pushes out nothing that lives; 512 bytes each",
    )
    idle_timeout: int = limit(
        3600 * SECOND,
        "nanoseconds",
        "the connection is reported with `end`: `idle`; later packets begin a new one",
        "longer than the keep-alive interval of common stacks would be 2 h; an hour of silence is rarely the same work",
    )
    linger: int = limit(
        5 * SECOND,
        "nanoseconds",
        "the record of a closed connection is written",
        "late retransmissions after the FIN belong to the connection; 5 s covers several retransmission timeouts",
    )
    copies_window: int = limit(
        16_384,
        "packets",
        "an older packet's copy counts as retransmitted",
        "segments remembered to tell copies of a packet from retransmissions, one a slot, a power of two of them: 16 ms at a million packets a second; 112 bytes each",
    )
    max_vlan_pairs: int = limit(
        16_384,
        "pairs of ends",
        "the oldest are forgotten; a further VLAN tag of theirs is decided on anew",
        "pairs of addresses and ports for which it is kept which VLAN tags belong together, in captures with several tags; 768 bytes each",
    )
    max_finals: int = limit(
        16_384,
        "connections",
        "the oldest are forgotten: what one of them sends again begins a connection of its own",
        "closed connections whose record is written and whose last sequence numbers are kept; 400 bytes each, and only as long as nobody needs the room",
    )
    final_timeout: int = limit(
        120 * SECOND,
        "nanoseconds",
        "as max_finals",
        "capture time for which last sequence numbers are kept: a sender repeats its last segments after 14, 28 and 57 s, each counted from the one before",
    )
    ring_size: int = limit(
        4 * MIB,
        "bytes",
        "the stream's oldest hole is given up (gap cause `ring_full`)",
        "data held behind holes in one stream: a receive window of a fast path (Linux grows it to 3 MiB), since a loss puts one behind the hole",
    )
    ring_ranges: int = limit(
        1024,
        "ranges",
        "the stream's oldest hole is given up (gap cause `ring_full`)",
        "disjoint ranges held in one stream; a window of 4 MiB in which every third segment is missing has 960",
    )
    rings_total: int = limit(
        32 * MIB,
        "bytes",
        "as memory_limit",
        "the account of all rings; half of the memory limit, so that holes never starve the parsers",
    )
    soft_percent: int = limit(
        75,
        "percent",
        "of the streams that hold more than their share, those whose holes have waited longest give one up (gap cause `memory`)",
        "part of rings_total beyond which holes go early, so that the hard limit is not met by whoever happens to come then",
    )
    overlap_bytes: int = limit(
        64 * KIB,
        "bytes",
        "the stream is said to be ambiguous under every other overlap policy",
        "copies of contested bytes kept of one stream while they wait behind a hole, to tell under which policies the stream is ambiguous",
    )
    overlap_ranges: int = limit(
        256,
        "copies",
        "as overlap_bytes",
        "contested ranges and their copies kept of one stream; an attack needs one",
    )
    overlap_copies: int = limit(
        64,
        "segments",
        "as overlap_bytes, and what was held stays",
        "segments over one contested byte that are told apart; a sender tries about 15 times",
    )
    gap_timeout: int = limit(
        30 * SECOND,
        "nanoseconds",
        "the hole is given up (gap cause `timeout`)",
        "capture time that data waits behind a hole; longer than the retransmission back-off of a live transfer",
    )
    ack_grace: int = limit(
        1 * MILLISECOND,
        "nanoseconds",
        "a hole that the peer acknowledged is given up (gap cause `acknowledged`)",
        "an acknowledgement can be captured before its data; in lossy captures by at most 22 packets and 19 us",
    )
    ack_grace_packets: int = limit(
        64,
        "packets",
        "a hole that the peer acknowledged is given up (gap cause `acknowledged`)",
        "as ack_grace; both must have passed",
    )
    late_ranges: int = limit(
        64,
        "ranges",
        "bytes for an older gap count as retransmitted",
        "gaps of one stream remembered, to tell late data from retransmitted data",
    )
    history_bytes: int = limit(
        4 * KIB,
        "bytes",
        "an older retransmission is counted without being compared",
        "delivered bytes of one stream kept to compare retransmissions with; the last segments are the ones retransmitted",
    )
    history_total: int = limit(
        8 * MIB,
        "bytes",
        "retransmissions of that stream are counted without being compared",
        "the account of all histories: 2,000 streams with a full one",
    )
    connections_total: int = limit(
        40 * MIB,
        "bytes",
        "as max_connections",
        "the account of the connection table: max_connections and max_half_open together",
    )
