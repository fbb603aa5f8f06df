"""The bodies that `pcapflow bodies` gives: one after the other to one output, or a file each.

Contract: a `Sink` of the entries of `body_entries`; where the bytes go is a `Target`'s to say. Invariant: of a body that is under way a few hundred bytes are kept, reserved in the `output`
account; what is written in all is bounded by `bodies_max_bytes`, and each body that is left out is counted by its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from pcapflow.body_entries import BEGINS, BODY, BYTES, ENDS, PIECE, ZEROS, Begun, BodyFound, Over, Step
from pcapflow.budget import Ledger
from pcapflow.entries import Entry
from pcapflow.limits import Limits
from pcapflow.report.sinks.base import Out, Sink
from pcapflow.report.sinks.chain import Chain, Chains

_STATE_BYTES = 800
_MOST_SAID = 20
"""Lines of what is wrong."""
_SUFFIXES = {
    "application/json": "json", "application/x-ndjson": "ndjson", "application/javascript": "js", "text/javascript": "js", "text/html": "html", "text/css": "css",
    "text/csv": "csv", "application/xml": "xml", "text/xml": "xml", "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp",
    "image/svg+xml": "svg", "image/x-icon": "ico", "image/vnd.microsoft.icon": "ico", "application/pdf": "pdf", "application/zip": "zip", "application/gzip": "gz",
    "application/x-yaml": "yaml", "application/yaml": "yaml", "text/yaml": "yaml", "application/wasm": "wasm", "font/woff2": "woff2", "font/woff": "woff",
    "audio/mpeg": "mp3", "video/mp4": "mp4", "video/webm": "webm", "application/x-www-form-urlencoded": "form", "multipart/form-data": "multipart",
    "text/event-stream": "sse", "application/grpc": "grpc", "application/x-protobuf": "pb", "application/protobuf": "pb",
}  # fmt: skip


def suffix_of(content_type: str | None) -> str:
    """How the name of a file of that type ends: one of a fixed list, so that nothing of the wire is in a name."""
    media = (content_type or "").partition(";")[0].strip().lower()
    if media in _SUFFIXES:
        return _SUFFIXES[media]
    if media.endswith("json"):
        return "json"
    if media.endswith("+xml"):
        return "xml"
    return "txt" if media.startswith("text/") else "bin"


Key = tuple[int, int]
"""A body's connection and number."""


class Target(Protocol):
    """Where bodies go; key: a body's."""

    most: int | None
    """Bodies that it takes; None for any number."""

    def begins(self, key: Key, connection: int, begun: Begun) -> None:
        """A body does."""
        ...

    def write(self, key: Key, data: bytes) -> None:
        """Its next bytes."""
        ...

    def ends(self, key: Key) -> None:
        """No more of its bytes come."""
        ...

    def over(self, key: Key | None, found: BodyFound, left_out: str | None) -> None:
        """What became of it; left_out: why it is not wanted, nothing where it is; key: None where it was discarded before."""
        ...

    def discard(self, key: Key) -> None:
        """It is left out, whatever came of it."""
        ...

    def finish(self) -> None:
        """No body comes any more."""
        ...


NOT_MEANT = "not meant"
"""Left out because the end of its exchange told that it is none of those that are asked for."""


