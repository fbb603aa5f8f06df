"""Classic pcap files: micro- and nanoseconds, both byte orders, and Kuznetzov's variant (draft-ietf-opsawg-pcap; Wireshark's wiretap/libpcap.c).

Contract: `Pcap` is a `reader.Format`. Invariant: `scan` accepts a record header only where its captured length is at most `record_max_bytes`;
`resume` accepts one only where what follows it bears it out: `_CHAIN` headers in a row, or the end of the capture.
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

FILE_HEADER = 24
_CHAIN = 4
"""Plausible headers in a row that prove the first of them: in noise one in four billion passes for one."""
_FAR = 8
"""Records further on at which one of the same length tells that those between are, perhaps, alike: they are compared at once then. Bulk transfers are mostly
full segments, and taking them one by one was a twelfth of the time of a body that nobody reads.
"""

MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1_000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1_000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1_000, 24),
}
"""First four bytes to byte order, nanoseconds per unit of the fraction, and size of a record's header."""


class Pcap:
    """The format of one classic capture."""

    NAME = "pcap"
    SAYS = "micro- and nanoseconds, both byte orders, versions up to 2.4; also Kuznetzov's modified format (magic with `34cd` or `cd34`), which has longer record headers"

    def __init__(self, info: CaptureInfo, limits: Limits) -> None:
        self.info = info
        self.link_type = -1
        self._biggest = limits.record_max_bytes
        self._order = "<"
        self._fraction = 1_000
        self._size = 16
        self._swapped = False
        """Of a version in which the two lengths of a record may be the other way round."""
        self._last = 0
        """Seconds of the last packet."""

    def begin(self, source: Source, keep: Keep) -> None:
        """Read the file header."""
        head = file_header(source, FILE_HEADER)
        self._order, self._fraction, self._size = MAGIC[head[:4]]
        major, minor, snaplen, network = struct.unpack(self._order + "HH8xII", head[4:])
        if major != 2 or minor > 4:
            raise CaptureError(source.path, f"is a pcap capture of version {major}.{minor}, which this version does not read")
        self._swapped = minor < 4
        # the upper bits say whether frames carry a checksum (FCS), not what they are
        self.link_type = network & 0xFFFF
        self.info.format = "pcap"
        self.info.snaplen = snaplen
        self.info.saw(self.link_type)

    def scan(self, buffer: bytearray, at: int, have: int, most: int) -> Scan:
        """See `Format`."""
        caplen_at = struct.Struct(self._order + "8xI").unpack_from
        biggest, size = self._biggest, self._size
        starts: list[int] = []
        append = starts.append
        before = 0
        while len(starts) < most:
            while len(starts) < most:
                (caplen,) = caplen_at(buffer, at)  # behind the last bytes is room for a header
                end = at + size + caplen
                if end > have or not 0 < caplen <= biggest:
                    break
                append(at)
                stride, at = end - at, end
                if caplen != before:
                    before = caplen
                    continue
                before = 0  # asked once for each time that the length repeats
                far = at + _FAR * stride
                if far <= have and caplen_at(buffer, far - stride) == (caplen,):
                    n = self._alike(buffer, at, stride, caplen, min((have - at) // stride, most - len(starts)))
                    starts += range(at, at + n * stride, stride)
                    at += n * stride
            else:
                break
            # looked at closely only where something may be odd
            if at > have - size:
                break
            if caplen > biggest:
                return Scan(starts, at, damage=f"a record claims {caplen} bytes")
            if end > have:
                return Scan(starts, at, wanted=size + caplen)
            if not any(buffer[at:end]):
                return Scan(starts, at, damage="a record of nothing but zeros")
            append(at)
            at = end
        return Scan(starts, at)

    def _alike(self, buffer: bytearray, at: int, stride: int, caplen: int, most: int) -> int:
        """How many of the records that begin at `at` and every stride bytes behind it, at most so many, have that captured length. What is looked at
        in vain is no more than a few times what is found.
        """
        length = np.dtype(f"{self._order}u4")
        found, look = 0, 4 * _FAR
        while found < most:
            n = min(look, most - found)
            alike = np.ndarray((n,), length, buffer, at + found * stride + 8, (stride,)) == caplen
            if not alike.all():
                return found + int(alike.argmin())
            found += n
            look *= 4
        return found

    def records(self, buffer: bytearray, starts: list[int]) -> Records:
        """See `Format`."""
        at = np.array(starts, dtype=np.int64)
        head = self._headers(buffer, at)
        ts = head[:, 0] * SECOND + head[:, 1] * self._fraction
        caplen, wirelen = head[:, 2], head[:, 3]
        if self._swapped:
            wirelen = np.maximum(caplen, wirelen)
        self._last = int(head[-1, 0])
        return Records(at + self._size, caplen, wirelen, ts)

    def _headers(self, buffer: bytearray, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64 (n, 4): seconds, fraction, captured and wire length; every header in one take, through a view in which each byte begins a row."""
        return gather(buffer, at, np.dtype("V16")).view(f"{self._order}u4").reshape(-1, 4).astype(np.int64)

    def moved(self) -> None:
        """See `Format`."""

    def resume(self, buffer: bytearray, begin: int, have: int, last: int, *, ended: bool) -> resync.Found:
        """See `Format`."""
        if last >= 0:
            self._last = int(self._headers(buffer, np.array([last]))[0, 0])
        biggest = min(self._biggest, resync.RECORD_MAX - self._size)

        def plausible(at: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
            seconds, fraction, caplen, wirelen = self._headers(buffer, at).T
            near = np.abs(seconds - self._last) <= resync.NEAR if self._last else seconds > 0
            sizes = (caplen > 0) & (caplen <= biggest) & (wirelen >= caplen) & (wirelen < 1 << 20)
            return near & sizes & (fraction < SECOND // self._fraction), caplen + self._size

        return resync.first_proven(resync.Shape(self._size, _CHAIN, plausible), begin, have, ended=ended)
