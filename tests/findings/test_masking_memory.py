"""What is masked of a connection costs what is reserved for it: while it is under way, and once it is over."""

from __future__ import annotations

import gzip
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow import pipeline, shard
from pcapflow.budget import Ledger
from pcapflow.findings.masked_bodies import body_listeners
from pcapflow.findings.masked_streams import StreamMasking
from pcapflow.findings.masking import Masking
from pcapflow.limits import Limits
from pcapflow.options import Options
from tests.craft import Talk, merge, request, response

N = 200
PLACES = (
    "findings/masked_bodies",
    "payload/json_values",
    "findings/masked_streams",
    "findings/masking",
    "findings/scanning",
    "findings/framing",
    "findings/kept_masks",
    "findings/live_masks",
)


def talks(kind: str) -> bytes:
    made = []
    for i in range(N):
        t = Talk(client=f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}")
        t.us = i * 100
        secret = "Cookie: a=b\r\n" if "secret" in kind else ""
        t.open().send(0, request(fields=secret)).send(1, response(b'{"ok":true}'))
        if "outside" in kind:
            t.seq[0] += 1 << 28
            t.send(0, b"x")
        made.append(t)
    return merge(*made)


def measured() -> int:
    keep = [tracemalloc.Filter(True, f"*/pcapflow/{place}.py") for place in PLACES]
    return sum(s.size for s in tracemalloc.take_snapshot().filter_traces(keep).statistics("filename"))


def looked_at(path: Path, masking: Masking) -> list[tuple[int, int]]:
    """Bytes that are kept, and reserved, before the connections are over, and after."""
    found = []
    original = shard.FlowTable.finish

    def measure(self: shard.FlowTable, packet: int, ts: int) -> None:
        found.append((measured(), masking._account.used))
        original(self, packet, ts)

    tracemalloc.start()
    before = measured(), masking._account.used
    try:
        shard.FlowTable.finish = measure  # type: ignore[method-assign]
        pipeline.run([str(path)], Limits(), Options(), follow=masking, listeners=body_listeners(masking))
        found.append((measured(), masking._account.used))
    finally:
        shard.FlowTable.finish = original  # type: ignore[method-assign]
        tracemalloc.stop()
    return [(kept - before[0], reserved - before[1]) for kept, reserved in found]


@pytest.mark.parametrize("kind", ["nothing", "a secret", "outside", "a secret, outside"])
def test_what_is_kept_of_a_connection_is_reserved(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(talks(kind))
    masking = StreamMasking((), Ledger(Limits()))
    looked_at(path, StreamMasking((), Ledger(Limits())))  # what is made once
    (live, reserved), (over, kept) = looked_at(path, masking)
    print(kind, live / N, reserved / N, over / N, kept / N)
    assert 0.3 * reserved < live < reserved
    assert len(masking.kept) == (0 if kind == "nothing" else N)
    assert over < kept + 128 * 1024  # tables do not shrink
    assert masking._account.used - masking.crowd.size == masking._kept_bytes
    masking.forget()
    assert masking._account.used == 0


@pytest.mark.parametrize("paths", [(), ("..a",)])
@pytest.mark.parametrize("fields", ["", "Content-Encoding: gzip\r\n", "Transfer-Encoding: chunked\r\n"])
def test_what_is_kept_of_bodies_under_way_is_reserved(paths: tuple[str, ...], fields: str, tmp_path: Path) -> None:
    made = []
    for i in range(N):
        t = Talk(client=f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}")
        t.us = i * 100
        body = gzip.compress(b'{"a":[[[[' + b"1," * 50) if "gzip" in fields else b"".join(b"1\r\n[\r\n" for _ in range(60))
        length = "" if "chunked" in fields else "Content-Length: 100000\r\n"
        t.open().send(0, request()).send(1, f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{length}{fields}\r\n".encode() + body)
        made.append(t)
    path = tmp_path / "x.pcap"
    path.write_bytes(merge(*made))
    limits = Limits().with_memory(1 << 28)
    masking = StreamMasking(paths, Ledger(replace(limits, output_total=1 << 27)))
    looked_at(path, StreamMasking(paths, Ledger(replace(limits, output_total=1 << 27))))
    (live, reserved), _ = looked_at(path, masking)
    print(live / N, reserved / N)
    assert 0.2 * reserved < live < reserved
    masking.forget()
    assert masking._account.used == 0