class Bodies(Sink):
    """Writes them."""

    kinds = frozenset()
    own = BODY

    def __init__(self, target: Target, limits: Limits, say: Callable[[str], object]) -> None:
        """say takes a line on what is wrong with a body."""
        self._target = target
        self._limits = limits
        self._say = say
        self._open: dict[Key, bool] = {}
        """Bodies under way, and whether they are still written."""
        self._reserved: dict[Key, int] = {}
        """What is for each of them: twice, for one that is over may wait for each."""
        self._begin = msgspec.json.Decoder(Begun).decode
        self._end = msgspec.json.Decoder(Over).decode
        self.written = 0
        """Bodies."""
        self.bytes = 0
        self.left_out: dict[str, int] = {}
        """Bodies, by the limit that left them out."""
        self._said = 0

    def begin(self, ledger: Ledger) -> None:
        """See `Sink`."""
        self._account = ledger.output

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        for entry in some:
            step = Step.unpacked(entry.line)
            key = entry.connection, step.number
            if step.kind == BEGINS:
                self._begins(key, entry.connection, step.said)
            elif step.kind in (BYTES, ZEROS):
                self._bytes(key, step)
            elif step.kind == ENDS:
                if self._open.get(key):
                    self._target.ends(key)
            else:
                self._over(key, self._end(step.said))

    def _begins(self, key: Key, connection: int, said: bytes) -> None:
        n = 2 * (_STATE_BYTES + len(said))
        if not self._account.reserve(n):
            return
        self._reserved[key] = n
        self._open[key] = self.bytes <= self._limits.bodies_max_bytes
        if self._open[key]:
            self._target.begins(key, connection, self._begin(said))

    def _bytes(self, key: Key, step: Step) -> None:
        zeros = int(step.said) if step.kind == ZEROS else 0
        self.bytes += zeros or len(step.said)
        if self.bytes > self._limits.bodies_max_bytes:
            for other, written in self._open.items():
                if written:
                    self._target.discard(other)
                    self._open[other] = False
            return
        if not self._open.get(key):
            return
        if not zeros:
            self._target.write(key, step.said)
        while zeros:
            n = min(zeros, PIECE)
            self._target.write(key, bytes(n))
            zeros -= n

    def _over(self, key: Key, over: Over) -> None:
        written = self._open.pop(key, None)
        if written is not None:
            self._account.release(self._reserved.pop(key))
        left_out = None if over.taken else NOT_MEANT
        if over.taken:
            left_out = over.left_out or ("memory" if written is None else None if written else "bodies_max_bytes")
            if left_out is None and self._target.most is not None and self.written >= self._target.most:
                left_out = "bodies_max_files"
            if left_out is None:
                self.written += 1
            else:
                self.left_out[left_out] = self.left_out.get(left_out, 0) + 1
            self._tell(over.found)
        if written:
            self._target.over(key, over.found, left_out)
        elif over.taken:
            self._target.over(None, over.found, left_out)

    def _tell(self, found: BodyFound) -> None:
        if found.problem is None:
            return
        self._said += 1
        if self._said <= _MOST_SAID:
            self._say(f"{name_of(found.connection, found.exchange, found.side)}: {found.problem}")

    def finish(self) -> None:
        """See `Sink`."""
        if self._said > _MOST_SAID:
            self._say(f"and {self._said - _MOST_SAID:,} more bodies with something wrong")
        for key, written in self._open.items():
            if written:
                self._target.discard(key)
        self._account.release(sum(self._reserved.values()))
        self._reserved.clear()
        self._open.clear()
        self._target.finish()


def name_of(connection: int, exchange: int | None, side: str) -> str:
    """A body, for a person."""
    return f"connection {connection}, exchange {exchange}, {side}"


class _Waiting:
    """A body that is not written yet, or is being written."""

    __slots__ = ("begun", "chain", "connection", "decided", "ended", "last", "more", "wrote")

    def __init__(self, connection: int, begun: Begun) -> None:
        self.connection = connection
        self.begun = begun
        self.decided = begun.decided
        self.ended = self.wrote = False
        self.chain = Chain()
        self.last = b""
        """Of what is in the chain the last byte."""
        self.more = 0
        """Bodies that are in the chain behind it."""

    @property
    def over(self) -> bool:
        """Nothing more comes of it, and it is not discarded any more."""
        return self.decided and self.ended


