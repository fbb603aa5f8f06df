"""The forms in which JSON comes: documents in a row, lines, record-separated texts.

Contract: a `Text` takes a body's decoded bytes by `feed`, is told of missing bytes by `gap`, and says by `finish` what was in it.
None of them raises for what the bytes are, and none depends on how they were cut. `Whole` reads documents in a row and ends at
the first that breaks; `Separated` gives up a document that breaks and goes on behind the next separator, so a gap, a limit or
a bad line costs the documents it lies in. Invariant: what is kept is a slice and what a parser keeps, reserved in the `json` account.
"""

from __future__ import annotations

import re
from sys import getsizeof
from typing import Protocol

import msgspec

from pcapflow.budget import Account
from pcapflow.contents import JsonBody
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.payload.at_once import counted, events_at_once, top_level_with
from pcapflow.payload.json_counts import counts
from pcapflow.payload.json_kept import Parser, open_parser
from pcapflow.payload.json_outline import Outline
from pcapflow.payload.json_parser import JsonParser
from pcapflow.payload.tap import Tap

_EMPTY_BUFFER = getsizeof(bytearray())
NEW_LINE, NUL, RECORD_SEPARATOR = b"\n", b"\0", b"\x1e"


class Text(Protocol):
    """One body of JSON, in some form, or of another payload."""

    @property
    def drop(self) -> Drop | None:
        """Why it was given up."""
        ...

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        ...

    def gap(self) -> bool:
        """Bytes are missing here. Whether it goes on with what comes after them."""
        ...

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody | None:
        """whole: all of it came; gapped: bytes are missing. Gives all memory back. None for no JSON at all."""
        ...


class Whole:
    """Documents in a row. Where each stood on a line of its own, those behind a hole are read as lines."""

    __slots__ = ("_account", "_before", "_limits", "_lines", "_new_lines", "_parser", "_tap")

    def __init__(self, limits: Limits, account: Account, tap: Tap | None = None) -> None:
        self._limits, self._account, self._tap = limits, account, tap
        self._parser = open_parser(limits, account, tap)
        self._new_lines = 0
        self._before: JsonBody | None = None
        """What was found before the first hole."""
        self._lines: Separated | None = None
        """Reads what comes behind it."""

    @property
    def drop(self) -> Drop | None:
        return self._parser.drop or (self._lines.drop if self._lines is not None else None)

    def feed(self, data: bytes) -> None:
        if self._lines is not None:
            self._lines.feed(data)
        else:
            self._new_lines += data.count(NEW_LINE)
            self._parser.feed(data)

    def gap(self) -> bool:
        if self._lines is not None:
            return self._lines.gap()
        if self._before is None:
            before = self._before = self._parser.finish(whole=False, gapped=True)
            if before.documents and before.status == "gapped" and before.documents - 1 <= self._new_lines <= before.documents:
                self._lines = Separated(NEW_LINE, self._limits, self._account, self._tap)
                self._lines.gap()
        return self._lines is not None

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody:
        before = self._before
        if before is None:
            return self._parser.finish(whole=whole, gapped=gapped)
        if self._lines is None:
            return before
        after = self._lines.finish(whole=whole, gapped=gapped)
        # a line that is no text means that they are none of documents: what was found may lie within another
        return before if after.broken else _behind(before, after)


def _behind(before: JsonBody, after: JsonBody) -> JsonBody:
    """What two parts of a body hold, with a hole between them."""
    broken = int(before.error is not None)
    error = before.error
    if error is None and after.error is not None:
        error = msgspec.structs.replace(after.error, document=after.error.document + before.documents)
    top_level = before.top_level
    if after.top_level is not None:
        top_level = top_level_with(top_level, after.top_level)
    return msgspec.structs.replace(
        after, documents=before.documents + after.documents, events=before.events + after.events, keys=before.keys + after.keys,
        max_depth=max(before.max_depth, after.max_depth), top_level=top_level, bytes=before.bytes + after.bytes,
        broken=broken + after.broken, error=error,
    )  # fmt: skip


