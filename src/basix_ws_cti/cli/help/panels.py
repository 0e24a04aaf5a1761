"""Names of the groups in which help texts list commands and options."""

from __future__ import annotations

from basix_ws_cti._internal.translation import _

# Groups of commands.
WATCH = _("Watch")
RECORD = _("Record and replay")
CONTROL = _("Control calls")
CHECK = _("Check and tools")

# Groups of options. Options without a group are listed first, under OPTIONS.
ARGUMENTS = _("Arguments")
OPTIONS = _("Options")
SELECTION = _("Selection")
FIGURES = _("Figures")
OUTPUT = _("Output")
DELIVERY = _("Delivery")
WALLBOARD = _("Wallboard")
SERVER = _("Server")
ACCESS = _("Access")
CONNECTION = _("Connection")
OTHER = _("Other options")

MORE_CONNECTION = _("More connection options")
"""Group of the connection options that only ``basix-ws-cti help connection`` lists."""
