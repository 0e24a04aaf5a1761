"""Bridges from a feed to other systems.

- ``metrics``: ``Metrics``, the figures of a feed for Prometheus; ``call_counters``,
  ``live_figures``, ``population``: the figures; ``metric_families``, ``exposition``: their text;
  ``metrics_server``: a server for it.
- ``webhook``: ``Webhook``, which sends call events to a web server.
- ``webhook_events``, ``signatures``: bodies and headers of the requests.
- ``spool``, ``spool_file``, ``spool_thread``: the events that are not delivered yet;
  ``dead_letters``: those that were refused.
- ``sender``, ``receiver``, ``retries``: the requests, and what follows from their answers.

Metrics need the extra ``metrics``, and webhooks the extra ``webhook``. A name is loaded when it is
first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from basix_ws_cti._internal.extras import imports_of_extra

if TYPE_CHECKING:
    from .dead_letters import DeadLetters
    from .metrics import Metrics
    from .retries import RetryPolicy
    from .spool import DeadLetter
    from .webhook import Webhook, WebhookHealth

__all__ = ["DeadLetter", "DeadLetters", "Metrics", "RetryPolicy", "Webhook", "WebhookHealth"]

# Module of each name, and the extra that it needs.
_MODULES = {
    "DeadLetter": ("spool", "webhook"),
    "DeadLetters": ("dead_letters", "webhook"),
    "Metrics": ("metrics", "metrics"),
    "RetryPolicy": ("retries", "webhook"),
    "Webhook": ("webhook", "webhook"),
    "WebhookHealth": ("webhook", "webhook"),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, extra = _MODULES[name]
    with imports_of_extra(f"{__name__}.{name}", extra):
        value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
