"""Several captures are one trace: rotated sets in any order, directories, captures made side by side."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.trace import Trace
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits
from pcapflow.stream_limits import KIB, MIB
from tests.capture import containers
from tests.capture.containers import pcapng
from tests.conftest import Ran, check, unplaced
from tests.craft import Talk, pcap, request, response, tcp_frame

SMALL = replace(Limits(), block_size=4 * KIB)


def conversation() -> list[tuple[int, bytes]]:
    talks = []
    for i in range(5):
        talk = Talk(sport=1000 + i)
        talk.us = i * 7
        talks.append(talk.open().send(0, request(f"/{i}")).send(1, response(b'{"n":[%s1]}' % (b"1," * 900))).close())
    return sorted((frame for talk in talks for frame in talk.frames), key=lambda f: f[0])


def run_all(paths: list[Path], limits: Limits = SMALL) -> Ran:
    lines: list[bytes] = []
    return check(Ran(pipeline.run([str(p) for p in paths], limits, write=lines.extend), lines))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("limits", [Limits(), SMALL])
def test_a_rotated_set_is_one_trace_whatever_its_order_and_formats(tmp_path: Path, order: tuple[int, ...], limits: Limits) -> None:
    frames = conversation()
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(pcap(frames))
    parts = [frames[:20], frames[20:24], frames[24:]]
    paths = [tmp_path / name for name in ("a.pcap", "b.pcapng", "c.pcap.gz")]
    for path, part, write in zip(paths, parts, (pcap, pcapng, lambda f: gzip.compress(pcap(f), mtime=0)), strict=True):
        path.write_bytes(write(part))
    ran = run_all([paths[i] for i in order], limits)
    assert unplaced(ran.comparable()) == unplaced(run_all([whole], limits).comparable())
    assert [c.path for c in ran.summary.captures] == [str(p) for p in paths]
    assert [c.packets for c in ran.summary.captures] == [20, 4, len(frames) - 24]


@pytest.mark.parametrize("limits", [Limits(), SMALL, replace(Limits(), block_packets=2)])
def test_captures_made_side_by_side_are_merged_by_time(tmp_path: Path, limits: Limits) -> None:
    frames = conversation()
    frames = [(i * 10, frame) for i, (_, frame) in enumerate(frames)]
    rng = random.Random(3)
    which = [rng.randrange(3) for _ in frames]
    paths = [tmp_path / f"{k}.pcap" for k in range(3)]
    for k, path in enumerate(paths):
        path.write_bytes(pcap([f for f, w in zip(frames, which, strict=True) if w == k]))
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(pcap(frames))
    assert unplaced(run_all(paths, limits).comparable()) == unplaced(run_all([whole], limits).comparable())


@given(
    st.lists(st.lists(st.integers(0, 60), max_size=12), min_size=1, max_size=5),
    st.integers(1, 4),
)
def test_a_merge_is_a_stable_sort_by_the_latest_time_seen(
    tmp_path_factory: pytest.TempPathFactory, times: list[list[int]], block_packets: int
) -> None:
    base = tmp_path_factory.mktemp("merge")
    paths = []
    model: list[tuple[int, int, int, bytes]] = []
    for k, stamps in enumerate(times):
        paths.append(str(base / f"{k}.pcap"))
        frames = [(us, bytes([k, i])) for i, us in enumerate(stamps)]
        Path(paths[-1]).write_bytes(pcap(frames))
        latest = 0
        for i, (us, frame) in enumerate(frames):
            latest = max(latest, us)
            model.append((latest, stamps[0], k, frame))
            assert i < 256
    limits = replace(Limits(), block_packets=block_packets)
    ledger = Ledger(limits)
    found: list[bytes] = []
    with Trace(paths, limits, ledger, Interrupt()) as trace:
        for block in trace.blocks():
            assert block.first_packet == len(found) + 1
            found += [bytes(block.buffer[o : o + n]) for o, n in zip(block.offsets.tolist(), block.caplen.tolist(), strict=True)]
    inorder = sorted(model, key=lambda m: m[:3])
    assert found == [frame for *_, frame in inorder]
    assert ledger.used == 0
    for most in {1, len(model) // 2 or 1, len(model)}:
        with Trace(paths, limits, ledger, Interrupt()) as trace:
            assert sum(len(block) for block in trace.blocks(most)) == min(most, len(model))
            read = {info.path: (info.packets, info.link_types) for info in trace.infos}
        assert read == {path: (sum(k == i for *_, k, _ in inorder[:most]), [1]) for i, path in enumerate(paths)}
    assert ledger.used == 0


def test_a_directory_is_its_captures(tmp_path: Path) -> None:
    frames = conversation()
    (tmp_path / "2.pcap").write_bytes(pcap(frames[:30]))
    (tmp_path / "1.pcap").write_bytes(pcap(frames[30:]))
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "more").mkdir()
    ran = run_all([tmp_path])
    assert [Path(c.path).name for c in ran.summary.captures] == ["2.pcap", "1.pcap"]
    assert f"{tmp_path / 'notes.txt'}: not a capture, skipped" in ran.result.warnings
    with pytest.raises(CaptureError, match="is a directory without captures"):
        run_all([tmp_path / "more"])


def test_a_file_that_is_named_must_be_a_capture(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pcap", tmp_path / "bad"
    good.write_bytes(pcap(conversation()))
    bad.write_text("nothing of the sort")
    with pytest.raises(CaptureError, match="is not a capture"):
        run_all([good, bad])


def test_captures_without_packets_do_no_harm(tmp_path: Path) -> None:
    frames = conversation()
    (tmp_path / "a.pcap").write_bytes(pcap([]))
    (tmp_path / "b.pcap").write_bytes(pcap(frames))
    (tmp_path / "c.pcapng").write_bytes(pcapng([]))
    ran = run_all([tmp_path / name for name in ("b.pcap", "a.pcap", "c.pcapng")])
    assert ran.summary.decode.packets == len(frames)
    assert len(ran.summary.captures) == 3


def test_many_captures_side_by_side_fit_in_the_memory_of_one_block_each(tmp_path: Path) -> None:
    frames = conversation()
    for k in range(8):
        (tmp_path / f"{k}.pcap").write_bytes(pcap(frames[k::8]))
    ran = run_all([tmp_path], Limits())
    assert ran.summary.decode.packets == len(frames)


def test_pipes_are_read_once(tmp_path: Path) -> None:
    """As `pcapflow analyze <(zcat b.gz) a.pcap` in a shell."""
    frames = conversation()
    whole, first, pipe = tmp_path / "whole.pcap", tmp_path / "a.pcap", tmp_path / "pipe"
    whole.write_bytes(pcap(frames))
    first.write_bytes(pcap(frames[:20]))
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(pcap(frames[20:]), mtime=0)))
    writer.start()
    ran = run_all([pipe, first])
    writer.join()
    assert unplaced(ran.comparable()) == unplaced(run_all([whole]).comparable())


def _side_by_side(folder: Path, captures: int, packets: int) -> list[Path]:
    """Captures of the same time, each with connections of its own."""
    paths = []
    for k in range(captures):
        frames = [
            (i * captures + k, tcp_frame(f"10.1.{k >> 8}.{k & 255}", 5000 + i % 9, "10.0.0.2", 80, 1000 + i, 1, 16, b"z" * 180))
            for i in range(packets)
        ]
        paths.append(folder / f"{k:04}.pcap")
        paths[-1].write_bytes(pcap(frames))
    return paths


def test_captures_that_overlap_share_what_one_block_takes(tmp_path: Path) -> None:
    """280 of them under 20 MiB: each of their blocks, and the merged one, is reserved, and bounded as one capture's is."""
    paths = [str(p) for p in _side_by_side(tmp_path, 280, 40)]
    limits = Limits().with_memory(20 * MIB)
    ledger = Ledger(limits)
    rows = [0]
    with Trace(paths, limits, ledger, Interrupt()) as trace:
        for block in trace.blocks():
            rows.append(len(block))
            assert len(block) <= limits.block_packets
            assert int(block.caplen.sum()) <= limits.block_size
    assert sum(rows) == 280 * 40
    assert max(rows) > 1024
    assert ledger.peak <= 20 * MIB
    assert ledger.used == 0


