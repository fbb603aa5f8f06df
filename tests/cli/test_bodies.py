"""`bodies`: what comes out, where it goes, and what is left out."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.body_entries import BODY
from pcapflow.report.sinks.bodies import suffix_of
from tests.captures import capture_of
from tests.craft import Talk, chunked, merge, request, response
from tests.launcher import launch

SAMPLES = Path(__file__).parents[2] / "samples"
PNG = bytes(range(256)) * 400
HTML = b"<html>" + b"<p>text</p>\n" * 500


def pcapflow(*arguments: object, status: int = 0) -> tuple[bytes, str]:
    done = launch(*arguments)
    assert done.returncode == status, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout, done.stderr.decode()


def index(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "index.ndjson").read_bytes().splitlines()]


def save(path: Path, *talks: Talk) -> Path:
    path.write_bytes(merge(*talks))
    return path


def one(body: bytes, *, kind: str = "application/json", fields: str = "", sport: int = 40000, ask: bytes | None = None) -> Talk:
    return Talk(sport=sport).open().send(0, ask or request("/x")).send(1, response(body, kind=kind, fields=fields)).close()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    first, second = Talk(sport=40001), Talk(sport=40002, isn=(7000, 9000))
    second.us = 5
    first.open().send(0, request("/photo.png")).send(1, response(PNG, kind="image/png"))
    first.send(0, request("/page?token=abcdefgh")).send(
        1, response(gzip.compress(HTML, mtime=0), kind="text/html; charset=utf-8", fields="Content-Encoding: gzip\r\n")
    )
    first.close()
    second.open().send(0, request("/v1/a", method="POST", body=b'{"a":1}', fields="Content-Type: application/json\r\n"))
    second.send(1, chunked(b'{"b": [1, 2, {"c": "d"}]}' * 400, [7, 1000, 3] * 9)).close()
    return save(tmp_path / "two.pcap", first, second)


def test_each_body_becomes_a_file_of_its_decoded_bytes_and_a_line_of_the_index(capture: Path, tmp_path: Path) -> None:
    assert pcapflow("bodies", capture, "-o", tmp_path / "out") == (b"", "")
    rows = {row["file"]: row for row in index(tmp_path / "out")}
    assert sorted(rows) == ["c1-x0-response.png", "c1-x1-response.html", "c2-x0-request.json", "c2-x0-response.json"]
    assert (tmp_path / "out" / "c1-x0-response.png").read_bytes() == PNG
    assert (tmp_path / "out" / "c1-x1-response.html").read_bytes() == HTML
    assert (tmp_path / "out" / "c2-x0-request.json").read_bytes() == b'{"a":1}'
    assert (tmp_path / "out" / "c2-x0-response.json").read_bytes() == b'{"b": [1, 2, {"c": "d"}]}' * 400
    for name, row in rows.items():
        data = (tmp_path / "out" / name).read_bytes()
        assert (row["bytes"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    page = rows["c1-x1-response.html"]
    assert page["url"] == "http://example/page?token=[8 bytes]"
    assert (page["method"], page["status"], page["content_encoding"], page["body"]) == ("GET", 200, "gzip", "complete")
    assert page["sent_bytes"] == len(gzip.compress(HTML, mtime=0))
    assert sorted(os.listdir(tmp_path / "out")) == sorted([*rows, "index.ndjson"])


def test_one_body_comes_alone_and_several_with_a_line_between_in_the_order_in_which_they_began(capture: Path) -> None:
    assert pcapflow("bodies", capture, "--where", "connection=1,exchange=0")[0] == PNG
    out, errors = pcapflow("bodies", capture)
    named = b"--- connection %d, exchange %d, %s, http://example/"
    answers = (b"response, 200, image/png", b"response, 200, application/json", b"response, 200, text/html; charset=utf-8")
    assert out.startswith(
        b'{"a":1}\n' + named % (1, 0, answers[0]) + b"photo.png\n" + PNG + b"\n" + named % (2, 0, answers[1]) + b'v1/a\n{"b"'
    )
    assert out.endswith(named % (1, 1, answers[2]) + b"page?token=[8 bytes]\n" + HTML)
    assert "4 bodies; a line between two bodies names the next one" in errors


@pytest.mark.parametrize(
    ("where", "files"),
    [
        ("type=png", ["c1-x0-response.png"]),
        ("type=image/*", ["c1-x0-response.png"]),
        ("type=json,side=request", ["c2-x0-request.json"]),
        ("method=post", ["c2-x0-request.json", "c2-x0-response.json"]),
        ("status=200,side=request", ["c2-x0-request.json"]),
        ("status=4xx", []),
        ("path=/page", ["c1-x1-response.html"]),
        ("exchange=1", ["c1-x1-response.html"]),
        ("connection=2,min-duration=10us", ["c2-x0-request.json", "c2-x0-response.json"]),
        ("min-duration=1h", []),
        ("host=example,path=/photo*", ["c1-x0-response.png"]),
        ("host=other", []),
    ],
)
def test_where_chooses_bodies(capture: Path, tmp_path: Path, where: str, files: list[str]) -> None:
    _, errors = pcapflow("bodies", capture, "--where", where, "-o", tmp_path / "out")
    assert sorted(row["file"] for row in index(tmp_path / "out")) == files
    assert sorted(os.listdir(tmp_path / "out")) == [*files, "index.ndjson"]
    none = f"no body: no message that matches --where {where} has a body (3 requests and 3 responses were read)"
    assert (none in errors) == (not files)


def test_the_output_does_not_depend_on_blocks_or_workers(tmp_path: Path) -> None:
    talks = [
        one(b"%d " % i * (400 * i), kind="text/plain", sport=40000 + i, ask=request("/u", method="POST", body=b"x" * 90 * i))
        for i in range(1, 30)
    ]
    for i, talk in enumerate(talks):
        talk.frames = [(us + 7 * i, frame) for us, frame in talk.frames]
    path = save(tmp_path / "many.pcap", *talks)
    for where in ("", "status=2xx,min-duration=1us"):
        said = [
            pcapflow("bodies", "-q", path, "--where", where, *options)
            for options in ((), ("--block-size", "2KiB"), ("--workers", "2"), ("--workers", "3", "--block-size", "9KiB"))
        ]
        assert said[0][0].count(b"--- connection") == 57
        assert all(one == said[0] for one in said)


@pytest.mark.parametrize("seed", range(20))
def test_traffic_of_all_kinds_gives_the_same_bodies_in_any_blocks(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(capture_of(seed))
    for options in (("--gaps", "fill"), ("--where", "status=2xx", "--pretty"), ("--raw", "--gaps", "refuse")):
        said = [launch("bodies", "-q", path, *options, "--block-size", size) for size in ("1MiB", "2KiB")]
        assert said[0].returncode in (0, 3, 4)
        assert (said[0].stdout, said[0].stderr) == (said[1].stdout, said[1].stderr)


def test_what_is_complete_in_the_samples_is_what_their_server_served(tmp_path: Path) -> None:
    served = json.loads((SAMPLES / "truth.json").read_text())["served"]
    compared = 0
    for sample in sorted(SAMPLES.glob("*.pcap")):
        folder = tmp_path / sample.name
        pcapflow("bodies", "-q", sample, "-o", folder)
        for row in index(folder):
            name = (row["url"] or "").rpartition("/")[2]
            if row["body"] == "complete" and row["side"] == "response" and row["status"] == 200 and name in served:
                assert row["sha256"] == served[name]["sha256"], (sample.name, row)
                assert hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest() == row["sha256"]
                compared += 1
    assert compared == 39


def holed(coding: str = "") -> Talk:
    """A body of 6,000 bytes of which the second segment's 1,448 are missing."""
    body = b"".join(b"%05d " % i for i in range(1000))
    sent = brotli.compress(body) if coding else body
    t = Talk().open().send(0, request("/x"))
    head = response(sent, kind="text/plain", fields=f"Content-Encoding: {coding}\r\n" if coding else "")[: -len(sent)]
    t.send(1, head + sent[: 1448 - len(head)])
    rest = sent[1448 - len(head) :]
    t.send(1, rest[:1448], keep=False).send(1, rest[1448:])
    return t.acknowledge(0).close()


