"""Every format and every compression gives the same report; damage is said where it is, and what lies behind it is read."""

from __future__ import annotations

import gzip
import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.formats import open_capture
from pcapflow.capture.source import open_source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits
from pcapflow.stream_limits import KIB, MIB
from tests.capture.containers import COMPRESSIONS, FORMATS, block, interface, old_packet, option, packet, pcapng, section
from tests.conftest import CASES, Ran, Run, check
from tests.craft import Talk, pcap, request, response
from tests.work import calls

EXCHANGE = Talk().open().send(0, request("/a")).send(1, response(b'{"ok":[%s1]}' % (b"1," * 3000))).close()
SMALL = replace(Limits(), block_size=4 * KIB)


def packets(path: Path, limits: Limits = SMALL) -> list[tuple[int, bytes]]:
    """Time (ns) and bytes of each packet."""
    source = open_source(str(path))
    ledger = Ledger(limits)
    try:
        found = [
            (ts, bytes(b.buffer[o : o + n]))
            for b in open_capture(source, limits, ledger).blocks(1, limits)
            for ts, o, n in zip(b.ts.tolist(), b.offsets.tolist(), b.caplen.tolist(), strict=True)
        ]
    finally:
        source.close()
    assert ledger.used == 0
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_report(run: Run, form: str) -> None:
    expected = run(EXCHANGE.bytes()).comparable()
    for limits in (Limits(), SMALL, replace(Limits(), block_packets=3)):
        ran = run(FORMATS[form](EXCHANGE.frames), limits)
        got = ran.comparable()
        if "binary" in form:
            assert len(got[0]) == len(expected[0])  # a microsecond has no exact binary fraction
        else:
            assert got == expected
        capture = ran.summary.captures[0]
        assert capture.format == ("pcapng" if "pcapng" in form else "snoop" if form == "snoop" else "pcap")
        assert not capture.cut_short
        assert capture.damaged_at is None


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("form", ["pcapng", "Kuznetzov's"])
def test_every_compression_gives_the_same_report(run: Run, compression: str, form: str) -> None:
    raw = FORMATS[form](EXCHANGE.frames)
    ran = run(COMPRESSIONS[compression](raw))
    assert ran.comparable() == run(EXCHANGE.bytes()).comparable()
    capture = ran.summary.captures[0]
    assert (capture.compression, capture.bytes) == (compression, len(raw))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_members_one_after_the_other_are_one_capture(run: Run, compression: str) -> None:
    raw = EXCHANGE.bytes()
    squeeze = COMPRESSIONS[compression]
    ran = run(squeeze(raw[:1000]) + squeeze(raw[1000:]))
    assert ran.comparable() == run(raw).comparable()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressed_data_that_is_cut_or_spoiled_ends_the_capture_there(run: Run, compression: str) -> None:
    raw = pcap([(i, random.Random(i).randbytes(900)) for i in range(300)])
    squeezed = COMPRESSIONS[compression](raw)
    cut = run(squeezed[: len(squeezed) // 2])
    assert cut.summary.captures[0].cut_short
    assert not cut.result.damaged
    assert 0 < cut.summary.captures[0].packets < 300
    spoiled = bytearray(squeezed)
    for at in range(len(squeezed) // 2, len(squeezed) // 2 + 2000, 3):
        spoiled[at] ^= 0xFF
    ran = run(bytes(spoiled))
    assert ran.summary.captures[0].packets <= 300
    if compression != "zstd":  # without a checksum, bytes of a block that does not compress are as good as any
        assert ran.result.damaged


def test_a_window_beyond_the_limit_is_refused(run: Run) -> None:
    import lzma

    squeezed = lzma.compress(EXCHANGE.bytes(), preset=9)
    with pytest.raises(CaptureError, match="is compressed with xz, and damaged: Memory usage limit exceeded"):
        run(squeezed, replace(Limits(), decompress_max_bytes=MIB))
    with pytest.raises(CaptureError, match="takes 16,777,216 bytes, more than the memory limit leaves"):
        run(squeezed, Limits(memory_limit=12 * MIB))


# --- pcapng


def test_each_packet_has_the_link_type_of_its_interface(run: Run) -> None:
    """Interface 0 is Ethernet, 1 raw IP, 2 a link type that is not read; a packet names an interface that nobody described."""
    talk = Talk().open().send(0, b"abc").send(1, b"defgh").close()
    made = [section("<"), interface("<", 1), interface("<", 101, 9), interface("<", 147)]
    for i, (us, frame) in enumerate(talk.frames):
        made.append(packet("<", us, frame[14:], number=1, resolution=9) if i % 2 else packet("<", us, frame))
    made += [packet("<", 900, b"usb or so", number=2), packet("<", 901, b"what", number=7)]
    ran = run(b"".join(made))
    (connection,) = ran.of("connection")
    assert connection["end"] == "fin"
    assert [connection["streams"][s]["delivered_bytes"] for s in ("client", "server")] == [3, 5]
    assert ran.summary.decode.unsupported_link == 2
    assert ran.summary.captures[0].link_types == ["EN10MB", "RAW", "USER0", "UNKNOWN"]
    assert "link type USER0 is not supported; its 1 packets were counted, not decoded" in "\n".join(ran.result.warnings)


def test_a_simple_packet_block_has_the_time_of_the_packet_before_and_what_the_snap_length_left(tmp_path: Path) -> None:
    frame = bytes(range(60))
    path = tmp_path / "x"
    path.write_bytes(
        section("<") + interface("<", snaplen=40) + block("<", 3, struct.pack("<I", 60) + frame[:40]) + packet("<", 5, frame)
        + block("<", 3, struct.pack("<I", 20) + frame[:20])
    )  # fmt: skip
    second = (1_700_000_000_000_000_000 + 5_000, frame)
    assert packets(path) == [(0, frame[:40]), second, (second[0], frame[:20])]


def test_statistics_and_secrets_are_read_and_a_huge_block_is_gone_over(run: Run) -> None:
    def statistics(number: int, dropped: int) -> bytes:
        return block(
            "<",
            5,
            struct.pack("<III", number, 0, 0) + option("<", 4, bytes(8)) + option("<", 5, struct.pack("<Q", dropped)) + option("<", 0, b""),
        )

    frames = EXCHANGE.frames
    made = section("<") + interface("<") + interface("<") + statistics(0, 3) + block("<", 0x0A, struct.pack("<II", 0x544C534B, 4) + b"keys")
    made += block("<", 0xBEEF, bytes(300_000))
    made += b"".join(packet("<", us, frame) for us, frame in frames) + statistics(1, 30) + statistics(0, 5)
    for limits in (Limits(), SMALL):
        ran = run(made, limits)
        capture = ran.summary.captures[0]
        assert (capture.dropped_by_capture, capture.decryption_secrets, capture.packets) == (35, 1, len(frames))
        assert capture.damaged_at is None


def test_packets_of_more_interfaces_than_are_kept_are_counted_and_the_others_are_read(run: Run) -> None:
    beyond = [packet("<", 1, EXCHANGE.frames[0][1], number=4096), packet("<", 2, EXCHANGE.frames[0][1], number=4100)]
    ran = run(section("<") + interface("<") * 4200 + b"".join([*beyond, *(packet("<", us, f) for us, f in EXCHANGE.frames)]))
    assert not ran.result.damaged
    assert ran.summary.decode.unsupported_link == 2
    assert ran.of("http")[0]["response"]["status"] == 200


@pytest.mark.parametrize("limits", [Limits(), SMALL, replace(Limits(), block_packets=1)])
def test_an_interface_that_is_described_behind_its_packet_says_nothing_of_it(run: Run, limits: Limits) -> None:
    frames = EXCHANGE.frames
    first = packet("<", frames[0][0], frames[0][1])
    ran = run(section("<") + first + interface("<") + b"".join(packet("<", us, f) for us, f in frames[1:]), limits)
    assert ran.summary.decode.unsupported_link == 1
    assert ran.summary.captures[0].link_types[0] == "EN10MB"
    assert ran.summary.tcp.segments == len(frames) - 1


@pytest.mark.parametrize("limits", [Limits(), SMALL, replace(Limits(), block_packets=3)])
def test_sections_of_either_byte_order_follow_one_another_packet_by_packet(run: Run, limits: Limits) -> None:
    made = []
    for i, (us, frame) in enumerate(EXCHANGE.frames):
        order = "<>"[i % 2]
        made.append(section(order) + interface(order, 1, 9 if i % 3 else 6) + packet(order, us, frame, resolution=9 if i % 3 else 6))
    assert run(b"".join(made), limits).comparable() == run(EXCHANGE.bytes()).comparable()


def test_counts_of_lost_packets_that_no_report_can_hold_are_cut(run: Run) -> None:
    statistics = [block("<", 5, struct.pack("<III", n, 0, 0) + option("<", 5, struct.pack("<Q", (1 << 64) - 1))) for n in (0, 1)]
    ran = run(section("<") + interface("<") * 2 + b"".join([*(packet("<", us, f) for us, f in EXCHANGE.frames), *statistics]))
    assert ran.summary.captures[0].dropped_by_capture == (1 << 63) - 1


@pytest.mark.parametrize("form", ["pcap", "pcapng", "snoop"])
def test_what_is_read_behind_damage_depends_on_no_block(tmp_path: Path, form: str) -> None:
    """Records of 60 KB: no small block holds the four that prove one."""
    frames = [(i * 10, bytes([i]) * 60_000) for i in range(24)]
    make = PLAIN[form]
    whole = bytearray(make(frames))
    for at in (200_000, 900_000):
        whole[at : at + 400_000 : 7] = b"\xff" * len(range(at, at + 400_000, 7))
    path = tmp_path / "x"
    path.write_bytes(whole)
    expected = packets(path, Limits())
    assert 3 < len(expected) < 24
    for limits in (
        SMALL,
        replace(Limits(), block_size=64 * KIB),
        replace(Limits(), block_size=16 * MIB),
        replace(Limits(), block_packets=1),
    ):
        assert packets(path, limits) == expected


PLAIN = {"pcap": pcap, "pcapng": FORMATS["pcapng"], "snoop": FORMATS["snoop"]}


def _noise(kind: str, n: int) -> bytes:
    """n bytes in which records are searched for, between records."""
    record = struct.pack("<IIII", 1_700_000_000, 5, 100, 100)
    fill = {"ones": b"\xff" * n, "plausible": record * (n // 16), "sections": b"\n\r\r\n" * (n // 4)}
    return fill[kind]


@pytest.mark.parametrize("kind", ["ones", "plausible", "sections"])
@pytest.mark.parametrize("form", ["pcap", "pcapng", "snoop"])
def test_a_search_behind_damage_is_linear_and_cheap(tmp_path: Path, form: str, kind: str) -> None:
    make = PLAIN[form]
    frames = [(i, b"x" * 60) for i in range(12)]
    work = []
    for n in (1 << 17, 1 << 19):
        whole = make(frames)
        half = len(make(frames[:3]))
        path = tmp_path / f"{n}"
        path.write_bytes(whole[:half] + b"\xff" * 16 + _noise(kind, n) + b"\xff" * 200 + whole[half:])
        work.append(calls(lambda path=path: packets(path)))
    assert work[1] < 1 << 19, work  # less than a call a byte
    assert work[1] < 4.5 * work[0], work


def test_sections_and_damage_between_packets_cost_by_their_packets(tmp_path: Path) -> None:
    """A block of the pipeline, and a move of the buffer, for each of them was quadratic in effect."""
    frames = [(i, b"x" * 60) for i in range(4000)]
    sections = b"".join(section("<") + interface("<") + packet("<", us, f) for us, f in frames)
    plain = pcap(frames)
    records = [plain[24 + 76 * i : 24 + 76 * (i + 1)] for i in range(4000)]
    damage = plain[:24] + b"".join(b"".join(records[i : i + 4]) + b"\xff" * 16 for i in range(0, 4000, 4))
    for raw in (sections, damage):
        path = tmp_path / "x"
        path.write_bytes(raw)
        source = open_source(str(path))
        ledger = Ledger(Limits())
        try:
            blocks = sum(1 for _ in open_capture(source, Limits(), ledger).blocks(1, Limits()))
        finally:
            source.close()
        assert blocks <= 2


@pytest.mark.parametrize("form", FORMATS)
def test_no_cut_of_a_capture_is_an_error_after_its_header(tmp_path: Path, form: str) -> None:
    frames = EXCHANGE.frames[:5]
    whole = FORMATS[form](frames)
    path = tmp_path / "x"
    path.write_bytes(whole)
    expected = packets(path)
    assert [data for _, data in expected] == [data for _, data in frames]
    for cut in range(1, len(whole)):
        path.write_bytes(whole[:cut])
        try:
            found = packets(path)
        except CaptureError:
            assert cut < 28
            continue
        assert found == expected[: len(found)]


# --- damage


@pytest.mark.parametrize("form", ["pcapng", "pcapng, big endian", "snoop", "Kuznetzov's", "pcap"])
@pytest.mark.parametrize("hole", [bytes(1000), b"\xff" * 700, random.Random(5).randbytes(3000)], ids=["zeros", "ones", "noise"])
@pytest.mark.parametrize("limits", [Limits(), SMALL])
def test_what_lies_behind_damage_is_read(tmp_path: Path, form: str, hole: bytes, limits: Limits) -> None:
    frames = [(i * 100, random.Random(i).randbytes(200 + i)) for i in range(60)]
    write = FORMATS.get(form, pcap)
    at, whole = len(write(frames[:20])), write(frames)
    path = tmp_path / "x"
    path.write_bytes(whole[:at] + hole + whole[at + len(hole) :])
    found = [data for _, data in packets(path, limits) if len(data) >= 200]
    known = [data for _, data in frames]
    assert found[:20] == known[:20]
    assert found[-20:] == known[-20:]
    assert set(found) <= set(known)
    result = pipeline.run([str(path)], limits)
    capture = result.summary.captures[0]
    assert capture.damaged_at == at
    assert 0 < capture.skipped_bytes < len(hole) + 600
    assert result.damaged


@settings(max_examples=200 * CASES)
@given(
    st.sampled_from([*FORMATS, "pcap"]),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=40), st.booleans()), min_size=1, max_size=4),
    st.integers(1, 9),
)
def test_whatever_is_spoiled_the_run_ends_with_a_report(
    tmp_path_factory: pytest.TempPathFactory, form: str, spoil: list[tuple[int, bytes, bool]], block_packets: int
) -> None:
    data = bytearray(FORMATS.get(form, pcap)(EXCHANGE.frames))
    for at, other, insert in spoil:
        at %= len(data)
        data[at : at + (0 if insert else len(other))] = other
    path = tmp_path_factory.getbasetemp() / "spoiled"
    path.write_bytes(data)
    reports = []
    for limits in (SMALL, replace(SMALL, block_packets=block_packets)):
        lines: list[bytes] = []
        try:
            ran = check(Ran(pipeline.run([str(path)], limits, write=lines.extend), lines))
        except CaptureError as e:
            reports.append(str(e))
            continue
        assert ran.summary.captures[0].bytes <= len(data)
        reports.append(str(ran.comparable()))
    assert reports[0] == reports[1]


def test_a_length_field_asks_for_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x"
    huge = bytearray(old_packet("<", 1, b"x" * 60))
    huge[4:8] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(pcapng(EXCHANGE.frames) + bytes(huge) + b"".join(packet("<", us, f) for us, f in EXCHANGE.frames))
    result = pipeline.run([str(path)])
    assert result.damaged
    assert result.summary.captures[0].packets == 2 * len(EXCHANGE.frames)
    assert "a packet block claims 4294967280 bytes" in result.warnings[0]


def test_standard_input_may_be_compressed(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "pcapflow", "analyze", "-q", "--json", "-"]
    done = subprocess.run(command, input=gzip.compress(pcapng(EXCHANGE.frames)), capture_output=True, check=True)
    assert b'"compression":"gzip"' in done.stdout
    assert b'"packets":%d' % len(EXCHANGE.frames) in done.stdout


@pytest.mark.parametrize("kind", [2, 3, 6])
def test_a_packet_block_too_small_for_its_header_is_damage(run: Run, kind: int) -> None:
    small = block("<", kind, b"") if kind == 3 else block("<", kind, bytes(12))
    good = b"".join(packet("<", us, f) for us, f in EXCHANGE.frames)
    ran = run(section("<") + interface("<") + good + small + good, SMALL)
    assert ran.result.damaged
    assert ran.summary.captures[0].packets == 2 * len(EXCHANGE.frames)


@pytest.mark.parametrize(
    "resolution", [0, 1, 9, 10, 18, 19, 20, 127, 0x80, 0x80 | 10, 0x80 | 33, 0x80 | 34, 0x80 | 60, 0x80 | 63, 0x80 | 64, 0xFF]
)
@pytest.mark.parametrize("units", [0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("offset", [0, 1_600_000_000, -(1 << 40), 1 << 40])
def test_any_resolution_and_time_is_a_time(tmp_path: Path, resolution: int, units: int, offset: int) -> None:
    """Against exact fractions, where the time is one that the report can have."""
    from fractions import Fraction

    path = tmp_path / "x"
    body = struct.pack("<IIIII", 0, units >> 32, units & 0xFFFFFFFF, 4, 4) + b"data"
    path.write_bytes(section("<") + interface("<", 1, resolution, offset) + block("<", 6, body))
    ((ts, data),) = packets(path)
    assert data == b"data"
    unit = Fraction(1, 1 << (resolution & 127)) if resolution & 0x80 else Fraction(1, 10 ** (resolution & 127))
    exact = (units * unit + offset) * 10**9
    if 0 <= exact < 4_000_000_000 * 10**9 and abs(offset) < 1 << 32 and (resolution & 127) < 20:
        assert abs(ts - exact) <= 1
    assert 0 <= ts < 1 << 63


def test_a_section_of_another_version_is_gone_over(run: Run) -> None:
    frames = EXCHANGE.frames
    foreign = bytearray(pcapng(frames))
    foreign[12:14] = struct.pack("<H", 2)
    ran = run(pcapng(frames[:4]) + bytes(foreign) + pcapng(frames[4:], ">"), SMALL)
    capture = ran.summary.captures[0]
    assert ran.comparable() == run(pcap(frames)).comparable()
    assert (capture.packets, capture.damaged_at, capture.skipped_bytes) == (len(frames), len(pcapng(frames[:4])), len(foreign))
    with pytest.raises(CaptureError, match=r"is a pcapng capture of version 2\.0"):
        run(bytes(foreign))
