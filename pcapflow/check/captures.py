"""Reports of captures that are to be compared: made on the way, where what is given is a capture.

Contract: `report_at` is a context that gives a report's path: that which is given, or a temporary one of the capture there. Raises
`PcapflowError` for a capture that cannot be read to its end.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcapflow import pipeline
from pcapflow.check.baseline import Baseline
from pcapflow.errors import CaptureError, OutputError
from pcapflow.files import begins_as_capture, discard, temporary
from pcapflow.limits import Limits


@contextmanager
def report_at(path: str, limits: Limits, options: pipeline.Options) -> Iterator[Path]:
    """A report: path itself, or that of the capture at path, with those limits and options."""
    if not begins_as_capture(path):
        yield Path(path)
        return
    try:
        fd, report = temporary(tempfile.gettempdir())
    except OSError as e:
        raise OutputError(f"no temporary file can be made: {e.strerror}") from None
    try:
        try:
            with os.fdopen(fd, "wb") as file:
                writer = Baseline(file.write)
                result = pipeline.run([path], limits, options, write=writer.records)
                writer.summary(result.summary)
        except OSError as e:
            raise OutputError(f"{report}: cannot be written: {e.strerror}") from None
        if result.asked_to_stop:
            raise KeyboardInterrupt
        if result.damaged or result.nothing_decoded or result.out_of_memory:
            raise CaptureError(path, "cannot be read to its end; pcapflow analyze says where it breaks", unreadable=True)
        yield report
    finally:
        discard(report)
