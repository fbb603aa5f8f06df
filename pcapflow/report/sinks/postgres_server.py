"""A PostgreSQL server, and the thread that writes to it, which may have to wait.

Contract: `Server.put` takes a `Job`, a transaction that can be repeated; jobs are done in order, by one thread. `wait` waits for what the thread brings about, as long as it gets on: at most `timeout` seconds without progress. A connection that
breaks is made anew, and its transaction repeated. Raises `DatabaseError` for what waiting does not mend. Invariant: a job is done once, or `left` counts its rows; no message has anything of the DSN.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pcapflow.errors import DatabaseError, UsageError

_CONNECT = 5
"""Seconds that one attempt to connect takes at the most."""
_PAUSE = 0.25
_SECRET = re.compile(r"\S+://\S+|[\"'][^\"']*[\"']|password=\S*")
"""What libpq quotes, which may be of the DSN."""
_FOR_GOOD = re.compile(
    r"authentication failed|no password supplied|no pg_hba.conf entry|database .* does not exist|role .* does not exist|failed to resolve host|could not translate host name"
)
"""What a first attempt to connect is told that no waiting mends."""
Connection = psycopg.Connection[Any]


class Job:
    """What one transaction does; it can be repeated."""

    def __init__(self, do: Callable[[Connection, bool], None], size: int = 0, counts: dict[str, int] | None = None) -> None:
        """do: takes the connection, and whether it may have been done already; size: bytes that it holds; counts: its rows by table."""
        self.do = do
        self.size = size
        self.counts = counts or {}


class Server:
    """A database, and the thread that writes to it. `timeout` in seconds."""

    def __init__(self, dsn: str, timeout: float, overload: str) -> None:
        """dsn: as libpq has it; it is in no message. overload: `fail` or `drop`."""
        self._dsn = dsn
        try:
            self._password = str(conninfo_to_dict(dsn).get("password") or "")
        except psycopg.Error:  # whose text has parts of it
            raise UsageError(
                "--postgres: the DSN is not valid: write postgresql://USER@HOST/DATABASE, with %-escapes for special characters, or host=HOST dbname=DATABASE; PGPASSWORD may have the password"
            ) from None
        self._was_connected = False
        self.timeout = timeout
        self.drops = overload == "drop"
        self._connection: Connection | None = None
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._freed = 0
        self._progress = monotonic()
        self._problem = "it does not answer"
        self._fatal = ""
        self._ended = False
        """No job is taken any more."""
        self._thread: threading.Thread | None = None

    # --- of the reader's thread

    def start(self) -> None:
        """The thread begins."""
        self._progress = monotonic()
        self._thread = threading.Thread(target=self._write, name="postgres", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Give the thread something to do."""
        with self._changed:
            if not self._jobs:
                self._progress = monotonic()
            self._jobs.append(job)
            self._changed.notify_all()

    def freed(self) -> int:
        """Bytes that are held no longer since this was asked last."""
        with self._changed:
            n, self._freed = self._freed, 0
            return n

    def wait(self, until: Callable[[], bool]) -> bool:
        """Wait for something that the thread brings about, as long as it gets on; whether it came about. Raises `DatabaseError` for what waiting does not mend."""
        while not until():
            with self._changed:
                if self._fatal:
                    raise DatabaseError(f"--postgres: {self._fatal}")
                if monotonic() - self._progress > self.timeout:
                    return False
                self._changed.wait(0.1)
        return True

    def is_idle(self) -> bool:
        """Whether nothing is left to do."""
        with self._changed:
            return not self._jobs and not self._fatal

    def failed(self) -> DatabaseError:
        """What to say of it."""
        return DatabaseError(
            f"--postgres: nothing was written for {self.timeout:g} s: {self._problem}; what was written is marked as not complete"
        )

    def left(self) -> dict[str, int]:
        """Rows of jobs that were not done, which nobody does any more."""
        self.close()
        counts: dict[str, int] = {}
        for job in self._jobs:
            for table, n in job.counts.items():
                counts[table] = counts.get(table, 0) + n
        self._jobs.clear()
        return counts

    def close(self) -> None:
        """End the thread, whatever it waits for."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        connection, thread = self._connection, self._thread
        if thread is not None and thread.is_alive() and connection is not None:
            with suppress(OSError, ValueError, psycopg.Error):  # libpq waits for a server that is stopped: an end of its socket wakes it
                ours = socket.socket(fileno=os.dup(connection.pgconn.socket))
                ours.shutdown(socket.SHUT_RDWR)
                ours.close()
        if thread is not None:
            thread.join(_CONNECT + 1)
        self._thread = None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()
        self._connection = None

    # --- of its own

    def _write(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._ended:
                    self._changed.wait()
                if self._ended:
                    return
                job = self._jobs[0]
            if not self._do(job):
                return
            with self._changed:
                self._jobs.popleft()
                self._freed += job.size
                self._progress = monotonic()
                self._changed.notify_all()

    def _do(self, job: Job) -> bool:
        """Until it is done; False where it cannot be."""
        again = False
        while not self._ended:
            try:
                connection = self._connected()
                job.do(connection, again)
                connection.commit()
            except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                self._problem = self._said(e)
                if not self._was_connected and _FOR_GOOD.search(str(e)):
                    with self._changed:
                        self._fatal = f"no connection: {self._problem}"
                        self._changed.notify_all()
                    return False
                self._disconnect()
            except Exception as e:  # noqa: BLE001 - a thread's end must be told
                with self._changed:
                    self._fatal = f"cannot be written: {self._said(e)}"
                    self._changed.notify_all()
                return False
            else:
                return True
            again = True
            with self._changed:
                if not self._ended:
                    self._changed.wait(_PAUSE)
        return False

    def alive(self) -> None:
        """The server takes something."""
        self._progress = monotonic()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self._dsn, connect_timeout=_CONNECT, application_name="pcapflow", client_encoding="utf8")
            self._was_connected = True
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _said(self, problem: BaseException) -> str:
        """The first line of what libpq or the server said, without what the DSN has."""
        if isinstance(problem, psycopg.Error) and problem.diag.message_primary:
            said = problem.diag.message_primary
        else:
            line = str(problem).strip().partition("\n")[0]
            said = _SECRET.sub("...", line)[:200] or type(problem).__name__
        return said.replace(self._password, "...") if self._password else said
