"""HTTP/1 requests and responses of every capture in a folder, connection by connection, beside what tshark counts.

    python -m tests.benchmarks.http_corpus FOLDER

Two comparisons: with tshark's messages (its reassembly in capture order, and in stream order: either may agree), and with the first lines of
messages that stand in TCP payload, whatever either side makes of them. Prints the differences with their reasons; one without a reason makes an
exit status of 1. Captures without HTTP are left out, as are those that pcapflow cannot read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from pcapflow import pipeline, records
from pcapflow.errors import CaptureError
from pcapflow.summary import HttpSummary

Key = tuple[int, int]
"""A connection by its two ports, the lower one first: enough to tell them apart within one capture."""

_IN_CAPTURE_ORDER: tuple[str, ...] = ()
_IN_STREAM_ORDER = ("-o", "tcp.reassemble_out_of_order:TRUE")
_FIELDS = ("frame.number", "frame.protocols", "frame.cap_len", "frame.len", "tcp.srcport", "tcp.dstport", "tcp.seq_raw")
_MESSAGES = ("http.request.method", "http.response.code")
_PAYLOAD = ("tcp.payload",)
_FIRST_LINE = re.compile(
    rb"(?:^|(?<=\n))(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) +[^\s]+ +HTTP/1\.[0-9] *\r?\n|HTTP/1\.[0-9] +([1-9][0-9]{2})[ \r\n])"
)
_INTERIM = re.compile("1(?!01)[0-9][0-9]")
_HEAD_END = re.compile(rb"\n\r?\n")
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")

_ONE_BY_ONE: dict[tuple[str, Key], str] = {
    ("KakaoTalk_talk.pcap", (80, 48489)): "two SYN-ACKs with different numbers: tshark takes what follows the first for a retransmission",
    ("test5-lines-randomized2.pcap", (80, 49392)): "the first two segments of a stream seen midstream are swapped: the earlier one is late",
    ("test5-lines-randomized.pcap", (80, 49392)): "packets in random order: both FINs come before the data and the SYN is the last but one",
}
"""Connections with a difference of their own."""


class Message(NamedTuple):
    """A message as tshark shows it: method or status, its packet, the protocols in it, whether the packet is cut by the snapshot length."""

    what: str
    packet: int
    protocols: list[str]
    cut: bool
    whole_head: bool = True


Messages = dict[Key, list[Message]]


class Ours(NamedTuple):
    """A capture as pcapflow has it."""

    summary: HttpSummary
    messages: dict[Key, Counter[str]]
    connections: dict[Key, list[records.Connection]]
    bodies: dict[Key, Counter[str]]


def _rows(path: Path, wanted: str, fields: tuple[str, ...], settings: tuple[str, ...]) -> Iterator[tuple[Key, list[str]]]:
    """Fields of each packet that the display filter wants, and its innermost connection."""
    command = ["tshark", "-n", "-r", str(path), *settings, "-Y", wanted, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|"]
    fields = (*_FIELDS, *fields)
    done = subprocess.run([*command, *(word for field in fields for word in ("-e", field))], capture_output=True, check=False)
    for line in done.stdout.decode("utf-8", "replace").split("\n"):
        row = line.split("\t")
        if len(row) == len(fields):
            ports = [int(row[at].rpartition("|")[2] or 0) for at in (4, 5)]
            yield (min(ports), max(ports)), row


def tshark(path: Path, settings: tuple[str, ...]) -> Messages:
    """Messages of each connection; under the key (0, 0) those that are not in TCP."""
    found: Messages = defaultdict(list)
    for key, row in _rows(path, "http", _MESSAGES, settings):
        for what in filter(None, (*row[7].split("|"), *row[8].split("|"))):
            found[key].append(Message(what, int(row[0]), row[1].split(":"), int(row[2]) < int(row[3])))
    return found


def first_lines(path: Path) -> Messages:
    """What stands in TCP payload where a line begins and looks like the first line of a message, each byte of a stream once."""
    found: Messages = defaultdict(list)
    data = path.read_bytes()
    if b"HTTP/1." not in data and not data.startswith(_COMPRESSED):
        return found
    known: set[tuple[str, str, int]] = set()
    for key, row in _rows(path, 'tcp.payload contains "HTTP/1."', _PAYLOAD, ("-o", "tcp.desegment_tcp_streams:FALSE")):
        payload = bytes.fromhex(row[7].rpartition("|")[2])
        for line in _FIRST_LINE.finditer(payload):
            place = row[4], row[5], int(row[6].rpartition("|")[2]) + line.start()
            if place not in known:
                known.add(place)
                whole = _HEAD_END.search(payload, line.start()) is not None
                found[key].append(Message((line[1] or line[2]).decode(), int(row[0]), row[1].split(":"), int(row[2]) < int(row[3]), whole))
    return found


def ours(path: Path) -> Ours:
    """Messages of each connection, interim answers aside, which no record has; connections and the states of bodies beside them."""
    lines: list[bytes] = []
    summary = pipeline.run([str(path)], write=lines.extend).summary
    found = Ours(summary.http, defaultdict(Counter), defaultdict(list), defaultdict(Counter))
    decode = msgspec.json.Decoder(records.Record).decode
    written = [decode(line) for line in lines]
    keys: dict[int, Key] = {}
    for record in written:
        if isinstance(record, records.Connection):
            ports = record.client.port, record.server.port
            keys[record.connection] = key = (min(ports), max(ports))
            found.connections[key].append(record)
    for record in written:
        if isinstance(record, records.Http):
            key = keys[record.connection]
            if record.request is not None:
                found.messages[key][record.request.method] += 1
                found.bodies[key][record.request.body.status] += 1
            if record.response is not None:
                found.messages[key][str(record.response.status)] += 1
                found.bodies[key][record.response.body.status] += 1
    return found


def final(messages: list[Message]) -> Counter[str]:
    """Messages counted, interim answers aside."""
    return Counter(m.what for m in messages if not _INTERIM.fullmatch(m.what))


def why_only_ours(key: Key, capture: Ours, seen: Counter[str]) -> str:
    """Why tshark's reassembly does not show a message; nothing where no reason is known. seen: first lines in the payload."""
    if capture.messages[key] - seen:
        return ""
    bodies = capture.bodies[key]
    if any(stream.missing_bytes for c in capture.connections[key] for stream in (c.streams.client, c.streams.server)):
        return "its first line is there; tshark waits for what is missing in a hole"
    if bodies["truncated"]:
        return "its first line is there; tshark waits for the rest of a body that is cut (the capture's end, a reset, a broken chunk)"
    return ""


