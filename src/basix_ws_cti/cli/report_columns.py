"""Choice of columns and rows of a report on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

from .suggestions import quoted, unknown_name

if TYPE_CHECKING:
    from basix_ws_cti.reports.table_selection import Operator
    from basix_ws_cti.reports.tables import Table


def choose(table: Table, conditions: Sequence[str], columns: Sequence[str]) -> Table:
    """Return the rows of a table that meet all conditions, with some of their columns.

    - ``conditions``: texts such as ``disposition=abandoned`` or ``transfers!=0``.
    - ``columns``: names of columns; empty: all.

    Raises ``UsageError`` for other texts, and for unknown columns.
    """
    from basix_ws_cti.reports.table_selection import Condition, select_columns, select_rows

    parsed = []
    for text in conditions:
        found = re.fullmatch(r"\s*([^=!]*?)\s*(!?=)\s*(.*?)\s*", text, re.DOTALL)
        if found is None:
            message = _("--where: expected COLUMN=VALUE or COLUMN!=VALUE, got {text}")
            raise UsageError(message.format(text=quoted(text)))
        parsed.append(Condition(found[1], cast("Operator", found[2]), found[3]))
    known = [column.name for column in table.columns]
    for name in (*(one.column for one in parsed), *columns):
        if name not in known:
            advice = _("the columns are {known}").format(known=", ".join(known))
            raise unknown_name(_("column"), name, known, advice)
    return select_columns(select_rows(table, parsed), columns)
