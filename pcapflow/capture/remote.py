"""Captures that are read over a network: by URL, a range of bytes at a time.

Contract: `Remote` is a `Source` of an object that fsspec (docs/dependencies.md) knows: `s3://`, `gs://`, `https://` and others; `objects_in` lists a prefix. Both raise `CaptureError` that
names the URL. Invariant: at most one range is read ahead, two of them are reserved in the `blocks` account from the start; a range is asked for at most _TRIES times; an object that is another one than
when it was opened (ETag, else size and time of change) is an error, found before the last byte is handed out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pcapflow.budget import Account
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.reader import Keep
from pcapflow.capture.source import Source
from pcapflow.errors import CaptureError

_FIRST, _LEAST, _MOST = 256 << 10, 64 << 10, 8 << 20
"""Bytes of a range: the first is small, since a capture's beginning may be all that is wanted; each is twice the one before, up to a part of the memory limit between the others."""
_PART = 32
"""Of the memory limit: a range. A request takes some 30 ms on a network, in which the stages work on the range before."""
_TRIES = 5
_PAUSE = 0.1
"""Seconds before a range is asked for again, twice as many each time."""
_LOOKS_EVERY = 16
"""Ranges between two looks at whether the object is the same."""
_FINAL = (FileNotFoundError, PermissionError, ValueError)
"""What a second try would not mend."""
_NO_RANGES = "cannot be read in ranges: the server does not offer them; fetch it first"
_T = TypeVar("_T")
Read = Callable[[int, int], bytes]
"""Reads the bytes from one place up to another."""
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "Last-Modified", "last_modified", "updated", "mtime")
"""What says which version of an object it is, in the words of file systems: the first that is there, beside its size."""


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and its path there."""
    try:
        import fsspec  # noqa: PLC0415 - an extra
    except ImportError:
        raise CaptureError(url, "needs fsspec, which is not installed: pip install 'pcapflow[remote]'", unreadable=True) from None
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
        raise CaptureError(url, f"cannot be opened: {_said(e)}", unreadable=True) from None
    return fs, path


def _said(problem: Exception) -> str:
    """The first line of what a library says."""
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    if isinstance(problem, FileNotFoundError):
        cause = problem.__cause__  # fsspec says so too of a web server that cannot be reached
        return str(cause).strip().splitlines()[0] if isinstance(cause, OSError) and str(cause) else "there is no such object"
    return str(text).strip().splitlines()[0].rstrip(".")


def _info(fs: Any, path: str, url: str, interrupt: Interrupt) -> dict[str, Any]:
    """What the file system says of an object now."""

    def ask() -> dict[str, Any]:
        fs.invalidate_cache()
        found: dict[str, Any] = fs.info(path)
        return found

    try:
        with interrupt.waiting():
            return _tried(ask)
    except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
        raise CaptureError(url, f"cannot be opened: {_said(e)}", unreadable=True) from None


def _tried(ask: Callable[[], _T]) -> _T:
    """What is asked for, as often as it takes. Raises what the last try raised."""
    for again in range(_TRIES):
        if again:
            time.sleep(_PAUSE * 2 ** (again - 1))
        try:
            return ask()
        except _FINAL as e:
            if not isinstance(e.__cause__, OSError):
                raise
            problem: Exception = e  # a server that cannot be reached
        except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
            problem = e
    raise problem


def _version(info: dict[str, Any]) -> str:
    known = next((f"{name} {info[name]}" for name in _VERSIONS if info.get(name)), "")
    return f"{info.get('size')} bytes, {known}" if known else f"{info.get('size')} bytes"


def same(url: str, before: str, now: str) -> None:
    """Raises `CaptureError` where an object is another one than it was."""
    if before != now:
        raise CaptureError(url, f"changed while it was read: it was {before}, and is {now}", unreadable=True)


def objects_in(url: str, keep: Keep, cost: Callable[[str], int], interrupt: Interrupt) -> list[str]:
    """The objects under a prefix, which ends with a slash, by name. keep: asked whether there is room for so many bytes; cost: what a name takes."""
    fs, path = _opened(url)
    try:
        with interrupt.waiting():
            listed = _tried(lambda: fs.ls(path, detail=True))
    except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
        raise CaptureError(url, f"cannot be read: {_said(e)}", unreadable=True) from None
    found = []
    for entry in listed:
        if (entry.get("type") == "file" or (entry.get("islink") and fs.isfile(entry["name"]))) and entry.get("size") != 0:
            name = fs.unstrip_protocol(entry["name"])
            if not keep(cost(name)):
                raise CaptureError(
                    url,
                    "holds too many captures: their names take more than the memory limit leaves; give a larger --memory-limit",
                    unreadable=True,
                )
            found.append(name)
    return sorted(found)


def _reader(fs: Any, path: str) -> Read:
    """What reads a range of an object."""
    if not _is_web(path):
        return lambda begin, end: fs.cat_file(path, start=begin, end=end)
    file = fs.open(path, "rb", cache_type="none")  # which looks at what the server answers: it may send all of it, whatever is asked for

    def read(begin: int, end: int) -> bytes:
        file.seek(begin)
        data: bytes = file.read(end - begin)
        return data

    return read


def _is_web(path: str) -> bool:
    return path.startswith(("http://", "https://"))


class _Range:
    """Some bytes of an object, which a thread fetches."""

    def __init__(self, read: Read, begin: int, end: int) -> None:
        self.data = b""
        self.problem: Exception | None = None
        self._done = threading.Event()
        # whoever is interrupted does not wait for it
        threading.Thread(target=self._fetch, args=(read, begin, end), daemon=True).start()

    def _fetch(self, read: Read, begin: int, end: int) -> None:
        def ask() -> bytes:
            data = read(begin, end)
            if len(data) != end - begin:
                raise OSError(f"{end - begin} bytes were asked for, {len(data)} came")
            return data

        try:
            self.data = _tried(ask)
        except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
            self.problem = e
        self._done.set()

    def wait(self, interrupt: Interrupt) -> bytes:
        """The bytes, when they are there. Raises KeyboardInterrupt, and what the last try raised."""
        with interrupt.waiting():
            self._done.wait()
        if self.problem is not None:
            raise self.problem
        return self.data


class Remote(Source):
    """One object."""

    def __init__(self, url: str, interrupt: Interrupt, account: Account, memory_limit: int) -> None:
        """account: of what is read; memory_limit: of the run."""
        self._fs, self._path = _opened(url)
        info = _info(self._fs, self._path, url, interrupt)
        if info.get("type") == "directory":
            raise CaptureError(url, "is no object; a prefix that ends with / stands for the captures under it", unreadable=True)
        if info.get("size") is None or info.get("partial") is False:
            raise CaptureError(url, _NO_RANGES, unreadable=True)
        super().__init__(url, -1, int(info["size"]), interrupt, owned=False)
        self.version = _version(info)
        try:
            with interrupt.waiting():
                self._read = _tried(lambda: _reader(self._fs, self._path))
        except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
            raise CaptureError(url, f"cannot be opened: {_said(e)}", unreadable=True) from None
        self._account = account
        self._most = max(_LEAST, min(_MOST, memory_limit // _PART))
        while self._most > _LEAST and not account.is_half_free(2 * self._most):
            self._most = max(_LEAST, self._most // 2)
        self._reserved = min(2 * self._most, self.size or 0)
        if not account.reserve_or_borrow(self._reserved):
            raise CaptureError(url, "cannot be read: the memory limit has no room for ranges of it", unreadable=True)
        self._step = min(_FIRST, self._most)
        self._asked = self._fetched = 0
        """Bytes of the object that were asked for, and ranges that came."""
        self._coming: _Range | None = None
        self._now = memoryview(b"")

    def _ask(self) -> None:
        """For the next range, where there is one."""
        assert self.size is not None
        n = min(self._step, self.size - self._asked)
        self._coming = _Range(self._read, self._asked, self._asked + n) if n else None
        self._asked += n
        self._step = min(2 * self._step, self._most)

    def _raw_into(self, room: memoryview) -> int:
        if not self._now.nbytes:
            self._next()
        n = min(len(room), self._now.nbytes)
        room[:n] = self._now[:n]
        self._now = self._now[n:]
        self.taken += n
        if not self._now.nbytes:
            self._now = memoryview(b"")
        return n

    def _next(self) -> None:
        """The range that was asked for is at hand, and the one behind it is asked for."""
        if self._coming is None:
            self._ask()
        if self._coming is None:
            return
        try:
            data = self._coming.wait(self._interrupt)
        except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
            self._same_as_before()
            if _is_web(self._path) and isinstance(e, ValueError):
                raise CaptureError(self.path, _NO_RANGES, unreadable=True) from None
            again = "" if isinstance(e, _FINAL) else f" (tried {_TRIES} times)"
            raise CaptureError(self.path, f"cannot be read: {_said(e)}{again}", unreadable=True) from None
        self._fetched += 1
        if (self._asked == self.size and self._fetched > 1) or self._fetched % _LOOKS_EVERY == 0:  # one range is of one version
            self._same_as_before()
        self._now = memoryview(data)
        self._ask()

    def _same_as_before(self) -> None:
        same(self.path, self.version, _version(_info(self._fs, self._path, self.path, self._interrupt)))

    def close(self) -> None:
        """Done with it."""
        super().close()
        self._account.release(self._reserved)
        self._reserved = 0
        self._coming = None
        self._now = memoryview(b"")