class Separated:
    """Texts with a separator between them, each a document or several in a row."""

    __slots__ = (
        "_account",
        "_as_lines",
        "_buffer",
        "_bytes",
        "_held",
        "_limits",
        "_long",
        "_separator",
        "_skipping",
        "_tap",
        "drop",
        "found",
        "tentative",
    )

    def __init__(self, separator: bytes, limits: Limits, account: Account, tap: Tap | None = None) -> None:
        self._separator = separator
        self._as_lines = None if separator == NEW_LINE else bytes.maketrans(separator + NEW_LINE, NEW_LINE + b"\t")
        """Makes a line of each text: in no string of JSON is a line feed or a tab."""
        self._limits = limits
        self._account = account
        self._tap = tap
        self._buffer = bytearray()
        self._long: Parser | None = None
        """Reads a text that is longer than a slice."""
        self._skipping = False
        """The text at hand is given up."""
        self.tentative = False
        """The text at hand begins behind a hole: it is one where it is whole, and else the rest of one that was lost."""
        self._held = 0
        self._bytes = 0
        self.drop: Drop | None = None
        self.found = JsonBody(0, 0, 0, 0, None, 0, "complete")

    def feed(self, data: bytes) -> None:
        self._bytes += len(data)
        separator, size = self._separator, self._limits.json_slice
        while data:
            if self._skipping or self._long is not None:
                end = data.find(separator)
                part = data if end < 0 else data[:end]
                if self._long is not None:
                    self._long.feed(part)
                    if end >= 0 or self._long.error is not None or self._long.drop is not None:
                        self._end_long(whole=end >= 0)
                        self._skipping = end < 0
                elif end >= 0:
                    self._skipping = False
                if end < 0:
                    return
                data = data[end + 1 :]
                continue
            room = size - len(self._buffer)
            self._buffer += data[:room]
            data = data[room:]
            if len(self._buffer) < size:
                break
            cut = self._buffer.rfind(separator)
            if cut >= 0:
                self._texts(bytes(self._buffer[:cut]))
                del self._buffer[: cut + 1]
            else:
                begin = bytes(self._buffer)
                self._buffer.clear()
                self._hold()
                if self.tentative:
                    self.tentative, self._skipping = False, True
                    continue
                self._long = open_parser(self._limits, self._account, self._tap)
                self._long.feed(begin)
                if self._long.error is not None or self._long.drop is not None:
                    self._end_long(whole=False)
                    self._skipping = True
        self._hold()

    def gap(self) -> bool:
        """The text at hand has a hole; reading goes on with the next, which may begin at once."""
        self._end(whole=False, gapped=True)
        if self.found.status == "complete":
            self.found.status = "gapped"
        self._skipping = False
        self.tentative = True
        return True

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody:
        self._end(whole=whole, gapped=False)
        found = self.found
        found.bytes = self._bytes
        if self.drop is not None:
            found.status, found.drop_reason = "dropped", self.drop.reason.value
        elif not whole and found.status == "complete":
            found.status = "gapped" if gapped else "truncated"
        return found

    def _hold(self) -> None:
        """Reserve what is kept until the next call."""
        # what it has allocated: cutting its beginning off gives none of that back
        allocated = getsizeof(self._buffer) - _EMPTY_BUFFER if self._buffer else 0
        more = allocated - self._held
        if more > 0 and not self._account.reserve(more):
            self._dropped(Drop(DropReason.JSON_MEMORY, *self._account.refusal(), f"{len(self._buffer)} bytes of texts"))
            self._buffer.clear()
            self._skipping = True
            more = -self._held
        if more < 0:
            self._account.release(-more)
        self._held += more

    def _dropped(self, drop: Drop) -> None:
        self.found.broken += 1
        if self.drop is None:
            self.drop = drop

    def _end(self, *, whole: bool, gapped: bool) -> None:
        """No more bytes of the text at hand come."""
        if self._long is not None:
            self._end_long(whole=whole, gapped=gapped)
            return
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._hold()
        if not whole:
            cut = rest.rfind(self._separator)
            if cut >= 0:
                self._texts(rest[:cut])
            rest = rest[cut + 1 :]
            if rest.strip() and not self._skipping and not self.tentative:
                self._long = JsonParser(self._limits, self._account, self._tap)
                self._long.feed(rest)
                self._end_long(whole=False, gapped=gapped)
        elif rest:
            self._texts(rest)

    def _end_long(self, *, whole: bool, gapped: bool = False) -> None:
        parser, self._long = self._long, None
        assert parser is not None
        body = parser.finish(whole=whole, gapped=gapped)
        if parser.drop is not None:
            self._add(body)
            self._dropped(parser.drop)
        elif body.status == "complete" or (body.documents and body.error is None):
            self._add(body)
        else:
            self._broke(body)

    def _texts(self, data: bytes) -> None:
        """Some whole texts: together where they are all good, else one by one."""
        if self.tentative:
            self.tentative = False
            first, more, data = data.partition(self._separator)
            if _stands_alone(first) and first.strip() and self._passes_no_limit(first):
                self._at_once(first)
            if not more:
                return
        if self._tap is None and self._counted(data.translate(self._as_lines), lines=True):
            return
        tries = _TRIES if self._limits.json_scalar_max_bytes >= self._limits.json_slice else 0
        waiting = [data.split(self._separator)]
        while waiting:
            texts = waiting.pop()
            if len(texts) > 1 and tries:
                tries -= 1
                if not self._together(texts):
                    # the one that is not good is in one of the halves
                    waiting += [texts[len(texts) // 2 :], texts[: len(texts) // 2]]
                continue
            for text in texts:
                if text and not text.isspace():
                    self._one(text)

    def _together(self, texts: list[bytes]) -> bool:
        """Parse texts in one go; False, with nothing changed, where they are not all good."""
        together = b"\n".join(texts)
        return (
            all(map(_stands_alone, texts)) and Outline().scan(together).highest <= self._limits.json_max_depth and self._at_once(together)
        )

    def _one(self, text: bytes) -> None:
        if self._passes_no_limit(text):
            if self._at_once(text):
                return
            if self.found.error is not None:
                # where it breaks is worked out for the first alone: it costs ten times what the parsing does
                self.found.broken += 1
                return
        self._long = JsonParser(self._limits, self._account, self._tap)
        self._long.feed(text)
        self._end_long(whole=True)

    def _at_once(self, text: bytes) -> bool:
        """Parse a text in one go; False, with nothing changed, where it is not valid."""
        if self._tap is None and self._counted(text):
            return True
        events = events_at_once(text)
        if events is None:
            return False
        drop = None
        if self._tap is not None:
            self._tap.begin()
            drop = self._tap.take(text, events)
        self._add(counted(events, len(text)))
        if drop is not None:
            self._dropped(drop)
        return True

    def _counted(self, text: bytes, *, lines: bool = False) -> bool:
        """The same without events, which nobody wants."""
        found = counts(text, self._limits, lines=lines)
        if found is not None:
            self._add(found)
        return found is not None

    def _passes_no_limit(self, text: bytes) -> bool:
        """Whether a text of at most a slice may be parsed in one go."""
        limits = self._limits
        if limits.json_scalar_max_bytes < len(text):
            return False
        return limits.json_max_depth >= len(text) or Outline().scan(text).highest <= limits.json_max_depth

    def _add(self, body: JsonBody) -> None:
        found = self.found
        found.documents += body.documents
        found.events += body.events
        found.keys += body.keys
        found.max_depth = max(found.max_depth, body.max_depth)
        if body.top_level is not None:
            found.top_level = top_level_with(found.top_level, body.top_level)

    def _broke(self, body: JsonBody) -> None:
        """A text that could not be read to its end."""
        found = self.found
        if found.error is None and body.error is not None:
            found.error = msgspec.structs.replace(body.error, document=found.documents + found.broken + body.documents)
        self._add(body)
        found.broken += 1
        if found.status == "complete" and body.status == "invalid":
            found.status = "invalid"


_TRIES = 24
"""Times that some texts of a slice are parsed in one go: enough to find one that is not good among thousands, and few beside as many that are not."""
_SCALAR = re.compile(rb'-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false|null|"[^"\\\x00-\x1f]*+"')


def _stands_alone(text: bytes) -> bool:
    """Whether a text begins and ends as an array or object does, is a plain scalar, or is blank: where one such follows another, no container goes on."""
    text = text.strip()
    return not text or (text[0] in b"{[" and text[-1] in b"}]") or _SCALAR.fullmatch(text) is not None
