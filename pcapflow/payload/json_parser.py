"""A body of JSON, parsed as its bytes arrive, in fixed memory.

Contract: `feed` takes the next bytes of a body in pieces of any size; `finish` says how the body ended and returns what was
found. Neither raises for what the bytes are. ijson's push parser sees slices that begin at fixed offsets of the body
(`json_slice`), so the result does not depend on how the bytes were cut. Scalars and depth are bounded before ijson sees
them (`json_outline.Outline`): a string longer than a slice is kept here until it ends and handed over once, so that ijson
never scans it again and again.

Invariant: what is kept between two calls is one slice begun, one unfinished scalar, the slice in which the open document
began, and a path of bounded depth; all of it is reserved in the `json` account. yajl keeps a buffer of its longest string with
escapes as long as it lives, so a parser that had one is replaced by another in the same state.
"""

from __future__ import annotations

from pcapflow.budget import Account
from pcapflow.contents import JsonBody, JsonError
from pcapflow.drops import Drop, DropReason
from pcapflow.json_problems import JsonProblem
from pcapflow.limits import Limits
from pcapflow.payload import json_error_offset
from pcapflow.payload.at_once import count, tools, top_level_with
from pcapflow.payload.json_error_offset import Broken
from pcapflow.payload.json_errors import SENTENCES, problem_of
from pcapflow.payload.json_outline import EMPTY, SCALAR, Outline, Scan, built_of
from pcapflow.payload.json_place import Place
from pcapflow.payload.path import CLOSING, OPENING, Path, innermost
from pcapflow.payload.tap import Tap

PARSER_BYTES = 6 << 10
"""Reserved for a parser: the state of ijson and yajl, and the path."""
_BLANK = b" \t\r\n\v\f"


_NOWHERE = Place(b"", 0, "", b"")


_LONG = 1 << 10
"""Bytes of a token that yajl may keep: 6 KiB are reserved for a parser, half of which it takes."""


def _begins_long(data: bytes) -> bool:
    """Whether the first token is a long one. yajl keeps a copy of it where what came before ended outside a token."""
    if data[:1] not in b'"-0123456789':
        data = data[: _LONG << 1].lstrip()
    if data[:1] == b'"':
        return data.find(b'"', 1, _LONG) < 0 and len(data) > _LONG
    return len(data) > _LONG and data[:_LONG].isdigit()


