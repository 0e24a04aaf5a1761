"""Steps of an examination and their findings."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import Factory, frozen

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import printable

STEPS = (
    "options",
    "dns",
    "tcp",
    "tls",
    "http",
    "login",
    "limit",
    "field_spec",
    "snapshot",
    "pings",
)
"""Names of the steps in order."""

REDIS_STEPS = ("redis", "memory", "saving", "permissions")
"""Names of the steps for a Redis server, in order."""


class Mark(StrEnum):
    """Result of a step."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen(kw_only=True)
class Finding:
    """Outcome of a step."""

    step: str = ""
    """Name of the step."""

    mark: Mark = Mark.OK
    """Result."""

    found: str
    """Description for people, in the language of the context."""

    advice: str | None = None
    """What to do about it; ``None`` if nothing is to be done."""

    seconds: float | None = None
    """Duration of the step in seconds; ``None`` if it waited for nothing."""

    details: dict[str, Any] = Factory(dict)
    """JSON-ready values for programs."""


class StepFailedError(Exception):
    """Failure of a step, with its finding."""

    def __init__(self, found: str, advice: str, **details: Any) -> None:
        super().__init__(found, advice)
        self.finding: Finding = Finding(
            mark=Mark.FAILED, found=found, advice=advice, details=details
        )


def describe_network_error(error: Exception, timeout: float | None = None) -> str:
    """Return a network error as text, without numeric codes.

    ``timeout`` is the step's own timeout in seconds, to describe the ``TimeoutError`` of
    ``asyncio.timeout``; a ``TimeoutError`` with an ``errno`` comes from the system instead.
    """
    match error:
        case TimeoutError(errno=None) if timeout is not None:
            return _("no answer within {seconds:g} s").format(seconds=timeout)
        case OSError():
            return printable(describe_os_error(error))
    return printable(str(error)) or type(error).__name__
