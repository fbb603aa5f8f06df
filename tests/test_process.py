"""What the process may take: the container's limit is read, a hard limit is set and lifted, and every account can be made to refuse."""

from __future__ import annotations

import gzip
import importlib
import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.errors import UsageError
from pcapflow.limits import MIB, Limits
from pcapflow.process_memory import HardLimit, container_limit, resident_bytes
from tests.conftest import Run
from tests.craft import ACK, Talk, chunked, ipv4_packet, pcap, request, response
from tests.decode.test_fragments import fragments4

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


def test_a_memory_limit_that_does_not_fit_is_said_before_the_capture_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze = importlib.import_module("pcapflow.cli.options")
    monkeypatch.setattr(analyze, "container_limit", lambda: 100 * MIB)
    analyze._say_what_does_not_fit(Limits(), None)
    said = capsys.readouterr().err
    assert "--memory-limit 64 MiB" in said
    assert "do not fit in the container's limit of 100 MiB; give --memory-limit 36 MiB or less" in said
    analyze._say_what_does_not_fit(Limits(), 71 * MIB)
    assert "do not fit in --process-limit of 71 MiB; whatever --memory-limit is, a run may need 72 MiB there" in capsys.readouterr().err
    analyze._say_what_does_not_fit(Limits(memory_limit=32 * MIB), None)
    assert capsys.readouterr().err == ""


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
