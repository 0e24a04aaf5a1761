"""Colours of the wallboard's cells in the terminal, as Rich styles."""

from __future__ import annotations

from basix_ws_cti.board.tables import Style

RICH_STYLES: dict[Style, str] = {
    Style.PLAIN: "",
    Style.FAINT: "#9a9a9a",
    Style.LATE: "bold #ff6188",
    Style.WARNING: "bold #fc9867",
    Style.IVR: "#78dce8",
    Style.QUEUED: "bold #fc9867",
    Style.RINGING: "#ffd866",
    Style.TALKING: "#a9dc76",
    Style.PARKED: "#c5a5ff",
    Style.VOICEMAIL: "#8ab4f8",
    Style.CONFERENCE: "#a9dc76",
    Style.OTHER: "#78dce8",
    Style.UNKNOWN: "dim",
}
