"""The entries of all shards in one order: by packet, then connection.

Contract: `put` takes frames of a shard in their order, `reached` says that of one none comes any more up to a place, `ready` gives what nothing can come before any more, in order. Invariant: the
entries of one connection are one shard's, so equal places are in the order in which that shard told them; no object is made of an entry that is written as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pcapflow.entries import Entry
from pcapflow.workers.frames import Frame

BEYOND = 1 << 62
_NONE = np.zeros(0, dtype=np.int64)
_T = TypeVar("_T")
_Mark = tuple[int, int]


class Ready(NamedTuple):
    """What is next, run by run: neighbors of one frame. of, begin, end: int64 (runs,), the frame of each, and from which to behind which of its entries."""

    frames: list[Frame]
    of: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]

    def pieces(self, size: int) -> Iterator[list[memoryview]]:
        """The lines, those of a run in one piece, about so many bytes at a time."""
        texts = [frame.text for frame in self.frames]
        first = np.cumsum([0, *(len(frame.place) for frame in self.frames[:-1])])[self.of] if self.frames else _NONE
        starts = np.concatenate([frame.starts for frame in self.frames])[first + self.begin] if self.frames else _NONE
        ends = np.concatenate([frame.ends for frame in self.frames])[first + self.end - 1] if self.frames else _NONE
        runs = zip(self.of.tolist(), starts.tolist(), ends.tolist(), strict=True)
        return _in_steps((texts[i][begin:end] for i, begin, end in runs), len, size)

    def entries(self, size: int) -> Iterator[list[Entry]]:
        """The entries, about so many bytes of lines at a time."""
        runs = zip(self.of.tolist(), self.begin.tolist(), self.end.tolist(), strict=True)
        return _in_steps((self.frames[i].entry(at) for i, begin, end in runs for at in range(begin, end)), _size, size)


def _size(entry: Entry) -> int:
    return len(entry.line)


class Merge:
    """One run's."""

    def __init__(self, shards: int) -> None:
        self._frames: list[deque[tuple[Frame, int]]] = [deque() for _ in range(shards)]
        """With how many entries of each are taken."""
        self._reached: list[_Mark] = [(-1, -1)] * shards
        self._done = [0] * shards
        self.held = [0] * shards
        """Bytes that wait, of each shard."""

    def put(self, shard: int, frame: Frame) -> None:
        """Entries that come behind those before."""
        self._frames[shard].append((frame, 0))
        self.held[shard] += len(frame.text)
        self.reached(shard, frame.last)

    def reached(self, shard: int, mark: _Mark) -> None:
        """No entry comes any more before that place; one at that place comes behind those that did."""
        self._reached[shard] = max(self._reached[shard], mark)

    def done(self, shard: int) -> int:
        """How many frames of a shard were taken to their ends since this was asked last."""
        done, self._done[shard] = self._done[shard], 0
        return done

    def _take(self) -> tuple[list[Frame], list[tuple[int, int]]]:
        """The frames that have something that is ready, shard by shard, and from where to where."""
        frames: list[Frame] = []
        parts: list[tuple[int, int]] = []
        until = min(self._reached)
        for shard, waiting in enumerate(self._frames):
            while waiting:
                frame, at = waiting[0]
                end = len(frame.place) if frame.last <= until else _behind(frame, until)
                if end > at:
                    frames.append(frame)
                    parts.append((at, end))
                if end < len(frame.place):
                    waiting[0] = frame, max(at, end)
                    break
                waiting.popleft()
                self.held[shard] -= len(frame.text)
                self._done[shard] += 1
        return frames, parts

    def ready(self) -> Ready:
        """Frames, and in which order their entries are next."""
        frames, parts = self._take()
        if not frames:
            return Ready([], _NONE, _NONE, _NONE)
        if len(frames) == 1:
            begin, end = parts[0]
            return Ready(frames, *(np.array([value]) for value in (0, begin, end)))
        of = np.repeat(np.arange(len(frames)), [end - at for at, end in parts])
        index = np.concatenate([np.arange(at, end) for at, end in parts])
        place, connection = (
            np.concatenate([getattr(frame, name)[at:end] for frame, (at, end) in zip(frames, parts, strict=True)])
            for name in ("place", "connection")
        )
        order = np.lexsort((connection, place))  # stable: equal places of one shard stay as they were
        of, index = of[order], index[order]
        breaks = np.flatnonzero((of[1:] != of[:-1]) | (index[1:] != index[:-1] + 1)) + 1
        begins = np.concatenate(([0], breaks))
        return Ready(frames, of[begins], index[begins], index[np.concatenate((breaks, [len(order)])) - 1] + 1)


def _behind(frame: Frame, until: _Mark) -> int:
    """How many of its entries are at that place or before."""
    low = int(np.searchsorted(frame.place, until[0], side="left"))
    high = int(np.searchsorted(frame.place, until[0], side="right"))
    return low + int(np.searchsorted(frame.connection[low:high], until[1], side="right"))


def _in_steps(some: Iterable[_T], size_of: Callable[[_T], int], size: int) -> Iterator[list[_T]]:
    whole: list[_T] = []
    held = 0
    for one in some:
        whole.append(one)
        held += size_of(one)
        if held >= size:
            yield whole
            whole, held = [], 0
    if whole:
        yield whole
