"""A multipart body as its bytes arrive (RFC 2046 section 5.1, RFC 7578): each part a payload of its own.

Contract: a `PayloadReader`. Parts are counted, the first LISTED named; the content of the first `parts_max` is read by what its Content-Type says, that of a part without one where it begins as JSON does. Lines may end with LF alone, as some
senders have it. Behind a hole the part at hand goes on, and then the next boundary. Invariant: kept are as many bytes as a boundary line may have, a part's head of at most
`multipart_head_max_bytes`, and what is listed, reserved in the account; no content is kept; time is linear in the bytes.
"""

from __future__ import annotations

import binascii
import re
from sys import getsizeof
from urllib.parse import unquote

from pcapflow.contents import JsonBody, MultipartBody, MultipartError, Part
from pcapflow.counting import Inner
from pcapflow.drops import Drop, DropReason
from pcapflow.payload.payload_types import Opening, PartReader

LISTED = 32
"""Parts that are listed."""
_NAME_CHARS = 200
_MOST_BOUNDARY = 256
"""Characters; RFC 2046 lets it have 70."""
_PADDING = 64
"""Blanks behind a boundary that still are a part of its line."""
_OWN_BYTES = 1600
_PART_BYTES = 350
_HELD_BYTES = 1000
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
_PARAMETER = re.compile(r';\s*(name|filename|filename\*)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^;\s]*+))', re.IGNORECASE)
_FOLD = re.compile(r"\r?\n[ \t]+")
_BLANK = re.compile(rb"\r?\n\r?\n")
_BLANK_BYTES = 4
_NO_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_NOTHING = re.compile(rb"\r?\n")
_OUTSIDE, _HEAD, _CONTENT = range(3)


