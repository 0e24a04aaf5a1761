"""Bridges from the feed to other systems.

- ``metrics``: ``Metrics``, the figures of a feed for Prometheus; ``call_counters``,
  ``live_figures``, ``population``: the figures; ``metric_families``, ``exposition``: their text;
  ``metrics_server``: a server for it. Needs the extra ``metrics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .metrics import Metrics

__all__ = ["Metrics"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: each bridge needs another extra.
    if name == "Metrics":
        from .metrics import Metrics  # noqa: PLC0415 - as said

        return Metrics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
