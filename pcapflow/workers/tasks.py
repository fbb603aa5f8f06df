"""The process that does tasks for another.

Contract: `main` takes tasks from standard input, one after the other, and answers each with what came of it. Invariant: it ends when whoever started it is gone, and leaves no temporary file then.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from pcapflow.errors import INTERNAL, INTERRUPTED
from pcapflow.files import discard_all, write_all
from pcapflow.workers.link import DONE, message, receive
from pcapflow.workers.process import answers


def main(do: Callable[[Any], object]) -> None:
    """Until nobody asks any more."""
    out = answers()
    asked: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        while True:
            result = do(pickle.loads(asked.get()))  # noqa: S301 - from whoever started this process
            write_all(out, message(DONE, pickle.dumps(result, pickle.HIGHEST_PROTOCOL)))
    except BrokenPipeError:
        os._exit(INTERRUPTED)
    except BaseException:  # noqa: BLE001 - what it does catches what a task may raise
        traceback.print_exc()
        os._exit(INTERNAL)  # the thread that reads would stop Python's own end


def _listen(asked: SimpleQueue[bytes]) -> None:
    """At most one task waits: the next is given when the one before is done."""
    while (order := receive(sys.stdin.buffer)) is not None:
        asked.put(order.body)
    discard_all()
    os._exit(INTERRUPTED)
