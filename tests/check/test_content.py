"""Content mode: two recordings of the same are equal, and each planted change is the first line of the failure and the only one."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.body_options import Looking
from pcapflow.check import content as content_module
from pcapflow.check import content_mode
from pcapflow.check.baseline import Baseline
from pcapflow.check.causes import causes_of
from pcapflow.check.checking import check as check_one
from pcapflow.check.content import Content, Counted, Message, Outcome, Seen, content_of, read_content, written
from pcapflow.check.ignoring import Rules
from pcapflow.check.left_out import without
from pcapflow.check.reports import read_report
from pcapflow.check.verdicts import Job
from pcapflow.errors import ReportError
from pcapflow.header_options import Headers
from pcapflow.limits import Limits
from tests.craft import Talk, pcap, request, response, tcp_frame
from tests.launcher import launch_text

USERS = [{"id": 1, "name": "ann", "tags": ["a"]}, {"id": 2, "name": "bob", "tags": []}]


def talks(*, port: int = 40000, at: int = 0, change: str = "") -> list[Talk]:
    """A session with an API, one exchange a connection; change: what is another this time."""
    users = json.dumps(USERS).encode()
    made = []
    for i, (target, answer, asked) in enumerate(
        (
            ("/users", response(users, fields="Date: now\r\n"), {}),
            ("/users/17", response(json.dumps(USERS[0]).encode()), {}),
            ("/missing", response(b"none", status="404 Not Found", kind="text/plain"), {}),
            (
                "/users",
                response(b'{"ok": true}', status="201 Created"),
                {"method": "POST", "body": json.dumps(USERS[0]).encode(), "fields": "Content-Type: application/json\r\n"},
            ),
        )
    ):
        t = Talk(sport=port + i, isn=(at * 7 + 1000, at * 11 + 5000))
        t.us = at + i * 1000
        t.open()
        if target == "/users" and not asked:
            answer = CHANGES.get(change, lambda data: data)(answer)
        if change == "gone" and target == "/missing":
            continue
        keep = change != "lost" or target != "/users" or bool(asked)
        t.send(0, request(target, **asked))
        if not keep:
            t.send(1, answer[:80]).send(1, answer[80:120], keep=False).acknowledge(0).send(1, answer[120:])
        else:
            t.send(1, answer)
        made.append(t.acknowledge(0).close())
    if change == "new":
        t = Talk(sport=port + 9)
        t.us = at + 9000
        made.append(t.open().send(0, request("/health")).send(1, response(b"{}")).close())
    if change == "lost":
        made[0].frames += [(made[0].us + i * 1000, tcp_frame("10.9.9.9", 9, "10.9.9.8", 9, 1, 1, 0x10)) for i in range(90)]
    return made


def _json(value: Any) -> Callable[[bytes], bytes]:
    return lambda _: response(json.dumps(value).encode(), fields="Date: now\r\n")


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "status": lambda data: data.replace(b"200 OK", b"500 Oh No"),
    "new header": lambda data: data.replace(b"Date:", b"X-Powered-By: x\r\nDate:"),
    "gone header": lambda data: data.replace(b"Date: now\r\n", b""),
    "type of a value": _json([{**one, "id": str(one["id"])} for one in USERS]),
    "missing key": _json([{key: value for key, value in one.items() if key != "name"} for one in USERS]),
    "new key": _json([{**one, "age": 7} for one in USERS]),
    "another key": _json([{**{k: v for k, v in one.items() if k != "name"}, "nome": 12} for one in USERS]),
    "optional key": _json([USERS[0], {key: value for key, value in USERS[1].items() if key != "name"}]),
    "cut body": lambda data: data[:-30],
    "version": lambda data: data.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "media type": lambda data: data.replace(b"application/json", b"text/html"),
    "broken json": lambda data: data.replace(b'"name"', b'"name '),
    "size": _json([{**one, "name": "n" * 900} for one in USERS]),
}
SAID = {
    "status": "GET /users: status 500, was status 200",
    "new header": "GET /users: response header x-powered-by is new",
    "gone header": "GET /users: response header date is gone",
    "type of a value": "GET /users: `[].id` is string, was integer",
    "missing key": "GET /users: `[].name` is gone",
    "new key": "GET /users: `[].age` is new (integer)",
    "another key": "GET /users: `[].name` is gone, `[].nome` is new (integer)",
    "optional key": "GET /users: `[].name` is not always there",
    "cut body": "GET /users: the response's body is truncated, was complete",
    "version": "GET /users: the response is HTTP/1.0, was HTTP/1.1",
    "media type": "GET /users: the response's media type is text/html, was application/json",
    "broken json": "GET /users: the response's JSON is invalid, was complete",
    "size": "GET /users: response bodies of 1,873 bytes, were 79 (size-tolerance 50%)",
    "lost": "40 bytes are missing from byte 80 of the server's stream (acknowledged): a body of GET /users is incomplete",
    "new": "GET /health is new (1 exchange)",
    "gone": "GET /missing is gone (1 exchange)",
}


def capture(*made: Talk) -> bytes:
    return pcap(sorted((frame for talk in made for frame in talk.frames), key=lambda f: f[0]))


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return launch_text("check", *options, "a.pcap", cwd=folder, env={"COLUMNS": "100"})


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    assert check(tmp_path, "-q", "--update").returncode == 0
    assert (tmp_path / "a.pcap.content.json").exists()
    return tmp_path


def test_the_same_recorded_again_is_the_same_whatever_the_ports_times_and_order(accepted: Path) -> None:
    again = talks(port=51000, at=77_000_000)
    for i, talk in enumerate(reversed(again)):
        shift = 77_000_000 + i * 9000 - talk.frames[0][0]
        talk.frames = [(us + shift, frame) for us, frame in talk.frames]
    (accepted / "a.pcap").write_bytes(capture(*again))
    done = check(accepted)
    assert (done.returncode, done.stderr) == (0, "")
    assert check(accepted, "--compare", "exact", "--update").returncode == 0
    (accepted / "a.pcap").write_bytes(capture(*talks()))
    exact = check(accepted, "--compare", "exact")
    assert exact.returncode == 1
    assert ".first_ts" in exact.stdout


@pytest.mark.parametrize("change", SAID)
def test_a_planted_change_is_the_first_line_and_the_only_problem(accepted: Path, change: str) -> None:
    (accepted / "a.pcap").write_bytes(capture(*talks(port=50000, at=9_000_000, change=change)))
    done = check(accepted)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0] == "FAILED a.pcap: 1 problem"
    assert lines[1].strip().startswith(SAID[change])
    assert (
        sum(
            line.startswith("    ") and "to accept this" not in line and "to see the first" not in line and "that follow" not in line
            for line in lines
        )
        == 1
    )
    assert ("to see the first: pcapflow follow --packet" in done.stdout) == (change != "gone")
    update = check(accepted, "--update")
    assert update.returncode == 0
    assert f"accepted: {SAID[change]}" in update.stdout
    assert check(accepted).returncode == 0


def test_a_changed_order_of_header_fields_and_values_is_no_change(accepted: Path) -> None:
    data = capture(*talks()).replace(b"Date: now", b"Date: ago").replace(b"ann", b"eve")
    (accepted / "a.pcap").write_bytes(data)
    assert check(accepted).returncode == 0


# --- what a project leaves out, and compares beside


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("GET /users", "status"),
        ("GET /users body", "another key"),
        ("headers.x-powered-by", "new header"),
        ("GET /users headers.X-Powered-By", "new header"),
        ("[].name", "missing key"),
        (".[].id", "type of a value"),
        ("..age", "new key"),
    ],
)
def test_what_is_ignored_makes_no_failure_and_explain_says_how_much_it_was(tmp_path: Path, rule: str, change: str) -> None:
    (tmp_path / "pcapflow.toml").write_text(f"[check]\nignore = [{json.dumps(rule)}]\n")
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    assert check(tmp_path, "-q", "--update").returncode == 0
    (tmp_path / "a.pcap").write_bytes(capture(*talks(change=change)))
    done = check(tmp_path, "--explain")
    assert done.returncode == 0, done.stdout
    assert f"ignore '{rule}': excluded " in done.stderr


@pytest.mark.parametrize(
    "rule",
    [
        "GET /users",
        "GET *",
        "GET /users body",
        "GET /users count",
        "headers.date",
        "POST /users headers.Content-Type",
        "[].name",
        "..id",
        "..tags",
        "..none",
    ],
)
@pytest.mark.parametrize("before", [[], ["headers.date"], ["..name", "GET /missing body"]])
def test_a_rule_that_is_new_changes_a_baseline_as_if_that_had_been_made_with_it(tmp_path: Path, rule: str, before: list[str]) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    options = content_mode.options_of(pipeline.Options(), Rules(header_values=frozenset(("date",)), values=("[].name", "[].id")))
    with (tmp_path / "a.json").open("wb") as file:
        writer = Baseline(file.write)
        writer.summary(pipeline.run([str(tmp_path / "a.pcap")], None, options, write=writer.records).summary)

    def made(ignore: list[str], values: list[str]) -> Content:
        return content_of(read_report(tmp_path / "a.json"), Rules.parse(ignore, values, []))[0]

    for values in ([], ["date"]):
        whole = made(before, ["date"])
        assert without(whole, Rules.parse([*before, rule], values, [])) == made([*before, rule], values)
        assert without(whole, Rules.parse(before, ["date"], [])) == whole


def test_a_rule_that_is_new_needs_no_update(accepted: Path) -> None:
    (accepted / "a.pcap").write_bytes(capture(*talks(change="status")))
    assert check(accepted, "-q").returncode == 1
    (accepted / "pcapflow.toml").write_text('[check]\nignore = ["GET /users"]\n')
    assert check(accepted).returncode == 0


def test_in_exact_mode_a_path_that_no_report_has_is_an_error(accepted: Path) -> None:
    for rule, said in (("..statsu", "did you mean status?"), ("tcp.gasp", "did you mean gaps?"), ("response.bdy", "did you mean body?")):
        (accepted / "pcapflow.toml").write_text(f'[check]\nignore = ["{rule}"]\n')
        assert check(accepted).returncode == 0
        (accepted / "pcapflow.toml").write_text(f'[check]\ncompare = "exact"\nignore = ["{rule}"]\n')
        done = check(accepted)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    rules = '["..status", "tcp.gaps", "response.body", "http.by_method.PURGE", "captures[].path", "endpoints", "..p95"]'
    (accepted / "pcapflow.toml").write_text(f"[check]\ncompare = 'exact'\nignore = {rules}\n")
    assert check(accepted, "--update").returncode == 0


def test_a_rule_that_leaves_nothing_out_is_said_and_one_that_is_none_is_refused(accepted: Path) -> None:
    (accepted / "pcapflow.toml").write_text('[check]\nignore = ["headers.dtae"]\n')
    done = check(accepted)
    assert done.returncode == 0
    assert "ignore 'headers.dtae' excluded nothing in any capture" in done.stderr
    (accepted / "pcapflow.toml").write_text('[check]\nignore = ["a b c"]\n')
    done = check(accepted)
    assert done.returncode == 2
    assert "check.ignore: 'a b c' is not a rule" in done.stderr
    for setting in ("compare = 'some'", "size-tolerance = 5", "header-values = [1]"):
        (accepted / "pcapflow.toml").write_text(f"[check]\n{setting}\n")
        assert check(accepted).returncode == 2


def test_values_of_chosen_fields_and_sizes_are_compared_as_the_project_says(tmp_path: Path) -> None:
    (tmp_path / "pcapflow.toml").write_text('[check]\nheader-values = ["Date"]\nsize-tolerance = "3000%"\n')
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    assert check(tmp_path, "-q", "--update").returncode == 0
    (tmp_path / "a.pcap").write_bytes(capture(*talks(change="size")))
    assert check(tmp_path).returncode == 0
    (tmp_path / "a.pcap").write_bytes(capture(*talks()).replace(b"Date: now", b"Date: ago"))
    done = check(tmp_path)
    assert "GET /users: response header date: ago is new; response header date: now is gone" in done.stdout


def test_an_update_takes_only_what_is_to_be_accepted(accepted: Path) -> None:
    before = (accepted / "a.pcap.content.json").read_bytes()
    (accepted / "a.pcap").write_bytes(capture(*talks(change="status")))
    refused = check(accepted, "--update", "--accept", "shape,headers")
    assert refused.returncode == 1
    assert SAID["status"] in refused.stdout
    assert (accepted / "a.pcap.content.json").read_bytes() == before
    assert check(accepted, "--update", "--accept", "shape,status").returncode == 0
    assert check(accepted).returncode == 0
    assert "--accept requires --update" in check(accepted, "--accept", "status").stderr
    assert "'stat' is not one of lost, drops" in check(accepted, "--update", "--accept", "stat").stderr


def test_a_budget_of_an_endpoint_names_it_and_one_that_is_not_there_fails(accepted: Path) -> None:
    def bounded(*lines: str) -> str:
        (accepted / "pcapflow.toml").write_text("\n".join(['[expect."*"]', *lines]))
        return check(accepted).stdout

    assert "1 ok" in bounded("\"endpoints.'GET /users'.p95\" = {max = '200ms'}", '"network.stalled" = {max = 1}')
    assert "endpoints.'GET /users'.p95 is " in bounded("\"endpoints.'GET /users'.p95\" = {max = '1us'}")
    assert "1 ok" in bounded("\"endpoints.'GET example/users/{id}'.exchanges\" = 1")
    assert "there is no such endpoint; did you mean GET /users?" in bounded("\"endpoints.'GET /user'.p95\" = {max = '200ms'}")
    (accepted / "pcapflow.toml").write_text("[expect.'*']\n\"endpoints.'GET /users'.p9\" = 1")
    assert check(accepted).returncode == 2


def test_github_gets_an_annotation_a_cause_ten_at_most_and_a_summary_with_all(accepted: Path) -> None:
    made = talks(change="another key")
    for i in range(14):
        t = Talk(sport=60_000 + i)
        t.us = 10_000 + i
        made.append(t.open().send(0, request(f"/new{chr(97 + i)}|<x>")).send(1, response(b"{}")).close())
    (accepted / "a.pcap").write_bytes(capture(*made))
    summary = accepted / "summary.md"
    done = launch_text("check", "--format", "github", "a.pcap", cwd=accepted, env={"GITHUB_STEP_SUMMARY": str(summary)})
    lines = done.stdout.splitlines()
    assert sum(line.startswith("::error") for line in lines) == 10
    assert lines[0].startswith("::error file=a.pcap,title=pcapflow exchanges::GET /newa|<x> is new (1 exchange) (connection ")
    assert any("and 5 more, in the job's summary" in line for line in lines)
    table = summary.read_text()
    assert table.startswith("### a.pcap: failed\n")
    assert table.count("| exchanges |") == 14
    assert "| shape | GET /users: '[].name' is gone, '[].nome' is new (integer) | 1 | 4 |" in table
    assert "GET /newa\\|&lt;x>" in table


def test_values_of_bodies_are_compared_where_the_project_asks(tmp_path: Path) -> None:
    (tmp_path / "pcapflow.toml").write_text('[check]\nvalues = [".name", "[].tags[]"]\n')
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    assert check(tmp_path, "-q", "--update").returncode == 0
    (tmp_path / "a.pcap").write_bytes(capture(*talks(at=50)))
    assert check(tmp_path).returncode == 0
    (tmp_path / "a.pcap").write_bytes(capture(*talks()).replace(b"ann", b"eve"))
    done = check(tmp_path)
    assert 'GET /users/{id}: the response has .name: "eve", had .name: "ann"' in done.stdout
    assert "GET /users:" not in done.stdout
    assert 'POST /users: the request has .name: "eve", had .name: "ann"' in done.stdout
    (tmp_path / "pcapflow.toml").write_text('[check]\nvalues = ["a b"]\n')
    assert "check.values: a b is not a path" in check(tmp_path).stderr


def test_a_slower_endpoint_is_a_failure_where_a_budget_says_so_and_nothing_else_is(tmp_path: Path) -> None:
    def slower(us: int) -> bytes:
        made = talks()
        made[0].frames = [(at + (us if i >= 4 else 0), frame) for i, (at, frame) in enumerate(made[0].frames)]
        return capture(*made)

    (tmp_path / "pcapflow.toml").write_text("[expect.'*']\n\"endpoints.'GET /users'.p95\" = {max = 'baseline+20%'}\n")
    (tmp_path / "a.pcap").write_bytes(slower(1_000_000))
    assert check(tmp_path, "-q", "--update").returncode == 0
    assert list(json.loads((tmp_path / "a.pcap.content.json").read_bytes())["budgets"]) == ["endpoints.'GET /users'.p95"]
    assert check(tmp_path).returncode == 0
    (tmp_path / "a.pcap").write_bytes(slower(1_500_000))
    lines = check(tmp_path).stdout.splitlines()
    assert lines[0] == "FAILED a.pcap: 1 problem"
    assert lines[1].strip().startswith("endpoints.'GET /users'.p95 is 1.5")
    assert lines[1].endswith("in the baseline, and 20%")
    assert check(tmp_path, "--update").returncode == 0
    assert check(tmp_path).returncode == 0
    (tmp_path / "pcapflow.toml").write_text(
        "[expect.'*']\n\"endpoints.'GET /users'.p50\" = {max = 'baseline'}\n\"endpoints.'GET /x'.p50\" = {max = 'baseline'}\n"
    )
    said = check(tmp_path).stdout
    assert "endpoints.'GET /users'.p50 has no value in the baseline; --update stores it" in said
    assert "endpoints.'GET /x'.p50: there is no such value in the report" in said
    (tmp_path / "pcapflow.toml").write_text("[expect.'*']\n\"records[].duration\" = {max = 'baseline+5%'}\n")
    assert "is for a single value" in check(tmp_path).stderr


def test_what_follows_from_a_cause_is_counted_and_told_where_somebody_asks(accepted: Path) -> None:
    answer = response(b"<p>", status="503 Busy", kind="text/html", fields="Retry-After: 1\r\n")
    made = talks()
    t = Talk()
    made[0] = t.open().send(0, request("/users")).send(1, answer).close()
    (accepted / "a.pcap").write_bytes(capture(*made))
    done = check(accepted)
    assert "and 3 differences that follow from these" in done.stdout
    assert "retry-after" not in done.stdout
    said = check(accepted, "--all").stdout
    assert "GET /users: status 503, was status 200; the response's media type is text/html, was application/json; " in said
    assert "response header retry-after is new; response header date is gone" in said
    diff = check(accepted, "--diff").stdout
    assert "    --- a.pcap.content.json\n    +++ now\n" in diff
    assert (
        sum(line.startswith('    -{"count"') for line in diff.splitlines())
        == sum(line.startswith('    +{"count"') for line in diff.splitlines())
        == 1
    )


# --- what a reviewer found


def one(body: bytes, *, fields: str = "", status: str = "200 OK", kind: str = "application/json", target: str = "/x") -> bytes:
    """A capture of one exchange."""
    return Talk().open().send(0, request(target)).send(1, response(body, fields=fields, status=status, kind=kind)).close().bytes()


def compared(folder: Path, old: bytes, new: bytes, *options: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "pcapflow.toml").write_text(settings)
    (folder / "a.pcap").write_bytes(old)
    assert check(folder, "-q", "--update").returncode == 0
    (folder / "a.pcap").write_bytes(new)
    return check(folder, *options)


def test_what_a_cause_tells_beside_has_to_be_accepted_too(tmp_path: Path) -> None:
    done = compared(tmp_path, one(b'{"a": 1}'), one(b'{"b": 1}', fields="X-N: 1\r\n"), "--update", "--accept", "shape")
    assert done.returncode == 1
    assert check(tmp_path, "--update", "--accept", "shape,headers").returncode == 0
    assert check(tmp_path, "-q", "--update", "--compare", "exact").returncode == 0
    (tmp_path / "a.pcap").write_bytes(one(b'{"a": 1}', status="500 Oh"))
    refused = check(tmp_path, "--update", "--compare", "exact", "--accept", "sizes")
    assert refused.returncode == 1
    assert "--accept is for baselines of content mode" in refused.stdout


def test_an_answer_before_a_loss_is_told_beside_it(tmp_path: Path) -> None:
    def talk(status: str, keep: bool) -> bytes:
        t = Talk().open().send(0, request("/a")).send(1, response(b"{}", status=status)).send(0, request("/b"))
        body = response(json.dumps({"k": "v" * 500}).encode())
        t.send(1, body[:200]).send(1, body[200:300], keep=keep).acknowledge(0).send(1, body[300:]).acknowledge(0).close()
        return pcap([*t.frames, *((t.us + i * 1000, tcp_frame("10.9.9.9", 9, "10.9.9.8", 9, 1, 1, 0x10)) for i in range(90))])

    said = compared(tmp_path, talk("200 OK", True), talk("500 Oh", False)).stdout
    assert "100 bytes are missing" in said
    assert "GET /a: status 500, was status 200" in said
    assert "GET /b" in said.splitlines()[1]


def test_bytes_that_nobody_reads_are_compared_by_reason_and_amount(tmp_path: Path) -> None:
    def opaque(n: int) -> bytes:
        return Talk(dport=9999).open().send(0, b"\x01\xfe" * n).send(1, b"\x02\xff" * n).close().bytes()

    assert compared(tmp_path, opaque(1000), opaque(1200)).returncode == 0
    said = compared(tmp_path, opaque(1000), opaque(4000)).stdout
    assert "16,000 bytes are unread (unknown_protocol), were 4,000" in said
    both = Talk().open().send(0, request("/x")).send(1, response(b"{}")).close()
    assert "4,000 bytes are unread (unknown_protocol), were 0" in compared(tmp_path, both.bytes(), opaque(1000)).stdout


def test_an_update_of_what_is_equal_moves_no_size(tmp_path: Path) -> None:
    def text(n: int) -> bytes:
        return one(b"t" * n, kind="text/plain")

    assert compared(tmp_path, text(1000), text(1400), "--update").returncode == 0
    (tmp_path / "a.pcap").write_bytes(text(2000))
    assert "response bodies of 2,000 bytes, were 1,000" in check(tmp_path).stdout


@pytest.mark.parametrize(("keys", "fields"), [(70, 16), (70, 40), (65, 3)])
def test_a_type_within_a_map_of_many_objects_is_compared(tmp_path: Path, keys: int, fields: int) -> None:
    def body(value: Any) -> bytes:
        return one(json.dumps({f"k{i}": {f"f{j}": value if j == 2 else 1 for j in range(fields)} for i in range(keys)}).encode())

    assert "`*.f2` is string, was integer" in compared(tmp_path, body(1), body("s")).stdout


def test_a_long_value_is_compared_to_its_end(tmp_path: Path) -> None:
    settings = '[check]\nvalues = [".v"]\n'
    for n in (100, 201, 5000):
        old, new = (json.dumps({"v": "a" * n + end}).encode() for end in "xy")
        assert compared(tmp_path, one(old), one(new), settings=settings).returncode == 1
        assert compared(tmp_path, one(old), one(old), settings=settings).returncode == 0
    assert compared(tmp_path, one(old), one(new), settings='[check]\nvalues = [".v"]\nignore = ["..v"]\n').returncode == 0


def test_sizes_and_counts_and_keys_of_maps_can_be_left_out(tmp_path: Path) -> None:
    text = one(b"t" * 100, kind="text/plain"), one(b"t" * 9000, kind="text/plain")
    assert compared(tmp_path, *text).returncode == 1
    assert compared(tmp_path, *text, settings='[check]\nignore = ["GET /x body"]\n').returncode == 0
    assert compared(tmp_path, *text, settings='[check]\nignore = ["GET /*"]\n').returncode == 0

    def polled(n: int) -> bytes:
        t = Talk().open()
        for _ in range(n):
            t.send(0, request("/x")).send(1, response(b"{}", status="202 Accepted"))
        return t.close().bytes()

    assert compared(tmp_path, polled(2), polled(4)).returncode == 1
    assert compared(tmp_path, polled(2), polled(4), settings='[check]\nignore = ["GET /x count"]\n').returncode == 0
    maps = (
        one(json.dumps({"u": {f"i{i}": 1 for i in range(70)}}).encode()),
        one(json.dumps({"u": {f"i{i}": "s" for i in range(70)}}).encode()),
    )
    assert "`u.*` is string, was integer" in compared(tmp_path, *maps).stdout
    assert compared(tmp_path, *maps, settings='[check]\nignore = [".u.*"]\n').returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ([{"a": {"x": 1}}], [{"a": {"x": 1}}, {}], "`[].a` is not always there"),
        ({"b": {"x": 1}}, {"b": None}, "`b` is null, was object"),
        ({"a": [1]}, {"a": []}, "`a[]` is gone"),
        ({"a": 1}, {"a": 1, "b": {"x": 1, "y": [2]}}, "`b` is new (object)"),
        ({"a.b": {"c": 1}}, {"a.b": {"c": "s"}}, '`["a.b"].c` is string, was integer'),
    ],
)
def test_containers_have_the_right_words(tmp_path: Path, old: Any, new: Any, said: str) -> None:
    line = compared(tmp_path, one(json.dumps(old).encode()), one(json.dumps(new).encode())).stdout.splitlines()[1]
    assert line.strip().startswith(f"GET /x: {said}")
    assert " is new" not in line or "is new" in said


def test_more_fields_than_are_told_are_counted(tmp_path: Path) -> None:
    new = one(b"{}", fields="".join(f"X-{chr(97 + i)}: 1\r\n" for i in range(12)))
    assert "and 4 more response headers" in compared(tmp_path, one(b"{}"), new).stdout


def test_a_relative_budget_without_a_baseline_that_can_hold_it_is_a_failure(tmp_path: Path) -> None:
    settings = "[expect.'*']\n\"endpoints.'GET /x'.p95\" = {max = 'baseline+20%'}\n"
    assert compared(tmp_path, one(b"{}"), one(b"{}"), settings=settings).returncode == 0
    for options in (["--no-baseline"], ["--compare", "exact", "--update"]):
        done = check(tmp_path, *options)
        assert done.returncode == 1
        assert "a bound relative to the baseline needs one of content mode" in done.stdout
    (tmp_path / "pcapflow.toml").write_text(settings.replace("/x", "/typo"))
    assert "endpoints.'GET /typo'.p95: there is no such value in the report" in check(tmp_path, "--update").stdout


def test_a_baseline_that_could_not_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_mode, "MOST_BYTES", 100)
    path = tmp_path / "a.pcap"
    path.write_bytes(one(b"{}"))
    verdict = check_one(Job(str(path), Limits(), pipeline.Options(), True, update=True))
    assert [problem.message.partition(":")[0] for problem in verdict.problems] == ["says too much for a baseline"]
    assert not (tmp_path / "a.pcap.content.json").exists()


# --- baselines


EARLIER = Path(__file__).parent / "baselines-28f0981"


MENDED = {
    "lossy.pcap": {".duration"},  # an answer's time does not count what waited behind a hole of another
    "statuses.pcap": {
        ".json.invalid",
        ".json.partial",
        ".response.body.json.status",
        ".response.body.json.error",
    },  # a coded body that is cut
}
"""Values that were wrong then, by capture: nothing else may differ."""


@pytest.mark.parametrize("name", sorted(path.name for path in EARLIER.iterdir()))
def test_an_exact_baseline_of_an_earlier_version_still_holds_but_for_values_that_were_wrong(tmp_path: Path, name: str) -> None:
    capture_name = name.removesuffix(".report.json")
    for path in (EARLIER / name, Path(__file__).parents[2] / "samples" / capture_name):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    done = launch_text("check", capture_name, cwd=tmp_path)
    mended = MENDED.get(capture_name, set())
    assert (done.returncode, done.stderr) == (bool(mended), ""), done.stdout
    assert set(re.findall(r"(?:    |: |; )(\.[a-z_.]+): ", done.stdout)) == mended


def test_an_exact_baseline_has_the_limits_that_are_not_as_usual_and_nothing_that_memory_took(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    assert check(tmp_path, "-q", "--update", "--compare", "exact", "--ring-size", "1MiB").returncode == 0
    found = json.loads((tmp_path / "a.pcap.report.json").read_bytes())
    assert found["limits"] == {"ring_size": 1 << 20}
    assert found["memory"]["components"] == {}
    assert check(tmp_path, "--ring-size", "1MiB").returncode == 0
    assert "made with another limit: .limits.ring_size: 1048576 -> 4194304" in check(tmp_path).stdout


def test_a_capture_without_a_connection_is_refused_unless_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap([]))
    done = check(tmp_path, "--update")
    assert done.returncode == 1
    assert "has no TCP connection, so there is nothing to compare; --allow-empty accepts that" in done.stdout
    assert not (tmp_path / "a.pcap.content.json").exists()
    assert check(tmp_path, "--update", "--allow-empty").returncode == 0
    assert check(tmp_path).returncode == 0
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    assert check(tmp_path, "--update").returncode == 0
    (tmp_path / "a.pcap").write_bytes(pcap([]))
    assert check(tmp_path).returncode == 1


def test_a_baseline_is_small_sorted_and_read_back_as_it_was(accepted: Path) -> None:
    data = (accepted / "a.pcap.content.json").read_bytes()
    assert written(read_content(accepted / "a.pcap.content.json")) == data
    found = json.loads(data)
    assert found["schema"] == "pcapflow.baseline/1"
    assert list(found["endpoints"]) == sorted(found["endpoints"]) == ["GET /missing", "GET /users", "GET /users/{id}", "POST /users"]
    assert data.count(b"\n") == 2 + 4 + 4 + 1
    shop = Path(__file__).parents[2] / "samples" / "shop.pcap"
    (accepted / "a.pcap").write_bytes(shop.read_bytes())
    assert check(accepted, "-q", "--update").returncode == 0
    assert (accepted / "a.pcap.content.json").stat().st_size < 10_000 < shop.stat().st_size


def test_what_is_ignored_is_left_out_of_exact_mode_too(tmp_path: Path) -> None:
    (tmp_path / "pcapflow.toml").write_text(
        '[check]\ncompare = "exact"\nignore = ["..status", "http.by_status", "endpoints", "problems", "..conflicts"]\n'
    )
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    assert check(tmp_path, "-q", "--update").returncode == 0
    (tmp_path / "a.pcap").write_bytes(capture(*talks()).replace(b"404 Not", b"410 Not"))
    done = check(tmp_path, "--explain")
    assert (done.returncode, done.stdout.count("FAILED")) == (0, 0), done.stdout
    assert "ignore '..status': excluded 1\n" in done.stderr
    assert "ignore '..conflicts': excluded 0\n" in done.stderr


def test_an_exact_baseline_that_is_there_stays_exact_and_one_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    assert check(tmp_path, "-q", "--update", "--compare", "exact").returncode == 0
    (tmp_path / "a.pcap").write_bytes(capture(*talks(at=5)))
    assert check(tmp_path).returncode == 1
    (tmp_path / "a.pcap.report.json").unlink()
    (tmp_path / "a.pcap.content.json").write_text('{"schema": "pcapflow.baseline/9", "endpoints": {}}')
    done = check(tmp_path)
    assert (
        "is of schema pcapflow.baseline/9, not pcapflow.baseline/1; accept what the capture says now: pcapflow check --update a.pcap"
        in done.stdout
    )
    for text in ("[1", "{}", "x" * 10):
        (tmp_path / "a.pcap.content.json").write_text(text)
        assert "is not a content baseline" in check(tmp_path).stdout
    assert check(tmp_path, "--update").returncode == 0


def test_a_baseline_whose_capture_is_gone_is_named(accepted: Path) -> None:
    (accepted / "a.pcap").rename(accepted / "b.pcap")
    done = launch_text("check", ".", cwd=accepted)
    assert done.returncode != 0
    assert "a.pcap" in done.stdout


# --- diff


def test_diff_of_two_captures_has_the_words_of_check(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(*talks()))
    (tmp_path / "b.pcap").write_bytes(capture(*talks(port=50_000, at=3_000_000)))
    (tmp_path / "c.pcap").write_bytes(capture(*talks(change="status")))

    def diff(*options: str) -> subprocess.CompletedProcess[str]:
        return launch_text("diff", *options, cwd=tmp_path, env={"COLUMNS": "100"})

    same = diff("a.pcap", "b.pcap")
    assert (same.returncode, same.stdout, same.stderr) == (0, "no difference\n", "")
    other = diff("a.pcap", "c.pcap")
    assert (other.returncode, other.stdout) == (1, f"{SAID['status']} (connection 1, packet 4)\n")
    found = json.loads(diff("--json", "a.pcap", "c.pcap").stdout)
    assert [(one["kind"], one["endpoint"], one["packet"]) for one in found["causes"]] == [("status", "GET /users", 4)]
    assert diff("-q", "--compare", "exact", "a.pcap", "b.pcap").returncode == 1
    assert diff("-q", "--compare", "exact", "a.pcap", "a.pcap").returncode == 0
    (tmp_path / "d.pcap").write_bytes(capture(*talks())[:600] + b"\xff" * 300)
    assert "d.pcap: cannot be read to its end" in diff("a.pcap", "d.pcap").stderr


def test_diff_compares_a_baseline_too_and_follows_the_project_s_settings(accepted: Path) -> None:
    def diff(*options: str) -> subprocess.CompletedProcess[str]:
        return launch_text("diff", *options, cwd=accepted, env={"COLUMNS": "100"})

    (accepted / "b.pcap").write_bytes(capture(*talks(change="status")))
    same = diff("a.pcap.content.json", "a.pcap")
    assert (same.returncode, same.stdout, same.stderr) == (0, "no difference\n", "")
    other = diff("a.pcap.content.json", "b.pcap")
    assert (other.returncode, other.stdout) == (1, f"{SAID['status']} (connection 1, packet 4)\n")
    assert diff("b.pcap", "a.pcap.content.json").stdout == "GET /users: status 200, was status 500\n"
    wrong = diff("--compare", "exact", "a.pcap.content.json", "a.pcap")
    assert (wrong.returncode, "a.pcap.content.json: is a content baseline" in wrong.stderr) == (2, True)
    (accepted / "other.toml").write_text('[check]\nignore = ["GET /users"]\n')
    assert diff("--config", "other.toml", "a.pcap", "b.pcap").returncode == 0
    (accepted / "pcapflow.toml").write_text('[check]\nignore = ["..status", "http.by_status", "endpoints", "problems"]\n')
    assert diff("--compare", "exact", "a.pcap", "b.pcap").stdout.count("status") == 0
    (accepted / "pcapflow.toml").write_text('[check]\nvalues = ["[].name"]\n')
    assert "ann" in diff("a.pcap.content.json", "a.pcap").stdout
    (accepted / "pcapflow.toml").write_text('[options]\nfilter = "port 1"\n')
    assert "is gone" in diff("a.pcap.content.json", "a.pcap").stdout


# --- the comparison itself

shapes = st.none() | st.lists(st.sampled_from(["a: integer", "a: string", "b?: null", "c[]: number"]), max_size=3).map(
    lambda lines: tuple(sorted(set(lines)))
)
messages = st.builds(
    Message, headers=st.sampled_from([(), ("date",), ("date", "etag")]), type=st.sampled_from([None, "text/html"]), shape=shapes
)
outcomes = st.builds(Outcome, status=st.sampled_from([0, 200, 404, 500]), request=messages, response=messages)
endpoints = st.dictionaries(
    st.sampled_from(["GET /a", "GET /b", "POST /a"]), st.lists(st.tuples(outcomes, st.integers(1, 3)), min_size=1, max_size=4), max_size=3
)


def content(made: dict[str, list[tuple[Outcome, int]]]) -> Content:
    found = Content({}, ["http"], connections=True)
    for name in sorted(made):
        counts: dict[Outcome, int] = {}
        for outcome, n in made[name]:
            counts[outcome] = counts.get(outcome, 0) + n
        found.endpoints[name] = [Counted(n, outcome) for outcome, n in counts.items()]
    return found


@given(endpoints, endpoints, st.randoms(use_true_random=False))
def test_equal_contents_have_no_cause_others_have_some_and_order_changes_nothing(
    a: dict[str, Any], b: dict[str, Any], source: random.Random
) -> None:
    old, new = content(a), content(b)
    assert causes_of(old, content(a), Seen(), 0.5) == []
    causes = causes_of(old, new, Seen(), 0.5)
    same = {name: {one.outcome: one.count for one in some} for name, some in old.endpoints.items()} == {
        name: {one.outcome: one.count for one in some} for name, some in new.endpoints.items()
    }
    assert (causes == []) == same
    for some in (old, new):
        for counted in some.endpoints.values():
            source.shuffle(counted)
    assert causes_of(old, new, Seen(), 0.5) == causes


@given(endpoints)
def test_a_content_is_read_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, made: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("content") / "x.content.json"
    path.write_bytes(written(content(made)))
    assert read_content(path) == content(made)


def test_of_more_outcomes_than_are_told_apart_the_rest_is_told_by_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(content_module, "OUTCOMES", 5)
    t = Talk().open()
    for i in range(20):
        t.send(0, request("/x")).send(1, response(b"{}", fields=f"X-{i}: 1\r\n"))
    path = tmp_path / "x.pcap"
    path.write_bytes(t.close().bytes())
    report = tmp_path / "x.json"
    with report.open("wb") as out:
        writer = Baseline(out.write)
        options = pipeline.Options(headers=Headers("names"), looking=Looking(shapes=True))
        writer.summary(pipeline.run([str(path)], None, options, write=writer.records).summary)
    (counted,) = content_of(read_report(report), Rules())[0].endpoints.values()
    assert sorted(one.count for one in counted) == [1, 1, 1, 1, 1, 15]
    assert [one.outcome for one in counted if one.count == 15] == [Outcome(200)]


def test_what_is_kept_of_many_endpoints_and_of_large_outcomes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what is told apart an outcome is told by its status, and of no endpoint where it has none yet."""
    monkeypatch.setattr(content_module, "OUTCOMES", 50)
    monkeypatch.setattr(content_module, "OUTCOME_BYTES", 4000)
    kinds = content_module._Kinds()
    large = Outcome(200, response=Message(headers=tuple(f"x-{i}" for i in range(100))))
    assert kinds.of("GET /large", large) == ("GET /large", large)
    kinds.found["GET /large"][large] = Counted(1, large)
    for i in range(500):
        endpoint, outcome = kinds.of(f"GET /{i}", Outcome(200 + i, response=large.response))
        kinds.found[endpoint].setdefault(outcome, Counted(1, outcome))
    assert kinds.of("GET /large", large) == ("GET /large", large)
    assert kinds.of("GET /large", Outcome(404)) == ("GET /large", Outcome(404))
    assert kinds.of("GET /new", large) == (content_module.REST, Outcome(200))
    held = [one for counted in kinds.found.values() for one in counted]
    assert sum(len(msgspec.json.encode(one)) for one in held if one.response is not None) < 4000
    assert len(kinds.found) < 50


def test_a_baseline_that_is_larger_than_one_that_can_be_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.content.json"
    path.write_bytes(
        b'{"schema":"pcapflow.baseline/1","compare":"content","spoken":[' + b'"",' * (content_module.MOST_BYTES // 3) + b'""]}'
    )
    with pytest.raises(ReportError, match="larger than any baseline"):
        read_content(path)
