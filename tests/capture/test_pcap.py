"""Classic pcap: every variant reads the same, and damage is said where it is."""

from __future__ import annotations

import gzip
import os
import struct
import threading
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.capture.block import PAD
from pcapflow.capture.formats import open_capture
from pcapflow.capture.pcap import Pcap
from pcapflow.capture.reader import CaptureInfo
from pcapflow.capture.source import open_source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits
from tests.conftest import Run, unplaced
from tests.craft import Talk, pcap, request, response

EXCHANGE = Talk().open().send(0, request("/a")).send(1, response(b'{"ok":true}')).close()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_byte_orders_and_resolutions_give_the_same_report(run: Run, order: str, nano: bool) -> None:
    assert run(pcap(EXCHANGE.frames, order=order, nano=nano)).comparable() == run(EXCHANGE.bytes()).comparable()


def test_a_capture_without_packets_gives_an_empty_report(run: Run) -> None:
    summary = run(pcap([])).summary
    assert summary.captures[0].packets == 0
    assert summary.captures[0].first_ts is None
    assert not summary.captures[0].cut_short


@pytest.mark.parametrize("cut", [1, 15, 16, 17, 60])
def test_a_record_that_is_cut_short_is_said_and_is_no_error(run: Run, cut: int) -> None:
    whole = EXCHANGE.bytes()
    last = 16 + len(EXCHANGE.frames[-1][1])
    ran = run(whole[: len(whole) - last + cut] if cut < last else whole)
    assert ran.summary.captures[0].cut_short
    assert ran.summary.captures[0].packets == len(EXCHANGE.frames) - 1
    assert "cut short" in ran.result.warnings[0]
    assert not ran.result.damaged


def test_a_record_header_that_cannot_be_one_is_damage_and_reading_goes_on_behind_it(run: Run) -> None:
    whole = EXCHANGE.bytes()
    at = 24 + sum(16 + len(f) for _, f in EXCHANGE.frames[:4])
    broken = whole[: at + 8] + struct.pack("<I", 0x7FFFFFFF) + whole[at + 12 :]
    ran = run(broken)
    assert ran.result.damaged
    capture = ran.summary.captures[0]
    assert capture.damaged_at == at
    assert capture.packets == len(EXCHANGE.frames) - 1
    assert capture.skipped_bytes == 16 + len(EXCHANGE.frames[4][1])
    assert f"damaged at byte {at}: a record claims 2147483647 bytes" in ran.result.warnings[0]


def test_a_record_larger_than_the_block_is_read(run: Run) -> None:
    big = Talk().open().send(1, b"x" * 60_000, size=60_000).close()
    ran = run(big.bytes(), replace(Limits(), block_size=4096))
    assert ran.summary.tcp.payload_bytes.delivered == 60_000


def test_a_record_beyond_the_limit_is_damage_and_not_the_end(run: Run) -> None:
    frames = [(1, b"\0" * 5000), (2, b"\0" * 60)]
    ran = run(pcap(frames), replace(Limits(), record_max_bytes=4000))
    assert ran.result.damaged
    assert ran.summary.captures[0].damaged_at == 24


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"GET / HTTP/1.1\r\n\r\n" * 9, "is not a capture"),
        (b"\xd4\xc3\xb2\xa1\x02\x00", "header is cut after 6 bytes"),
        (b"\x1f\x8b\x08" + bytes(40), "is compressed with gzip, and damaged"),
        (gzip.compress(b"hello, world", mtime=0), "is not a capture"),
        (b"\x1f\x8b", "is compressed with gzip, and damaged: the compressed data is cut short"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 9, 9, 0, 0, 0, 1), "version 9.9"),
    ],
)
def test_what_is_no_capture_is_refused_with_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    source = open_source(str(path))
    with pytest.raises(CaptureError, match=said):
        open_capture(source, Limits(), Ledger(Limits()))
    source.close()


def test_directories_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="directory"):
        open_source(str(tmp_path))
    with pytest.raises(CaptureError, match="No such file"):
        open_source(str(tmp_path / "missing"))


@pytest.mark.parametrize("size", [1, 7, 16, 1000])
def test_a_pipe_that_trickles_gives_the_same_packets(tmp_path: Path, size: int) -> None:
    whole = EXCHANGE.bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def trickle() -> None:
        with pipe.open("wb", buffering=0) as f:
            for at in range(0, len(whole), size):
                f.write(whole[at : at + size])

    writer = threading.Thread(target=trickle)
    writer.start()
    source = open_source(str(pipe))
    reader = open_capture(source, Limits(), Ledger(Limits()))
    packets = [
        bytes(b.buffer[o : o + n]) for b in reader.blocks(1, Limits()) for o, n in zip(b.offsets.tolist(), b.caplen.tolist(), strict=True)
    ]
    writer.join()
    source.close()
    assert packets == [frame for _, frame in EXCHANGE.frames]


def test_packet_numbers_go_on_from_capture_to_capture(tmp_path: Path) -> None:
    from pcapflow import pipeline

    first, second = tmp_path / "a.pcap", tmp_path / "b.pcap"
    first.write_bytes(pcap(EXCHANGE.frames[:5]))
    second.write_bytes(pcap(EXCHANGE.frames[5:]))
    lines: list[bytes] = []
    pipeline.run([str(first), str(second)], write=lines.extend)
    whole: list[bytes] = []
    path = tmp_path / "c.pcap"
    path.write_bytes(EXCHANGE.bytes())
    pipeline.run([str(path)], write=whole.extend)
    assert unplaced(lines) == unplaced(whole)


@given(
    runs=st.lists(st.tuples(st.sampled_from((1, 50, 66, 1514, 70_000)), st.integers(1, 90)), min_size=1, max_size=8),
    cut=st.integers(0, 200),
    most=st.integers(1, 400),
    order=st.sampled_from("<>"),
)
def test_records_of_one_length_are_found_as_one_by_one(runs: list[tuple[int, int]], cut: int, most: int, order: str) -> None:
    lengths = [length for length, n in runs for _ in range(n)]
    # data that looks like the header of a record of the same length, wherever a comparison may fall
    data = {length: (struct.pack(f"{order}I", length) * (length // 4 + 1))[:length] for length, _ in runs}
    whole = b"".join(struct.pack(f"{order}4I", 1, 2, length, length) + data[length] for length in lengths)
    have = max(0, len(whole) - cut)
    form = Pcap(CaptureInfo("x"), Limits())
    form._order = order
    scan = form.scan(bytearray(whole[:have]) + bytearray(PAD), 0, have, most)
    ends = list(accumulate(length + 16 for length in lengths))
    expected = [begin for begin, end in pairwise((0, *ends)) if end <= have][:most]
    assert scan.starts == expected
    assert scan.at == ([0, *ends])[len(expected)]
    assert not scan.damage
