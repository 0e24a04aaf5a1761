"""The report as one HTML page for managers: headline figures, charts and tables.

- ``content``: rows that the page shows. ``by_time``, ``by_subject``: its sections. ``headline``:
  all else. ``parts``: what the template gets.
- ``html``: the template ``report.html.jinja`` and the style sheet ``report.css`` make the file.

Needs the extra ``reports``.
"""

from __future__ import annotations

from datetime import datetime

from basix_ws_cti.reports.intervals import By
from basix_ws_cti.reports.reports import Reports
from basix_ws_cti.reports.selection import Selection

from .content import read_rows
from .html import render

__all__ = ["render_page"]


def render_page(
    reports: Reports, selection: Selection, *, created: datetime, by: By | None = None
) -> str:
    """Return the report as an HTML page, in the language of the current context.

    The page is one file without scripts that loads nothing. It contains names of queues and
    agents.

    - ``created``: time at which the report is made, with a time zone.
    - ``by``: length of the intervals; ``None``: one that suits the period. If the period has more
      than 366 of them, the page has longer ones and says so.

    Raise ``UsageError`` if the selection has users: waits have none.
    """
    return render(read_rows(reports, selection, by=by, created=created))
