"""Runs of the command line as processes of their own, forked from one that has imported it.

Starting Python and importing numpy takes longer than most of what the tests of the command line do. `launch` asks a helper, which has imported
pcapflow and keeps nothing else, to fork: the child has its own streams, working folder and environment, runs the console script, and ends as Python ends.
What is about starting itself - signals while modules are imported, variables that Python or numpy read, limits of the system, resident memory - starts
`python -m pcapflow` instead.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_REQUEST_BYTES = 1 << 20
"""Of a request: arguments, folder and environment."""


class _Helper:
    """One for each process that runs tests; ends with it."""

    def __init__(self) -> None:
        self.socket, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.launcher", str(its.fileno())],
            pass_fds=[its.fileno()],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
        )
        its.close()
        atexit.register(self.socket.close)

    def ask(self, request: dict[str, Any], streams: list[int]) -> None:
        """Start it; `wait` gives what becomes of it."""
        socket.send_fds(self.socket, [json.dumps(request).encode()], streams)

    def wait(self, timeout: float) -> int:
        """The exit status, negative for a signal, as subprocess has it."""
        pid = int(self.socket.recv(64))
        self.socket.settimeout(timeout)
        try:
            return int(self.socket.recv(64))
        except TimeoutError:
            os.kill(pid, 9)
            self.socket.settimeout(None)
            self.socket.recv(64)
            raise
        finally:
            self.socket.settimeout(None)


_helpers: list[_Helper] = []


def launch(
    *args: object,
    program: str = "pcapflow",
    stdin: bytes | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Run `pcapflow` (or `tests.work`) with these arguments; what it wrote, and its status.

    Without `stdin` the input is empty. Raises TimeoutError, and kills it then.
    """
    if not _helpers:
        _helpers.append(_Helper())
    helper = _helpers[0]
    source, to = os.pipe()
    pipes = [os.pipe(), os.pipe()]
    request = {"program": program, "args": [*map(str, args)], "cwd": str(cwd or Path.cwd()), "env": {**os.environ, **(env or {})}}
    helper.ask(request, [source, pipes[0][1], pipes[1][1]])
    for fd in (source, pipes[0][1], pipes[1][1]):
        os.close(fd)
    texts: list[bytes] = [b"", b""]

    def read(i: int) -> None:
        with open(pipes[i][0], "rb") as stream:
            texts[i] = stream.read()

    def write() -> None:
        with open(to, "wb", buffering=0) as stream:
            try:
                stream.write(stdin or b"")
            except BrokenPipeError:
                pass  # it did not want all of it

    threads = [threading.Thread(target=read, args=(i,)) for i in range(2)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    status = helper.wait(timeout)
    for thread in threads:
        thread.join()
    return subprocess.CompletedProcess([program, *request["args"]], status, *texts)


def launch_text(*args: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """As `launch`, with what was written as text."""
    done = launch(*args, **more)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """In the child: what `python -m pcapflow` would find."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace", buffering=1)
    sys.argv = [request["program"], *request["args"]]


def _serve(asked: socket.socket) -> str:
    """Fork for each request; returns in each child alone, with the name of what it runs."""
    while True:
        data, streams, _, _ = socket.recv_fds(asked, _REQUEST_BYTES, 3)
        if not data:
            os._exit(0)
        pid = os.fork()
        if not pid:
            asked.close()
            request = json.loads(data)
            _become(request, streams)
            return str(request["program"])
        for fd in streams:
            os.close(fd)
        asked.send(str(pid).encode())
        asked.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _end(code: object) -> None:
    """End as Python ends, but for taking everything apart, which would copy all pages that are shared: half of what a run takes. Returns where that is not plain: Python says then what went wrong."""
    if code is not None and not isinstance(code, int):
        return
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit((code or 0) & 255)


def main() -> None:
    """The helper: everything imported, then children."""
    import pcapflow
    from pcapflow import start
    from tests import work

    for module in pkgutil.walk_packages(pcapflow.__path__, "pcapflow."):
        if module.name not in ("pcapflow.__main__", "pcapflow.pytest_plugin"):
            importlib.import_module(module.name)
    gc.freeze()  # what is imported stays on the pages that all share
    program = _serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        (work if program == "tests.work" else start).main()
    except SystemExit as e:
        _end(e.code)
        raise
    _end(None)


if __name__ == "__main__":
    main()
