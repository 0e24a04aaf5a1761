"""Values that a shell completes. Completion neither connects nor imports what needs long to load.

Each function returns all values; typer selects those that begin with what has been typed.
"""

from __future__ import annotations

import typer

from basix_ws_cti._internal.translation import LANGUAGES

from .feed_names import CALL_EVENTS, ELEMENT_EVENTS, KINDS


def complete_kinds() -> list[str]:
    """Return the kinds of elements, for ``--kind``."""
    return [*KINDS]


def complete_events(context: typer.Context) -> list[str]:
    """Return the events for ``--event``: with ``--calls`` those of calls, else of elements."""
    return [*(CALL_EVENTS if context.params.get("calls") else ELEMENT_EVENTS)]


def complete_languages() -> list[str]:
    """Return the codes of the languages, for ``--lang``."""
    return [*LANGUAGES]


def complete_timezones() -> list[str]:
    """Return the names of time zones, for ``--timezone``."""
    from zoneinfo import available_timezones

    return sorted(available_timezones())
