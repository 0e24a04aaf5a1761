"""Rows of a sliding window."""

from __future__ import annotations

from support.call_rows import participation

from basix_ws_cti.calls.row_window import RowWindow
from basix_ws_cti.calls.tallies import AgentTally


def test_discarding_a_row_that_is_not_kept_changes_nothing():
    window, row = RowWindow(AgentTally, 10), participation()
    window.put(("a",), 5, row)
    window.summary = "computed"
    window.discard(("b",))
    assert [*window] == [row]
    assert window.summary == "computed"
