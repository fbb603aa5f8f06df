"""What the process may take: the container's limit is read, a hard limit is set and lifted, and every account can be made to refuse."""

from __future__ import annotations

import gzip
import json
import lzma
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.reader import COLUMN_BYTES_PER_PACKET
from pcapflow.cli import memory
from pcapflow.errors import UsageError
from pcapflow.limits import Limits
from pcapflow.memory_scale import LEAST_MEMORY
from pcapflow.process_memory import HardLimit, container_limit, resident_bytes
from pcapflow.stream_limits import MIB
from tests.conftest import Run
from tests.craft import ACK, Talk, chunked, ipv4_packet, pcap, request, response
from tests.decode.test_fragments import fragments4
from tests.launcher import launch_text

ROOT = Path(__file__).parents[1]


def tree(root: Path, cgroup: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_max", ".max").replace("_limit", ".limit_in_bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_least_limit_of_the_control_group_and_those_above_it_holds(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/a/b\n", memory_max="max\n", a__memory_max=f"{100 * MIB}\n", a__b__memory_max=f"{300 * MIB}\n")
    assert container_limit(root) == 100 * MIB


def test_control_groups_of_the_first_version_are_read_too(tmp_path: Path) -> None:
    root = tree(
        tmp_path, "4:memory:/job\n2:cpu:/\n", memory__memory_limit="9223372036854771712\n", memory__job__memory_limit=f"{64 * MIB}\n"
    )
    assert container_limit(root) == 64 * MIB


@pytest.mark.parametrize("cgroup", ["", "0::/\n", "garbage\n", "0::/../..\n"])
def test_without_a_limit_there_is_none(tmp_path: Path, cgroup: str) -> None:
    assert container_limit(tree(tmp_path, cgroup, memory_max="max\n")) is None
    assert container_limit(tmp_path / "nowhere") is None


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Lets a container of that many MiB be around this process."""

    def within(mib: int | None) -> None:
        monkeypatch.setattr(memory, "container_limit", lambda: None if mib is None else mib * MIB)

    return within


def test_in_a_container_the_memory_limit_is_what_fits_and_that_is_said(
    container: Callable[[int | None], None], capsys: pytest.CaptureFixture[str]
) -> None:
    container(None)
    assert memory.memory_limit(None, None) == 64 * MIB
    container(128)
    assert memory.memory_limit(None, None) == 64 * MIB
    assert capsys.readouterr().err == ""
    container(100)
    assert memory.memory_limit(None, None) == 36 * MIB
    said = capsys.readouterr().err
    assert (
        said
        == "pcapflow: memory limit 36 MiB: the container's limit of 100 MiB leaves no more than that after 64 MiB for the program itself\n"
    )
    assert memory.memory_limit(None, 70 * MIB) == 6 * MIB
    assert "memory limit 6 MiB: --process-limit of 70 MiB leaves no more" in capsys.readouterr().err
    container(60)
    assert memory.memory_limit(None, None) == LEAST_MEMORY
    assert "warning: the container's limit of 60 MiB may be too little" in capsys.readouterr().err


def test_a_memory_limit_that_was_asked_for_stays_and_what_does_not_fit_is_said(
    container: Callable[[int | None], None], capsys: pytest.CaptureFixture[str]
) -> None:
    container(100)
    assert memory.memory_limit(64 * MIB, None) == 64 * MIB
    said = capsys.readouterr().err
    assert "--memory-limit 64 MiB and up to 64 MiB for the program itself" in said
    assert "do not fit in the container's limit of 100 MiB; give --memory-limit 36MiB or less" in said
    assert memory.memory_limit(32 * MIB, None) == 32 * MIB
    assert capsys.readouterr().err == ""
    assert memory.memory_limit(32 * MIB, 50 * MIB) == 32 * MIB
    assert (
        "--process-limit of 50 MiB may be too little: with the least --memory-limit, 1 MiB, a run takes up to 65 MiB"
        in capsys.readouterr().err
    )


def test_check_has_as_many_processes_as_the_container_holds(container: Callable[[int | None], None]) -> None:
    for mib, n in ((None, None), (60, 1), (128, 1), (255, 1), (256, 2), (1024, 8)):
        container(mib)
        assert memory.fitting_processes(64 * MIB) == n


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / "samples").glob("*.pcap"))])
def test_every_sample_is_read_whole_under_the_least_memory_limit(name: str, run: Run) -> None:
    path = str(ROOT / "samples" / name)
    least, usual = run(path, Limits().with_memory(LEAST_MEMORY)).summary, run(path).summary
    assert least.memory.peak_bytes <= LEAST_MEMORY
    assert least.decode == usual.decode
    assert least.tcp.connections == usual.tcp.connections
    assert least.tcp.payload_bytes.captured == usual.tcp.payload_bytes.captured
    assert least.tcp.payload_bytes.balanced
    if not least.memory.pressure:
        assert (least.tcp, least.http, least.json, least.drops) == (usual.tcp, usual.http, usual.json, usual.drops)


def test_blocks_take_less_under_a_small_memory_limit_and_the_usual_under_others() -> None:
    usual = Limits()
    for mib in range(1, 65):
        limits = Limits().with_memory(mib * MIB)
        blocks = limits.block_size + limits.block_packets * COLUMN_BYTES_PER_PACKET
        assert blocks <= mib * MIB // 4 + MIB // 64
        assert limits.copies_window & (limits.copies_window - 1) == 0
        assert limits.copies_window * 112 <= mib * MIB // 8
        if mib >= 24:
            assert (limits.block_size, limits.block_packets, limits.copies_window) == (
                usual.block_size,
                usual.block_packets,
                usual.copies_window,
            )


@pytest.mark.parametrize("given", [["--block-size", "3MiB"], ["--block-size", "30MiB"], ["xz"]])
def test_a_memory_limit_that_is_too_small_for_something_says_the_least_that_works(given: list[str], tmp_path: Path) -> None:
    path = ROOT / "samples/shop.pcap"
    if given == ["xz"]:
        path = tmp_path / "shop.pcap.xz"
        path.write_bytes(lzma.compress((ROOT / "samples/shop.pcap").read_bytes(), preset=6))
        given = []
    done = launch_text("analyze", "-q", "--json", "--no-records", "--memory-limit", "2MiB", *given, path)
    assert done.returncode == 3
    (least,) = re.findall(r"the least that works is --memory-limit (\d+)MiB", done.stderr)
    for mib, status in ((int(least), 0), (int(least) // 2, 3)):
        assert launch_text("analyze", "-q", "--json", "--no-records", "--memory-limit", f"{mib}MiB", *given, path).returncode == status


def test_less_than_works_at_all_is_refused_with_the_least_that_does() -> None:
    done = launch_text("analyze", "-q", "--memory-limit", "100KiB", ROOT / "samples/shop.pcap")
    assert (done.returncode, done.stderr) == (2, "pcapflow: --memory-limit 100 KiB is too small; the minimum is 1 MiB\n")


def test_a_hard_limit_makes_an_allocation_fail_and_is_lifted() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    taken = resident_bytes()[1]
    with HardLimit(taken + 200 * MIB) as limit:
        with pytest.raises(MemoryError):
            bytearray(400 * MIB)
        limit.check()
        limit.lift()
        assert len(bytearray(400 * MIB)) == 400 * MIB
    with HardLimit(taken + 60 * MIB):
        pass
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with HardLimit(resident_bytes()[1] + MIB) as limit, pytest.raises(MemoryError):
        limit.check()


def test_a_hard_limit_below_what_the_program_takes_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="less than"), HardLimit(MIB):
        pass


def test_a_process_without_memory_still_reports_what_it_read(run: Run) -> None:
    talk = Talk().open().send(0, request()).send(1, response(b"{}" * 900)).close()
    lines: list[bytes] = []
    path = ROOT / "samples" / "json-api.pcap"
    result = pipeline.run([str(path)], Limits(block_packets=50), pipeline.Options(simulate={"process": 3}), write=lines.extend)
    assert result.out_of_memory
    assert result.account_error() is None
    assert result.summary.decode.packets == 100
    assert result.summary.tcp.connections == len([r for r in map(json.loads, lines) if r["record"] == "connection"]) > 0
    assert run(talk.bytes()).result.out_of_memory is False


def capture_for(account: str) -> bytes:
    body = b'{"a":[%s1]}' % (b"1," * 900)
    talk = Talk().open().send(0, request())
    if account == "content":
        talk.send(1, response(gzip.compress(body), fields="Content-Encoding: gzip\r\n"))
    elif account == "fragments":
        return pcap(
            [
                *talk.frames,
                *(
                    (talk.us + i, frame)
                    for i, frame in enumerate(fragments4(ipv4_packet("1.1.1.1", "2.2.2.2", bytes(100), proto=17), 1, 16))
                ),
            ]
        )
    elif account == "http":
        talk.send(1, chunked(body, [100]), size=30)
    else:
        whole = response(body)
        talk.send(1, whole[:9], keep=account != "rings").send(1, whole[9:])
    return talk.close().bytes()


@pytest.mark.parametrize("account", Ledger.NAMES)
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_every_account_may_refuse_at_any_time_and_each_loss_is_named(run: Run, account: str, call: int) -> None:
    if account == "blocks" and call == 1:
        return  # the first block does not fit: an error of its own, tested with the command line
    ran = run(capture_for(account), replace(Limits(), block_packets=2), simulate={account: call})  # run checks the account
    if not ran.summary.memory.pressure:
        return
    named = set(ran.summary.drops.by_reason) | ({"memory"} & set(ran.summary.tcp.gaps_by_cause))
    expected = {
        "rings": {"memory"},
        "connections": {"connection_memory"},
        "http": {"http_memory"},
        "content": {"content_memory"},
        "json": {"json_memory"},
        # a refused history compares less, a refused record waits in a file: nothing is lost
        "history": set(),
        "output": set(),
        # a fragment that is not kept is counted as such
        "fragments": set(),
        "blocks": set(),
    }[account]
    # a head that is not kept for its like is no loss
    assert named == expected or (account == "http" and not named)


def test_a_refusal_on_the_command_line_is_an_option_that_help_does_not_show() -> None:
    command = [sys.executable, "-m", "pcapflow", "analyze"]
    done = subprocess.run([*command, "--json", "--simulate", "json=1", "samples/json-api.pcap"], cwd=ROOT, capture_output=True, check=True)
    report = json.loads(done.stdout)
    assert report["drops"]["by_reason"]["json_memory"]["count"] == 1
    assert b"--simulate" not in subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, check=True).stdout
    for wrong in ("json", "json=x", "json=0", "nothing=1"):
        assert (
            subprocess.run([*command, "--simulate", wrong, "samples/json-api.pcap"], cwd=ROOT, capture_output=True, check=False).returncode
            == 2
        )


def test_a_stream_that_is_refused_while_it_is_acknowledged_goes_on(run: Run) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, b"b" * 100, seq=1101)
    talk.packet(0, ACK, b"a" * 100, seq=1001)
    ran = run(talk.bytes(), simulate={"rings": 1})
    assert ran.of("connection")[0]["streams"]["client"]["missing_bytes"] == 100
    assert ran.of("connection")[0]["streams"]["client"]["late_bytes"] == 100


def test_an_account_that_does_not_balance_is_status_70_and_names_the_stream() -> None:
    code = (
        "from pcapflow.reassembly.half_stream import HalfStream\n"
        "HalfStream.balanced = lambda self: self.captured < 2000\n"
        "from pcapflow.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", "--json", "samples/json-api.pcap"], cwd=ROOT, capture_output=True, check=False, text=True
    )
    assert done.returncode == 70
    assert "the account does not balance for connection " in done.stderr
    assert ", server" in done.stderr
    assert json.loads(done.stdout)["tcp"]["payload_bytes"]["balanced"] is False
