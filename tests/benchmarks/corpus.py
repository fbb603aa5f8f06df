"""Packets and TCP segments of every capture in a folder, beside what capinfos and tshark (with their own reassembly off) count; and whether both of pcapflow's paths agree on each packet.

    python -m tests.benchmarks.corpus FOLDER

Prints each capture on which they differ, with the reasons; a packet that no reason explains makes an exit status of 1, as do an account
that does not balance, a traceback and a capture that takes more than five seconds. Captures that tshark cannot read are only run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from pcapflow import pipeline, shard
from pcapflow.decode.segments import SegmentColumns
from pcapflow.errors import CaptureError
from tests.decode.test_paths_agree import agree, blocks

_FIELDS = (
    "frame.number",
    "frame.protocols",
    "tcp.srcport",
    "ip.version",
    "ipv6.version",
    "ip.flags.mf",
    "ip.frag_offset",
    "ipv6.fraghdr.offset",
    "frame.cap_len",
    "frame.len",
)
_SECONDS_MAX = 5.0
_NOT_OPENED = {"macsec", "nsh", "avsp", "l2tp", "pwethcw"}
"""What IP may lie in that is not opened."""
_ONE_BY_ONE = {
    "NullLoopback.pcap": "a header of HDLC where the address family should be",
    "null_loopback.pcap": "a header of HDLC where the address family should be",
    "icmp-icmp_print-oobr-2.pcap": "a frame relay address of more than two bytes",
    "vrrp-vrrp_print-oobr.pcap": "a frame relay address of more than two bytes",
    "beep-oobr.pcap": "a packet of IP version 3",
}
"""Captures with a difference of their own."""


def tshark(path: Path) -> dict[int, list[str]] | None:
    """Fields of each packet by number; None where tshark cannot read the capture."""
    command = ["tshark", "-n", "-r", str(path), "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-T", "fields"]
    done = subprocess.run([*command, *(word for field in _FIELDS for word in ("-e", field))], capture_output=True, check=False)
    rows = [line.split("\t") for line in done.stdout.decode("utf-8", "replace").split("\n") if line]
    return {int(row[0]): row for row in rows if row[0].isdecimal()} if done.returncode == 0 else None


def packets_of(path: Path) -> int | None:
    """What capinfos counts; None where it cannot read the capture."""
    done = subprocess.run(["capinfos", "-c", "-M", "-T", "-r", str(path)], capture_output=True, check=False, text=True, errors="replace")
    last = done.stdout.strip().rsplit("\t", 1)[-1]
    return int(last) if done.returncode == 0 and last.isdecimal() else None


def why(row: list[str], *, ours: bool) -> str:
    """Why one side alone has TCP in a packet; nothing where no reason is known."""
    protocols = row[1].split(":") if len(row) > 1 else []
    before = protocols[: protocols.index("tcp")] if "tcp" in protocols else protocols
    fragment = any(value not in ("", "0", "False") for field in row[5:8] for value in field.split(","))
    if fragment:
        return "a fragment: here a datagram counts at its last one, in tshark at its first"
    if ours:
        return "BIG TCP: more than 64 KiB in one packet, which this tshark does not follow" if int(row[9]) > 65_535 else ""
    for quoted, text in (
        ("icmp", "quoted in an ICMP error"),
        ("icmpv6", "quoted in an ICMP error"),
        ("sflow", "a sample of sFlow"),
        ("l2tp", "within L2TP, which is not opened"),
    ):
        if quoted in before:
            return text
    if protocols[:1] and protocols[0] in ("arcnet", "juniper"):
        return "a link type that is not read"
    return "a TCP header that is cut or makes no sense: malformed here"


def main(folder: Path) -> int:
    """Compare everything; an exit status."""
    wrong = 0
    captures = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".md"]
    found: list[int] = []
    original = shard.columns.decode

    def decode(*args: object, **options: object) -> SegmentColumns:
        segments = original(*args, **options)  # type: ignore[arg-type]
        found.extend(segments.packet.tolist())
        return segments

    shard.columns.decode = decode  # type: ignore[assignment]
    for path in captures:
        found.clear()
        began = time.perf_counter()
        try:
            result = pipeline.run([str(path)])
        except CaptureError as e:
            print(f"{path.relative_to(folder)}: {e}")
            continue
        spent = time.perf_counter() - began
        decoded = result.summary.decode
        lines: Counter[str] = Counter()
        if result.unbalanced or spent > _SECONDS_MAX:
            lines[f"UNEXPLAINED: balanced {not result.unbalanced}, {spent:.1f} s"] += 1
        theirs = tshark(path)
        packets = packets_of(path)
        if packets is not None and packets != decoded.packets:
            zeros = any("nothing but zeros" in warning for warning in result.warnings) and packets > decoded.packets
            reason = (
                "a hole of zeros, which capinfos reads as empty packets"
                if zeros
                else f"UNEXPLAINED: {decoded.packets} packets, capinfos has {packets}"
            )
            lines[reason] += 1
        if theirs is not None and packets is not None:
            tcp = {number for number, row in theirs.items() if row[2]}
            for number in sorted(tcp ^ set(found)):
                reason = why(theirs.get(number, []), ours=number in found)
                if reason.startswith("a TCP header that is cut") and not decoded.malformed:
                    reason = ""
                if reason == "a link type that is not read" and not decoded.unsupported_link:
                    reason = ""
                lines[reason or f"UNEXPLAINED: packet {number}"] += 1
            ip = sum(bool(row[3] or row[4]) for row in theirs.values())
            if ip != decoded.ip:
                inside = sorted({name for row in theirs.values() if row[3] or row[4] for name in row[1].split(":")} & _NOT_OPENED)
                because = _ONE_BY_ONE.get(path.name) or (
                    "malformed here" if decoded.malformed else "a link type that is not read" if decoded.unsupported_link
                    else f"within {', '.join(inside)}, which is not opened" if inside else "UNEXPLAINED"
                )  # fmt: skip
                lines[f"{decoded.ip} IP packets, tshark has {ip}: {because}"] += 1
        try:
            for block in blocks(path):
                agree(block)
        except AssertionError:
            lines["UNEXPLAINED: the paths differ"] += 1
        for line, count in lines.items():
            print(f"{path.relative_to(folder)}: {count} x {line}", flush=True)
            wrong += "UNEXPLAINED" in line
    print(f"{len(captures)} captures, {wrong} differences without a reason")
    return bool(wrong)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
