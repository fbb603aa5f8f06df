"""A body of JSON, parsed as its bytes arrive, in fixed memory.

Contract: `feed` takes the next bytes of a body in pieces of any size; `finish` says how the body ended and returns what was
found. Neither raises for what the bytes are. ijson's push parser sees slices that begin at fixed offsets of the body
(`json_slice`), so the result does not depend on how the bytes were cut. Scalars and depth are bounded before ijson sees
them (`structure.Outline`): a string longer than a slice is kept here until it ends and handed over once, so that ijson
never scans it again and again.

Invariant: what is kept between two calls is one slice begun, one unfinished scalar, the slice in which the open document
began, and a path of bounded depth; all of it is reserved in the `json` account.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pcapflow.budget import Account
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.payload import locate
from pcapflow.payload.structure import EMPTY, Outline, Scan
from pcapflow.records import JsonBody, JsonError

if TYPE_CHECKING:
    from collections.abc import Callable

PARSER_BYTES = 6 << 10
"""Reserved for a parser: the state of ijson and yajl, and the path."""
SMALL = 512
"""A whole body of at most so many bytes cannot pass a limit and is parsed in one go."""
_BLANK = b" \t\r\n"
_KEY_CHARS = 64
"""Characters of a key kept for the path."""

_OPENING = frozenset(("start_map", "start_array"))
_CLOSING = frozenset(("end_map", "end_array"))
_KINDS = {"map_key": "k", "start_map": "{", "start_array": "[", "end_map": "c", "end_array": "c"}
"""The events that a path is made of: a key, what opens, what closes."""


@cache
def backend() -> str:
    """Name of the ijson backend that runs."""
    import ijson

    return str(ijson.backend_name)


@cache
def _tools() -> tuple[Callable[..., Any], type[list[Any]]]:
    """ijson's push parser and the list it fills; imported when the first body of JSON comes."""
    import ijson
    from ijson.utils import sendable_list

    return ijson.basic_parse_coro, sendable_list


class _Place(NamedTuple):
    """A slice and the state in which it began; looked into only where a text breaks."""

    data: bytes
    at: int
    in_string: bool
    begun: int
    """Bytes of the scalar that it begins inside of, quote and all."""
    stack: tuple[tuple[str, str], ...]
    last: bytes

    def expect(self) -> int:
        """What the grammar lets come first."""
        in_map = bool(self.stack) and self.stack[-1][0] == "{"
        match self.last:
            case b"":
                return locate.VALUE
            case b",":
                return locate.KEY if in_map else locate.VALUE
            case b":":
                return locate.VALUE
            case b"[":
                return locate.VALUE_OR_END
            case b"{":
                return locate.KEY_OR_END
            case b"K":
                return locate.COLON
            case _:
                return locate.COMMA_OR_END


_NOWHERE = _Place(b"", 0, False, 0, (), b"")


