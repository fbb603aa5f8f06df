"""Which format a capture has, told by its first bytes; the only module that knows all of them.

Contract: `open_capture` gives a reader for whatever is read, compressed or not, and raises `CaptureError` with one clear sentence for the rest.
"""

from __future__ import annotations

from functools import partial

from pcapflow.budget import Ledger
from pcapflow.capture import compression, pcap, pcapng, snoop
from pcapflow.capture.reader import CaptureInfo, CaptureReader
from pcapflow.capture.source import Source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits
from pcapflow.memory_scale import memory_for
from pcapflow.sizes import typed_size

FORMATS: dict[bytes, type[pcap.Pcap | pcapng.PcapNg | snoop.Snoop]] = {
    **dict.fromkeys(pcap.MAGIC, pcap.Pcap),
    pcapng.MAGIC: pcapng.PcapNg,
    snoop.MAGIC: snoop.Snoop,
}
"""What a capture begins with, and how it is read."""
_LONGEST = 8


def open_capture(source: Source, limits: Limits, ledger: Ledger) -> CaptureReader:
    """A reader for what the source has."""
    info = CaptureInfo(source.path)
    head = source.peek(_LONGEST)
    info.compression = next((name for magic, name in compression.MAGIC.items() if head.startswith(magic)), None)
    if info.compression is not None:
        memory = source.decompress(info.compression, limits)
        if not ledger.blocks.reserve_or_borrow(memory):
            raise CaptureError(
                source.path,
                f"is compressed with {info.compression}, which takes {memory:,} bytes, more than the memory limit leaves; the least that works is "
                f"--memory-limit {typed_size(memory_for(memory + ledger.used))}, or decompress it first",
                unreadable=True,
            )
        source.on_close = partial(ledger.blocks.release, memory)
        head = source.peek(_LONGEST)
    if source.corrupt:
        raise CaptureError(source.path, f"is compressed with {info.compression}, and damaged: {source.corrupt}")
    if not head:
        raise CaptureError(source.path, "is empty")
    for magic, form in FORMATS.items():
        if head.startswith(magic):
            return CaptureReader(source, form(info, limits), ledger)
    if len(head) < 4 and any(magic.startswith(head) for magic in FORMATS):
        raise CaptureError(source.path, f"is not a capture: its header is cut after {len(head)} bytes")
    raise CaptureError(source.path, f"is not a capture (it begins with {head[:4].hex(' ')})")
