"""Alerts among the items of a feed that ``listen`` prints."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from basix_ws_cti._internal.translation import _
from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.elements import Group
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.sources.source import Source

from .filters import check_known


def parse_rules(texts: Iterable[str], *, only_alerts: bool) -> list[AlertRule]:
    """Return the rules of ``--alerts``; ``only_alerts``: ``--only-alerts`` is given, too.

    Raises ``UsageError`` for a text that is no rule, and without a rule for ``--only-alerts``.
    """
    rules = [AlertRule.parse(text) for text in texts]
    if only_alerts and not rules:
        raise UsageError(_("--only-alerts needs a rule: add --alerts"))
    return rules


def check_queues(rules: Iterable[AlertRule], mirror: Mirror) -> None:
    """Raise ``UsageError`` for a rule that names a queue which is not in a mirror."""
    queues = [rule.queue for rule in rules if isinstance(rule.queue, str)]
    advice = _("no id, extension, name or label matches; --allow-unknown accepts it")
    check_known(_("queue"), queues, mirror["group"], Group, advice)


async def with_alerts(
    source: Source,
    rules: Iterable[AlertRule],
    items: AsyncIterator[tuple[datetime, Any]],
    *,
    only_alerts: bool,
) -> AsyncGenerator[tuple[datetime, Any]]:
    """Yield the items of a source, and each alert when it begins and ends.

    ``only_alerts``: leave the items out. Close the iterator if it is not exhausted.
    """
    alerts: asyncio.Queue[tuple[datetime, Any]] = asyncio.Queue()

    def on_alert(alert: Alert) -> None:
        alerts.put_nowait((source.now(), alert))

    unregister = [source.on_alert(rule, on_alert) for rule in rules]
    alert = asyncio.ensure_future(alerts.get())
    upcoming = asyncio.ensure_future(anext(items, None))
    try:
        while True:
            await asyncio.wait({upcoming, alert}, return_when=asyncio.FIRST_COMPLETED)
            if not alerts.empty():  # the task that waits for it has not run yet
                await asyncio.sleep(0)
            if alert.done():  # it came before the item
                yield alert.result()
                alert = asyncio.ensure_future(alerts.get())
                continue
            entry = upcoming.result()
            if entry is None:
                return
            if not only_alerts:
                yield entry
            upcoming = asyncio.ensure_future(anext(items, None))
    finally:
        for function in unregister:
            function()
        await _cancel(alert, upcoming)


async def _cancel(*futures: asyncio.Future[Any]) -> None:
    for future in futures:
        future.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await future
