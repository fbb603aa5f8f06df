"""Real browsers for tests."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """Firefox with its own rights, by its Marionette protocol (https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html)."""

    def __init__(self, folder: Path) -> None:
        """folder: an empty one, for its profile."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
        self._process = subprocess.Popen(
            [str(FIREFOX), "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", str(folder)],
            env={**os.environ, "HOME": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._socket = _connect(port)
        self._file = self._socket.makefile("rwb")
        self._read()
        self._number = 0
        self._do("WebDriver:NewSession", capabilities={})
        self._do("Marionette:SetContext", value="chrome")

    def run(self, script: str, *arguments: Any) -> Any:
        """What an asynchronous function's body returns; it has `arguments`."""
        text = f"const done = arguments[arguments.length - 1]; (async () => {{{script}}})().then(done, e => done(String(e) + e.stack))"
        return self._do("WebDriver:ExecuteAsyncScript", script=text, args=list(arguments), newSandbox=False)["value"]

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._file.close()
        self._socket.close()

    def _do(self, command: str, **parameters: Any) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._file.write(b"%d:" % len(message) + message)
        self._file.flush()
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def _read(self) -> Any:
        size = b""
        while (byte := self._file.read(1)) != b":":
            assert byte, "Firefox went away"
            size += byte
        return json.loads(self._file.read(int(size)))


def _connect(port: int) -> socket.socket:
    for _ in range(120):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.5)
    raise AssertionError("Firefox does not listen")
