"""Texts of the page, by the keys that its scripts use."""

from __future__ import annotations

from basix_ws_cti._internal.translation import _

TEXTS: dict[str, str] = {}


def page_texts() -> dict[str, str]:
    """Return all texts in the language of the current context, by key."""
    return {key: _(text) for key, text in TEXTS.items()}
