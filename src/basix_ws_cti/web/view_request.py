"""Parameters of a view in the address of a request."""

from __future__ import annotations

from starlette.requests import Request

from basix_ws_cti._internal.translation import LANGUAGES
from basix_ws_cti.exceptions import UsageError

from .access import Access
from .view_key import LONGEST_ID, MAX_IDS, Selection, ViewKey


def view_key(request: Request, access: Access, *, is_masked: bool) -> ViewKey:
    """Return the view that a request asks for, within the rights of the reader.

    Raises ``UsageError`` for more or longer ids than a filter may have.
    """
    query = request.query_params
    queues, users = query.getlist("queue"), query.getlist("user")
    if len(queues) + len(users) > MAX_IDS:
        raise UsageError(f"a filter can have {MAX_IDS} ids, got {len(queues) + len(users)}")
    if any(len(text) > LONGEST_ID for text in (*queues, *users)):
        raise UsageError(f"an id in a filter can have {LONGEST_ID} characters")
    return ViewKey(
        selection=Selection.of(queues, users),
        bound=access.bound,
        language=language_of(request),
        is_masked=is_masked,
        with_commands=access.with_commands,
    )


def language_of(request: Request) -> str:
    """Return the language of texts: that of the address, else the browser's first known one."""
    wanted = request.query_params.get("lang")
    if wanted in LANGUAGES:
        return str(wanted)
    for entry in request.headers.get("accept-language", "").split(","):
        language = entry.partition(";")[0].strip().lower().partition("-")[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]