def why_only_theirs(message: Message) -> str:
    """Why pcapflow does not have a message; nothing where no reason is known."""
    before = message.protocols
    if "udp" in before and "tcp" not in before:
        return "HTTP over UDP"
    if "tls" in before:
        return "TLS, decrypted with keys that the capture holds"
    if "l2tp" in before:
        return "within L2TP, which is not opened"
    if "icmp" in before or "icmpv6" in before:
        return "quoted in an ICMP error"
    if before[0] in ("arcnet", "juniper"):
        return "a link type that is not read"
    return ""


def compare(path: Path, capture: Ours, theirs: Messages, lines_seen: Messages) -> tuple[Counter[str], int]:
    """Differences with their reasons, and how many connections agree as they are."""
    settings = [theirs]
    if any(final(theirs.get(key, [])) != capture.messages.get(key, Counter()) for key in {*theirs, *capture.messages, *lines_seen}):
        settings.append(tshark(path, _IN_STREAM_ORDER))
    lines: Counter[str] = Counter()
    same = 0
    interim = sum(1 for messages in theirs.values() for m in messages if _INTERIM.fullmatch(m.what))
    if interim != sum(n for status, n in capture.summary.by_status.items() if _INTERIM.fullmatch(status)):
        lines["UNEXPLAINED: interim answers"] += 1
    for key in sorted({*capture.messages, *lines_seen, *(key for setting in settings for key in setting)}):
        mine = capture.messages.get(key, Counter())
        known = _ONE_BY_ONE.get((path.name, key))
        seen = final(lines_seen.get(key, []))
        counts = [final(setting.get(key, [])) for setting in settings]
        best = min(range(len(counts)), key=lambda i: ((counts[i] - mine) + (mine - counts[i])).total())
        only_ours, only_theirs = mine - counts[best], counts[best] - mine
        neither = seen - mine - only_theirs
        if not only_ours and not only_theirs and not neither:
            same += 1
            continue
        at = f"ports {key[0]} and {key[1]}"
        if only_ours:
            reason = why_only_ours(key, capture, seen) or known or f"UNEXPLAINED, {at}: {dict(only_ours)}"
            lines[f"only pcapflow: {reason}"] += only_ours.total()
        for who, lacking in (("only tshark", only_theirs), ("neither", neither)):
            for what, n in lacking.items():
                messages = [m for m in lines_seen.get(key) or settings[best][key] if m.what == what]
                messages.sort(key=lambda m: m.whole_head and not m.cut)  # those that are not whole are the likely ones
                for m in messages[:n]:
                    lines[f"{who}: {known or why_only_theirs(m) or f'UNEXPLAINED, {at}: {what} in packet {m.packet}'}"] += 1
    return lines, same


def main(folder: Path) -> int:
    """Compare everything; an exit status."""
    captures = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".md"]
    totals: Counter[str] = Counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (theirs, seen) in zip(
            captures, pool.map(lambda path: (tshark(path, _IN_CAPTURE_ORDER), first_lines(path)), captures), strict=True
        ):
            try:
                capture = ours(path)
            except CaptureError:
                continue
            if not theirs and not seen and not capture.summary.requests and not capture.summary.responses:
                continue
            lines, same = compare(path, capture, theirs, seen)
            totals["connections"] += same
            totals["captures"] += 1
            unexplained = sum("UNEXPLAINED" in line for line in lines)
            totals["unexplained"] += unexplained
            totals["equal" if not lines else "differing, reason unknown" if unexplained else "differing with a reason"] += 1
            for line, count in lines.items():
                print(f"{path.relative_to(folder)}: {count} x {line}", flush=True)
    print(
        f"{totals['captures']} captures compared, {totals['equal']} equal, {totals['differing with a reason']} differing with a reason, "
        f"{totals['differing, reason unknown']} with {totals['unexplained']} differences UNEXPLAINED; "
        f"{totals['connections']} connections equal"
    )
    return bool(totals["unexplained"])


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
