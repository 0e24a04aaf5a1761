"""Check that a request with an effect comes from a page of this server (CSRF).

Browsers say so in ``Sec-Fetch-Site``, older ones in ``Origin``. A request without both is refused.
The content type must be JSON, which a form of another site cannot send.
"""

from __future__ import annotations

from starlette.requests import Request


def is_same_origin(request: Request) -> bool:
    """Return True if the request was made by a page of this server."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and origin == f"{request.url.scheme}://{request.url.netloc}"


def is_json(request: Request) -> bool:
    """Return True if the body of a request is JSON by its content type."""
    content_type = request.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "application/json"