class JsonParser:
    """One body."""

    __slots__ = (
        "_account", "_begun", "_coroutine", "_cut", "_events", "_fed", "_held", "_last", "_level", "_limits", "_outline", "_pending",
        "_pending_place", "_scan", "_stack", "_tail", "bytes", "documents", "drop", "error", "events", "max_depth",
    )  # fmt: skip

    def __init__(self, limits: Limits, account: Account) -> None:
        make, event_list = _tools()
        self._limits = limits
        self._account = account
        self._events = event_list()
        self._coroutine = make(self._events, multiple_values=True)
        self._outline = Outline()
        self._scan = EMPTY
        """Of the slice at hand."""
        self._tail = bytearray()
        """A slice begun."""
        self._pending: list[bytes] = []
        """Slices that lie within one unfinished scalar, and where they began."""
        self._pending_place = _NOWHERE
        self._fed = 0
        """Bytes taken in whole slices."""
        self._level = 0
        """Depth after the last event."""
        self._stack: list[tuple[str, str]] = []
        """Open containers, outermost first: `{` or `[`, and the last key seen in it."""
        self._last = b""
        """The last byte before the end of the slices that is no white space and in no scalar."""
        self._begun = _NOWHERE
        """The slice in which the open document began."""
        self._held = 0
        self._cut = False
        """The error says where the body was cut, not that the text is wrong."""
        self.bytes = 0
        self.documents = 0
        self.events = 0
        self.max_depth = 0
        self.error: JsonError | None = None
        self.drop: Drop | None = None

    # --- bytes in

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        self.bytes += len(data)
        if self.error is not None or self.drop is not None:
            return
        size = self._limits.json_slice
        at = 0
        if self._tail:
            at = size - len(self._tail)
            self._tail += data[:at]
            if len(self._tail) < size:
                self._hold()
                return
            slices = [bytes(self._tail)]
            self._tail.clear()
        else:
            slices = []
        rest = at + (len(data) - at) // size * size
        slices += [data[i : i + size] for i in range(at, rest, size)]
        # the outlines first, then ijson: each finds its own tables in the processor's cache
        for piece, scan in zip(slices, self._outline.scan_all(slices), strict=True):
            self._slice(piece, scan)
            if self.error is not None or self.drop is not None:
                return
        self._tail += data[rest:]
        self._hold()

    def _hold(self) -> None:
        """Reserve what is kept until the next call."""
        if self.error is not None or self.drop is not None:
            return
        held = PARSER_BYTES + len(self._tail) + len(self._begun.data) + sum(map(len, self._pending))
        if held > self._held:
            if not self._account.reserve(held - self._held):
                self._give_up(DropReason.JSON_MEMORY, *self._account.refusal(), f"a parser that holds {held} bytes")
                return
        else:
            self._account.release(self._held - held)
        self._held = held

    def release(self) -> None:
        """Give all memory back."""
        self._account.release(self._held)
        self._held = 0
        self._tail.clear()
        self._pending = []
        self._begun = self._pending_place = _NOWHERE
        self._coroutine = None
        self._events.clear()

    def _give_up(self, reason: DropReason, limit: str, value: int, detail: str) -> None:
        self.drop = Drop(reason, limit, value, detail)
        self.release()

    def _slice(self, data: bytes, scan: Scan) -> None:
        """The next slice: whole, or the body's last."""
        limits = self._limits
        self._scan = scan
        at = self._fed
        self._fed += len(data)
        if scan.highest > limits.json_max_depth:
            self._give_up(
                DropReason.JSON_TOO_DEEP, "json_max_depth", limits.json_max_depth, f"in the {len(data)} bytes from offset {at} of the body"
            )
            return
        if scan.scalar_bytes > limits.json_scalar_max_bytes:
            detail = f"a scalar that begins at offset {self._fed - scan.scalar_bytes} of the body"
            self._give_up(DropReason.JSON_SCALAR_TOO_LARGE, "json_scalar_max_bytes", limits.json_scalar_max_bytes, detail)
            return
        if scan.whole and scan.begun:
            if not self._pending:
                self._pending_place = self._place(data, at)
            self._pending.append(data)
            self._hold()
            return
        if self._pending:
            data = b"".join((*self._pending, data))
            self._pending = []
            self._parse(data, at, scan.begin_depth, self._pending_place._replace(data=data))
        else:
            self._parse(data, at, scan.begin_depth, None)

    def _place(self, data: bytes, at: int) -> _Place:
        """The slice at hand, before ijson has it."""
        return _Place(data, at, self._scan.in_string, self._scan.begun, tuple(self._stack), self._last)

    def _parse(self, data: bytes, at: int, depth: int, place: _Place | None) -> None:
        """Give a slice to ijson. place: where it began, if that is not where the last scan did."""
        events = self._events
        try:
            self._coroutine.send(data)
        except Exception as e:
            self._refused(e, place or self._place(data, at))
            return
        scan = self._scan
        self.events += len(events)
        if depth == 0 or scan.lowest <= 0:
            if not data.isspace():
                self._begun = place or self._place(data, at)
            if self._one_document(depth):
                self.documents += scan.ended
                self.max_depth = max(self.max_depth, scan.highest)
                self._level = scan.depth
            else:
                self._count_documents()
        else:
            if scan.highest > self.max_depth:
                self.max_depth = scan.highest
            self._level = scan.depth
        self._follow_path(max(0, scan.lowest))
        self._remember_last(data)
        events.clear()

    def _one_document(self, depth: int) -> bool:
        """Whether the slice holds bytes of one array or object and nothing beside it, so that its brackets tell all."""
        events = self._events
        if not events or (depth == 0 and events[0][0] not in _OPENING):
            return False
        ended = self._scan.ended
        return ended == 0 or (ended == 1 and self._scan.depth == 0 and events[-1][0] in _CLOSING)

    def _remember_last(self, data: bytes) -> None:
        begun = self._scan.scalar_bytes
        end = max(0, len(data) - begun)
        rest = data[max(0, end - 64) : end].rstrip() or data[:end].rstrip()
        last = rest[-1:]
        if last == b'"' and not begun and self._events and self._events[-1][0] == "map_key":
            last = b"K"
        if last:
            self._last = last

    def _count_documents(self) -> None:
        """Walk the events of a slice in which a document begins or ends."""
        level = self._level
        highest = self.max_depth
        for name, _ in self._events:
            if name in _OPENING:
                level += 1
                if level > highest:
                    highest = level
            elif name in _CLOSING:
                level -= 1
                if level == 0:
                    self.documents += 1
            elif level == 0:
                self.documents += 1
        self._level = level
        self.max_depth = highest

    def _follow_path(self, lowest: int) -> None:
        """Bring the open containers up to the end of the slice. lowest: the least depth in it; what was open at that depth
        still is. Goes backwards over the events and stops as soon as nothing earlier can matter.
        """
        stack = self._stack
        del stack[lowest:]
        persists = stack[-1][0] if stack else "["
        new: list[tuple[str, str]] = []
        wanted = self._level - lowest
        key: str | None = None
        closed = 0
        # with nothing new and an array around everything there is nothing to look for
        if wanted or persists == "{":
            kind_of = _KINDS.get
            for name, value in reversed(self._events):
                kind = kind_of(name)
                if kind is None:
                    continue
                if kind == "k":
                    if not closed and key is None:
                        key = value[:_KEY_CHARS]
                        if len(new) == wanted:
                            break
                elif kind == "c":
                    closed += 1
                elif closed:
                    closed -= 1
                else:
                    new.append((kind, key or ""))
                    key = None
                    if len(new) == wanted and persists == "[":
                        break
        if stack and key is not None and len(new) == wanted:
            stack[-1] = (stack[-1][0], key)
        stack.extend(reversed(new))

    # --- how it ends

    def _refused(self, problem: Exception, place: _Place) -> None:
        """ijson raised at a slice: for the text (an error), or for a number that Python does not convert (a drop)."""
        from ijson.common import JSONError

        events = self._events
        if isinstance(problem, SystemError):
            # the event that broke has no value: it must not be looked at
            del events[-1:]
        taken = len(events)
        self.events += taken
        self._count_documents()
        for name, value in events:
            if name == "map_key":
                self._stack[-1] = (self._stack[-1][0], value[:_KEY_CHARS])
            elif name in _OPENING:
                self._stack.append(("{" if name == "start_map" else "[", ""))
            elif name in _CLOSING:
                self._stack.pop()
        broken_text = isinstance(problem, UnicodeError) or isinstance(problem.__cause__ or problem.__context__, UnicodeError)
        if not isinstance(problem, JSONError) and not broken_text:
            self._give_up(DropReason.JSON_NUMBER_UNSUPPORTED, "", 0, f"in the {len(place.data)} bytes from offset {place.at} of the body")
            return
        offset, start = self._locate(place, taken)
        begins = place.at + start if start >= 0 else self._document_start()
        message = "a string is no Unicode text" if broken_text else _first_line(problem)
        self.error = JsonError(message, place.at + offset - begins, self.path())
        self.release()

    @staticmethod
    def _locate(place: _Place, events: int) -> tuple[int, int]:
        return locate.error_offset(
            place.data,
            in_string=place.in_string,
            begun=place.begun,
            containers="".join([kind for kind, _ in place.stack]),
            expect=place.expect(),
            events=events,
        )

    def _document_start(self) -> int:
        """Offset in the body of the document that is open."""
        begun = self._begun
        if not self.documents and begun.at == 0:
            return len(begun.data) - len(begun.data.lstrip(_BLANK))
        start = self._locate(begun, 1 << 62)[1]
        return begun.at + max(start, 0)

    def path(self) -> str:
        """Where the parser is, as an ijson prefix: keys, and `item` for an array."""
        levels = self._stack[: self._limits.json_path_max_depth]
        return ".".join(key if kind == "{" else "item" for kind, key in levels if key or kind == "[")

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody:
        """The body is over. whole: all of it came; gapped: bytes are missing in it. Gives all memory back."""
        if self.error is None and self.drop is None:
            tail = bytes(self._tail)
            self._tail.clear()
            if tail:
                self._slice(tail, self._outline.scan(tail))
        if self.error is None and self.drop is None and self._pending:
            data = b"".join(self._pending)
            self._pending = []
            self._parse(data, self._fed, self._scan.depth, self._pending_place._replace(data=data))
        if self.error is None and self.drop is None:
            self._close(whole=whole)
        status = "complete" if whole else "gapped" if gapped else "truncated"
        if self.drop is not None:
            status = "dropped"
        elif self.error is not None and not self._cut:
            status = "invalid"
        self.release()
        reason = self.drop.reason.value if self.drop is not None else None
        return JsonBody(self.documents, self.events, self.max_depth, self.bytes, status, self.error, reason)

    def _close(self, *, whole: bool) -> None:
        if whole:
            try:
                self._coroutine.close()
            except Exception as e:
                end = _NOWHERE._replace(at=self._fed)
                self._refused(e, end)
                return
            self.events += len(self._events)
            self._count_documents()
        elif self._level or self._scan.scalar_bytes:
            self.error = JsonError("the body ends inside a document", self._fed - self._document_start(), self.path())
            self._cut = True


def _first_line(problem: Exception) -> str:
    """The first line of what ijson says; the others quote the payload."""
    message = problem.args[0] if problem.args else ""
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    return str(message).split("\n", 1)[0].strip()


def parse_small(data: bytes) -> JsonBody | None:
    """A whole body of at most SMALL bytes; None where the text is not valid, and `JsonParser` tells why."""
    make, event_list = _tools()
    events = event_list()
    try:
        coroutine = make(events, multiple_values=True)
        coroutine.send(data)
        coroutine.close()
    except Exception:
        return None
    level = highest = documents = 0
    for name, _ in events:
        if name in _OPENING:
            level += 1
            if level > highest:
                highest = level
        elif name in _CLOSING:
            level -= 1
            if level == 0:
                documents += 1
        elif level == 0:
            documents += 1
    return JsonBody(documents, len(events), highest, len(data), "complete", None, None)
