"""Which kind of payload a body is, by its media type: JSON in its forms, what other packages read, then the payloads of `others`.

Contract: `Payloads.form_of` names the kind of a Content-Type, empty for one that nobody reads; `plugged` has the plug-in of a kind. What a body that says nothing begins with
is for `json_formats.seems_json` to say. Invariant: what is here does not change during a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache

from pcapflow.payload.json_formats import form_of
from pcapflow.payload.payload_types import other_form
from pcapflow.plugin_loading import PAYLOADS, PROTOCOLS, Point, installed
from pcapflow.plugins import Payload, Protocol

PLUGGED = "plugin."
"""What the kinds of plug-ins begin with."""


class Payloads:
    """What bodies may hold."""

    def __init__(self, plugins: Iterable[Payload] = ()) -> None:
        self.plugged = {PLUGGED + plugin.name: plugin for plugin in plugins}
        self._types = [(kind, plugin.media_types) for kind, plugin in self.plugged.items()]

    def form_of(self, content_type: str | None) -> str:
        """The kind of a body: `json`, `ndjson`, `json-seq`, `sse`, `yaml`, `form`, `multipart`, `graphql`, or `plugin.NAME`; empty for none."""
        if content_type is None:
            return ""
        content_type = content_type.lower()
        media_type = content_type.partition(";")[0].strip()
        plugged = next((kind for kind, types in self._types if any(fnmatchcase(media_type, one.lower()) for one in types)), "")
        return form_of(content_type) or plugged or other_form(media_type)


def plugged() -> tuple[Point, ...]:
    """Payloads of other packages, those that are not used too."""
    protocols = {point.name for point in installed(PROTOCOLS, Protocol) if point.plugin is not None}
    return installed(PAYLOADS, Payload, frozenset(("json", *protocols)))


@cache
def payloads() -> Payloads:
    """All that a body may hold. It knows nothing of any run."""
    return Payloads(point.plugin for point in plugged() if point.plugin is not None)