def test_small_captures_one_after_the_other_are_read_in_blocks_of_many(tmp_path: Path) -> None:
    frames = conversation()
    for i, (_, frame) in enumerate(frames):
        (tmp_path / f"{i:03}.pcap").write_bytes(pcap([(i * 10, frame)]))
    whole = tmp_path / "whole"
    whole.write_bytes(pcap([(i * 10, frame) for i, (_, frame) in enumerate(frames)]))
    paths = sorted(str(p) for p in tmp_path.glob("*.pcap"))
    ledger = Ledger(Limits())
    with Trace(paths, Limits(), ledger, Interrupt()) as trace:
        assert sum(1 for _ in trace.blocks()) == 1
    assert ledger.used == 0
    assert unplaced(run_all([Path(p) for p in paths], Limits()).comparable()) == unplaced(run_all([whole], Limits()).comparable())


def test_more_captures_than_memory_is_there_for_are_refused_by_name(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i:03}.pcap").write_bytes(pcap([(i, b"x")]))
    limits = replace(Limits(), memory_limit=64 * KIB, block_size=4 * KIB)
    ledger = Ledger(limits)
    with pytest.raises(
        CaptureError,
        match=r"\d+.pcap: (?:is one capture too many: \d\d of them take|one block needs) [\d,]+ bytes( and more)?, more than the memory limit leaves; .*--memory-limit 1MiB",
    ):
        Trace([str(tmp_path)], limits, ledger, Interrupt())
    assert ledger.used == 0


