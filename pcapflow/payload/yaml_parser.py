"""YAML parsed as its bytes arrive, in fixed memory: libyaml's events, pushed.

Contract: `feed` takes the next bytes of a stream of UTF-8, `finish` says that no more come; what is found is added to a `YamlBody`. Neither raises for what the bytes are. libyaml
pulls its input, so its parser runs in a greenlet of its own, which waits where more bytes are needed (YAML 1.2.2 sections 5 to 9, as far as libyaml has them; PyYAML's `CParser`). Events are counted and
forgotten: nothing is constructed, and an alias stays one event, whatever it stands for.

Invariant: libyaml gets slices that begin at fixed offsets of the stream, and no more of them once a scalar, a collection or the directives before a document pass their limits, so what is
found does not depend on how the bytes were cut. What libyaml may hold at its worst for the bytes that it was given since its last event is reserved in the account first.
"""

from __future__ import annotations

import re
from typing import Any

from pcapflow.budget import Account
from pcapflow.contents import YamlBody, YamlError
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.paths import Step, show_path
from pcapflow.payload.path import innermost
from pcapflow.payload.tap import Tap
from pcapflow.payload.yaml_library import tools
from pcapflow.payload.yaml_tokens import Tokens

PARSER_BYTES = 40 << 10
"""Of a parser: a greenlet with its stack, and libyaml's buffers (tests/payload/test_yaml.py measures it)."""
LEVEL_BYTES = 320
"""Of an open collection: libyaml's states and keys that may be simple, a row of the stack here and of each tap's (`deep_yaml` of tests/attacks.py holds the resident peak to it)."""
_PER_BYTE = 7
"""A byte of a scalar may take two in a buffer that doubled, one in the token, and four in Python's text."""
SLICE = 4 << 10
DIRECTIVES = 64
"""`%` lines before a document: libyaml keeps them, and compares each with all."""
_KEY_CHARS = 64
_LONG = 256
"""Characters of a scalar, beyond which only the beginning is kept."""
_PERCENT = re.compile(rb"(?:\A|(?<=[\r\n])|(?<=\xc2\x85)|(?<=\xe2\x80[\xa8\xa9]))%")
_LINE_END = re.compile(rb"[\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9]")
_TOO_DEEP = "exceeded maximum nesting depth"
"""What libyaml says at 1,000 levels: its scanner looks a line ahead of the events that are counted here."""
_CONTROLS = bytes({*range(32), 127} - {9, 10, 13})
_CONTROL = re.compile(b"[" + re.escape(_CONTROLS) + b"]")


