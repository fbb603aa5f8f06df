"""A small HTTP service for the sample `login.pcap`, with the standard library: a login, an account behind a cookie and a token, a picture. Logs each answer as JSON.

python samples/login.py PORT LOG
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SESSION, TOKEN = "5f2c9e7a1b8d4036-alice", "tok_9Kd3nQ7xVb2LmZ8sWp4RtY6h"
PICTURE = b"\x89PNG\r\n\x1a\n" + random.Random(7).randbytes(30_000)


class Login(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = ""

    def answer(self, body: bytes, kind: str, **fields: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with Path(self.log).open("a") as log:
            log.write(
                json.dumps({"method": self.command, "uri": self.path.partition("?")[0], "status": 200, "body_bytes": len(body)}) + "\n"
            )
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = {"user": "alice", "access_token": TOKEN, "expires": 3600}
        self.answer(json.dumps(said).encode(), "application/json", Set_Cookie=f"session={SESSION}; Path=/; HttpOnly")

    def do_GET(self) -> None:
        if self.path == "/photo.png":
            self.answer(PICTURE, "image/png")
            return
        said = {
            "user": "alice",
            "card": {"number": "4929 1234 5678 9010", "valid": True},
            "orders": [{"id": i, "total": 10 * i} for i in range(40)],
        }
        if self.path.startswith("/whoami"):
            said = {"headers": dict(self.headers.items())}
        self.answer(gzip.compress(json.dumps(said).encode(), mtime=0), "application/json", Content_Encoding="gzip")

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


if __name__ == "__main__":
    Login.log = sys.argv[2]
    ThreadingHTTPServer(("", int(sys.argv[1])), Login).serve_forever()