class OneAfterTheOther:
    """A `Target`: all to one output in the order in which they began, with a line between. The first that is not at its end is written as it comes; the others wait in a file, those that are
    over as one from time to time, so that no more of them are kept than are under way.
    """

    most: int | None = None

    def __init__(self, out: Out, *, names_first: bool = False) -> None:
        """names_first: a line before the first body too."""
        self._out = out
        self._chains = Chains()
        self._queue: dict[Key, _Waiting] = {}
        self._over = 0
        """Of those in it that are over, about how many came since they were joined."""
        self._names = names_first
        self._line_open = False
        self.count = 0
        """Bodies that were written."""

    def begins(self, key: Key, connection: int, begun: Begun) -> None:
        """See `Target`."""
        self._queue[key] = _Waiting(connection, begun)

    def write(self, key: Key, data: bytes) -> None:
        """See `Target`."""
        one = self._queue[key]
        if one.decided and next(iter(self._queue)) == key:
            self._put(one, data)
        else:
            self._chains.put(one.chain, data)
            one.last = data[-1:]

    def ends(self, key: Key) -> None:
        """See `Target`."""
        self._queue[key].ended = True
        self._go_on()

    def over(self, key: Key | None, found: BodyFound, left_out: str | None) -> None:
        """See `Target`."""
        one = self._queue.get(key) if key is not None else None
        if key is not None and one is not None and not one.decided:
            if left_out is None:
                one.decided = True
                self._go_on()
            else:
                self.discard(key)

    def discard(self, key: Key) -> None:
        """See `Target`."""
        one = self._queue.pop(key, None)
        if one is not None:
            self._chains.drop(one.chain)
            self._go_on()

    def finish(self) -> None:
        """See `Target`."""
        self._go_on()
        self._chains.close()

    def _go_on(self) -> None:
        """Write what can be: the first in the queue, and those behind it as long as each is at its end."""
        while self._queue:
            key, one = next(iter(self._queue.items()))
            if not one.decided:
                break
            for data in self._chains.take(one.chain):
                self._put(one, data)
            if not one.ended:
                break
            del self._queue[key]
        self._join()

    def _join(self) -> None:
        """Those that are over and follow one another are one: after as many calls as there are in the queue, so that each is looked at a bounded number of times."""
        self._over += 1
        if self._over <= len(self._queue) // 2:
            return
        self._over = 0
        queue: dict[Key, _Waiting] = {}
        last: _Waiting | None = None
        for key, one in self._queue.items():
            if last is None or not (last.over and one.over):
                queue[key] = last = one
            elif one.chain.first >= 0 > last.chain.first:
                queue.popitem()
                queue[key] = last = one
            elif one.chain.first >= 0:
                self._chains.put(last.chain, self._line(one, behind=last.last))
                self._chains.join(last.chain, one.chain)
                last.last = one.last
                last.more += 1 + one.more
        self._queue = queue

    @staticmethod
    def _line(one: _Waiting, *, behind: bytes) -> bytes:
        """The line before a body. behind: the last byte before it."""
        begun = one.begun
        said = [name_of(one.connection, begun.exchange, begun.side), *([str(begun.status)] if begun.status is not None else [])]
        said += [text for text in (begun.content_type, begun.url) if text is not None]
        return (b"\n" if behind not in (b"", b"\n") else b"") + f"--- {', '.join(said)}\n".encode()

    def _put(self, one: _Waiting, data: bytes) -> None:
        if not one.wrote:
            one.wrote = True
            if self._names or self.count:
                self._out(self._line(one, behind=b"." if self._line_open else b""))
            self.count += 1 + one.more
        self._out(data)
        self._line_open = not data.endswith(b"\n")


class Files(Protocol):
    """A folder in which files are made."""

    def append(self, part: str, data: bytes) -> None:
        """Bytes to a file that is under way, of that name."""
        ...

    def place(self, part: str, name: str) -> None:
        """It is whole, and takes its name."""
        ...

    def discard(self, part: str) -> None:
        """It goes."""
        ...


_INDEX = "index.ndjson"


class FileEach:
    """A `Target`: a file each in a folder, and a line each in its `index.ndjson`."""

    most: int | None

    def __init__(self, files: Files, most: int) -> None:
        """most: files, beside the index."""
        self.most = most
        self._files = files
        self._suffixes: dict[Key, str] = {}
        self._encode = msgspec.json.Encoder().encode

    def begins(self, key: Key, connection: int, begun: Begun) -> None:
        """See `Target`."""
        self._suffixes[key] = suffix_of(begun.content_type)
        self._files.append(_part(key), b"")

    def write(self, key: Key, data: bytes) -> None:
        """See `Target`."""
        self._files.append(_part(key), data)

    def ends(self, key: Key) -> None:
        """See `Target`."""

    def over(self, key: Key | None, found: BodyFound, left_out: str | None) -> None:
        """See `Target`."""
        name = None
        if key is not None and left_out is None:
            name = f"c{found.connection}-x{found.exchange}-{found.side}.{self._suffixes.pop(key)}"
            self._files.place(_part(key), name)
        elif key is not None:
            self.discard(key)
        if left_out != NOT_MEANT:
            line = self._encode({"file": name, "left_out": left_out})[:-1] + b"," + self._encode(found)[1:] + b"\n"
            self._files.append(_INDEX + ".part", line)

    def discard(self, key: Key) -> None:
        """See `Target`."""
        if self._suffixes.pop(key, None) is not None:
            self._files.discard(_part(key))

    def finish(self) -> None:
        """See `Target`."""
        self._files.append(_INDEX + ".part", b"")
        self._files.place(_INDEX + ".part", _INDEX)


def _part(key: Key) -> str:
    return f"c{key[0]}-{key[1]}.part"
