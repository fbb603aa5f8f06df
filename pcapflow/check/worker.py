"""The process that checks captures for another.

Contract: `main` takes jobs from standard input, one after the other, and answers each with its verdict. Invariant: it ends when whoever started it is gone, and leaves no temporary file then.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from queue import SimpleQueue

from pcapflow.check.checking import check
from pcapflow.errors import INTERRUPTED
from pcapflow.files import discard_all, write_all
from pcapflow.workers.link import DONE, message, receive
from pcapflow.workers.process import answers


def main() -> None:
    """Until nobody asks any more."""
    out = answers()
    asked: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        while True:
            verdict = check(pickle.loads(asked.get()))  # noqa: S301 - from whoever started this process
            write_all(out, message(DONE, pickle.dumps(verdict, pickle.HIGHEST_PROTOCOL)))
    except BrokenPipeError:
        os._exit(INTERRUPTED)


def _listen(asked: SimpleQueue[bytes]) -> None:
    """At most one job waits: the next is given when the verdict on the one before came."""
    while (order := receive(sys.stdin.buffer)) is not None:
        asked.put(order.body)
    discard_all()
    os._exit(INTERRUPTED)
