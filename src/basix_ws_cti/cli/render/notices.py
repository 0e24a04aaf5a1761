"""Notices about the feed on stderr: disconnections, retries, recoveries and gaps."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from attrs import define

from basix_ws_cti.board.feed_history import describe_error
from basix_ws_cti.cli.exit_codes import error_message
from basix_ws_cti.cli.output import report
from basix_ws_cti.exceptions import FeedError
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.session.status import Disconnected, Synced
from basix_ws_cti.sources.source import Notice

from .feed_lines import format_time


@define
class NoticePrinter:
    """Callback that prints one line for each notice that a user needs to know."""

    zone: tzinfo | None = None
    """Time zone of printed times; ``None`` is local time."""

    _is_retrying: bool = False

    def __call__(self, notice: Notice) -> None:
        """Print a line, unless the notice is an intermediate state."""
        now = format_time(datetime.now(UTC), self.zone)
        match notice:
            case Disconnected(reason, None):
                report(f"{now} disconnected: {_describe(reason)}")
            case Disconnected(reason, seconds):
                report(f"{now} disconnected: {_describe(reason)}; retrying in {seconds:.1f} s")
                self._is_retrying = True
            case Synced() if self._is_retrying:
                report(f"{now} connected: snapshot received")
                self._is_retrying = False
            case Gap(started, ended, reason):
                seconds = (ended - started).total_seconds()
                since, until = format_time(started, self.zone), format_time(ended, self.zone)
                report(
                    f"{now} gap in the feed from {since} to {until}, {seconds:.1f} s: "
                    f"{_describe(reason)}"
                )
            case Exception() if not isinstance(notice, FeedError):
                # A FeedError is reported as a state, too.
                report(f"{now} {_describe(notice)}")


def _describe(reason: Exception | None) -> str:
    return describe_error(reason, error_message)
