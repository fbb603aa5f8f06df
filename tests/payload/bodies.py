"""Bodies of any type for tests: read in any pieces, with everything given back."""

from __future__ import annotations

from collections.abc import Iterable

from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader
from pcapflow.payload.registry import payloads
from pcapflow.payload.tap import Tap


def read(
    pieces: Iterable[bytes | None],
    content_type: str,
    limits: Limits | None = None,
    *,
    whole: bool = True,
    looking: Looking | None = None,
    asks: bool = False,
    tap: Tap | None = None,
    codings: tuple[str, ...] = (),
) -> BodyReader:
    """A body in those pieces, None for bytes that are missing. Nothing is reserved when it is over."""
    limits = limits or Limits()
    ledger = Ledger(limits)
    form = payloads().form_of(content_type)
    reader = BodyReader(codings, form, limits, ledger, looking or Looking(), tap, content_type=content_type, asks=asks)
    for piece in pieces:
        if piece is None:
            reader.gap(1)
        else:
            reader.feed(piece)
    reader.finish(whole=whole)
    assert ledger.json.used == ledger.content.used == 0
    return reader


def in_pieces(data: bytes, size: int) -> list[bytes]:
    """The same, cut."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def under_every_cut(data: bytes, content_type: str, limits: Limits | None = None, *, whole: bool = True) -> BodyReader:
    """A body, read at once: byte by byte, and cut in two at every byte, it is the same."""
    looking = Looking(shapes=True, duplicate_keys=True)
    once = read([data], content_type, limits, whole=whole, looking=looking)
    expected = (once.found, once.drop, once.decoded_bytes)
    for pieces in (in_pieces(data, 1), in_pieces(data, 3), *([data[:i], data[i:]] for i in range(1, len(data)))):
        again = read(pieces, content_type, limits, whole=whole, looking=looking)
        assert (again.found, again.drop, again.decoded_bytes) == expected
    return once
