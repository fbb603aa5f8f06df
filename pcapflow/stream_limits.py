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


@dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)
class StreamLimits:
    """See `Limits`."""

    memory_limit: int = limit(
        64 * MIB,
        "bytes",
        "the stream that buffers the most gives up its oldest hole (gap cause `memory`)",
        "sum of all accounts; leaves room for Python and numpy in a 128 MiB container",
    )
    block_size: int = limit(
        2 * MIB,
        "bytes",
        "the next block starts",
        "one read of the capture; large enough to make the cost per block negligible, small enough for the processor cache; reduced if the memory limit is below 24 MiB",
    )
    block_packets: int = limit(
        8_192,
        "packets",
        "the next block starts",
        "packets per block; limits the columns of a block of tiny packets to about 4 MB, and its records; like block_size, reduced if the memory limit is below 24 MiB",
    )
    record_max_bytes: int = limit(
        1 * MIB,
        "bytes",
        "the capture counts as damaged there: pcapflow skips to the next plausible record (exit status 4)",
        "largest plausible packet record; tcpdump and Wireshark write at most 256 KiB",
    )
    decompress_max_bytes: int = limit(
        16 * MIB,
        "bytes",
        "the capture is refused, exit status 3; decompress it first",
        "decompression window that a compressed capture may request, reserved in the account of blocks; xz -6 needs 9 MiB, zstd -19 needs 8 MiB",
    )
    decompress_max_ratio: int = limit(
        10_000,
        "decompressed bytes per compressed byte",
        "the capture counts as damaged there: reading stops, exit status 4",
        "compression ratio, checked beyond 16 MiB; gzip reaches at most 1,032, xz and zstd about 7,000 on packets of zeros; bzip2 of such packets, and zstd of empty records, exceed it",
    )
    fragment_timeout: int = limit(
        30 * SECOND,
        "nanoseconds",
        "the datagram is given up; its fragments are counted (`fragments_dropped`)",
        "capture time within which all fragments of a datagram must arrive; the same as in Linux",
    )
    fragments_total: int = limit(
        4 * MIB,
        "bytes",
        "the oldest datagram is given up (`fragments_dropped`)",
        "account of incomplete datagrams: 50 of maximum size, or 2,000 of two packets each",
    )
    max_connections: int = limit(
        10_000,
        "connections",
        "closed connections are removed first, then the connection that has been silent longest (`end`: `evicted`)",
        "connections tracked at a time; each takes about 4 KB",
    )
    max_half_open: int = limit(
        16_384,
        "connections",
        "the connection with the oldest last SYN is removed (`end`: `evicted`)",
        "connections with only a SYN, counted separately from max_connections so that a SYN flood cannot evict live connections; 512 bytes each",
    )
    idle_timeout: int = limit(
        3600 * SECOND,
        "nanoseconds",
        "the connection is reported with `end`: `idle`; later packets start a new one",
        "silence after which a connection counts as over; common stacks send keep-alives only every 2 h, but traffic after an hour of silence rarely belongs to the same task",
    )
    linger: int = limit(
        5 * SECOND,
        "nanoseconds",
        "the record of a closed connection is written",
        "how long a closed connection still takes late retransmissions; 5 s covers several retransmission timeouts",
    )
    copies_window: int = limit(
        16_384,
        "packets",
        "copies of older packets count as retransmitted",
        "segments remembered to distinguish packet copies from retransmissions, one per slot, a power of two; covers 16 ms at a million packets per second; 112 bytes each",
    )
    max_vlan_pairs: int = limit(
        16_384,
        "pairs of ends",
        "the oldest pairs are forgotten; a further VLAN tag on one of them is evaluated again",
        "address and port pairs for which pcapflow remembers which VLAN tags belong together, in captures with several tags; 768 bytes each",
    )
    max_finals: int = limit(
        16_384,
        "connections",
        "the oldest are forgotten; a retransmission on one of them starts a new connection",
        "closed connections, already reported, whose last sequence numbers are kept; 400 bytes each, released when the memory is needed",
    )
    final_timeout: int = limit(
        120 * SECOND,
        "nanoseconds",
        "same as max_finals",
        "capture time for which last sequence numbers are kept; a sender repeats its last segments after 14, 28 and 57 s, each counted from the previous one",
    )
    ring_size: int = limit(
        4 * MIB,
        "bytes",
        "the stream's oldest hole is given up (gap cause `ring_full`)",
        "data buffered behind holes in one stream; a loss can put a full receive window behind the hole (Linux grows it to 3 MiB on a fast path)",
    )
    ring_ranges: int = limit(
        1024,
        "ranges",
        "the stream's oldest hole is given up (gap cause `ring_full`)",
        "disjoint ranges buffered in one stream; a 4 MiB window with every third segment missing has 960",
    )
    rings_total: int = limit(
        32 * MIB,
        "bytes",
        "same as memory_limit",
        "account of all rings; half of the memory limit, so that holes never starve the parsers",
    )
    soft_percent: int = limit(
        75,
        "percent",
        "among the streams that buffer more than their share, those whose holes have waited longest give one up (gap cause `memory`)",
        "share of rings_total above which holes are given up early, so that the hard limit does not hit an arbitrary stream",
    )
    overlap_bytes: int = limit(
        64 * KIB,
        "bytes",
        "the stream is reported as ambiguous under every other overlap policy",
        "conflicting copies kept per stream while they wait behind a hole, to determine under which policies the stream is ambiguous",
    )
    overlap_ranges: int = limit(
        256,
        "copies",
        "same as overlap_bytes",
        "conflicting ranges and their copies kept per stream; an attack needs one",
    )
    overlap_copies: int = limit(
        64,
        "segments",
        "same as overlap_bytes, and the buffered copy is kept",
        "segments remembered that sent different values for the same byte; a sender retries about 15 times",
    )
    gap_timeout: int = limit(
        30 * SECOND,
        "nanoseconds",
        "the hole is given up (gap cause `timeout`)",
        "capture time for which data waits behind a hole; longer than the retransmission back-off of a live transfer",
    )
    ack_grace: int = limit(
        1 * MILLISECOND,
        "nanoseconds",
        "a hole that the peer acknowledged is given up (gap cause `acknowledged`)",
        "how long to wait for data that was already acknowledged; an acknowledgement can be captured before its data, in lossy captures by at most 22 packets and 19 us",
    )
    ack_grace_packets: int = limit(
        64,
        "packets",
        "a hole that the peer acknowledged is given up (gap cause `acknowledged`)",
        "same as ack_grace; both must be exceeded",
    )
    late_ranges: int = limit(
        64,
        "ranges",
        "bytes for an older gap count as retransmitted",
        "gaps remembered per stream, to distinguish late data from retransmissions",
    )
    history_bytes: int = limit(
        4 * KIB,
        "bytes",
        "older retransmissions are counted without comparison",
        "delivered bytes kept per stream to compare with retransmissions; usually the last segments are retransmitted",
    )
    history_total: int = limit(
        8 * MIB,
        "bytes",
        "retransmissions in that stream are counted without comparison",
        "account of all histories; enough for 2,000 streams with a full one",
    )
    connections_total: int = limit(
        40 * MIB,
        "bytes",
        "as max_connections",
        "account of the connection table: max_connections and max_half_open together",
    )