def test_a_body_with_a_gap_is_cut_there_or_filled_or_left_out(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pcap", holed())
    body = b"".join(b"%05d " % i for i in range(1000))
    cut, errors = pcapflow("bodies", path)
    assert body.startswith(cut)
    assert len(cut) < 1448
    assert f"connection 1, exchange 0, response: bytes are missing after byte {len(cut):,}: the body ends there" in errors
    filled, errors = pcapflow("bodies", path, "--gaps", "fill")
    assert filled == cut + bytes(1448) + body[len(cut) + 1448 :]
    assert "1,448 missing bytes are filled with zeros" in errors
    nothing, errors = pcapflow("bodies", path, "--gaps", "refuse", "-o", tmp_path / "out")
    assert "1 body is left out (--gaps refuse)" in errors
    (row,) = index(tmp_path / "out")
    assert (row["file"], row["left_out"], row["body"], row["missing_bytes"], row["sha256"]) == (None, "gapped", "gapped", 1448, None)
    assert nothing == pcapflow("bodies", path, "--gaps", "refuse")[0] == b""


def test_a_decompressed_body_and_one_as_it_was_sent(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pcap", one(brotli.compress(HTML), kind="text/html", fields="Content-Encoding: br\r\n"))
    assert pcapflow("bodies", path) == (HTML, "")
    assert pcapflow("bodies", path, "--raw") == (brotli.compress(HTML), "")


def test_malformed_bodies_come_too_and_what_is_wrong_is_said(tmp_path: Path) -> None:
    broken = gzip.compress(HTML, mtime=0)[:60] + b"\xff" * 40
    path = save(
        tmp_path / "x.pcap",
        one(b'{"a": nope}', sport=40001),
        one(broken, kind="text/html", fields="Content-Encoding: gzip\r\n", sport=40002),
        one(b"whatever", fields="Content-Encoding: none-such\r\n", kind="text/x", sport=40003),
    )
    _, errors = pcapflow("bodies", path, "-o", tmp_path / "out")
    assert (tmp_path / "out" / "c1-x0-response.json").read_bytes() == b'{"a": nope}'
    assert (tmp_path / "out" / "c3-x0-response.txt").read_bytes() == b"whatever"
    said = [row["problem"] for row in sorted(index(tmp_path / "out"), key=lambda row: int(row["connection"]))]
    assert "JSON" in said[0]
    assert "content_malformed" in said[1]
    assert "none-such" in said[2]
    assert all(problem in errors for problem in said)


def test_a_bomb_stops_at_the_ratio_and_the_bytes_in_all_are_bounded(tmp_path: Path) -> None:
    bomb = one(gzip.compress(bytes(40 << 20), mtime=0), kind="text/plain", fields="Content-Encoding: gzip\r\n", sport=40001)
    path = save(tmp_path / "x.pcap", bomb, one(b"small", kind="text/plain", sport=40002))
    out, errors = pcapflow("bodies", path, "--where", "connection=1")
    assert len(out) < 40 << 20
    assert "content_ratio" in errors
    _, errors = pcapflow("bodies", path, "--max-bytes", "64KiB", "-o", tmp_path / "out")
    rows = index(tmp_path / "out")
    assert [(row["file"], row["left_out"]) for row in rows] == [("c2-x0-response.txt", None), (None, "bodies_max_bytes")]
    assert "1 body is left out (bodies_max_bytes, 65,536)" in errors
    assert sorted(os.listdir(tmp_path / "out")) == ["c2-x0-response.txt", "index.ndjson"]
    for workers in ("1", "2"):
        assert len(pcapflow("bodies", path, "--max-bytes", "64KiB", "--workers", workers)[0]) <= 64 << 10


def test_files_beyond_their_number_are_left_out_and_counted(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pcap", *(one(b"%d" % i, sport=40000 + i) for i in range(5)))
    _, errors = pcapflow("bodies", path, "--max-files", "3", "-o", tmp_path / "out")
    assert "2 bodies are left out (bodies_max_files, 3)" in errors
    assert sum(row["file"] is None and row["left_out"] == "bodies_max_files" for row in index(tmp_path / "out")) == 2
    assert len(os.listdir(tmp_path / "out")) == 4


def test_nothing_is_written_over_without_force_and_no_link_is_followed(capture: Path, tmp_path: Path) -> None:
    out, secret = tmp_path / "out", tmp_path / "secret"
    out.mkdir()
    secret.write_text("kept")
    (out / "c1-x0-response.png").symlink_to(secret)
    (out / "mine.txt").write_text("mine")
    _, errors = pcapflow("bodies", capture, "-o", out, status=2)
    assert "contains files of an earlier run (such as c1-x0-response.png); choose another folder, or use --force" in errors
    pcapflow("bodies", capture, "-o", out, "--force")
    assert secret.read_text() == "kept"
    assert (out / "mine.txt").read_text() == "mine"
    assert not (out / "c1-x0-response.png").is_symlink()
    assert (out / "c1-x0-response.png").read_bytes() == PNG
    assert "--force requires -o" in pcapflow("bodies", capture, "--force", status=2)[1]


def test_a_full_disk_is_status_73_and_leaves_no_file_that_looks_whole(capture: Path, tmp_path: Path) -> None:
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 10, 8 << 10))

    done = subprocess.run(
        [sys.executable, "-m", "pcapflow", "bodies", "-q", capture, "-o", tmp_path / "out"],
        capture_output=True,
        preexec_fn=small_files,
        check=False,
    )
    assert done.returncode == 73, done.stderr
    assert b"cannot be written: File too large" in done.stderr
    assert not (tmp_path / "out" / "c1-x0-response.png").exists()
    assert not list(tmp_path.glob("out/*.part"))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "pcapflow", "bodies", "-q", capture], stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 73


