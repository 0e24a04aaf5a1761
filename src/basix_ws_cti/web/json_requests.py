"""JSON bodies of requests, and JSON answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .same_origin import is_json, is_same_origin
from .security_headers import HEADERS, NO_STORE

MAX_BODY = 4096
"""Bytes of the largest body of a request."""

_HEADERS = {**HEADERS, **NO_STORE}


class RefusedRequestError(HTTPException):
    """Request that gets an answer with an error: HTTP status, and a text for programmers."""


def json_response(content: Mapping[str, Any], status: int = 200) -> Response:
    """Return an answer that no cache keeps."""
    body = json.dumps(content, ensure_ascii=False).encode()
    return Response(body, status, _HEADERS, "application/json")


async def read_texts(request: Request, *names: str) -> list[str]:
    """Return the texts with these names from the JSON object of a request with an effect.

    Raises ``RefusedRequestError`` if the request comes from another site, or its body is too large,
    no JSON, or lacks one of the texts.
    """
    if not is_same_origin(request):
        raise RefusedRequestError(403, "the request comes from another site")
    if not is_json(request):
        raise RefusedRequestError(415, "the content type must be application/json")
    body = await _read_body(request)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedRequestError(400, "the body is no JSON") from None
    texts: list[str] = []
    for name in names:
        text = content.get(name) if isinstance(content, dict) else None
        if not isinstance(text, str):
            raise RefusedRequestError(400, f"the body must be an object with the text {name!r}")
        texts.append(text)
    return texts


async def _read_body(request: Request) -> bytes:
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise RefusedRequestError(413, f"a body can have {MAX_BODY} bytes")
    except ClientDisconnect:
        raise RefusedRequestError(400, "the body is incomplete") from None
    return body
