"""Notices about the feed on stderr: disconnections, retries, recoveries and gaps."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from attrs import define

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.feed_history import describe_disconnection, describe_error
from basix_ws_cti.cli.exit_codes import error_message
from basix_ws_cti.cli.output import report
from basix_ws_cti.exceptions import FeedError
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.session.status import Disconnected, Synced
from basix_ws_cti.sources.source import Notice


@define
class NoticePrinter:
    """Callback that prints one line for each notice that a user needs to know."""

    zone: tzinfo | None = None
    """Time zone of printed times; ``None`` is local time."""

    _is_retrying: bool = False

    def __call__(self, notice: Notice) -> None:
        """Print a line, unless the notice is an intermediate state."""
        text = self._describe_notice(notice)
        if text is not None:
            report(f"{self._format_time(datetime.now(UTC))} {text}")

    def _describe_notice(self, notice: Notice) -> str | None:
        match notice:
            case Disconnected(reason, seconds):
                self._is_retrying = self._is_retrying or seconds is not None
                return describe_disconnection(_describe(reason), seconds)
            case Synced() if self._is_retrying:
                self._is_retrying = False
                return _("connected: snapshot received")
            case Gap(started, ended, reason):
                return _("gap in the feed from {start} to {end}, {seconds} s: {reason}").format(
                    start=self._format_time(started),
                    end=self._format_time(ended),
                    seconds=f"{(ended - started).total_seconds():.1f}",
                    reason=_describe(reason),
                )
            case Exception() if not isinstance(notice, FeedError):
                # A FeedError is reported as a state, too.
                return _describe(notice)
        return None

    def _format_time(self, at: datetime) -> str:
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M:%S}"


def _describe(reason: Exception | None) -> str:
    return describe_error(reason, error_message)
