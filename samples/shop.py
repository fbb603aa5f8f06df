"""A small HTTP service for the sample `shop.pcap`, with the standard library: some of it slow, some of it failing. Logs each answer as JSON.

python samples/shop.py serve PORT LOG     the service
python samples/shop.py ask URL [ADDRESS]  one client's calls, from that address
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

LOG = threading.Lock()


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = ""

    def answer(self, status: int, said: object) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with LOG, Path(self.log).open("a") as log:
            log.write(
                json.dumps({"method": self.command, "uri": self.path.partition("?")[0], "status": status, "body_bytes": len(body)}) + "\n"
            )
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts[0] == "orders":
            number = int(parts[1])
            self.answer(503, {"error": "no stock service"}) if number % 7 == 3 else self.answer(200, {"order": number, "items": [1, 2, 3]})
        elif parts[0] == "report":
            time.sleep(0.2 + 0.1 * (int(parts[1]) % 3))
            self.answer(200, {"year": int(parts[1]), "total": 1234.5})
        elif parts[0] == "export":
            r = random.Random(parts[1])
            self.answer(200, [{"id": i, "name": f"item-{i}", "price": round(r.random() * 100, 2)} for i in range(4000)])
        else:
            self.answer(404, {"error": "no such thing"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            json.loads(body)
        except ValueError:
            self.answer(400, {"error": "not JSON"})
        else:
            self.answer(201, {"ok": True})

    def log_message(self, *_: object) -> None:
        pass


def ask(url: str, address: str | None) -> None:
    """Calls one after the other, each on a connection of its own but the first ten."""
    host, _, port = url.removeprefix("http://").partition(":")

    def connect() -> http.client.HTTPConnection:
        return http.client.HTTPConnection(host, int(port), source_address=(address, 0) if address else None)

    def call(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> None:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        connection.getresponse().read()

    if address:  # a client whose library writes no JSON
        for i in range(3):
            call(connect(), "POST", "/cart", f'{{"item": {i}, "note": \'soon\'}}')
        return
    kept = connect()
    for i in range(10):
        call(kept, "GET", f"/orders/{i}")
    for i in range(10, 20):
        call(connect(), "GET", f"/orders/{i}?page=2")
    for year in (2023, 2024, 2025):
        call(connect(), "GET", f"/report/{year}")
    call(connect(), "POST", "/cart", '{"item": 7, "note": "soon"}')
    call(connect(), "GET", "/basket")
    call(connect(), "GET", "/export/1")
    call(connect(), "GET", "/export/2")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        Shop.log = sys.argv[3]
        ThreadingHTTPServer(("10.77.0.1", int(sys.argv[2])), Shop).serve_forever()
    else:
        ask(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
