"""What is looked at in a message body: its content codings undone once, its JSON parsed, its bytes hashed, and whoever else listens.

Contract: `BodyReader` implements the sink that the protocols stage feeds: `feed`, `gap`, `finish`. After a drop it takes bytes and
does nothing but for those who listen. Invariant: when `finish` has returned, nothing is reserved any more. Who listens changes nothing of what is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pcapflow.body_options import NOTHING_MORE, Looking
from pcapflow.budget import Ledger
from pcapflow.contents import FormBody, JsonBody, Other, YamlBody
from pcapflow.counting import Inner
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.payload.at_once import SMALL, counts_alone, has_no_document, parse_at_once
from pcapflow.payload.body_listener import BodyListener
from pcapflow.payload.content import Decoder, Expansion, missing
from pcapflow.payload.duplicates import DuplicateKeys
from pcapflow.payload.json_counts import counts
from pcapflow.payload.json_formats import JSON_FORMS, open_text, seems_json
from pcapflow.payload.json_formats import form_of as json_form
from pcapflow.payload.opening import open_other
from pcapflow.payload.payload_types import ASKING, DEEPEST, NOTHING_AROUND, Around, Opening, PartReader, PayloadReader, form_within
from pcapflow.payload.shape import Shapes
from pcapflow.payload.tap import Both, Shared, Tap

if TYPE_CHECKING:
    import hashlib

    from pcapflow.payload.body_values import BodyValues
    from pcapflow.payload.operations import Operations


_GZIP = b"\x1f\x8b\x08"
"""What a gzip member begins with (RFC 1952 section 2.3.1): no text of JSON does."""
READER_BYTES = 1680
"""What a reader takes with the first bytes that it keeps, beside its parser."""


class BodyReader:
    """One body."""

    __slots__ = (
        "_around",
        "_begin",
        "_counts_alone",
        "_decoder",
        "_duplicates",
        "_expansion",
        "_first",
        "_form",
        "_gapped",
        "_hash",
        "_ledger",
        "_limits",
        "_listeners",
        "_looks",
        "_lost",
        "_names",
        "_reserved",
        "_sent",
        "_shapes",
        "_shut",
        "_tap",
        "_text",
        "_values",
        "decoded_bytes",
        "drop",
        "found",
        "inner",
        "operations",
        "sha256",
    )  # fmt: skip

    def __init__(
        self,
        codings: tuple[str, ...],
        form: str,
        limits: Limits,
        ledger: Ledger,
        looking: Looking = NOTHING_MORE,
        tap: Tap | None = None,
        listeners: Sequence[BodyListener] = (),
        *,
        content_type: str = "",
        asks: bool = False,
        around: Around = NOTHING_AROUND,
    ) -> None:
        """codings: to be undone, in that order; form: of its payload, empty for a body that does not say it is one; tap: gets the events of its JSON;
        listeners: get its bytes; asks: it is a request's, which may name an operation; around: what it is within.
        """
        self._limits, self._ledger, self._around, self._expansion = limits, ledger, around, around.expansion
        self._hash = _sha256() if looking.hashes else None
        self._tap = self._tapped(looking, tap)
        self._form = form
        self._begin: bytes = b""
        """The first bytes of a body that does not say what it is, until they tell; where nobody wants events, until it ends or grows (`_breaks`)."""
        self._looks = bool(form) or looking.sniff
        self._sent = [one for one in listeners if one.as_sent] if listeners else ()
        self._listeners = listeners = [one for one in listeners if not one.as_sent] if listeners else ()
        takes = READER_BYTES + looking.bytes
        self._reserved = takes if ledger.json.reserve(takes) else 0
        self._text: PayloadReader | None = None
        self._names: Operations | None = None
        if form and self._reserved:
            if form in JSON_FORMS:
                self._text = open_text(form, limits, ledger.json, self._tap)
            else:
                self._text = self._other(form, content_type, looking, tap)
            if asks and form in ASKING:
                from pcapflow.payload.operations import Operations

                self._names = Operations(ledger.json, limits.operation_max_bytes, plain=form == "graphql")
        self._decoder: Decoder | None = None
        self._first: bytes | None = b"" if form and not codings else None
        """The first bytes, while they may be of a gzip member that no field announces."""
        self._counts_alone = looking.counts_alone
        self._gapped = self._lost = False  # lost: nothing can be read behind a gap
        self._shut = False
        """Nothing more comes out of the codings."""
        self.decoded_bytes: int | None = 0 if self._looks else None
        self.drop: Drop | None = None
        self.found: JsonBody | Other | None = None
        self.inner: Inner | None = None
        """What was within it."""
        self.operations: list[str] | None = None
        self.sha256: str | None = None
        if not self._reserved:
            self.drop = Drop(DropReason.JSON_MEMORY, *ledger.json.refusal(), "what reads a body")
            self._hash = None
            self._let_go()  # the body may be open until the capture ends
        if codings and (listeners or (self._looks and self.drop is None)):
            self._open(codings)

    def _tapped(self, looking: Looking, tap: Tap | None) -> Tap | None:
        """Who gets the events of its JSON; a tap of somebody else's gets them alone."""
        limits, ledger = self._limits, self._ledger
        self._duplicates = DuplicateKeys(limits, ledger.json) if looking.duplicate_keys and tap is None else None
        self._shapes = Shapes(ledger.json) if looking.shapes and tap is None else None
        self._values = _values_of(looking.values, limits, ledger) if looking.values and tap is None else None
        taps = [one for one in (tap, self._duplicates, self._shapes, self._values) if one is not None]
        return taps[0] if len(taps) == 1 else Both(*taps) if taps else None

    def _open(self, codings: tuple[str, ...]) -> None:
        """Make ready what undoes the codings."""
        problem = missing(codings)
        if problem is None:
            outermost = not self._around.is_decoded
            decoder = Decoder(codings, self._limits, self._ledger.content, self._decoded, self._growth(), is_outermost=outermost)
            drop = decoder.open()
            if drop is None:
                self._decoder = decoder
            else:
                self._stop(drop)
            return
        if self._form:
            self._dropped(problem)
        else:
            self._looks, self.decoded_bytes = False, None
        for listener in self._listeners:
            listener.undecoded(problem.detail)

    def _growth(self) -> Expansion:
        """That of the message."""
        if self._expansion is None:
            self._expansion = Expansion()
        return self._expansion

    @property
    def _reads(self) -> bool:
        """Whether its JSON is looked for."""
        return self._looks and self.drop is None and not self._lost

    @property
    def _wanted(self) -> bool:
        """Whether anybody wants what comes out of the codings."""
        return not self._shut and (self._reads or bool(self._listeners))

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self._hash is not None:
            self._hash.update(data)
        for listener in self._sent:
            listener.feed(data)
        if not self._wanted:
            return
        if self._first is not None:
            data = self._first + data
            if len(data) < len(_GZIP) and _GZIP.startswith(data):
                self._first = data
                return
            self._first = None
            if data.startswith(_GZIP):
                self._open(("gzip",))
        if self._decoder is None:
            self._decoded(data)
        else:
            self._stop(self._decoder.feed(data))

    def gap(self, n: int) -> None:
        """n bytes are missing here. What comes after them can be read where a separator tells where to go on, and no coding is in the way."""
        self._hash = None
        self._not_gzip()
        looked = self._looks and self.drop is None
        drop = None
        if self._decoder is not None and self._wanted:
            drop = self._decoder.cut()
        for listener in (*self._sent, *self._listeners):
            listener.gap(n)
        if self._decoder is not None:
            self._stop(drop)
            self._shut = True
        if looked:
            self._open_held()
            goes_on = self._text is not None and self._text.gap()
            self._lost = not goes_on or self._decoder is not None
        self._gapped = True

    def finish(self, *, whole: bool) -> None:
        """The body is over; whole: all of its bytes came. Sets `found`, `inner`, `operations`, `drop` and `sha256`."""
        if self._hash is not None and whole:
            self.sha256 = self._hash.hexdigest()
        self._not_gzip()
        decoder, unended = self._decoder, None
        if decoder is not None:
            if self._wanted:
                self._stop(decoder.cut())
                unended = decoder.unended() if whole and not self._shut else None
            decoder.close()
            self._decoder = None
        breaks = self._breaks(whole=whole)
        if not breaks:
            self._open_held(whole=whole)
        text = self._text
        found = None
        if text is not None:
            found = text.finish(whole=whole and self.drop is None, gapped=self._gapped)
            if self.drop is None and found is not None and found.status == "complete" and getattr(found, "documents", True):
                unended = None  # flushed, and never closed: all that was to come is here
        self._stop(unended)
        for listener in (*self._sent, *self._listeners):
            listener.finish(whole=whole)
        self._sent = self._listeners = ()
        if text is None and not self._form and not breaks:
            # nothing showed that it was JSON
            self.drop, self.decoded_bytes = None, None
        content_failed = self.drop is not None
        if text is not None:
            if unended is not None and found is not None and self.drop is unended:
                found.status = "dropped"
                if not isinstance(found, FormBody):
                    found.error = None
            if self.decoded_bytes or not content_failed:
                self.found = self._judged(found, content_failed=content_failed)
            if self.drop is None and self.found is not None:
                self.drop = text.drop
            self.inner = getattr(text, "inner", None)
        if self._names is not None:
            self.operations = self._names.finish() if whole and self.drop is None and not self._gapped else None
            self._names.close()
        # whoever listens may know whose body this is, and so this: nothing here is freed but by its count
        self._text = self._names = None
        self._let_go()
        self._ledger.json.release(self._reserved)
        self._reserved = 0

    def _let_go(self) -> None:
        """No event comes any more: of those who want them."""
        if self._tap is not None:
            self._tap.close()
        self._tap = self._duplicates = self._shapes = self._values = None

    def _not_gzip(self) -> None:
        """No more comes that could tell: the first bytes are what they seem."""
        first, self._first = self._first, None
        if first and self._wanted:
            self._decoded(first)

    def _other(self, form: str, content_type: str, looking: Looking, tap: Tap | None) -> PayloadReader:
        """What reads a payload that is not JSON; what is within it is looked into as it is."""
        limits, ledger, depth = self._limits, self._ledger, self._around.depth + 1

        def part(content_type: str, codings: tuple[str, ...], *, counts_alone: bool) -> PartReader:
            form = form_within(content_type) if depth < DEEPEST else json_form(content_type.lower())
            lower = looking if content_type else looking.sniffing(counts_alone=counts_alone)
            around = Around(depth, self._growth(), self._around.is_decoded or self._decoder is not None)
            taps = Shared(tap) if tap is not None else None
            return BodyReader(codings, form, limits, ledger, lower, taps, content_type=content_type, around=around)

        return open_other(form, content_type, Opening(limits, ledger.json, self._tap, part))

    def _judged(self, found: JsonBody | Other | None, *, content_failed: bool) -> JsonBody | Other | None:
        """What the text's end says, where nothing before it said more."""
        if found is None:
            return None
        if not self._form and found.status == "invalid" and isinstance(found, JsonBody) and not found.documents:
            return None  # it was only taken for JSON
        if content_failed and found.status != "invalid":
            assert self.drop is not None
            found.status = "dropped"
            found.drop_reason = self.drop.reason.value
        if not isinstance(found, JsonBody | YamlBody):
            return found
        if self._duplicates is not None:
            found.duplicate_keys = self._duplicates.count
        if self._shapes is not None and found.status == "complete" and not found.broken:
            found.shape = self._shapes.lines()
        if self._values is not None and found.status == "complete" and not found.broken:
            found.values = self._values.found
        return found

    def _decoded(self, data: bytes) -> None:
        for listener in self._listeners:
            listener.feed(data)
        if not self._reads:
            return
        assert self.decoded_bytes is not None
        self.decoded_bytes += len(data)
        if self._names is not None:
            self._names.feed(data)
        if self._text is None:
            data = self._begin + data
            self._begin = b""
            answer = seems_json(data[:SMALL])
            if len(data) < SMALL and (answer is None or (answer and self._tap is None)):
                self._begin = data
                return
            if not answer:
                self._looks, self.decoded_bytes = False, None
                return
            self._text = open_text("json", self._limits, self._ledger.json, self._tap)
        self._text.feed(data)

    def _breaks(self, *, whole: bool) -> bool:
        """Whether all of a body that does not say what it is was held, began as JSON does, and is none: cheap to tell of a whole text, and most are such."""
        return (
            whole
            and self.drop is None
            and not self._gapped
            and bool(seems_json(self._begin))
            and has_no_document(self._begin, self._limits)
        )

    def _open_held(self, *, whole: bool = False) -> None:
        """What reads the first bytes, where they were held and begin as JSON does; whole: they are the body."""
        begin, self._begin = self._begin, b""
        if begin and seems_json(begin):
            if whole and self._counts_alone and self._tap is None and self.drop is None and not self._gapped:
                self._text = counts_alone(begin, self._limits)
                if self._text is not None:
                    return
            self._text = open_text("json", self._limits, self._ledger.json, self._tap)
            self._text.feed(begin)

    def _stop(self, drop: Drop | None) -> None:
        """The codings broke, where there is a drop."""
        if drop is not None:
            self._dropped(drop)
            self._shut = True
            for listener in self._listeners:
                listener.stop(drop)

    def _dropped(self, drop: Drop) -> None:
        if self.drop is None:
            self.drop = drop


def _values_of(paths: tuple[str, ...], limits: Limits, ledger: Ledger) -> BodyValues:
    from pcapflow.payload.body_values import BodyValues  # few runs compare values

    return BodyValues(paths, limits, ledger.json)


def _sha256() -> hashlib._Hash:
    import hashlib  # it brings OpenSSL, 5 MB

    return hashlib.sha256()


def read_whole(
    data: bytes, codings: tuple[str, ...], form: str, limits: Limits, ledger: Ledger, looking: Looking = NOTHING_MORE
) -> BodyReader | JsonBody:
    """A body that is whole at once: its JSON where it is plain, else its finished reader."""
    if form == "json" and not codings and looking.nothing:
        json = counts(data, limits)
        if json is None and len(data) <= SMALL and limits.json_max_depth >= SMALL and limits.json_scalar_max_bytes >= SMALL:
            json = parse_at_once(data)
        if json is not None:
            return json
    reader = BodyReader(codings, form, limits, ledger, looking)
    reader.feed(data)
    reader.finish(whole=True)
    return reader
