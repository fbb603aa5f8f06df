"""A small HTTP service for the sample `formats.pcap`, with the standard library: it takes forms, multipart bodies, GraphQL and JSON-RPC, and answers in YAML and JSON. Logs each answer as JSON.

python samples/formats.py PORT LOG
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DEPLOYMENT = """\
# what runs
kind: Deployment
metadata: &who {name: shop, labels: {tier: web}}
spec:
  replicas: 3
  containers:
"""
CONTAINER = """\
  - name: container-%d
    image: registry.example/shop:%d
    args: ["--port", "80%02d", --verbose]
    env:
    - {name: ROLE, value: web}
    - name: MOTD
      value: |
        welcome
        to the shop
"""
MORE = "---\nkind: Service\nmetadata: *who\nspec: {ports: [80, 443], type: ~}\n"
BROKEN = "kind: Deployment\nspec:\n  replicas: 3\n  containers:\n  - name: a\n    args: [--port, 80\n  - name: b\n"


class Formats(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = ""

    def answer(self, body: str, kind: str, status: int = 200) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        said = {"method": self.command, "uri": self.path.partition("?")[0], "status": status, "body_bytes": len(data)}
        with Path(self.log).open("a") as log:
            log.write(json.dumps(said) + "\n")
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.path == "/deployment":
            self.answer(
                DEPLOYMENT + "".join(CONTAINER % (i, i, i) for i in range(40)) + MORE.replace("*who", "{name: shop}"), "application/yaml"
            )
        else:
            self.answer(BROKEN, "text/yaml; charset=utf-8")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/graphql":
            self.answer(json.dumps({"data": {"orders": [{"id": i, "total": i * 10} for i in range(20)]}}), "application/json")
        elif self.path == "/rpc":
            calls = json.loads(body)
            calls = calls if isinstance(calls, list) else [calls]
            self.answer(
                json.dumps([{"jsonrpc": "2.0", "id": call["id"], "result": len(call["method"])} for call in calls]), "application/json"
            )
        else:
            self.answer('{"ok": true}', "application/json", 201)

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


if __name__ == "__main__":
    Formats.log = sys.argv[2]
    ThreadingHTTPServer(("", int(sys.argv[1])), Formats).serve_forever()
