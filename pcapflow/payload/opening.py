"""What reads a payload that is not JSON.

Contract: `open_other` takes a form as `others.other_form` names it. Optional libraries are imported here, where they are used.
"""

from __future__ import annotations

from pcapflow.contents import YamlBody
from pcapflow.drops import Drop
from pcapflow.payload.payload_types import Opening, PayloadReader


def tools_missing() -> bool:
    """Whether YAML is not read."""
    from pcapflow.payload import yaml_library  # noqa: PLC0415 - the optional libraries

    return yaml_library.tools() is None


def open_other(form: str, content_type: str, opening: Opening) -> PayloadReader:
    """What reads a body of that form: `yaml`, `form`, `multipart` or `graphql`."""
    if form == "yaml":
        if tools_missing():
            return NotRead()
        from pcapflow.payload.yaml_text import YamlText  # noqa: PLC0415 - see above

        return YamlText(opening.limits, opening.account, opening.tap)
    if form == "form":
        from pcapflow.payload.form import Form  # noqa: PLC0415 - few captures have any

        return Form(opening)
    if form == "multipart":
        from pcapflow.payload.multipart import Multipart  # noqa: PLC0415 - see above

        return Multipart(content_type, opening)
    return Passed()


class Passed:
    """Nothing is to be said of the body but what is said of every one."""

    drop: Drop | None = None

    def feed(self, data: bytes) -> None:
        """See `PayloadReader`."""

    def gap(self) -> bool:
        """See `PayloadReader`."""
        return True

    def finish(self, *, whole: bool, gapped: bool) -> YamlBody | None:
        """See `PayloadReader`."""
        return None


class NotRead(Passed):
    """A body of YAML that this installation does not read."""

    def __init__(self) -> None:
        self._bytes = 0

    def feed(self, data: bytes) -> None:
        """See `PayloadReader`."""
        self._bytes += len(data)

    def finish(self, *, whole: bool, gapped: bool) -> YamlBody | None:
        """See `PayloadReader`."""
        return YamlBody(0, 0, 0, 0, 0, None, self._bytes, "not_read")
