"""What is looked at in a message body: its content coding undone, its JSON parsed.

Contract: `BodyReader` implements the sink that the protocols stage feeds: `feed`, `gap`, `finish`. After a gap or a drop it
takes bytes and does nothing. Invariant: when `finish` has returned, nothing is reserved any more.
"""

from __future__ import annotations

from pcapflow.budget import Ledger
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.payload.content import DECODER_BYTES, SUPPORTED, Decoder
from pcapflow.payload.json_body import SMALL, JsonParser, parse_small
from pcapflow.records import JsonBody


class BodyReader:
    """One body that holds JSON, perhaps under a content coding."""

    __slots__ = ("_decoder", "_gapped", "_ledger", "_parser", "decoded_bytes", "drop", "json")

    def __init__(self, coding: str | None, limits: Limits, ledger: Ledger) -> None:
        self._ledger = ledger
        self._parser = JsonParser(limits, ledger.json)
        self._decoder: Decoder | None = None
        self._gapped = False
        self.decoded_bytes = 0
        self.drop: Drop | None = None
        self.json: JsonBody | None = None
        if coding is None:
            return
        if coding not in SUPPORTED:
            self.drop = Drop(DropReason.CONTENT_UNSUPPORTED, "", 0, f"content coding {coding}")
        elif not ledger.content.reserve(DECODER_BYTES):
            self.drop = Drop(DropReason.CONTENT_MEMORY, *ledger.content.refusal(), "a decompressor")
        else:
            self._decoder = Decoder(coding, limits, self._decoded)

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self._gapped or self.drop is not None:
            return
        if self._decoder is None:
            self._decoded(data)
        else:
            self._dropped(self._decoder.feed(data))

    def gap(self) -> None:
        """Bytes are missing here: what comes after them cannot be read."""
        if not self._gapped and self._decoder is not None and self.drop is None:
            self._dropped(self._decoder.cut())
        self._gapped = True

    def finish(self, *, whole: bool) -> None:
        """The body is over; whole: all of its bytes came. Sets `json` and `drop`."""
        if self._decoder is not None and self.drop is None and not self._gapped:
            self._dropped(self._decoder.finish() if whole else self._decoder.cut())
        content_failed = self.drop is not None
        if not (content_failed and self.decoded_bytes == 0):
            self.json = self._parser.finish(whole=whole and not content_failed, gapped=self._gapped)
            if content_failed and self.json.status != "invalid":
                assert self.drop is not None
                self.json.status = "dropped"
                self.json.drop_reason = self.drop.reason.value
        else:
            self._parser.release()
        if self.drop is None:
            self.drop = self._parser.drop
        if self._decoder is not None:
            self._ledger.content.release(DECODER_BYTES)
            self._decoder = None

    def _decoded(self, data: bytes) -> None:
        self.decoded_bytes += len(data)
        self._parser.feed(data)

    def _dropped(self, drop: Drop | None) -> None:
        if drop is not None and self.drop is None:
            self.drop = drop


def read_whole(data: bytes, coding: str | None, limits: Limits, ledger: Ledger) -> BodyReader | JsonBody:
    """A body that is whole at once: its JSON where it is small and plain, else its finished reader."""
    if coding is None and len(data) <= SMALL and limits.json_max_depth >= SMALL and limits.json_scalar_max_bytes >= SMALL:
        json = parse_small(data)
        if json is not None:
            return json
    reader = BodyReader(coding, limits, ledger)
    reader.feed(data)
    reader.finish(whole=True)
    return reader
