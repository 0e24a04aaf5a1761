"""What is told on stderr while a feed goes on: lost connections, attempts, gaps."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from attrs import define

from basix_ws_cti.board.feed_history import why
from basix_ws_cti.cli.exit_codes import told
from basix_ws_cti.cli.output import say
from basix_ws_cti.exceptions import FeedError
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.session.status import Disconnected, Synced
from basix_ws_cti.sources.source import Notice

from .feed_lines import clock


@define
class Notices:
    """One line for each thing that went wrong, and that it goes on; times in ``zone``."""

    zone: tzinfo | None = None
    _troubled: bool = False

    def __call__(self, notice: Notice) -> None:
        """Tell it, if it is worth a line."""
        now = clock(datetime.now(UTC), self.zone)
        match notice:
            case Disconnected(reason, None):
                say(f"{now} the feed broke off: {why(reason, told)}")
            case Disconnected(reason, seconds):
                say(f"{now} no feed: {why(reason, told)}; next attempt in {seconds:.1f} s")
                self._troubled = True
            case Synced() if self._troubled:
                say(f"{now} connected, and told what there is")
                self._troubled = False
            case Gap(started, ended, reason):
                seconds = (ended - started).total_seconds()
                since, until = clock(started, self.zone), clock(ended, self.zone)
                say(f"{now} blind from {since} to {until}, {seconds:.1f} s: {why(reason, told)}")
            case Exception() if not isinstance(notice, FeedError):  # those are told as states
                say(f"{now} {why(notice, told)}")
