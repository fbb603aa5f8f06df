"""Which connections of captures are chosen: by a run over them, or at once where their ends are named.

Contract: `chosen` gives the spans of packets (`intervals.Span`). Invariant: what is kept of each is reserved in the run's `output` account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.connection_names import ConnectionName
from pcapflow.entries import Entry
from pcapflow.findings.choosing import CHOSEN, Choice, Choosing, Chosen
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.report.sinks.base import Sink
from pcapflow.slicing.intervals import Ends, Span

_SPAN_BYTES = 500
_WORD = (1 << 64) - 1


class Found(NamedTuple):
    """What a choice comes to."""

    spans: list[Span]
    left_out: int
    """Connections that are meant, for which there was no memory."""
    result: pipeline.Result | None
    """Of the run that found them; None where none was needed."""


class _Spans(Sink):
    """Takes the entries of `findings.choosing`."""

    kinds = frozenset()
    own = CHOSEN

    def __init__(self) -> None:
        self.by_key: dict[str, list[Span]] = {}
        self.left_out = 0
        self._reserved = 0

    def begin(self, ledger: Ledger) -> None:
        """See `Sink`."""
        self._account = ledger.output

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        for entry in some:
            one = Chosen.of(entry.line)
            before = self.by_key.get(one.key)
            if before and before[-1].number < one.number < before[-1].stop:
                before[-1] = before[-1]._replace(stop=one.number)
            if not one.meant or one.ends is None:
                continue
            if self._account.reserve(_SPAN_BYTES):
                self._reserved += _SPAN_BYTES
                self.by_key.setdefault(one.key, []).append(Span(one.ends, one.number))
            else:
                self.left_out += 1

    def finish(self) -> None:
        """See `Sink`."""
        self._account.release(self._reserved)


def needs_run(choice: Choice) -> bool:
    """Whether the captures are to be read to know what is meant."""
    return choice.problems or choice.where is not None or choice.name is None or choice.name.ends is None


def chosen(
    captures: Sequence[str], limits: Limits, options: Options, choice: Choice, progress: Callable[[Any], object] | None = None
) -> Found:
    """The spans of what is meant. Raises as `pipeline.run`."""
    if not needs_run(choice):
        assert choice.name is not None
        return Found([Span(_ends(choice.name), 0)], 0, None)
    spans = _Spans()
    choosing = Choosing(choice)
    result = pipeline.run(captures, limits, options, progress=progress, sinks=[spans], listeners=[choosing])
    found = [span for some in spans.by_key.values() for span in some]
    return Found(sorted(found, key=lambda span: span.number), spans.left_out + choosing.left_out, result)


def _ends(name: ConnectionName) -> Ends:
    assert name.ends is not None
    a, b = [(end.address >> 64, end.address & _WORD, end.port) for end in (*name.ends, *name.ends)[:2]]
    return a, b
