"""Colours of the wallboard's cells in the terminal, as Rich styles."""

from __future__ import annotations

from basix_ws_cti.board.tables import Style

RICH_STYLES: dict[Style, str] = {
    "plain": "",
    "faint": "#9a9a9a",
    "late": "bold #ff6188",
    "warning": "bold #fc9867",
    "ivr": "#78dce8",
    "queued": "bold #fc9867",
    "ringing": "#ffd866",
    "talking": "#a9dc76",
    "parked": "#c5a5ff",
    "voicemail": "#8ab4f8",
    "conference": "#a9dc76",
    "other": "#78dce8",
    "unknown": "dim",
}