class Multipart:
    """One body."""

    __slots__ = (
        "_at_start",
        "_base64",
        "_buffer",
        "_bytes",
        "_closed",
        "_coded",
        "_failed",
        "_held",
        "_kept",
        "_mark",
        "_opening",
        "_own",
        "_part",
        "_reader",
        "_replaces",
        "_searched",
        "_state",
        "_triple",
        "drop",
        "error",
        "files",
        "inner",
        "listed",
        "parts",
    )  # fmt: skip

    def __init__(self, content_type: str, opening: Opening) -> None:
        self._opening = opening
        self.inner = Inner()
        """Counts of what was in parts."""
        self.listed: list[Part] = []
        self.parts = self.files = self._own = 0
        """All parts, those with a file name, and those that are in no other part."""
        self.error: str = ""
        self.drop: Drop | None = None
        self._bytes = 0
        self._state = _OUTSIDE
        self._buffer = b""
        self._searched = 0
        """Of a head's beginning that is kept the bytes in which no end begins."""
        self._at_start = True
        """The buffer begins a line."""
        self._closed = False
        self._part: Part | None = None
        self._reader: PartReader | None = None
        self._base64 = self._coded = False
        """Its content is base64; that is over."""
        self._triple = b""
        """Characters of base64 that are not four yet."""
        found = _BOUNDARY.search(content_type)
        boundary = (found[1] or found[2] or "").rstrip() if found is not None else ""
        self._mark = b"--" + boundary.encode("utf-8", "replace")[:_MOST_BOUNDARY]
        self._replaces = content_type.lower().startswith("multipart/x-mixed-replace")
        """It goes on until somebody ends it."""
        if not boundary:
            self.error = "the Content-Type names no boundary"
        self._held = self._kept = 0
        """Bytes that are reserved, and of these for the beginning of a head."""
        self._failed = not self._reserve(_OWN_BYTES)
        """Nothing more is read."""
        if self._failed:
            self.drop = Drop(DropReason.JSON_MEMORY, *opening.account.refusal(), "a reader of multipart bodies")

    def feed(self, data: bytes) -> None:
        """See `PayloadReader`."""
        self._bytes += len(data)
        if self._reads:
            self._read(self._buffer + data, final=False)

    @property
    def _reads(self) -> bool:
        return not (self.error or self._closed or self._failed)

    def gap(self) -> bool:
        """See `PayloadReader`."""
        if self._reads:
            if self._state == _HEAD:
                self._begin_part("")  # nothing is known of it
            elif self._state == _CONTENT:
                self._give(self._buffer)
            if self._part is not None:
                self._part.status = "gapped"
            if self._reader is not None:
                self._reader.gap(0)
            self._buffer, self._searched, self._at_start = b"", 0, False
        return True

    def finish(self, *, whole: bool, gapped: bool) -> MultipartBody | None:
        """See `PayloadReader`."""
        if self._reads:
            self._read(self._buffer, final=True)
        if self._state == _HEAD and self._reads:
            self._begin_part("")
        if self._part is not None:
            if self._part.status == "complete" and not self._replaces:
                self._part.status = "truncated"
            self._end_part(whole=False)
        if whole and not gapped and not self.error and not self._closed and self.drop is None and not self._replaces:
            self.error = "the last boundary line is missing" if self.parts else "no boundary line was found"
        status = "complete" if whole and not gapped else "gapped" if gapped else "truncated"
        error = None
        if self.error:
            status, error = "invalid", MultipartError(self.error, self.parts)
        if self.drop is not None:
            status = "dropped"
        self._opening.account.release(self._held)
        self._held = 0
        reason = self.drop.reason.value if self.drop is not None else None
        return MultipartBody(self.parts, self.files, self._bytes, status, self.listed, error, reason)

    def _reserve(self, n: int) -> bool:
        if not self._opening.account.reserve(n):
            return False
        self._held += n
        return True

    # --- lines

    def _read(self, data: bytes, *, final: bool) -> None:
        """Take what can be told of the bytes at hand; what cannot stays."""
        at = 0
        while not self._closed:
            if self._state == _HEAD:
                end = self._head(data, at)
                if end < 0:
                    break
                at = end
                continue
            begin, end, closes = self._boundary(data, at, final=final)
            if self._state == _CONTENT:
                self._give(data[at : max(at, begin - _line_end_before(data, begin, at) if end else begin)])
            if not end:
                at = begin
                break
            self._end_part(whole=True)
            self._state, self._closed, at = _HEAD, closes, end
        self._buffer = b"" if self._closed else data[at:]
        if at:
            self._at_start = data[at - 1 : at] == b"\n"
        more = len(self._buffer) - self._kept
        if more > 0 and not self._reserve(more):
            self._failed, self._buffer = True, b""
            self.drop = self.drop or Drop(DropReason.JSON_MEMORY, *self._opening.account.refusal(), "the head of a part")
        elif more > 0:
            self._kept += more
        if self._state == _HEAD and len(self._buffer) > self._opening.limits.multipart_head_max_bytes + _BLANK_BYTES and not self._failed:
            most = self._opening.limits.multipart_head_max_bytes
            self._failed = True
            self.drop = Drop(DropReason.MULTIPART_HEAD_TOO_LARGE, "multipart_head_max_bytes", most, f"of part {self.parts + 1}")
            self._buffer = b""

    def _boundary(self, data: bytes, at: int, *, final: bool) -> tuple[int, int, bool]:
        """Where the next boundary line begins and ends, and whether it is the last one; the end is 0 where none is there, and the beginning then tells up to where all is known."""
        mark, start = self._mark, at
        while True:
            begin = data.find(mark, start)
            if begin < 0:
                break
            if data[begin - 1 : begin] == b"\n" if begin else self._at_start:
                found = _line_behind(data, begin + len(mark), final=final)
                if found is None:
                    return max(at, begin - 2), 0, False
                if found[0]:
                    return begin, found[0], found[1]
            start = begin + 1
        return (len(data) if final else max(at, len(data) - len(mark) - 2)), 0, False

    def _head(self, data: bytes, at: int) -> int:
        """A part's head; where its content begins, -1 where more is needed."""
        most = self._opening.limits.multipart_head_max_bytes
        none = _NOTHING.match(data, at)
        # what was looked at before is not again; an end may begin in its last bytes
        start = at + max(0, self._searched - len(self._mark) - _BLANK_BYTES)
        line = data.find(b"\n" + self._mark, start, at + most)
        blank = _BLANK.search(data, start, line + 1 if line >= 0 else at + most + _BLANK_BYTES) if none is None else None
        if data.startswith(self._mark, at):
            ends = begins = at  # a part of nothing at all
        elif none is not None:
            ends, begins = none.span()
        elif blank is not None:
            ends, begins = blank.span()
        else:
            ends, begins = line, line + 1  # a part that is a head alone
        self._searched = len(data) - at if ends < 0 else 0
        if ends < 0:
            return -1
        self._begin_part(data[at:ends].decode("utf-8", "replace"))
        self._at_start = True
        return begins

    # --- parts

    def _begin_part(self, head: str) -> None:
        self.parts += 1
        self._own += 1
        self._state = _CONTENT
        if self._own > self._opening.limits.parts_max and len(self.listed) >= LISTED:
            self.files += "filename" in head
            return
        fields = {}
        for line in _FOLD.sub(" ", head).split("\n"):
            name, colon, value = line.partition(":")
            if colon:
                fields[name.strip().lower()] = value.strip()
        named = {
            match[1].lower(): match[2] if match[2] is not None else match[3]
            for match in _PARAMETER.finditer(fields.get("content-disposition", ""))
        }
        filename = named.get("filename")
        if "filename*" in named:
            filename = unquote(named["filename*"].rpartition("'")[2])
        content_type = fields.get("content-type")
        self.files += filename is not None
        self._part = Part(str(self._own), _short(named.get("name")), _short(filename), _short(content_type), 0, "complete")
        encoding = fields.get("content-transfer-encoding", "").lower()
        self._base64, self._triple, self._coded = encoding == "base64", b"", False
        if self._own <= self._opening.limits.parts_max and encoding != "quoted-printable":
            coding = fields.get("content-encoding", "").lower()
            codings = (coding,) if coding and coding != "identity" else ()
            self._reader = self._opening.part(content_type or "", codings, counts_alone=len(self.listed) >= LISTED)

    def _give(self, data: bytes) -> None:
        """The next bytes of the part's content."""
        part = self._part
        if not data or part is None:
            return
        part.bytes += len(data)
        if self._reader is None or self._coded:
            return
        if self._base64:
            data = self._triple + data.translate(None, _NO_BASE64)
            end = data.find(b"=")
            if end >= 0:
                self._base64_ends(data[:end])
                return
            whole = len(data) - len(data) % 4
            data, self._triple = binascii.a2b_base64(data[:whole]), data[whole:]
        self._reader.feed(data)

    def _base64_ends(self, rest: bytes) -> None:
        """What is behind padding is nothing (RFC 2045 section 6.8)."""
        assert self._reader is not None
        rest = rest[: len(rest) - (len(rest) % 4 == 1)]  # one character alone is no byte
        self._reader.feed(binascii.a2b_base64(rest + b"=" * (-len(rest) % 4)))
        self._base64, self._triple, self._coded = False, b"", True

    def _end_part(self, *, whole: bool) -> None:
        """A part is over."""
        if self._base64 and self._triple and self._reader is not None:
            self._base64_ends(self._triple)
        part, self._part = self._part, None
        reader, self._reader = self._reader, None
        if part is None:
            return
        within: list[Part] = []
        if reader is not None:
            reader.finish(whole=whole and part.status == "complete")
            if reader.drop is not None:
                part.status = "dropped"
                self.drop = self.drop or reader.drop
            found = reader.found
            self.inner.count(found)
            if reader.inner is not None:
                self.inner.add(reader.inner)
            if isinstance(found, MultipartBody):
                within = found.listed
                self.parts += found.parts
                self.files += found.files
            elif isinstance(found, JsonBody):
                part.json = found
            else:
                part.payload = found
        self._list(part)
        for one in within:
            one.number = f"{part.number}.{one.number}"
            self._list(one)

    def _list(self, part: Part) -> None:
        if len(self.listed) < LISTED:
            texts = sum(getsizeof(text) for text in (part.name, part.filename, part.content_type) if text is not None)
            if self._reserve(_PART_BYTES + texts + (_HELD_BYTES if part.json is not None or part.payload is not None else 0)):
                self.listed.append(part)


def _line_end_before(data: bytes, begin: int, at: int) -> int:
    """Bytes of the line end before a boundary, which is a part of it."""
    return 2 if data[max(at, begin - 2) : begin] == b"\r\n" else 1 if data[max(at, begin - 1) : begin] == b"\n" else 0


def _line_behind(data: bytes, at: int, *, final: bool) -> tuple[int, bool] | None:
    """Where a boundary line ends whose mark ends at that place, and whether it is the last one; 0 where it is none, None where more is needed."""
    closes = data.startswith(b"--", at)
    if closes:
        return at + 2, True
    behind = data[at : at + _PADDING + 2]
    rest = behind.lstrip(b" \t")
    if rest.startswith((b"\n", b"\r\n")):
        return data.index(b"\n", at) + 1, False
    if not final and (rest in (b"", b"\r", b"-") and len(behind) <= _PADDING):
        return None
    return 0, False


def _short(text: str | None) -> str | None:
    return text[:_NAME_CHARS] if text is not None else None
