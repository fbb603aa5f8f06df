"""Bodies that other packages read.

Contract: a `Listener`; each body of a plug-in's media types becomes a record `plugin.NAME` when its exchange is over. What a plug-in raises ends what it reads of that body, and is told at
the body's end, so that it does not depend on how the bytes came. Invariant: what waits for the end of an exchange is reserved in the `plugins` account.
"""

from __future__ import annotations

from collections.abc import Callable

from pcapflow import plugins
from pcapflow.drops import Drop, DropReason
from pcapflow.findings.listening import Listener, Run
from pcapflow.payload.registry import Payloads
from pcapflow.plugin_loading import PluginError, encoded, guarded, of_type
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.message import Head
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import Where

_WAITING_BYTES = 300
"""Beside its text, of what was found in a body."""
_Found = tuple[str, str, bytes, Where]
"""Stream, name of the plug-in, JSON, and the message's first byte."""


class _Reader:
    """One body."""

    as_sent = False

    def __init__(self, name: str, body: plugins.Body | None, origin: BodyOrigin, over: Callable[[_Reader, bytes | None], None]) -> None:
        self.name = name
        self.origin = origin
        self.problem = ""
        self._body = body
        self._over = over
        self._open = body is not None

    def failed(self, e: PluginError) -> None:
        """The plug-in raised."""
        self.problem = str(e)
        self._body, self._open = None, False

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        body = self._body
        if self._open and body is not None:
            try:
                guarded(lambda: body.feed(data))
            except PluginError as e:
                self.failed(e)

    def gap(self, n: int) -> None:
        """See `BodyListener`."""
        self._open = False

    def stop(self, drop: Drop) -> None:
        """See `BodyListener`."""
        self._open = False

    def undecoded(self, problem: str) -> None:
        """See `BodyListener`: nothing is there to be read."""
        self._body, self._open = None, False

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        body, found = self._body, None
        if body is not None:
            try:
                found = guarded(lambda: encoded(body.finish(whole=whole and self._open)))
            except PluginError as e:
                self.failed(e)
        self._over(self, found)


class PluggedBodies(Listener):
    """One run's."""

    by_exchange = True

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._waiting: dict[object, list[_Found]] = {}

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run

    def body(self, head: Head, origin: BodyOrigin) -> _Reader | None:
        """See `Listener`."""
        plugin = self._payloads.plugged.get(head.form)
        if plugin is None:
            return None
        try:
            return _Reader(plugin.name, guarded(lambda: of_type(plugin.open(), plugins.Body)), origin, self._over)
        except PluginError as e:
            reader = _Reader(plugin.name, None, origin, self._over)
            reader.failed(e)
            return reader

    def _over(self, reader: _Reader, found: bytes | None) -> None:
        """A body is."""
        origin = reader.origin
        if reader.problem:
            self._run.given_up(origin, Drop(DropReason.PLUGIN_FAILED, "", 0, f"{reader.name}: {reader.problem}"), 0)
        if found is None:
            return
        most = self._run.limits.plugin_message_max_bytes
        if len(found) > most:
            detail = f"{reader.name}: a record of {len(found)} bytes"
            drop = Drop(DropReason.PLUGIN_MESSAGE_TOO_LARGE, "plugin_message_max_bytes", most, detail)
            self._run.given_up(origin, drop, 0)
            return
        account = self._run.ledger.plugins
        if not account.reserve(len(found) + _WAITING_BYTES):
            drop = Drop(DropReason.PLUGIN_MEMORY, *account.refusal(), f"{reader.name}: what was found in a body")
            self._run.given_up(origin, drop, len(found))
            return
        where = Where(origin.offset, origin.first_packet, origin.ts, -1, origin.first_packet)
        self._waiting.setdefault(origin.exchange, []).append((origin.stream, reader.name, found, where))

    def exchange_over(self, conversation: Conversation, exchange: object, response: Head | None, packet: int) -> None:
        """See `Listener`."""
        for stream, name, found, where in self._waiting.pop(exchange, ()):
            self._run.ledger.plugins.release(len(found) + _WAITING_BYTES)
            self._run.found_by_plugin(conversation.number, stream, name, getattr(exchange, "index", None), found, where, packet)
