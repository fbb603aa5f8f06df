"""Who holds memory behind holes, and who gives some of it up when it is short.

Contract: `changed` is told whenever what a stream holds has changed; `fattest` and `early` say who is asked to give something up. Whoever asks carries that out when its own segment
is placed. Invariant: `_holding` has exactly the streams that hold bytes behind a hole, by what is reserved for it, in classes an eighth of a power of two
wide (a dict is used as an ordered set, so that ties are the same in every run).
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from pcapflow.budget import Account
from pcapflow.reassembly.out_of_order import Behind

_CLASSES = 64 * 8
_STEPS = 64
_LOOKED_AT = 16


class Holder(Protocol):
    """A stream, as far as it holds memory."""

    bucket: int
    """The class it is in; 0 for none."""

    @property
    def behind(self) -> Behind | None:
        """What waits behind its holes."""
        ...


H = TypeVar("H", bound=Holder)


class Pressure(Generic[H]):
    """One run's."""

    __slots__ = ("_early", "_filled", "_holders", "_holding", "_rings", "soft")

    def __init__(self, rings: Account, soft_percent: int) -> None:
        """rings: the account; soft_percent: how much of it may be used before holes go early."""
        self._rings = rings
        self.soft = rings.limit * soft_percent // 100
        """Bytes of the account beyond which holes go early."""
        self._early = self.soft
        """The same, or more where that was tried and freed too little."""
        self._holding: list[dict[H, None]] = [{} for _ in range(_CLASSES)]
        self._filled = 0
        """A bit for each class that has a stream."""
        self._holders = 0

    def changed(self, stream: H) -> None:
        """What a stream holds behind its holes, or what is reserved for it, has changed."""
        behind = stream.behind
        now = 0 if behind is None or behind.first < 0 else _class(behind.cost)
        before = stream.bucket
        if now != before:
            if before:
                del self._holding[before][stream]
                if not self._holding[before]:
                    self._filled ^= 1 << before
            if now:
                self._holding[now][stream] = None
                self._filled |= 1 << now
            self._holders += bool(now) - bool(before)
            stream.bucket = now
        rings = self._rings
        if rings.used <= self.soft - rings.limit // _STEPS:
            self._early = self.soft

    def fattest(self) -> H | None:
        """A stream for which most is reserved, to within an eighth: among those the one for which so much was for longest and which costs no less
        than an equal share, if that is soon found. Takes the same time however many streams hold something.
        """
        if not self._filled:
            return None
        streams = self._holding[self._filled.bit_length() - 1]
        share = self._rings.used // self._holders
        for _ in range(min(len(streams), _LOOKED_AT)):
            stream = next(iter(streams))
            if stream.behind is not None and stream.behind.cost >= share:
                return stream
            del streams[stream]
            streams[stream] = None  # to the end
        return next(iter(streams))

    @property
    def rises(self) -> bool:
        """Memory is going to be short. Not before a 64th of the account was taken, or given back, since the last time: so relief is paid for by what
        came, even where what holes give back is little.
        """
        return self._rings.used > self._early

    def early(self) -> list[H]:
        """Of the streams that cost more than their share, an eighth, those whose holes have waited longest. Streams within their share are left alone.
        Before the hard limit is met there is room for who comes next (as RFC 8289 and RFC 8290 drop early).
        """
        share = self.soft // self._holders
        beyond = [s for streams in self._holding[_class(share) :] for s in streams if s.behind is not None and s.behind.cost > share]
        beyond.sort(key=_waits_since)
        return beyond[: -(-len(beyond) // 8)]

    def relieved(self) -> None:
        """What `early` named gave its oldest holes up."""
        self._early = max(self.soft, self._rings.used + self._rings.limit // _STEPS)


def _class(cost: int) -> int:
    """Which class a cost is of: its first four binary digits, and how many there are."""
    digits = cost.bit_length()
    return digits * 8 + (cost >> (digits - 4) & 7) if digits > 3 else cost and 1


def _waits_since(stream: Holder) -> int:
    assert stream.behind is not None
    return stream.behind.since
