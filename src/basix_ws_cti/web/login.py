"""Requests about sessions: status, login, logout, display links."""

from __future__ import annotations

from attrs import frozen
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .access_file import Account
from .gatekeeper import COOKIE, Gatekeeper
from .json_requests import RefusedRequestError, json_response, read_texts
from .security_headers import HEADERS, NO_STORE

# A screen that is off for a year opens its link again. Browsers keep cookies for 400 days at most.
_LINK_AGE = 400 * 86_400


@frozen(eq=False)
class Login:
    """Handlers of the requests."""

    gatekeeper: Gatekeeper
    """Accounts, display links and sessions."""

    async def status(self, request: Request) -> Response:
        """Return if the reader has access: 200, or 401 if a login is needed."""
        session = self.gatekeeper.session(request.cookies)
        if session is None:
            return json_response({"state": "login"}, 401)
        access = session.access
        content = {"state": "ok", "commands": access.with_commands}
        if isinstance(access.holder, Account):
            content["name"] = access.holder.name  # who can log out
        return json_response(content)

    async def log_in(self, request: Request) -> Response:
        """Start a session with name and password."""
        peer = "" if request.client is None else request.client.host
        with self.gatekeeper.throttle.waiting(peer) as has_room:
            if not has_room:
                raise RefusedRequestError(429, "too many logins at once: try again later")
            name, password = await read_texts(request, "name", "password")
            token = await self.gatekeeper.log_in(name, password, peer)
        if token is None:
            raise RefusedRequestError(401, "name or password is wrong")
        response = json_response({"state": "ok"})
        _set_cookie(request, response, token, max_age=None)
        return response

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        await read_texts(request)
        self.gatekeeper.log_out(request.cookies)
        response = json_response({"state": "login"})
        response.delete_cookie(COOKIE, path=_path(request))
        return response

    async def open_link(self, request: Request) -> Response:
        """Give the browser the access of a display link, and go to the page."""
        token = request.path_params["token"]
        if self.gatekeeper.link(token) is None:
            return Response("unknown link", 404, {**HEADERS, **NO_STORE}, "text/plain")
        query = f"?{request.url.query}" if request.url.query else ""
        response = RedirectResponse(f"../{query}", 303, {**HEADERS, **NO_STORE})
        _set_cookie(request, response, token, max_age=_LINK_AGE)
        return response


def _set_cookie(request: Request, response: Response, token: str, max_age: int | None) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=max_age,
        path=_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _path(request: Request) -> str:
    """Return the path of the place where the application is mounted."""
    return f"{request.scope.get('root_path', '')}/"
