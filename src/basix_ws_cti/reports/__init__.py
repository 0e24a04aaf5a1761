"""Reports from a call log: figures of queues and agents, and lists of calls.

- ``reports``: ``Reports``, which computes them; ``rows``: the rows that it returns.
- ``period``, ``intervals``, ``selection``: the time that a report covers, and the rows it counts.
- ``conditions``: the same as SQL; ``queue_sums``, ``part_groups``: sums by the database.
- ``names``: names of users and groups at some time.
- ``report_kinds``: any report as a table; ``tables``, ``formats``, ``frames``: tables, files, data
  frames; ``row_tables``, ``call_columns``: the columns of each table; ``about``: its description.

Needs the extra ``calllog``; workbooks, Parquet and data frames need the extra ``reports``.
"""

from basix_ws_cti._internal.extras import imports_of_extra

with imports_of_extra(__name__, "reports"):
    from .intervals import By, Interval, split
    from .period import Period
    from .report_kinds import ReportKind, report_table
    from .reports import Reports
    from .rows import (
        AgentRow,
        CallbackRow,
        CallListRow,
        FirstContactRow,
        GapRow,
        HeatCell,
        NameRow,
        NumberRow,
        OutboundRow,
        QueueRow,
        RepeatCallerRow,
        VolumeRow,
    )
    from .selection import Selection
    from .tables import Column, Table

__all__ = [
    "AgentRow",
    "By",
    "CallListRow",
    "CallbackRow",
    "Column",
    "FirstContactRow",
    "GapRow",
    "HeatCell",
    "Interval",
    "NameRow",
    "NumberRow",
    "OutboundRow",
    "Period",
    "QueueRow",
    "RepeatCallerRow",
    "ReportKind",
    "Reports",
    "Selection",
    "Table",
    "VolumeRow",
    "report_table",
    "split",
]
