"""A form, `application/x-www-form-urlencoded`, as its bytes arrive (WHATWG URL section 5.1).

Contract: a `PayloadReader`. Fields are counted and the first LISTED named; the values of the first `parts_max` are looked into where they begin as JSON does. Behind a hole reading goes on at the next `&`. Nothing is invalid:
any bytes are a form. Invariant: kept are the beginning of one field, and what is listed, reserved in the account; time is linear in the bytes.
"""

from __future__ import annotations

from sys import getsizeof
from urllib.parse import unquote_to_bytes

from pcapflow.contents import FormBody, FormField, JsonBody
from pcapflow.counting import Inner
from pcapflow.drops import Drop, DropReason
from pcapflow.payload.at_once import has_no_document
from pcapflow.payload.payload_types import Opening, PartReader

LISTED = 32
"""Fields that are named."""
NAME_CHARS = 100
_SHORT = 1 << 10
"""Bytes of a field that is kept until it is whole; of a longer one the value passes through."""
_FORM_BYTES = 2 * _SHORT + 600
_FIELD_BYTES = 250
_JSON_BYTES = 1000
_BEGINS = 32
"""Decoded bytes that tell whether a value begins as JSON does."""


class Form:
    """One body."""

    __slots__ = (
        "_begin",
        "_failed",
        "_fields",
        "_held",
        "_looked_at",
        "_looks",
        "_name",
        "_opening",
        "_part",
        "_percent",
        "_rest",
        "_size",
        "_skips",
        "_total",
        "drop",
        "inner",
        "listed",
    )

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self.inner = Inner()
        """Counts of what was in fields."""
        self.listed: list[FormField] = []
        self.drop: Drop | None = None
        self._total = self._fields = self._looked_at = 0
        self._rest = b""
        """A field begun."""
        self._name: bytes | None = None
        """Of a long field, whose value passes through."""
        self._size = 0
        """Of its value, decoded."""
        self._begin: bytes | None = b""
        """The first bytes of its value, until they tell what it is; None while its name goes on."""
        self._looks = False
        self._percent = b""
        """The beginning of an escape."""
        self._part: PartReader | None = None
        self._skips = False
        """Behind a hole, until the next field."""
        self._held = 0
        self._failed = not self._reserve(_FORM_BYTES)
        """There was no memory for it."""
        if self._failed:
            self.drop = Drop(DropReason.JSON_MEMORY, *opening.account.refusal(), "a reader of forms")

    def feed(self, data: bytes) -> None:
        """See `PayloadReader`."""
        self._total += len(data)
        if self._failed:
            return
        if self._skips or self._name is not None:
            end = data.find(b"&")
            if not self._skips:
                self._value(data if end < 0 else data[:end])
            if end < 0:
                return
            self._end_long()
            self._skips, data = False, data[end + 1 :]
        fields = (self._rest + data).split(b"&")
        rest = fields.pop()
        self._whole(fields)
        if len(rest) > _SHORT:
            self._begin_long(rest)
            rest = b""
        self._rest = rest

    def gap(self) -> bool:
        """See `PayloadReader`."""
        if not self._failed:
            rest, self._rest, self._skips = self._rest, b"", True
            if b"=" in rest:
                self._begin_long(rest)
            else:  # nobody knows its name
                self._fields += bool(rest)
            if self._name is not None:
                if self._looks and self._begin is not None:
                    self._look()
                if self._part is not None:
                    self._part.gap(0)
                self._end_long()
        return True

    def finish(self, *, whole: bool, gapped: bool) -> FormBody | None:
        """See `PayloadReader`."""
        if self._rest:
            self._whole([self._rest])
        self._end_long(whole=whole)
        self._opening.account.release(self._held)
        self._held = 0
        status = "dropped" if self.drop is not None else "complete" if whole and not gapped else "gapped" if gapped else "truncated"
        return FormBody(self._fields, self._total, status, self.listed, self.drop.reason.value if self.drop is not None else None)

    def _reserve(self, n: int) -> bool:
        if not self._opening.account.reserve(n):
            return False
        self._held += n
        return True

    # --- fields

    def _whole(self, fields: list[bytes]) -> None:
        """Some that are whole."""
        most = self._opening.limits.parts_max
        for i, field in enumerate(fields):
            if self._looked_at >= most:
                self._fields += sum(map(bool, fields[i:]))
                return
            if field:
                self._looked_at += 1
                self._fields += 1
                name, _, value = field.partition(b"=")
                decoded = unquote_to_bytes(value.replace(b"+", b" "))
                part = self._open(decoded, whole=True)
                if part is not None:
                    part.feed(decoded)
                self._over(name, len(decoded), part, whole=True)

    def _open(self, begin: bytes, *, whole: bool = False) -> PartReader | None:
        """What reads a value that begins so; None for nobody. whole: it is all of the value, and one that breaks is found to be nothing: ijson need not tell where."""
        if begin[:_BEGINS].lstrip()[:1] not in (b"{", b"[") or (
            whole and self._opening.tap is None and has_no_document(begin, self._opening.limits)
        ):
            return None
        return self._opening.part("", (), counts_alone=len(self.listed) >= LISTED)

    def _begin_long(self, begun: bytes) -> None:
        """One that is too long to be kept."""
        self._fields += 1
        self._name, equals, value = begun.partition(b"=")
        self._name, self._size, self._percent = self._name[: 4 * NAME_CHARS], 0, b""
        self._begin = b"" if equals else None
        self._looks = self._looked_at < self._opening.limits.parts_max
        self._looked_at += 1
        if equals:
            self._value(value)

    def _value(self, data: bytes) -> None:
        """The next bytes of it."""
        if self._begin is None:
            _, equals, data = data.partition(b"=")  # its name goes on
            if not equals:
                return
            self._begin = b""
        if self._looks:
            self._begin += data
            if len(self._begin) < 4 * _BEGINS:
                return
            self._look()
            return
        data = self._percent + data
        at = data.find(b"%", max(0, len(data) - 2))
        data, self._percent = (data[:at], data[at:]) if at >= 0 else (data, b"")
        self._decoded(data)

    def _look(self) -> None:
        """The first bytes of its value tell what it is."""
        begin, self._begin, self._looks = self._begin or b"", b"", False
        self._part = self._open(unquote_to_bytes(begin[: 4 * _BEGINS].replace(b"+", b" ")))
        self._value(begin)

    def _decoded(self, data: bytes) -> None:
        data = unquote_to_bytes(data.replace(b"+", b" "))
        self._size += len(data)
        if self._part is not None:
            self._part.feed(data)

    def _end_long(self, *, whole: bool = True) -> None:
        """It is over."""
        if self._name is None:
            return
        if self._looks and self._begin is not None:
            self._look()
        name, self._name = self._name, None
        percent, self._percent = self._percent, b""
        self._decoded(percent)
        part, self._part = self._part, None
        self._over(name, self._size, part, whole=whole)

    def _over(self, name: bytes, size: int, part: PartReader | None, *, whole: bool) -> None:
        """A field is."""
        json: JsonBody | None = None
        if part is not None:
            part.finish(whole=whole)
            self.drop = self.drop or part.drop
            self.inner.count(part.found)
            json = part.found if isinstance(part.found, JsonBody) else None
        if len(self.listed) < LISTED:
            shown = unquote_to_bytes(name[: 4 * NAME_CHARS].replace(b"+", b" ")).decode("utf-8", "replace")[:NAME_CHARS]
            if self._reserve(_FIELD_BYTES + getsizeof(shown) + (_JSON_BYTES if json is not None else 0)):
                self.listed.append(FormField(shown, size, json))
