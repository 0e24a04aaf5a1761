"""Ages as options: a number and a unit, such as ``400d``."""

from __future__ import annotations

import re

from basix_ws_cti.exceptions import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_age(option: str, text: str | None) -> float | None:
    """Return an age such as ``400d`` in seconds; ``None`` for ``None``.

    Raises ``UsageError`` that names the option.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None or not int(found[1]):
        raise UsageError(f"{option}: expected a number and s, m, h or d, such as 90d, got {text!r}")
    return float(int(found[1]) * _UNITS[found[2]])
