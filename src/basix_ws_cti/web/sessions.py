"""Sessions of logged-in browsers, kept by the server.

The cookie has a random token and nothing else. A session that ends also ends its open streams.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import Factory, define

from .access import Access
from .access_file import hash_token, new_token
from .mailbox import Mailbox

IDLE_TIME = 7 * 86_400.0
"""Time after which an unused session of an account ends, in seconds."""

MAX_SESSIONS = 1000
"""Sessions at once; the one that is unused for the longest time ends first."""


@define(eq=False)
class Session:
    """Access of one browser, or of all browsers with the same display link."""

    access: Access
    """Rights."""

    used_at: float
    """Time of the last request, in seconds of a monotonic clock."""

    mailboxes: set[Mailbox] = Factory(set)
    """Mailboxes of the open streams."""

    def end(self) -> None:
        """End the session and its streams."""
        for mailbox in [*self.mailboxes]:
            mailbox.close()


@define(eq=False)
class SessionStore:
    """Sessions of accounts, by the hash of their token."""

    clock: Callable[[], float]
    """Monotonic clock, in seconds."""

    _sessions: dict[str, Session] = Factory(dict)

    def __len__(self) -> int:
        return len(self._sessions)

    def create(self, access: Access) -> str:
        """Start a session and return its token."""
        token = new_token()
        self._sessions[hash_token(token)] = Session(access, self.clock())
        while len(self._sessions) > MAX_SESSIONS:
            unused = min(self._sessions, key=lambda key: self._sessions[key].used_at)
            self._sessions.pop(unused).end()
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token; ``None``: there is none, or it has ended."""
        session = self._sessions.get(hash_token(token))
        if session is None:
            return None
        now = self.clock()
        if now - session.used_at > IDLE_TIME and not session.mailboxes:
            self.end(token)
            return None
        session.used_at = now
        return session

    def end(self, token: str) -> None:
        """End the session of a token, if there is one."""
        session = self._sessions.pop(hash_token(token), None)
        if session is not None:
            session.end()

    def end_unless(self, keep: Callable[[Access], bool]) -> None:
        """End the sessions whose access is not to be kept."""
        for key, session in [*self._sessions.items()]:
            if not keep(session.access):
                del self._sessions[key]
                session.end()
