"""`slice --anonymize`: other addresses, the same prefixes, checksums that add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.slicing.anonymize import Addresses
from tests.cli.test_scrub import checked, whole_talk
from tests.cli.test_slice import records
from tests.craft import Talk, ethernet, ipv4_packet, ipv6_packet, merge, pcap, request, response, tcp_header
from tests.decode import tunnelled
from tests.decode.tunnelled import wrap
from tests.launcher import launch

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))
KEY = b"0123456789abcdef0123456789abcdef"


def pcapflow(*arguments: object, status: int = 0) -> tuple[bytes, str]:
    done = launch(*arguments)
    assert done.returncode == status, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout, done.stderr.decode()


def decode(path: Path) -> Any:
    return json.loads(pcapflow("analyze", "-q", "--json", "--no-records", "--verify-checksums", path)[0])["decode"]


def shared(a: bytes, b: bytes) -> int:
    """Bits from the first on that two addresses share."""
    differ = int.from_bytes(a, "big") ^ int.from_bytes(b, "big")
    return 8 * len(a) - differ.bit_length()


@pytest.mark.parametrize("size", [4, 16])
@given(data=st.data())
def test_addresses_that_share_a_prefix_share_one_as_long_under_any_key(size: int, data: st.DataObject) -> None:
    a = data.draw(st.binary(min_size=size, max_size=size))
    bits = data.draw(st.integers(0, 8 * size))
    b = (int.from_bytes(a, "big") ^ (data.draw(st.integers(0, (1 << bits) - 1)) if bits else 0)).to_bytes(size, "big")
    key = data.draw(st.binary(min_size=16, max_size=64))
    under = Addresses(key)
    assert shared(under.other(a), under.other(b)) == shared(a, b)
    assert Addresses(key).other(a) == under.other(a)


def test_another_key_gives_other_addresses_and_hardware_stays_of_its_kind() -> None:
    address = bytes([10, 0, 0, 1])
    assert Addresses(KEY).other(address) != Addresses(KEY[::-1]).other(address)
    assert Addresses(KEY).other_hardware(b"\xff" * 6) == b"\xff" * 6
    group, card = Addresses(KEY).other_hardware(b"\x01\x00\x5e\x00\x00\x01"), Addresses(KEY).other_hardware(b"\x00\x16\x3e\x00\x00\x01")
    assert (group[0] & 3, card[0] & 3) == (3, 2)


@pytest.mark.parametrize(
    "sample", [path for path in SAMPLES if path.stem in ("json-api", "ipv6", "vlan", "lossy")], ids=lambda path: path.stem
)
def test_what_was_said_stays_and_who_said_it_does_not(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    out = tmp_path / "s.pcap"
    pcapflow("slice", "-q", sample, "--where", "path=/*", "-o", out, "--anonymize", tmp_path / "key")
    pcapflow("slice", "-q", sample, "--where", "path=/*", "-o", tmp_path / "plain.pcap")

    def said(path: Path) -> list[Any]:
        found = [(r["request"], r["response"], r["exchange"]) for r in records(path) if r["record"] == "http"]
        return json.loads(json.dumps(found))  # type: ignore[no-any-return]

    def who(path: Path) -> set[str]:
        return {r[side]["ip"] for r in records(path) if r["record"] == "connection" for side in ("client", "server")}

    assert said(out) == said(tmp_path / "plain.pcap")
    assert not who(out) & who(tmp_path / "plain.pcap")
    assert len(who(out)) == len(who(tmp_path / "plain.pcap"))
    again = pcapflow("slice", "-q", sample, "--where", "path=/*", "-o", "-", "--anonymize", tmp_path / "key")[0]
    assert again == out.read_bytes()


def test_checksums_that_were_right_stay_right_in_tunnels_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    talk = whole_talk()
    plain = [(us, checked(frame)) for us, frame in talk.frames]
    inside = [(us, ethernet(tunnelled.wrap("vxlan", frame[14:], number=7))) for us, frame in plain]
    for name, frames in (("plain", plain), ("vxlan", inside)):
        path, out = tmp_path / f"{name}.pcap", tmp_path / f"{name}-s.pcap"
        path.write_bytes(pcap(frames))
        before = decode(path)
        assert before["checksums_wrong"] == 0
        pcapflow("slice", "-q", path, "--where", "path=/*", "-o", out, "--anonymize", tmp_path / "key")
        after = decode(out)
        assert (after["checksums_wrong"], after["tcp"]) == (0, before["tcp"])
        ip = out.read_bytes()[24 + 16 + 14 :][:20]
        total = sum(int.from_bytes(ip[i : i + 2], "big") for i in range(0, 20, 2))
        was = path.read_bytes()[24 + 16 + 14 :][:20]
        assert total % 0xFFFF == sum(int.from_bytes(was[i : i + 2], "big") for i in range(0, 20, 2)) % 0xFFFF


def test_the_checksum_of_udp_around_a_tunnel_stays_right(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    frames = []
    for us, frame in whole_talk().frames:
        packet = bytearray(wrap("vxlan", with_ip_checksum(checked(frame))[14:], number=7))
        datagram = packet[20:]
        datagram[6:8] = checksum(packet[12:20] + b"\0\x11" + len(datagram).to_bytes(2, "big") + datagram).to_bytes(2, "big")
        frames.append((us, ethernet(bytes(packet[:20] + datagram))))
    (tmp_path / "x.pcap").write_bytes(pcap(frames))
    for more in ((), ("--scrub",)):
        pcapflow(
            "slice", "-q", tmp_path / "x.pcap", "--where", "path=/*", "-o", tmp_path / "s.pcap", "--anonymize", tmp_path / "key", *more
        )
        data, at = (tmp_path / "s.pcap").read_bytes(), 24
        while at < len(data):
            size = int.from_bytes(data[at + 8 : at + 12], "little")
            packet = bytearray(data[at + 16 + 14 : at + 16 + size])
            assert checksum(packet[12:20] + b"\0\x11" + (len(packet) - 20).to_bytes(2, "big") + packet[20:]) == 0
            inner = packet[20 + 16 + 14 :]
            assert checksum(inner[:20]) == 0
            at += 16 + size


def checksum(data: bytes | bytearray) -> int:
    """The internet checksum: 0 of what holds a right one."""
    data = bytes(data) + b"\0" * (len(data) & 1)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_ip_checksum(frame: bytes) -> bytes:
    head = frame[14:24] + b"\0\0" + frame[26:34]
    return frame[:24] + checksum(head).to_bytes(2, "big") + frame[26:]


def test_addresses_in_tcp_options_and_in_headers_of_ipv6_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    option = b"\x1e\x08\x34\x01" + bytes([10, 77, 66, 55])
    frame = ethernet(ipv4_packet("10.0.0.1", "10.0.0.2", tcp_header(40000, 80, 1, 1, 0x18, option) + request("/x")))
    hop = bytes.fromhex("20010db8000000000000000000000077")
    routing = bytes([6, 2, 4, 0, 0, 0, 0, 0]) + hop
    six = ethernet(ipv6_packet(b"\x20" * 16, b"\x21" * 16, routing + tcp_header(40001, 80, 1, 1, 0x18) + request("/y"), proto=43), 0x86DD)
    (tmp_path / "x.pcap").write_bytes(pcap([(1, frame), (2, six)]))
    _, errors = pcapflow("slice", tmp_path / "x.pcap", "--where", "path=/*", "-o", tmp_path / "s.pcapng", "--anonymize", tmp_path / "key")
    data = (tmp_path / "s.pcapng").read_bytes()
    assert option[4:] not in data
    assert hop not in data
    assert "1 packet left out: its IPv6 headers may contain" in errors


def test_an_ipv6_connection_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    a, b = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")
    data = request("/six")
    frame = ethernet(ipv6_packet(a, b, tcp_header(40000, 80, 1, 1, 0x18) + data), 0x86DD)
    (tmp_path / "x.pcap").write_bytes(pcap([(1, frame)]))
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--anonymize", tmp_path / "key")
    (record,) = [r for r in records(tmp_path / "s.pcap") if r["record"] == "connection"]
    assert "2001:db8" not in record["client"]["ip"] + record["server"]["ip"]
    assert a not in (tmp_path / "s.pcap").read_bytes()


def test_with_scrub_the_addresses_are_masked_in_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    t = Talk(client="192.168.17.5", server="192.168.17.200").open()
    t.send(0, request("/x", fields="X-Forwarded-For: 192.168.17.5\r\n")).send(1, response(b'"192.168.17.200"')).close()
    t.save(tmp_path / "x.pcap")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--anonymize", tmp_path / "key", "--scrub")
    data = (tmp_path / "s.pcap").read_bytes()
    assert b"192.168.17" not in data
    assert b"X-Forwarded-For: " + b"x" * 12 in data


def test_a_key_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"short")
    (tmp_path / "x.pcap").write_bytes(merge(whole_talk()))
    command = ("slice", tmp_path / "x.pcap", "--problems", "-o", tmp_path / "s.pcap", "--anonymize")
    assert "the key must have at least 16 bytes" in pcapflow(*command, tmp_path / "short", status=2)[1]
    assert "cannot be read" in pcapflow(*command, tmp_path / "nothere", status=2)[1]
