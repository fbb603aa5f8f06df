"""In a trace of several captures records say the capture and the packet's number in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow import pipeline
from pcapflow.capture.packet_places import RUNS_MAX, Place, Places
from pcapflow.limits import Limits
from tests.craft import Talk, filler, pcap


def losing(sport: int, us: int) -> Talk:
    talk = Talk(sport=sport)
    talk.us = us
    return talk.open().send(0, b"lost", keep=False).send(0, b"kept").acknowledge(1)


def gaps(paths: list[Path], limits: Limits | None = None) -> list[tuple[str | None, int | None, int]]:
    lines: list[bytes] = []
    pipeline.run([str(p) for p in paths], limits, write=lines.extend)
    return [(r["file"], r["frame"], r["packet"]) for r in map(json.loads, lines) if r["record"] == "gap"]


def test_one_capture_needs_no_place(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(losing(1, 0).bytes())
    assert [g[:2] for g in gaps([path])] == [(None, None)]


@pytest.mark.parametrize("packets", [8192, 1, 7])
@pytest.mark.parametrize("beside", [False, True])
def test_a_place_is_the_packet_of_that_capture(tmp_path: Path, packets: int, beside: bool) -> None:
    """One after the other, and side by side: what the number in the file leads to is the packet at which the gap was clear."""
    frames = []
    for i in (0, 1):
        talk = losing(1 + i, 500 * i if beside else 1_000_000 * i)
        frames.append([*talk.frames, *[(us + 13 * i, f) for us, f in filler(80, talk.us + 100)]])
    paths = [tmp_path / "b.pcap", tmp_path / "a.pcap"]
    for path, some in zip(paths, frames, strict=True):
        path.write_bytes(pcap(some))
    merged = sorted((us, i, n + 1) for i, some in enumerate(frames) for n, (us, _) in enumerate(some))
    found = gaps(paths, replace(Limits(), block_packets=packets))
    assert len(found) == 2
    for file, frame, packet in found:
        _, i, n = merged[packet - 1]
        assert (file, frame) == (str(paths[i]), n)


def test_what_is_kept_is_bounded() -> None:
    import numpy as np

    from pcapflow.capture.block import PacketBlock

    places = Places(["a", "b"])
    n = RUNS_MAX
    for first in (1, n + 1):
        files = np.arange(n) % 2
        none = np.zeros(n, dtype=np.int64)
        places.enter(PacketBlock(bytearray(), none, none, none, none, first, 1, files=files, frames=(np.arange(n) + first - 1) // 2 + 1))
    assert places.of(2 * n) == Place("b", n)
    assert places.of(n, 2 * n) == places.of(1, 2 * n) == Place(None, None)
    assert places.of(n, n + 1) == Place("b", n // 2)
    places.enter(PacketBlock(bytearray(), none, none, none, none, 2 * n + 1, 1, files=files, frames=(np.arange(n) + 2 * n) // 2 + 1))
    assert len(places._runs) == 2 * RUNS_MAX
    assert places.of(1) == Place(None, None)
