"""Requests to an ASGI application, without a network."""

from __future__ import annotations

import json

from attrs import frozen


@frozen
class Answer:
    """Answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


async def ask(app, path, *, method="GET", headers=None, body=b"", root="", scheme="http"):
    """Send a request, and return the answer once it is complete."""
    given = {"host": "localhost:8080", **(headers or {})}
    plain, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": root + plain,
        "raw_path": (root + plain).encode(),
        "root_path": root,
        "query_string": query.encode(),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
        "headers": [(name.lower().encode(), text.encode()) for name, text in given.items()],
    }
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    status, shown, parts = 0, {}, []

    async def receive():
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message):
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            shown.update({name.decode(): text.decode() for name, text in message["headers"]})
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, shown, b"".join(parts))


async def post(app, path, content, *, headers=None, **more):
    """Send JSON as a page of the same server does."""
    given = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
    return await ask(
        app,
        path,
        method="POST",
        headers={**given, **(headers or {})},
        body=json.dumps(content).encode(),
        **more,
    )
