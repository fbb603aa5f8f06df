"""Who reads a body: the report, and whoever else listens.

Contract: `Bodies` implements the part of `Host` that opens bodies. Invariant: each is decoded once, for all (`payload.body`); one that a listener `chooses` not to read is read for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody
from pcapflow.findings.listening import Listener
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader, read_whole
from pcapflow.payload.json_formats import JSON_FORMS
from pcapflow.payload.payload_types import may_ask
from pcapflow.payload.registry import payloads
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.message import Head, RequestHead


class Bodies:
    """One run's."""

    def __init__(self, limits: Limits, ledger: Ledger, looking: Looking, listeners: Sequence[Listener]) -> None:
        """looking: what for in bodies."""
        self._limits = limits
        self._ledger = ledger
        self._looking = looking
        self._listeners = listeners
        self._chooser = next((one for one in listeners if one.chooses), None)
        self._payloads = payloads()

    def open_body(self, head: Head, origin: BodyOrigin) -> BodyReader:
        """See `Host`."""
        return self._open(head.codings, "" if head.form in self._payloads.plugged else head.form, origin, head)

    def open_raw(self, form: str, origin: BodyOrigin) -> BodyReader:
        """See `Host`."""
        return self._open((), form, origin, None)

    def _open(self, codings: tuple[str, ...], form: str, origin: BodyOrigin, head: Head | None) -> BodyReader:
        """head: None for bytes that are no message's body; of these nobody takes the bytes."""
        tap = None
        if self._chooser is not None:
            tap = self._chooser.tap(origin)
            if tap is None:
                return BodyReader((), "", self._limits, self._ledger)
        heard_by = [] if head is None else [sink for one in self._listeners if (sink := one.body(head, origin)) is not None]
        return BodyReader(
            codings, form, self._limits, self._ledger, self._looking, tap, heard_by,
            content_type=(head.content_type or "") if head is not None else "", asks=type(head) is RequestHead,
        )  # fmt: skip

    def whole_body(self, data: bytes, head: Head, origin: BodyOrigin) -> BodyReader | JsonBody:
        """See `Host`."""
        plain = not head.form or head.form in JSON_FORMS
        if plain and not self._listeners and not (type(head) is RequestHead and head.form and may_ask(data)):
            return read_whole(data, head.codings, head.form, self._limits, self._ledger, self._looking)
        reader = self.open_body(head, origin)
        reader.feed(data)
        reader.finish(whole=True)
        return reader
