"""Call log of a simulated day for reports."""

from __future__ import annotations

from .ledger_day import play_day
from .report_rows import fill


def log_day(database, seed=5, calls=300):
    """Write the calls of a simulated day and the names of its users and groups to a new log.

    Returns the rows of the library, and the first and last start of a call in microseconds.
    """
    pbx, rows = play_day(seed, calls)
    fill(
        database,
        calls=rows.calls,
        waits=rows.waits,
        participations=rows.participations,
        names=[*_names(pbx)],
    )
    starts = [call.started for call in rows.calls]
    return rows, min(starts), max(starts)


def _names(pbx):
    for kind in ("user", "group"):
        for values in pbx.snapshot()[kind].values():
            yield {
                "kind": kind,
                "id": values["id"],
                "since": 0,
                "name": values.get("label") or values["name"],
                "extension": values.get("main_extension"),
            }
