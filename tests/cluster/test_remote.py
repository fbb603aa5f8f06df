"""Captures by URL: from a server of S3, from one of HTTP, and from one that fails; bounded, whole, or refused in one line."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture import remote
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.remote import Remote, objects_in
from pcapflow.errors import CaptureError
from pcapflow.files import is_url
from pcapflow.limits import Limits
from tests.cluster.conftest import Bucket
from tests.cluster.test_tasks import by_one, by_tasks, said
from tests.launcher import launch_text as launch
from tests.workers.test_processes import busy

SAMPLES = Path(__file__).parents[2] / "samples"


class Flaky(MemoryFileSystem):
    """Objects in memory, whose reads fail as they are told to."""

    protocol = "flaky"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    fails = 0
    short = False
    problem: Exception = OSError("connection reset")
    reads: ClassVar[list[tuple[int, int]]] = []
    infos = 0
    changes_at = -1

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("flaky://", "memory://")))

    def info(self, path: str, **more: Any) -> Any:
        type(self).infos += 1
        found = super().info(path, **more)
        changed = 0 <= self.changes_at < len(self.reads)
        return {**found, "ETag": '"b"' if changed else '"a"'}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **more: Any) -> bytes:
        assert start is not None
        assert end is not None
        self.reads.append((start, end))
        if type(self).fails:
            type(self).fails -= 1
            if self.short:
                return b"x"
            raise self.problem
        data: bytes = super().cat_file(path, start, end, **more)
        return data


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Flaky]]:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    monkeypatch.setattr(remote, "_PAUSE", 0.001)
    for name, value in (
        ("fails", 0),
        ("short", False),
        ("problem", OSError("connection reset")),
        ("reads", []),
        ("infos", 0),
        ("changes_at", -1),
    ):
        monkeypatch.setattr(Flaky, name, value)
    Flaky.store.clear()
    Flaky.clear_instance_cache()
    yield Flaky


def put(data: bytes, name: str = "x.pcap") -> str:
    fs = fsspec.filesystem("flaky")
    fs.pipe_file(f"/{name}", data)
    return f"flaky://{name}"


def lines_and_summary(path: str, limits: Limits | None = None) -> tuple[list[bytes], Any]:
    lines, summary = by_one([path], limits)
    for capture in summary["captures"]:
        capture["path"] = Path(capture["path"]).name
    return lines, summary


@pytest.mark.parametrize("name", ["lossy.pcap", "json-api.pcap", "shop.pcap"])
def test_a_capture_by_url_gives_the_report_of_the_file(bucket: Bucket, name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    assert lines_and_summary(bucket.put(f"day/{name}", data)) == lines_and_summary(str(SAMPLES / name))


def test_a_compressed_capture_is_read_by_url_too(bucket: Bucket) -> None:
    import gzip

    url = bucket.put("lossy.pcap", gzip.compress((SAMPLES / "lossy.pcap").read_bytes()))
    lines, summary = lines_and_summary(url)
    expected, other = lines_and_summary(str(SAMPLES / "lossy.pcap"))
    assert lines == expected
    assert summary["tcp"] == other["tcp"]


def test_a_prefix_stands_for_the_captures_under_it(bucket: Bucket) -> None:
    for name in ("lossy.pcap", "json-api.pcap"):
        bucket.put(f"day/{name}", (SAMPLES / name).read_bytes())
    bucket.put("day/notes.txt", b"no capture")
    bucket.put("day/deeper/shop.pcap", (SAMPLES / "shop.pcap").read_bytes())
    result = pipeline.run([f"{bucket.url}/day/"])
    assert [capture.path for capture in result.summary.captures] == [f"{bucket.url}/day/json-api.pcap", f"{bucket.url}/day/lossy.pcap"]
    assert result.warnings == [f"{bucket.url}/day/notes.txt: not a capture, skipped"]


def test_shards_and_workers_read_by_url_too(bucket: Bucket, tmp_path: Path) -> None:
    url = bucket.put("x.pcap", busy(tmp_path / "x.pcap").read_bytes())
    expected = by_one([url])
    assert by_tasks([url], 2) == expected
    result = pipeline.run([url], options=pipeline.Options(workers=2))
    assert said(result.summary) == expected[1]
    assert result.summary.run.workers == 2


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3://captures/nothing.pcap", "cannot be opened: there is no such object"),
        ("s3://nobody/nothing.pcap", "cannot be opened: there is no such object"),
        ("s3://captures/day", "is no object; a prefix that ends with / stands for the captures under it"),
        ("nobody://x/y.pcap", "cannot be opened: Protocol not known: nobody"),
        ("s3://captures/none/", "is a directory without captures|cannot be read: there is no such object"),
    ],
)
def test_what_is_not_there_is_one_line(bucket: Bucket, url: str, problem: str) -> None:
    bucket.put("day/lossy.pcap", b"x")
    done = launch("analyze", "-q", url)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(f"pcapflow: {re.escape(url)}: ({problem})\n", done.stderr), done.stderr


def test_an_object_that_changes_while_it_is_read_is_an_error_that_names_it(flaky: type[Flaky]) -> None:
    url = put((SAMPLES / "lossy.pcap").read_bytes())
    flaky.changes_at = 0
    with pytest.raises(
        CaptureError, match=r'flaky://x\.pcap: changed while it was read: it was \d+ bytes, ETag "a", and is \d+ bytes, ETag "b"'
    ):
        pipeline.run([url])


def test_an_object_that_changes_on_a_server_between_two_shards_is_named(bucket: Bucket, tmp_path: Path) -> None:
    import pcapflow

    url = bucket.put("x.pcap", busy(tmp_path / "x.pcap", connections=6, exchanges=2).read_bytes())
    tasks = pcapflow.shards(url, 2)
    first = pcapflow.analyze_shard(tasks[0])
    bucket.put("x.pcap", busy(tmp_path / "x.pcap", connections=7, exchanges=2).read_bytes())
    with pytest.raises(pcapflow.WorkerError, match=r"s3://captures/x\.pcap: changed between two shards: shard 1 read \d+ bytes, ETag"):
        pcapflow.merge([first, pcapflow.analyze_shard(tasks[1])])


@pytest.mark.parametrize("short", [False, True])
def test_a_read_that_fails_is_tried_again_and_the_report_is_whole(flaky: type[Flaky], short: bool) -> None:
    url = put((SAMPLES / "lossy.pcap").read_bytes(), "lossy.pcap")
    flaky.fails, flaky.short = 4, short
    assert lines_and_summary(url) == lines_and_summary(str(SAMPLES / "lossy.pcap"))
    assert len(flaky.reads) >= 5


def test_a_read_that_fails_five_times_is_one_line(flaky: type[Flaky]) -> None:
    url = put((SAMPLES / "lossy.pcap").read_bytes())
    flaky.fails = 5
    with pytest.raises(CaptureError, match=r"flaky://x\.pcap: cannot be read: connection reset \(tried 5 times\)"):
        pipeline.run([url])
    assert len(flaky.reads) == 5


def test_what_will_not_come_back_is_not_tried_again(flaky: type[Flaky]) -> None:
    url = put((SAMPLES / "lossy.pcap").read_bytes())
    flaky.fails, flaky.problem = 1, PermissionError(13, "Permission denied")
    with pytest.raises(CaptureError, match="Permission denied"):
        pipeline.run([url])
    assert len(flaky.reads) == 1


def test_each_byte_is_asked_for_once_in_ranges_that_grow_and_are_reserved(flaky: type[Flaky]) -> None:
    size = 9_000_000
    url = put(bytes(size))
    limits = Limits()
    ledger = Ledger(limits)
    source = Remote(url, Interrupt(), ledger.blocks, limits.memory_limit)
    most = limits.memory_limit // 32
    assert ledger.used == 2 * most
    room = memoryview(bytearray(100_000))
    got = 0
    while n := source.fill(room):
        got += n
        assert flaky.reads[-1][1] - got <= 2 * most
    assert got == size
    assert [begin for begin, _ in flaky.reads[1:]] == [end for _, end in flaky.reads[:-1]]
    assert [end - begin for begin, end in flaky.reads][:5] == [256 << 10, 512 << 10, 1 << 20, most, most]
    source.close()
    assert ledger.used == 0


def test_a_long_object_is_looked_at_again_on_the_way(flaky: type[Flaky], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_MOST", 64 << 10)
    url = put(bytes(64 * (64 << 10)))
    ledger = Ledger(Limits())
    source = Remote(url, Interrupt(), ledger.blocks, 64 << 20)
    room = memoryview(bytearray(64 << 10))
    while source.fill(room):
        pass
    assert flaky.infos == 1 + 4


@pytest.mark.parametrize("memory", [1 << 20, 2 << 20, 8 << 20])
def test_little_memory_is_enough(flaky: type[Flaky], memory: int) -> None:
    limits = Limits().with_memory(memory)
    url = put((SAMPLES / "lossy.pcap").read_bytes())
    result = pipeline.run([url], limits)
    assert result.summary.decode == pipeline.run([str(SAMPLES / "lossy.pcap")], limits).summary.decode
    assert result.summary.memory.peak_bytes <= memory


def test_many_that_overlap_are_read_side_by_side(flaky: type[Flaky]) -> None:
    data = (SAMPLES / "lossy.pcap").read_bytes()
    urls = [put(data, f"{i}.pcap") for i in range(20)]
    assert pipeline.run(urls).summary.decode.packets == 20 * 500


def test_an_empty_object_is_no_capture(flaky: type[Flaky]) -> None:
    with pytest.raises(CaptureError, match="is empty"):
        pipeline.run([put(b"")])


def test_names_under_a_prefix_are_bounded(flaky: type[Flaky]) -> None:
    for i in range(3):
        put(b"x", f"day/{i}.pcap")
    assert objects_in("flaky://day/", lambda n: True, len, Interrupt()) == [f"flaky:///day/{i}.pcap" for i in range(3)]
    with pytest.raises(CaptureError, match="holds too many captures"):
        objects_in("flaky://day/", lambda n: False, len, Interrupt())


# --- HTTP


class Server(http.server.BaseHTTPRequestHandler):
    """With or without ranges."""

    data = b""
    ranges = True

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if self.ranges and asked is not None and body:
            begin, end = int(asked[1]), int(asked[2]) + 1
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(self.data)}")
            some = self.data[begin:end]
        else:
            self.send_response(200)
            some = self.data
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(some)))
        self.end_headers()
        if body:
            self.wfile.write(some)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Server, "data", (SAMPLES / "lossy.pcap").read_bytes())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/lossy.pcap"
    server.shutdown()
    server.server_close()


def test_a_capture_on_a_web_server_is_read_in_ranges(web: str) -> None:
    done = launch("analyze", "-q", "--json", web)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["decode"]["packets"] == 500


def test_a_web_server_without_ranges_is_refused(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "ranges", False)
    done = launch("analyze", "-q", web)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"pcapflow: {web}: cannot be read in ranges: the server does not offer them; fetch it first\n"


# --- the rest


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("s3://b/k", True), ("gs://b/k", True), ("https://h/x", True), ("simplecache::s3://b/k", True), ("a/b.pcap", False), ("C:/x", False), ("a b://c", False), ("-", False), ("s3:/x", False)],
)  # fmt: skip
def test_what_is_a_url(path: str, is_one: bool) -> None:
    assert is_url(path) == is_one


def test_without_the_extra_the_line_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "fsspec.py").write_text("raise ImportError('no')")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{SAMPLES.parent}"}
    done = subprocess.run(
        [sys.executable, "-m", "pcapflow", "analyze", "-q", "s3://b/x.pcap"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        3,
        "pcapflow: s3://b/x.pcap: needs fsspec, which is not installed: pip install 'pcapflow[remote]'\n",
    )


def test_a_baseline_does_not_lie_beside_a_url() -> None:
    done = launch("check", "s3://b/x.pcap")
    assert (done.returncode, done.stderr) == (
        2,
        "pcapflow: s3://b/x.pcap: is not a local file and can have no baseline; use analyze, or --no-baseline\n",
    )


def test_small_blocks_read_the_same(flaky: type[Flaky]) -> None:
    limits = replace(Limits(), block_size=4096)
    assert (
        lines_and_summary(put((SAMPLES / "lossy.pcap").read_bytes()), limits)[0]
        == lines_and_summary(str(SAMPLES / "lossy.pcap"), limits)[0]
    )


def test_what_is_asked_about_an_object_is_tried_again_too(flaky: type[Flaky], monkeypatch: pytest.MonkeyPatch) -> None:
    url = put((SAMPLES / "lossy.pcap").read_bytes(), "lossy.pcap")
    real, failures = Flaky.info, iter([True, True, False, True, False])

    def info(self: Flaky, path: str, **more: Any) -> Any:
        if next(failures, False):
            raise OSError("503 slow down")
        return real(self, path, **more)

    monkeypatch.setattr(Flaky, "info", info)
    assert lines_and_summary(url) == lines_and_summary(str(SAMPLES / "lossy.pcap"))


def test_a_server_that_cannot_be_reached_is_no_missing_object() -> None:
    done = launch("analyze", "-q", "http://127.0.0.1:1/x.pcap")
    assert done.returncode == 3
    assert "no such object" not in done.stderr
    assert done.stderr.startswith("pcapflow: http://127.0.0.1:1/x.pcap: cannot be opened: Cannot connect to host")


def test_an_interrupt_ends_it_while_a_server_says_nothing() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.pcap"
        started = subprocess.Popen([sys.executable, "-m", "pcapflow", "analyze", "-q", url], cwd=SAMPLES.parent, stderr=subprocess.PIPE)
        server.settimeout(30)
        connection, _ = server.accept()
        with connection:
            started.send_signal(signal.SIGINT)
            assert started.communicate(timeout=20)[1].strip() == b""
        assert started.returncode == 130


@pytest.mark.parametrize("args", [("diff",), ("analyze", "-q", "-o", "memory://x/y")])
def test_a_url_where_none_is_taken_is_one_line_that_says_so(args: tuple[str, ...]) -> None:
    paths = ("s3://b/x.pcap", "s3://b/y.pcap") if args == ("diff",) else (SAMPLES / "lossy.pcap",)
    done = launch(*args, *paths)
    assert done.returncode in (2, 73)
    assert done.stderr.count("\n") == 1
    assert "URL" in done.stderr