class _Stop(Exception):
    """Nothing more is read."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(drop)
        self.drop = drop


class YamlParser:
    """One stream of YAML."""

    __slots__ = (
        "_account", "_before", "_children", "_current", "_directive_bytes", "_directives", "_ended", "_first", "_greenlet", "_held", "_in_map", "_last", "_last_read", "_limits", "_lines",
        "_make", "_since", "_slice", "_slice_at", "_stack", "_tail", "_tokens", "_yaml", "drop", "found", "in_document",
    )  # fmt: skip

    def __init__(self, found: YamlBody, limits: Limits, account: Account, tap: Tap | None = None) -> None:
        """found: what is found is added to it."""
        self.found = found
        self.drop: Drop | None = None
        self._limits = limits
        self._account = account
        self._tokens = Tokens(tap) if tap is not None else None
        self._held = 0
        self._tail = b""
        """A slice begun."""
        self._slice = b""
        """The last that libyaml got, and its offset."""
        self._slice_at = 0
        self._first = b""
        """The first, until libyaml asks."""
        self._lines = (0, 0)
        """Lines before it, and characters of the line that it continues, as far as they are known."""
        self._since = 0
        """Bytes that libyaml was given since its last event, about: whole slices."""
        self._directives = self._directive_bytes = 0
        """Before the document at hand, which keeps them."""
        self._ended = False
        self.in_document = False
        """A document has begun and is not over."""
        # where it is: of the innermost open collection, whether it is a mapping, its nodes so far, and the last two events in it, or the texts of keys
        self._in_map = False
        self._children = 0
        self._last: Any = None
        self._before: Any = None
        self._last_read: Any = None
        """The last event when libyaml last asked for more."""
        self._stack: list[tuple[bool, int, str]] = []
        """The same of those around it, with the key at hand where a path may name it."""
        self._greenlet: Any = None
        available = tools()
        assert available is not None
        self._yaml, self._make, greenlet, self._current = available
        if self._hold(PARSER_BYTES):
            self._greenlet = greenlet(self._run)

    # --- bytes in

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        if self._tail:
            data = self._tail + data
        end = len(data) - len(data) % SLICE
        for at in range(0, end, SLICE):
            self._give(data[at : at + SLICE])
        self._tail = data[end:] if self._greenlet is not None else b""

    def finish(self, *, whole: bool) -> None:
        """No more bytes come; whole: those were all. Gives all memory back."""
        tail, self._tail = self._tail, b""
        if tail:
            self._give(tail)
        if whole and self._greenlet is not None:
            self._ended = True
            self._switch(b"")
        self.close()

    def close(self) -> None:
        """Give all memory back."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None and greenlet:
            greenlet.throw()  # GreenletExit, which unwinds libyaml
        if self._tokens is not None:
            self._tokens.clear()
        self._count_open()
        self._tail = self._slice = self._first = b""
        self._last = self._before = self._last_read = None
        self._stack.clear()
        self._account.release(self._held)
        self._held = 0

    def _give(self, data: bytes) -> None:
        """A slice for libyaml."""
        if self._greenlet is None:
            return
        limits = self._limits
        if self._last is not self._last_read:
            self._last_read, self._since = self._last, 0
        if self._since > limits.yaml_scalar_max_bytes:
            self._give_up(
                Drop(
                    DropReason.YAML_SCALAR_TOO_LARGE, "yaml_scalar_max_bytes", limits.yaml_scalar_max_bytes, "a scalar, a comment or blanks"
                )
            )
            return
        at = 0
        for line in [*_PERCENT.finditer(data)] if b"%" in data else ():
            # a line that begins so may be a directive: libyaml says where it stands when it has what comes before
            if line.start() > at and not self._take(data[at : line.start()]):
                return
            at = line.start()
            if self.in_document:
                self._directives = self._directive_bytes = 0
                continue
            self._directives += 1
            end = _LINE_END.search(data, at)
            self._directive_bytes += (end.start() if end is not None else len(data)) - at
            if self._directives > DIRECTIVES:
                self._give_up(Drop(DropReason.YAML_TOO_MANY_DIRECTIVES, "", 0, f"more than {DIRECTIVES} lines that begin with %"))
                return
        self._take(data[at:])

    def _take(self, data: bytes) -> bool:
        """Some of a slice; whether it goes on."""
        self._since += len(data)
        if not self._hold(self._worst()):
            return False
        good = _good(data)
        if 0 < good < len(data):
            self._switch(data[:good])  # so that what is before a byte that libyaml refuses is read before it does
            data = data[good:]
        if self._greenlet is not None:
            self._switch(data)
        if self._greenlet is not None:
            self._hold(self._worst())  # it may be hundreds of levels deeper, and stay so
        return self._greenlet is not None

    def _worst(self) -> int:
        """Bytes that it holds at the most before it has more."""
        return PARSER_BYTES + _PER_BYTE * (self._since + self._directive_bytes) + LEVEL_BYTES * len(self._stack)

    def _hold(self, n: int) -> bool:
        """Reserve what is kept; whether there was room."""
        if n > self._held:
            if not self._account.reserve(n - self._held):
                self._give_up(Drop(DropReason.JSON_MEMORY, *self._account.refusal(), f"a parser that holds {n} bytes"))
                return False
        else:
            self._account.release(self._held - n)
        self._held = n
        return True

    def _give_up(self, drop: Drop) -> None:
        self.drop = drop
        self.close()

    def _switch(self, data: bytes) -> None:
        """Let libyaml go on."""
        greenlet = self._greenlet
        greenlet.parent = self._current()
        greenlet.switch(data)
        if greenlet.dead:
            self.close()

    # --- in the greenlet

    def read(self, _size: int) -> bytes:
        """What libyaml calls for more bytes; empty at the end."""
        first, self._first = self._first, b""
        if first:
            return first
        if self._slice:
            lines, begun = self._lines
            more = self._slice.count(b"\n")
            self._lines = (lines + more, len(self._slice) - self._slice.rfind(b"\n") - 1 if more else begun + len(self._slice))
            self._slice_at += len(self._slice)
            self._slice = b""
        if self._ended:
            return b""
        if self._tokens is not None:
            self._flush()
        self._last, self._before = self._shortened(self._last), self._shortened(self._before)
        data: bytes = self._greenlet.parent.switch()
        self._slice = data
        return data

    def _shortened(self, event: Any) -> Any:
        """An event without the texts that nobody needs any more: a scalar's may be a megabyte."""
        value = getattr(event, "value", None)
        if value is None:
            return event
        if len(value) + len(event.tag or "") + len(event.anchor or "") <= _LONG:
            return event
        return self._yaml.ScalarEvent(None, None, (True, False), value[:_KEY_CHARS])

    def _run(self, data: bytes) -> None:
        """It begins, with the first slice."""
        yaml = self._yaml
        self._slice = self._first = data
        try:
            self._follow(self._make(self), yaml)
            if self._tokens is not None:
                self._flush()
        except _Stop as e:
            self.drop = e.drop
        except yaml.YAMLError as e:
            if self._tokens is not None:
                self._tokens.flush()
            if getattr(e, "problem", "") == _TOO_DEEP:
                self.drop = Drop(DropReason.YAML_TOO_DEEP, "yaml_max_depth", self._limits.yaml_max_depth, f"line {e.problem_mark.line + 1}")
            else:
                self.found.error = self._error(e)
        except UnicodeDecodeError:  # of a tag whose escapes are no text, which libyaml lets pass
            last = getattr(self._last, "end_mark", None)
            line, column = (last.line + 1, last.column + 1) if last is not None else (1, 1)
            path, location = (innermost(show_path(self._steps(positions=positions))) for positions in (False, True))
            self.found.error = YamlError("a tag has escapes that are not UTF-8", line, column, path, location, self.found.documents)
        except MemoryError:
            self.drop = Drop(DropReason.JSON_MEMORY, "process_limit", 0, "a parser of YAML")

    def _flush(self) -> None:
        """Hand on the tokens."""
        assert self._tokens is not None
        drop = self._tokens.flush()
        if drop is not None:
            raise _Stop(drop)

    def _follow(self, parser: Any, yaml: Any) -> None:
        """Count events as they come. The loop costs less than a third of what libyaml and its events do."""
        scalar, sequence, mapping, document = yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent, yaml.DocumentStartEvent
        ends, ended, alias, over = (
            (yaml.SequenceEndEvent, yaml.MappingEndEvent),
            yaml.DocumentEndEvent,
            yaml.AliasEvent,
            yaml.StreamEndEvent,
        )
        found, deepest, named, stack = self.found, self._limits.yaml_max_depth, self._limits.json_path_max_depth, self._stack
        events = iter(parser.get_event, None)
        for event in events if self._tokens is None else map(self._tokens.take, events):
            kind = type(event)
            if kind is scalar:
                self._children += 1
                self._before, self._last = self._last, event
            elif kind is mapping or kind is sequence:
                key = "?" if not self._children & 1 else self._key() if len(stack) <= named else ""  # no path is longer
                self._children += 1
                stack.append((self._in_map, self._children, key))
                if len(stack) > found.max_depth:
                    found.max_depth = len(stack)
                    if len(stack) > deepest:
                        raise _Stop(Drop(DropReason.YAML_TOO_DEEP, "yaml_max_depth", deepest, f"line {event.start_mark.line + 1}"))
                self._in_map, self._children, self._before, self._last = kind is mapping, 0, None, event
            elif kind in ends:
                found.events += self._children + 1
                found.keys += self._children >> 1 if self._in_map else 0
                self._in_map, self._children, self._before = stack.pop()
                self._last = event
            elif kind is alias:
                found.aliases += 1
                self._children += 1
                self._before, self._last = self._last, event
            elif kind is document:
                self.in_document, self._in_map, self._children, self._last = True, False, 0, event
            elif kind is ended:
                found.events += self._children + 2
                self.in_document = False
                self._directives = self._directive_bytes = 0
                self._document(scalar, alias, yaml.MappingEndEvent)
                self._last = event
            elif kind is over:
                return
            else:
                self._last = event

    def _document(self, scalar: Any, alias: Any, mapping_end: Any) -> None:
        """A document is over."""
        kind = type(self._last)
        top = "mapping" if kind is mapping_end else "scalar" if kind is scalar else "alias" if kind is alias else "sequence"
        found = self.found
        found.documents += 1
        found.top_level = top if found.top_level in (None, top) else "mixed"

    def _count_open(self) -> None:
        """Count what is in collections that did not end."""
        if self.in_document and self._children >= 0:
            found = self.found
            found.events += 1 + self._children + sum(children for _, children, _ in self._stack)
            found.keys += sum((children + 1) >> 1 for in_map, children, _ in [*self._stack, (self._in_map, self._children, "")] if in_map)
            self._in_map, self._children = False, -1

    # --- where it is

    def _key(self) -> str:
        """The key at hand in the innermost collection; empty in a sequence. A key that is a collection itself is `?`."""
        if not self._in_map:
            return ""
        return _text(self._last if self._children & 1 else self._before)

    def _steps(self, *, positions: bool) -> list[Step]:
        """The path to where it is."""
        steps: list[Step] = []
        for in_map, children, key in [*self._stack[1:], (self._in_map, self._children, self._key())] if self._stack else ():
            if in_map and children:
                steps.append(key)
            elif not in_map:
                steps.append(max(0, children - 1) if positions else None)
        return steps[: self._limits.json_path_max_depth]

    def _error(self, problem: Any) -> YamlError:
        """What libyaml raised."""
        mark = getattr(problem, "problem_mark", None)
        if mark is not None:
            words = [getattr(problem, "context", None), problem.problem]
            message = ": ".join([word for word in words if word])
            line, column = mark.line + 1, mark.column + 1
        else:  # a byte that no text of YAML has: libyaml tells its offset alone
            message = str(problem.reason)
            line, column = self._place(problem.position)
        path = innermost(show_path(self._steps(positions=False)))
        return YamlError(message, line, column, path, innermost(show_path(self._steps(positions=True))), self.found.documents)

    def _place(self, offset: int) -> tuple[int, int]:
        """The line and column of a byte of the last slice."""
        lines, begun = self._lines
        before = self._slice[: max(0, offset - self._slice_at)]
        more = before.count(b"\n")
        if more:
            begun, before = 0, before[before.rfind(b"\n") + 1 :]
        return lines + more + 1, begun + len(before.decode("utf-8", "replace")) + 1


def _good(data: bytes) -> int:
    """Bytes before the first that no text of YAML has (YAML 1.2.2 section 5.1), as far as it is easily told; all of them where there is none."""
    try:
        data.decode()
        good = len(data)
    except UnicodeDecodeError as e:
        good = e.start
    if len(data.translate(None, _CONTROLS)) < len(data):
        found = _CONTROL.search(data, 0, good)
        good = found.start() if found is not None else good
    return good


def _text(event: Any) -> str:
    """What an event says as a key."""
    if isinstance(event, str):
        return event
    value = getattr(event, "value", None)
    if value is not None:
        return str(value[:_KEY_CHARS])
    anchor = getattr(event, "anchor", None)
    return f"*{anchor}"[:_KEY_CHARS] if anchor is not None and not hasattr(event, "tag") else "?"