def test_the_search_for_captures_and_for_records_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    whole = pcap([(i, b"y" * 60) for i in range(9)])
    path.write_bytes(whole[: 24 + 3 * 76] + b"\xff" * (9 * MIB) + whole[24 + 3 * 76 :])
    interrupt = Interrupt()
    ledger = Ledger(Limits())
    with Trace([str(path)], Limits(), ledger, interrupt) as trace:
        blocks = trace.blocks()
        assert len(next(blocks)) == 3
        interrupt.asked = True
        assert next(blocks, None) is None
        assert trace.infos[0].skipped_bytes < 9 * MIB
    with pytest.raises(KeyboardInterrupt):
        Trace([str(tmp_path)], Limits(), ledger, interrupt)
    assert ledger.used == 0


def test_a_pipe_that_ends_before_its_first_packet_is_cut_short_as_a_file_is(tmp_path: Path) -> None:
    whole, cut, pipe = tmp_path / "whole.pcap", tmp_path / "cut.pcap", tmp_path / "pipe"
    whole.write_bytes(pcap(conversation()))
    cut.write_bytes(whole.read_bytes()[:60])
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(cut.read_bytes()))
    writer.start()
    piped = run_all([whole, pipe])
    writer.join()
    for ran, other in ((piped, pipe), (run_all([whole, cut]), cut)):
        assert {info.path: (info.cut_short, info.packets) for info in ran.summary.captures}[str(other)] == (True, 0)
        assert [line for line in ran.result.warnings if "cut short" in line] == [
            f"{other}: its last record is cut short; 0 whole packets were read"
        ]


def test_a_capture_that_begins_when_connections_have_taken_all_memory_is_read(tmp_path: Path) -> None:
    talks = []
    for i in range(900):
        talk = Talk(client=f"10.{i >> 8}.{i & 255}.1")
        talks.append(talk.open().send(0, b"GET / HTTP/1.1\r\nX: " + b"x" * 1300, size=1400))
    full = sorted((frame for talk in talks for frame in talk.frames), key=lambda f: f[0])
    (tmp_path / "a.pcap").write_bytes(pcap([*full, (10**6, full[0][1])]))
    (tmp_path / "b.pcap").write_bytes(pcap([(5 * 10**5 + i, frame) for i, (_, frame) in enumerate(conversation())]))
    limits = Limits().with_memory(3 * MIB)
    ran = run_all([tmp_path / "a.pcap", tmp_path / "b.pcap"], replace(limits, block_size=64 * KIB, block_packets=256))
    assert ran.summary.memory.pressure
    assert ran.summary.decode.packets == len(full) + 1 + len(conversation())


def test_small_captures_behind_full_memory_share_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    frame = tcp_frame("10.0.0.1", 5000, "10.0.0.2", 80, 1000, 1, 16, b"z")
    paths = []
    for i in range(300):
        paths.append(tmp_path / f"{i:03}.pcap")
        # the first has a block of its own
        paths[-1].write_bytes(pcap([(i, frame)] * (1 if i else 101)))
    ledger = Ledger(Limits())
    with Trace([str(p) for p in paths], replace(Limits(), block_packets=100), ledger, Interrupt()) as trace:
        made = trace.blocks()
        blocks.append(len(next(made)))
        for account in ledger.accounts():
            for step in (16 * KIB, 64) if account is not ledger.blocks else ():
                while account.reserve(step):
                    pass
        blocks += [len(block) for block in made]
    assert sum(blocks) == 400
    assert len(blocks) < 10


@pytest.mark.parametrize("form", ["pcap", "pcapng", "snoop", "pcapng.gz"])
@pytest.mark.parametrize("piped", [False, True])
def test_a_capture_of_any_format_is_kept_in_blocks_alone(form: str, piped: bool, tmp_path: Path) -> None:
    frame = bytes(1400)
    frames = [(1_600_000_000_000_000 + i, frame) for i in range(6000)]
    data = {"pcap": pcap, "pcapng": containers.pcapng, "snoop": containers.snoop}[form.split(".", maxsplit=1)[0]](frames)
    path = tmp_path / f"x.{form}"
    path.write_bytes(gzip.compress(data, 1) if form.endswith("gz") else data)
    limits = replace(Limits(), block_size=256 << 10)
    ledger = Ledger(limits)
    most = packets = 0
    source = path
    if piped:
        source = tmp_path / "pipe"
        os.mkfifo(source)
        writer = subprocess.Popen(f"cat {path} > {source}", shell=True)
    tracemalloc.start()
    try:
        with Trace([str(source)], limits, ledger, Interrupt()) as trace:
            for block in trace.blocks():
                packets += len(block)
                most = max(most, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    if piped:
        assert writer.wait() == 0
    assert packets == 6000
    assert most < 3 << 20, "of more than 8 MB"
