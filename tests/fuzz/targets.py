"""What is fuzzed, without the fuzzer: five functions that take any bytes and fail only for a defect, and seeds for each.

decode: packets of any link type; both paths agree and no payload lies outside its packet. reassembly: segments of two connections;
walking, the column path and small blocks give the same, and the account balances. pipeline: a whole capture file; every run ends with a
balanced report and each account at zero, in one cut as in another. payload: a body of any type; the same in any cut. capture: a file of any format; the same packets in any block.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from pcapflow import pipeline
from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.trace import Trace
from pcapflow.decode import dpkt_path
from pcapflow.decode.segments import DecodeCounts
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.stream_limits import KIB
from tests.capture.containers import COMPRESSIONS, FORMATS
from tests.conftest import Ran, check
from tests.craft import ACK, FIN, RST, SYN, Talk, ethernet, ipv4_packet, merge, pcap, request, response, tcp_header
from tests.decode.test_paths_agree import agree, blocks
from tests.payload.bodies import in_pieces, read
from tests.reassembly.recorder import reassemble
from tests.reassembly.test_against_model import TIGHT, as_tuple, traffic

_LINKS = sorted(dpkt_path.SUPPORTED_LINK_TYPES)
_SCRATCH = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
SMALL = replace(
    Limits(), http_head_max_bytes=2 * KIB, json_slice=64, json_scalar_max_bytes=256, json_max_depth=16, ring_size=4 * KIB, gap_timeout=10**9
)


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    path = _SCRATCH / f"pcapflow-fuzz-{os.getpid()}.pcap"
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink()


def decode(data: bytes) -> None:
    """Byte 0: link type. Then packets: a byte of length (of two bytes' worth), what of it is cut off, the packet."""
    if len(data) < 4:
        return
    link, at = _LINKS[data[0] % len(_LINKS)], 1
    frames: list[tuple[int, bytes, int]] = []
    while at + 2 < len(data) and len(frames) < 16:
        n, cut = data[at] + 1, data[at + 1] % 32
        frame = data[at + 2 : at + 2 + n]
        frames.append((len(frames), frame[: max(0, len(frame) - cut)], len(frame)))
        at += 2 + n
    with _file(pcap(frames, link=link)) as path:
        for block in blocks(path):
            if link == 1:
                agree(block)
            else:
                found = dpkt_path.decode_rows(block, np.arange(len(block)), DecodeCounts())
                end = block.offsets + block.caplen
                assert (found.payload_at + found.payload_len <= end[found.row]).all()


_FLAGS = (0, 0, 0, 0, FIN, RST, SYN, SYN)
_GAPS = (0, 10, 300, 1200, 2500, 5000, 12_000, -400)


def reassembly(data: bytes) -> None:
    """Byte 0: limits, policy. Then five bytes a segment."""
    if len(data) < 6:
        return
    limits = TIGHT if data[0] & 1 else Limits()
    policy = list(Policy)[data[0] // 2 % len(Policy)]
    plan = []
    for at in range(1, min(len(data) - 4, 5 * 60), 5):
        a, offset, n, ack, more = data[at : at + 5]
        plan.append(
            (
                a & 1,
                offset % 100 - 3,
                n % 24,
                a >> 1 & 1,
                None if ack > 200 else ack % 110,
                _GAPS[more & 7],
                _FLAGS[more >> 3 & 7],
                a >> 2 & 1,
            )
        )
    with _file(traffic(plan, (1, 0xFFFF_FFF0)[data[0] >> 7])) as path:
        walked = [as_tuple(t) for t in reassemble(path, limits, walk_all=True, overlap=policy)[0].told]
        for k in (1000, 1, 3):
            assert [as_tuple(t) for t in reassemble(path, replace(limits, block_packets=k), overlap=policy)[0].told] == walked


def whole(data: bytes) -> None:
    """A capture file. Bytes that begin like none get the header of one."""
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"):
        data = _HEADER + data
    with _file(data) as path:
        runs = []
        for packets in (8192, 2):
            lines: list[bytes] = []
            try:
                result = pipeline.run([str(path)], replace(SMALL, block_packets=packets), write=lines.extend)
            except CaptureError:
                return
            runs.append(check(Ran(result, lines)).comparable())
        assert runs[0] == runs[1]


def capture(data: bytes) -> None:
    """A file of any format and compression, as it is: the same packets whatever the size of a block, and nothing kept."""
    with _file(data) as path:
        found = []
        for limits in (Limits(), replace(Limits(), block_size=4 * KIB, block_packets=2)):
            ledger = Ledger(limits)
            try:
                with Trace([str(path)], limits, ledger, Interrupt()) as trace:
                    packets = [
                        (ts, bytes(b.buffer[o : o + n]))
                        for b in trace.blocks()
                        for ts, o, n in zip(b.ts.tolist(), b.offsets.tolist(), b.caplen.tolist(), strict=True)
                    ]
                    (info,) = trace.infos
                    found.append((packets, info.damaged_at, info.skipped_bytes, info.cut_short, info.link_types))
            except CaptureError:
                found.append(([], None, 0, False, []))
            assert ledger.used == 0
        assert found[0] == found[1]


_TYPES = (
    "application/yaml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/graphql", "application/json", "application/x-ndjson",
    "application/json-seq", "text/event-stream", "application/connect+json",
)  # fmt: skip
_SMALL_BODIES = replace(
    SMALL, yaml_scalar_max_bytes=8 * KIB, yaml_max_depth=8, multipart_head_max_bytes=64, parts_max=4, operation_max_bytes=256
)


def payload(data: bytes) -> None:
    """Byte 0: the type, and whether a byte is missing in the middle; byte 1: the size of the pieces. Then the body."""
    if len(data) < 3:
        return
    kind, size, body = _TYPES[data[0] % len(_TYPES)], data[1] % 64 + 1, data[2:]
    middle = len(body) // 2
    halves = [body[:middle], body[middle:]] if data[0] >= 128 else [body]
    found = []
    for n in (len(body), size):
        pieces: list[bytes | None] = []
        for half in halves:
            pieces += [None] * bool(pieces) + in_pieces(half, n)
        reader = read(pieces, kind, _SMALL_BODIES, whole=len(halves) == 1, looking=Looking(shapes=True, duplicate_keys=True), asks=True)
        found.append((reader.found, reader.drop, reader.decoded_bytes, reader.operations))
    assert found[0] == found[1]


_BODIES = (
    b"a: &x [1, {b: 'c'}]\n---\n- *x\n- |\n  text\n",
    b"a=1&p=%7B%22x%22%3A+1%7D&&c",
    b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n{"a": 1}\r\n--b\r\nContent-Type: application/yaml\r\n\r\nk: v\r\n--b--',
    b'query Q($a: [I!] = "}") { a(b: """x""") }',
    b'{"query": "{ a }", "jsonrpc": "2.0", "method": "m"}',
    b'{"a": 1}\n[2]\n',
    b'\x1e{"a": 1}\n\x1e[]',
    b'data: {"a": 1}\n\ndata: [DONE]\n\n',
    b"\0\0\0\0\2{}",
)


def seeds(name: str) -> list[bytes]:
    """Inputs to begin with."""
    talk = Talk().open().send(0, request()).send(1, response(b'{"a":[1,2,{"b":"c"}]}'), size=20).close()
    gapped = (
        Talk(sport=2)
        .open()
        .send(0, request("/x", method="POST", body=b"[1]"))
        .send(1, b"HTTP/1.1", keep=False)
        .send(1, response(b"{}"))
        .acknowledge(0)
    )
    if name == "payload":
        return [bytes([which, size]) + body for i, body in enumerate(_BODIES) for which, size in ((i, 6), (135 + i, 0))]
    if name == "capture":
        frames = talk.frames[:6]
        return [*(write(frames) for write in FORMATS.values()), *(squeeze(pcap(frames)) for squeeze in COMPRESSIONS.values())]
    if name == "pipeline":
        return [merge(talk, gapped), gapped.bytes(), pcap(talk.frames, order=">", nano=True)]
    if name == "decode":
        frames = [frame for _, frame in talk.frames]
        frames.append(
            ethernet(ipv4_packet("1.2.3.4", "5.6.7.8", tcp_header(1, 2, 3, 4, ACK, b"\1\1\5\x0aabcdefgh") + b"xyz"), vlans=[5, 6])
        )
        packed = [bytes([len(f) - 1, 0]) + f for f in frames if len(f) <= 256]
        return [bytes([link]) + b"".join(packed) for link in range(len(_LINKS))]
    return [bytes([b, *([0, 10, 9, 255, 1] * 6), *([5, 20, 9, 40, 2] * 4), 1, 40, 1, 50, 32]) for b in (0, 1, 129, 5, 7)]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "decode": decode,
    "reassembly": reassembly,
    "pipeline": whole,
    "capture": capture,
    "payload": payload,
}
