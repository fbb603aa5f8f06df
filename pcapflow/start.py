"""Where the program starts. Vocabulary of the console script: imports nothing but the standard library at first.

Until the command line is loaded nothing is begun, so Ctrl-C ends the process at once, as it does any other program, and without a traceback.
"""

from __future__ import annotations

import signal


def main() -> None:
    """The console script."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pcapflow.cli import main as command  # noqa: PLC0415 - see above

    signal.signal(signal.SIGINT, signal.default_int_handler)
    command()