class JsonParser:
    """One body."""

    __slots__ = (
        "_account", "_begun", "_coroutine", "_cut", "_events", "_events_before", "_fed", "_grown", "_held", "_last", "_level", "_limits", "_outline",
        "_path", "_path_bytes", "_pending", "_pending_string", "_scan", "_tail", "_tap", "bytes", "documents", "drop", "error", "events", "keys", "max_depth",
        "top_level",
    )  # fmt: skip

    def __init__(self, limits: Limits, account: Account, tap: Tap | None = None) -> None:
        make, event_list = tools()
        self._limits = limits
        self._account = account
        self._tap = tap
        if tap is not None:
            tap.begin()
        self._events = event_list()
        self._coroutine = make(self._events, multiple_values=True)
        self._grown = False
        """yajl had a string with escapes, or a long token at the beginning of what it was given, and keeps a buffer of it."""
        self._outline = Outline()
        self._scan = EMPTY
        """Of the slice at hand."""
        self._tail = bytearray()
        """A slice begun."""
        self._pending: list[bytes] = []
        """The unfinished scalar that the last slice ends inside of: ijson gets it in one piece with what ends it."""
        self._pending_string = False
        """It has a string in it."""
        self._fed = 0
        """Bytes taken in whole slices."""
        self._level = 0
        """Depth after the last event."""
        self._path = Path(limits.json_path_max_depth)
        self._path_bytes = 0
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
        self._events_before = 0
        """Events before the slice in which the open document began."""
        self.keys = 0
        self.max_depth = 0
        self.top_level: str | None = None
        """What the documents are: `object`, `array`, `string`, `number`, `boolean`, `null`, or `mixed`."""
        self.error: JsonError | None = None
        self.drop: Drop | None = None
        self._hold()

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
        if self._grown:
            self._renew()
        self._hold()

    def _renew(self) -> None:
        """Another parser in the same state."""
        make, event_list = tools()
        self._events = event_list()
        self._coroutine = make(self._events, multiple_values=True)
        so_far = self._place(b"", 0).text()
        if so_far:
            self._coroutine.send(so_far)  # nothing would mean its end
            self._events.clear()
        self._grown = False

    def _hold(self) -> None:
        """Reserve what is kept until the next call."""
        if self.error is not None or self.drop is not None:
            return
        held = PARSER_BYTES + len(self._tail) + len(self._begun.data) + sum(map(len, self._pending)) + self._path_bytes
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
        self._begun = _NOWHERE
        self._path.clear()
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
        if self.events - self._events_before > limits.json_document_max_events:
            detail = f"before offset {at} of the body"
            self._give_up(DropReason.JSON_TOO_MANY_EVENTS, "json_document_max_events", limits.json_document_max_events, detail)
            return
        if scan.scalar_bytes > limits.json_scalar_max_bytes:
            detail = f"a scalar that begins at offset {self._fed - scan.scalar_bytes} of the body"
            self._give_up(DropReason.JSON_SCALAR_TOO_LARGE, "json_scalar_max_bytes", limits.json_scalar_max_bytes, detail)
            return
        whole_tokens = data
        begun = scan.scalar_bytes
        if begun:
            # a number that a string touches is one to ijson only when it has seen the quote
            whole_tokens = data[: max(0, len(data) - begun)].rstrip(SCALAR)
            if not whole_tokens:
                self._pending.append(data)
                self._pending_string |= b'"' in data
                if not self._pending_string and not data.isdigit():
                    self._touching(scan.begin_depth)
                self._hold()
                return
            begun = len(data) - len(whole_tokens)
        if self._pending:
            whole_tokens = b"".join((*self._pending, whole_tokens))
            self._grown = True
        self._pending = [data[-begun:]] if begun else []
        self._pending_string = bool(begun) and b'"' in self._pending[0]
        self._parse(whole_tokens, self._fed - begun - len(whole_tokens), scan.begin_depth)

    def _place(self, data: bytes, at: int) -> Place:
        """The slice at hand, before ijson has it."""
        return Place(data, at, "".join([kind for kind, _ in self._path.stack]), self._last)

    def _touching(self, depth: int) -> None:
        """What is pending is no string, and not the digits of one number: numbers and literals that touch, each a document or an error. All but the
        last of them are given to ijson, which makes an event of each. In a container the text is broken, and ijson has to say so while the first of
        them is at hand: that is where it broke, wherever a slice ends.
        """
        run = b"".join(self._pending)
        last, end = json_error_offset.last_touching(run)
        if not last:
            return
        if depth:
            self._pending = []
            self._scan = Scan(depth, depth, depth, depth, 0, 0, b"")
            self._parse(run, self._fed - len(run), depth, end=b" ")
            return
        whole = run[:last] if end else run
        self._pending = [run[last:]] if end else []
        self._scan = Scan(depth, depth, depth, depth, 0, len(run) - len(whole), b"")
        self._parse(whole, self._fed - len(run), depth, end=b" " if end else b"")

    def _parse(self, data: bytes, at: int, depth: int, *, last: bool = False, end: bytes = b"") -> None:
        """Give whole tokens to ijson; last: a number, which nothing but the end may end; end: what ends it without changing the text."""
        events = self._events
        if not self._grown:
            self._grown = b"\\" in data or _begins_long(data)
        try:
            self._coroutine.send(data + end if end else data)
        except Exception as e:
            self._refused(e, self._place(data, at))
            return
        scan = self._scan
        self.events += len(events)
        self.keys += scan.built.count(b":")
        if depth == 0 or scan.lowest <= 0:
            self._events_before = self.events - len(events)
            if not data.isspace():
                self._begun = self._place(data, at)
            if self._one_document(depth):
                if depth == 0:
                    self.top_level = top_level_with(self.top_level, events[0][0])
                self.documents += scan.ended
                self.max_depth = max(self.max_depth, scan.highest)
                self._level = scan.depth
            else:
                self._count_documents()
        else:
            if scan.highest > self.max_depth:
                self.max_depth = scan.highest
            self._level = scan.depth
        self._path.follow(events, self._level, scan.lowest, scan.built)
        self._path_bytes = self._path.kept_bytes()
        self._remember_last(data)
        if self._tap is not None and (events or not last):
            drop = self._tap.take(data, events)
            if drop is not None:
                self.drop = drop
                self.release()
        events.clear()

    def _one_document(self, depth: int) -> bool:
        """Whether the slice holds bytes of one array or object and nothing beside it, so that its brackets tell all."""
        events = self._events
        if not events or (depth == 0 and events[0][0] not in OPENING):
            return False
        ended = self._scan.ended
        return ended == 0 or (ended == 1 and self._scan.depth == 0 and events[-1][0] in CLOSING)

    def _remember_last(self, data: bytes) -> None:
        rest = data[-64:].rstrip() or data.rstrip()
        last = rest[-1:]
        if last == b'"' and self._events and self._events[-1][0] == "map_key":
            last = b"K"
        if last:
            self._last = last

    def _count_documents(self) -> int:
        """Walk the events of a slice in which a document begins or ends. How many keys are in it."""
        self._level, self.max_depth, documents, keys, self.top_level = count(self._events, self._level, self.max_depth, self.top_level)
        self.documents += documents
        return keys

    # --- how it ends

    def _refused(self, problem: Exception, place: Place, last: bytes = b"") -> None:
        """ijson raised at a slice: for the text (an error), or for a number that Python does not convert (a drop). last: of a text that ends there, the
        number that its end made an event of.
        """
        from ijson.common import JSONError

        events = self._events
        if isinstance(problem, SystemError):
            # the event that broke has no value: it must not be looked at
            del events[-1:]
        taken = len(events)
        self.events += taken
        self.keys += self._count_documents()
        self.keys += place.last == b"K"  # its colon is in this slice
        broken_text = isinstance(problem, UnicodeError) or isinstance(problem.__cause__ or problem.__context__, UnicodeError)
        if self._tap is not None:
            self._tap.take(place.data or last, events, broken=True)
        broken = self._locate(place, taken)
        self._path.follow_broken(events, built_of(place.data[: broken.offset]))
        if not isinstance(problem, JSONError) and not broken_text:
            self._give_up(DropReason.JSON_NUMBER_UNSUPPORTED, "", 0, f"in the {len(place.data)} bytes from offset {place.at} of the body")
            return
        begins = place.at + broken.start if broken.start >= 0 else self._document_start()
        self.error = self._error(*problem_of(place.data, broken, unicode=broken_text), place.at + broken.offset - begins)
        self.release()

    def _error(self, kind: JsonProblem, message: str, offset: int) -> JsonError:
        """An error in the document that is open, at that offset in it."""
        return JsonError(message, offset, innermost(self._path.path()), innermost(self._path.location()), self.documents, kind.value)

    @staticmethod
    def _locate(place: Place, events: int) -> Broken:
        return json_error_offset.error_offset(
            place.data,
            containers=place.containers,
            expect=place.expect(),
            events=events,
        )

    def _document_start(self) -> int:
        """Offset in the body of the document that is open."""
        begun = self._begun
        if not self.documents and begun.at == 0:
            return len(begun.data) - len(begun.data.lstrip(_BLANK))
        start = self._locate(begun, 1 << 62).start
        return begun.at + max(start, 0)

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody:
        """The body is over. whole: all of it came; gapped: bytes are missing in it. Gives all memory back."""
        data = b""
        if self.error is None and self.drop is None:
            tail = bytes(self._tail)
            self._tail.clear()
            if tail:
                self._slice(tail, self._outline.scan(tail))
        if self.error is None and self.drop is None and self._scan.depth and not self._pending_string:
            self._touching(self._scan.depth)
        if self.error is None and self.drop is None and self._pending:
            data = b"".join(self._pending)
            self._pending = []
            depth = self._scan.depth
            self._scan = Scan(depth, depth, depth, depth, 0, len(data), b"")
            self._parse(data, self._fed - len(data), depth, last=True)
        if self.error is None and self.drop is None:
            self._close(data, whole=whole)
        status = "complete" if whole else "gapped" if gapped else "truncated"
        if self.drop is not None:
            status = "dropped"
        elif self.error is not None and not self._cut:
            status = "invalid"
        self.release()
        reason = self.drop.reason.value if self.drop is not None else None
        return JsonBody(
            self.documents, self.events, self.keys, self.max_depth, self.top_level, self.bytes, status, error=self.error, drop_reason=reason
        )

    def _close(self, last: bytes, *, whole: bool) -> None:
        if whole:
            try:
                self._coroutine.close()
            except Exception as e:
                end = _NOWHERE._replace(at=self._fed)
                self._refused(e, end, json_error_offset.last_number(last))
                return
            self.events += len(self._events)
            self._count_documents()
            if self._tap is not None and self._events:
                self._tap.take(json_error_offset.last_number(last), self._events)
            if self._outline.in_string:
                # to yajl the text may end there, once a document is whole
                self.error = self._error(JsonProblem.ENDS, SENTENCES[JsonProblem.ENDS], self._fed - self._document_start())
        elif self._level or self._scan.scalar_bytes:
            self.keys += self._last == b"K"
            self.error = self._error(JsonProblem.CUT, SENTENCES[JsonProblem.CUT], self._fed - self._document_start())
            self._cut = True
