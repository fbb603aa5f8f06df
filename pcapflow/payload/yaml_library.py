"""What of `pcapflow[yaml]` is installed. Contract: nothing of it is imported before it is asked for."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, NamedTuple


class _Tools(NamedTuple):
    """The optional libraries."""

    yaml: Any
    parser: Any
    greenlet: Any
    current: Any


@cache
def tools() -> _Tools | None:
    """PyYAML with libyaml, and greenlet; None where one of them is not installed."""
    try:
        yaml, greenlet = importlib.import_module("yaml"), importlib.import_module("greenlet")
        return _Tools(yaml, importlib.import_module("yaml.cyaml").CParser, greenlet.greenlet, greenlet.getcurrent)
    except ImportError:
        return None
