"""Snoop captures of Solaris, version 2 (RFC 1761).

Contract: `Snoop` is a `reader.Format`. Invariant: a record is accepted only where its length holds its header and what it captured.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from pcapflow.capture import resync
from pcapflow.capture.block import gather
from pcapflow.capture.reader import CaptureInfo, Keep, Records, Scan, file_header
from pcapflow.capture.source import Source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits
from pcapflow.stream_limits import SECOND

MAGIC = b"snoop\0\0\0"
_FILE_HEADER, _RECORD_HEADER = 16, 24
_LINK_TYPES = {0: 1, 2: 6, 4: 1, 8: 10}
"""RFC 1761's datalink numbers (IEEE 802.3, token ring, Ethernet, FDDI) to LINKTYPE numbers."""
_CHAIN = 3


class Snoop:
    """The format of one snoop capture."""

    NAME = "snoop"
    SAYS = "version 2 (RFC 1761); its cumulative drops are `dropped_by_capture`"

    def __init__(self, info: CaptureInfo, limits: Limits) -> None:
        self.info = info
        self.link_type = -1
        self._biggest = limits.record_max_bytes
        self._last = 0

    def begin(self, source: Source, keep: Keep) -> None:
        """Read the file header."""
        head = file_header(source, _FILE_HEADER)
        version, link = struct.unpack(">II", head[8:])
        if version != 2:
            raise CaptureError(source.path, f"is a snoop capture of version {version}, which this version does not read")
        self.link_type = _LINK_TYPES.get(link, -1)
        self.info.format = "snoop"
        self.info.saw(self.link_type)

    def scan(self, buffer: bytearray, at: int, have: int, most: int) -> Scan:
        """See `Format`."""
        head_at = struct.Struct(">4xII").unpack_from
        starts: list[int] = []
        for _ in range(most):
            if at + _RECORD_HEADER > have:
                break
            caplen, size = head_at(buffer, at)
            if not _RECORD_HEADER + caplen <= size <= self._biggest + 64:
                return Scan(starts, at, damage=f"a record of {size} bytes claims {caplen} captured ones")
            if at + size > have:
                return Scan(starts, at, wanted=size)
            starts.append(at)
            at += size
        return Scan(starts, at)

    def records(self, buffer: bytearray, starts: list[int]) -> Records:
        """See `Format`."""
        at = np.array(starts, dtype=np.int64)
        head = self._headers(buffer, at)
        self.info.dropped_by_capture = int(head[-1, 3])  # cumulative
        self._last = int(head[-1, 4])
        return Records(at + _RECORD_HEADER, head[:, 1], head[:, 0], head[:, 4] * SECOND + head[:, 5] * 1_000)

    @staticmethod
    def _headers(buffer: bytearray, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64 (n, 6): wire and captured length, length of the record, cumulative drops, seconds, microseconds."""
        return gather(buffer, at, np.dtype(f"V{_RECORD_HEADER}")).view(">u4").reshape(-1, 6).astype(np.int64)

    def moved(self) -> None:
        """See `Format`."""

    def resume(self, buffer: bytearray, begin: int, have: int, last: int, *, ended: bool) -> resync.Found:
        """See `Format`."""
        if last >= 0:
            self._last = int(self._headers(buffer, np.array([last]))[0, 4])

        def plausible(at: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
            wirelen, caplen, size, _, seconds, micro = self._headers(buffer, at).T
            near = np.abs(seconds - self._last) <= resync.NEAR if self._last else seconds >= 0
            sizes = (
                (caplen > 0)
                & (caplen <= wirelen)
                & (wirelen < 1 << 20)
                & (_RECORD_HEADER + caplen <= size)
                & (size <= np.minimum(caplen + 64, resync.RECORD_MAX))
            )
            return near & sizes & (micro < 1_000_000), size

        return resync.first_proven(resync.Shape(_RECORD_HEADER, _CHAIN, plausible), begin, have, ended=ended)
