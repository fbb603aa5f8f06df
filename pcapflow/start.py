"""Where the program starts. Vocabulary of the console script: imports nothing but the standard library at first.

Until the command line is loaded nothing is begun, so Ctrl-C ends the process at once, as it does any other program, and without a traceback.
"""

from __future__ import annotations

import gc
import os
import signal

_NEW_OBJECTS = 50_000
"""So many more objects than before make Python search for circles of them: modules that are loaded have none, and make it search 90 times with its own 700."""


def main() -> None:
    """The console script."""
    gc.set_threshold(_NEW_OBJECTS)
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's matrices, which nothing here multiplies, would take a stack a processor
    from pcapflow.cli import main as command  # noqa: PLC0415 - see above

    gc.freeze()
    gc.enable()
    command()
