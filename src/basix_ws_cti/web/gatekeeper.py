"""Decides which access a request has: by a session, by a display link, or free.

The file of accounts and links is read again when it changes. Access that it no longer grants ends
within ``CHECK_INTERVAL``, with the streams that are open.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import Factory, define, field

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti.exceptions import UsageError

from .access import Access
from .access_file import AccessFile, Account, DisplayLink
from .passwords import DEFAULT_COST, PasswordHash
from .sessions import Session, SessionStore
from .throttle import Throttle

COOKIE = "basix_wallboard"
"""Name of the cookie with the token of a session or of a display link."""

CHECK_INTERVAL = 2.0
"""Time between two checks if the file has changed, in seconds."""

# Passwords that are checked at the same time: each takes a core and 32 MiB.
_PARALLEL_CHECKS = 2

# A longer text in a cookie or an address is no token.
_LONGEST_TOKEN = 200

_logger = logging.getLogger(__name__)


@define(eq=False, kw_only=True)
class Gatekeeper:
    """Accounts, display links and sessions of a wallboard."""

    path: Path | None = None
    """File with accounts and display links; ``None``: everybody has access."""

    allow_commands: bool = False
    """True: accounts may send commands to the PBX."""

    throttle: Throttle = Factory(Throttle)
    """Delays of failed logins."""

    _file: AccessFile | None = None
    # Stamp of the file that was read last; ``None``: it could not be read, or found.
    _stamp: tuple[int, ...] | None = None
    _read_error: str | None = None
    _sessions: SessionStore = field(factory=lambda: SessionStore(time.monotonic))
    _of_links: dict[str, Session] = Factory(dict)
    _free: Session = field(init=False)
    _checks: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_PARALLEL_CHECKS))
    # Hash that is checked for an unknown name, so that its answer takes as long as that of others.
    _dummy: PasswordHash = field(
        factory=lambda: PasswordHash(cost=DEFAULT_COST, salt=os.urandom(16), key=os.urandom(32))
    )

    def __attrs_post_init__(self) -> None:
        self._free = Session(Access(with_commands=self.allow_commands), time.monotonic())
        if self.path is not None:
            self._stamp = _stamp(self.path)
            self._file = AccessFile.read(self.path)

    # -- access --------------------------------------------------------------------------

    def session(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the session of a request by its cookies; ``None``: a login is needed."""
        if self._file is None:
            return self._free
        token = cookies.get(COOKIE, "")
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        return self._sessions.find(token) or self._session_of_link(self._file.link_of(token))

    def link(self, token: str) -> DisplayLink | None:
        """Return the display link with a token; ``None``: there is none."""
        if self._file is None or len(token) > _LONGEST_TOKEN:
            return None
        return self._file.link_of(token)

    def _session_of_link(self, link: DisplayLink | None) -> Session | None:
        if link is None:
            return None
        session = self._of_links.get(link.name)
        if session is None:
            session = self._of_links[link.name] = Session(Access(link), time.monotonic())
        return session

    # -- login ---------------------------------------------------------------------------

    async def log_in(self, name: str, password: str, peer: str) -> str | None:
        """Return the token of a new session; ``None`` if name or password is wrong.

        ``peer``: address of the browser. Repeated failures of it, or of the account, delay the
        answer.
        """
        await self.throttle.delay(name, peer)
        account = None if self._file is None else self._file.accounts.get(name)
        expected = self._dummy if account is None else account.password
        async with self._checks:
            is_right = await asyncio.to_thread(expected.matches, password)
        if account is None or not is_right or not self._grants(Access(account)):
            self.throttle.fail(name, peer)
            return None
        self.throttle.succeed(name, peer)
        return self._sessions.create(Access(account, with_commands=self.allow_commands))

    def log_out(self, cookies: Mapping[str, str]) -> None:
        """End the session of a request, and its streams."""
        self._sessions.end(cookies.get(COOKIE, ""))

    # -- changes of the file -------------------------------------------------------------

    async def watch(self) -> None:
        """Follow changes of the file, forever."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            self.check_file()

    def check_file(self) -> None:
        """Read the file again if it has changed, and end what it no longer grants.

        A file that cannot be read, or has a mistake, changes nothing: a log record says so, once.
        One that cannot be read is tried again at the next check, though it has not changed since.
        """
        if self.path is None:
            return
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._file = AccessFile.read(self.path)
        except OSError as error:
            self._stamp = None
            self._report_read_error(describe_os_error(error))
            return
        except UsageError as error:
            self._read_error = None
            _logger.warning("access file ignored: %s", error)
            return
        self._read_error = None
        self._sessions.end_unless(self._grants)
        for name, session in [*self._of_links.items()]:
            if not self._grants(session.access):
                del self._of_links[name]
                session.end()

    def _report_read_error(self, text: str) -> None:
        if text != self._read_error:
            self._read_error = text
            _logger.warning("access file ignored: %s", text)

    def _grants(self, access: Access) -> bool:
        """Return True if the file has the account or link, with the same password or token."""
        file, holder = self._file, access.holder
        if file is None:
            return True
        if isinstance(holder, Account):
            return file.accounts.get(holder.name) == holder
        return isinstance(holder, DisplayLink) and file.links.get(holder.name) == holder


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes with a file or its permissions; ``None`` if it cannot be found."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
