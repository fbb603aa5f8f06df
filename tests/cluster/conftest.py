"""Real peers: a scheduler of Dask's with two workers, and a server of S3."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Scheduler(NamedTuple):
    """One, with its workers."""

    address: str
    start_worker: Callable[..., subprocess.Popen[bytes]]


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    """A scheduler that gives a task whose worker died to one other. No workers yet."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    env = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1", "PYTHONPATH": str(ROOT)}
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"log{len(started)}").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *args, "--no-dashboard"], stdout=log, stderr=log, env=env, cwd=tmp_path
            )
        started.append(process)
        return process

    def start_worker(*args: str) -> subprocess.Popen[bytes]:
        return start("worker", address, "--nthreads", "1", *args)

    start("scheduler", "--host", "127.0.0.1", "--port", str(port))
    until(lambda: listens(port))
    yield Scheduler(address, start_worker)
    for process in reversed(started):
        for child in children(process.pid):  # of a nanny
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.fixture
def cluster(scheduler: Scheduler) -> Iterator[tuple[str, Any]]:
    """Its address and a client, when two workers are there that nobody starts again."""
    from distributed import Client

    for _ in range(2):
        scheduler.start_worker("--no-nanny", "--memory-limit", "1GiB")
    with Client(scheduler.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        yield scheduler.address, client


class Bucket(NamedTuple):
    """One on a server of S3."""

    url: str
    client: Any
    name: str
    endpoint: str

    def put(self, key: str, data: bytes) -> str:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)
        return f"{self.url}/{key}"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    port = free_port()
    code = f"from moto.server import ThreadedMotoServer; import time; s = ThreadedMotoServer(ip_address='127.0.0.1', port={port}, verbose=False); s.start(); time.sleep(10**6)"
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: listens(port))
    yield f"http://127.0.0.1:{port}"
    server.kill()
    server.wait()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty one, which the environment leads to."""
    import boto3

    environment = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": s3_server}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/moto-api/reset", method="POST"), timeout=10)
    client = boto3.client("s3", endpoint_url=s3_server)
    client.create_bucket(Bucket="captures")
    return Bucket("s3://captures", client, "captures", s3_server)