def test_a_body_larger_than_the_memory_limit_passes_through(tmp_path: Path) -> None:
    body = os.urandom(1 << 20) * 48
    path = save(tmp_path / "x.pcap", one(body, kind="application/octet-stream"))
    out, errors = pcapflow("bodies", path, "--memory-limit", "8MiB")
    assert errors == ""
    assert hashlib.sha256(out).digest() == hashlib.sha256(body).digest()


def test_more_bodies_under_way_than_files_may_be_open(tmp_path: Path) -> None:
    talks = []
    for i in range(150):
        talk = Talk(sport=40000 + i).open()
        talk.us = i
        talk.send(0, request(f"/{i}")).send(1, response(b"%03d" % i * 1000, kind="text/plain"), size=100).close()
        talks.append(talk)
    path = save(tmp_path / "x.pcap", *talks)
    pcapflow("bodies", "-q", path, "-o", tmp_path / "out")
    files = list((tmp_path / "out").glob("*.txt"))
    assert len(files) == 150
    assert {file.read_bytes() for file in files} == {b"%03d" % i * 1000 for i in range(150)}


def test_pretty_json_has_a_line_for_each_value_and_the_same_values(capture: Path, tmp_path: Path) -> None:
    out, _ = pcapflow("bodies", capture, "--pretty", "--where", "side=request,type=json")
    assert out == b'{\n  "a": 1\n}\n'
    assert "--pretty and --raw" in pcapflow("bodies", capture, "--pretty", "--raw", status=2)[1]


@given(st.sampled_from(["application/json", "text/html", "a/../../b", "image/svg+xml", "x/y\n", "application/vnd.x+json; a=/"]) | st.text())
def test_nothing_of_the_wire_is_in_a_name(kind: str) -> None:
    assert suffix_of(kind).isalnum()
    assert suffix_of(kind).isascii()
    assert BODY == "body"


def test_a_reader_that_leaves_is_no_error(capture: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m pcapflow bodies {capture} --where connection=1,exchange=0 | head -c 100",
        shell=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout == PNG[:100]
    assert done.stderr == b""
