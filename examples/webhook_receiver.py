"""Receive the events of ``basix-ws-cti webhook``, and print a line for each one.

    export BASIX_WEBHOOK_SECRET="whsec_$(openssl rand -base64 32)"
    python examples/webhook_receiver.py 8000
    basix-ws-cti webhook http://127.0.0.1:8000/ --simulate    # in another terminal

It verifies the signature, and refuses old requests and events that it has received already.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import Message

TOLERANCE = 300  # seconds by which the time of a request may differ from this machine's
MAX_BODY, MAX_IDS = 1_000_000, 10_000

seen: OrderedDict[str, None] = OrderedDict()


def verify(body: bytes, headers: Message, secret: str) -> bool:
    """Return True if the sender knows the secret, and has sent the request just now."""
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, "sha256")
    expected = "v1," + base64.b64encode(digest).decode()
    # Several signatures during a change of the secret. The comparison takes constant time.
    signatures = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in signatures)


def handle(event: dict[str, Any]) -> None:
    """Print an event; do your own work here, or better: put it into a queue and return."""
    call = event["data"].get("call") or {}
    caller = call.get("caller") or {}
    print(event["timestamp"], event["type"], call.get("id"), caller.get("number"), flush=True)


class Handler(BaseHTTPRequestHandler):
    """Answers each request with 204 if it is genuine, else with 401."""

    protocol_version = "HTTP/1.1"  # keeps the connection

    def do_POST(self) -> None:
        size = self.headers.get("content-length", "")
        body = self.rfile.read(int(size)) if size.isdecimal() and int(size) <= MAX_BODY else b""
        status = 401
        if verify(body, self.headers, os.environ["BASIX_WEBHOOK_SECRET"]):
            status, event_id = 204, self.headers["webhook-id"]
            if event_id not in seen:
                handle(json.loads(body))  # an error closes the connection: the event comes again
                seen[event_id] = None
                if len(seen) > MAX_IDS:
                    seen.popitem(last=False)
        self.close_connection = status != 204
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no line per request: the standard one would contain the path."""


if __name__ == "__main__":
    if not os.environ.get("BASIX_WEBHOOK_SECRET"):
        sys.exit("webhook_receiver: set BASIX_WEBHOOK_SECRET to the secret of the sender")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
