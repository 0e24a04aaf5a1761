"""Texts about alerts."""

from __future__ import annotations

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.alerts.rule import Alert

from .durations import format_duration

_SECOND = 1_000_000  # in microseconds


def describe_alert(alert: Alert) -> str:
    """Return in words that an alert began or ended, with the figure's value."""
    value = _describe_value(alert)
    text = _("alert: {value}") if alert.state == "raised" else _("alert over: {value}")
    return text.format(value=value)


def _describe_value(alert: Alert) -> str:
    value = alert.value
    if value is None:
        return _("nothing to measure")
    match alert.rule.figure:
        case "longest_wait":
            return _("longest wait {time}").format(time=format_duration(round(value * _SECOND)))
        case "waiting":
            count = round(value)
            return ngettext("{count} call waits", "{count} calls wait", count).format(count=count)
        case "service_level":
            return _("service level {share}").format(share=f"{value:.0%}")
    if alert.state == "ended":
        return _("the feed is back")
    return _("no feed for {time}").format(time=format_duration(round(value * _SECOND)))
