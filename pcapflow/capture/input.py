"""One capture of a trace, and where its reading is.

Contract: `Input.open` finds out what it is, `start` and `advance` give its blocks one after the other; raises `CaptureError`. Invariant: its rows have a time to be merged by that never goes back.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.capture.formats import open_capture
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.reader import COLUMN_BYTES_PER_PACKET, CaptureInfo, CaptureReader
from pcapflow.capture.remote import Remote, same
from pcapflow.capture.source import Source, Tee, open_source
from pcapflow.files import is_url
from pcapflow.limits import Limits

_NO_ROWS = np.zeros(0, dtype=np.int64)


class Input:
    """One capture, and where its reading is."""

    __slots__ = (
        "at",
        "begun",
        "block",
        "blocks",
        "compressed",
        "first_ts",
        "info",
        "latest",
        "number",
        "order",
        "path",
        "place",
        "reader",
        "size",
        "source",
        "version",
    )

    def __init__(self, path: str, number: int) -> None:
        self.path = path
        self.number = number
        """Its place on the command line."""
        self.place = 0
        """Its place in the trace."""
        self.first_ts = -1
        self.info = CaptureInfo(path)
        self.size: int | None = None
        self.version = ""
        self.compressed = False
        self.source: Source | None = None
        self.reader: CaptureReader | None = None
        self.blocks: Iterator[PacketBlock] = iter(())
        self.block: PacketBlock | None = None
        self.at = 0
        """Rows of the block that are taken."""
        self.order = _NO_ROWS
        """The greatest time up to each row, which is what is merged by."""
        self.latest = -1
        self.begun = False
        """Its first block was asked for; where there is none, it is over."""

    def open(self, limits: Limits, ledger: Ledger, interrupt: Interrupt, source: Source | None = None, tee: Tee | None = None) -> None:
        """Find out what it is. source: where its bytes come from, if not from its path; tee: gets them too, as they are read."""
        if self.source is None:
            if source is None:
                source = (
                    Remote(self.path, interrupt, ledger.blocks, limits.memory_limit)
                    if is_url(self.path)
                    else open_source(self.path, interrupt)
                )
            self.source = source
            self.source.tee = tee
            self.size = self.source.size
            if isinstance(source, Remote) and self.version:
                same(self.path, self.version, source.version)
            self.version = source.version
            self.reader = open_capture(self.source, limits, ledger)
            self.info = self.reader.info
            self.compressed = self.info.compression is not None

    def start(self, limits: Limits, column_bytes: int = COLUMN_BYTES_PER_PACKET, packets: int | None = None) -> None:
        """Read its first block. packets: how many are read at the most."""
        assert self.reader is not None
        self.blocks = self.reader.blocks(1, limits, column_bytes=column_bytes, packets=packets)
        self.begun = True
        self.advance()

    def advance(self) -> None:
        """The next block; None at the end."""
        self.block = next(self.blocks, None)
        self.at = 0
        self.order = _NO_ROWS
        if self.block is not None:
            self.block.file = self.place
            self.order = np.maximum(np.maximum.accumulate(self.block.ts), self.latest)
            self.latest = int(self.order[-1])

    def probe(self, limits: Limits, ledger: Ledger, interrupt: Interrupt) -> None:
        """Look at its first packet, and leave it as it was; a pipe cannot be read twice, and stays open. limits: of a block that is only to tell a first time."""
        self.open(limits, ledger, interrupt)
        if self.size is not None:
            self.start(limits)
            if self.block is not None:
                self.first_ts = int(self.order[0])
            self.close()

    def close(self) -> None:
        """Done with it."""
        self.blocks = iter(())
        self.block = None
        self.order = _NO_ROWS
        self.reader = None
        if self.source is not None:
            self.source.close()

    def again(self) -> None:
        """To be read from its beginning."""
        self.source = None
        self.latest = -1
        self.begun = False
        self.info = CaptureInfo(self.path)
