"""Display text in which the telephone numbers of outside parties are masked."""

from __future__ import annotations

import re

from attrs import evolve, frozen

from basix_ws_cti.board.labels import Labels
from basix_ws_cti.calls import Call, Party
from basix_ws_cti.mirror.phone_numbers import INVISIBLE, SEPARATORS

# Digits of a number that stay readable. Shorter numbers are extensions, which nobody needs to mask.
_SHOWN_DIGITS = 3
_LONGEST_EXTENSION = 6

# Separators that occur in names, besides those that a number may have: the text is masked as it is,
# so that full-width forms are listed too.
_MORE_SEPARATORS = (
    r"_~\u00b7\u2022\u301c\u30fb\ufe63\uff08\uff09\uff0d-\uff0f\uff3f\uff5e\uff65\uff70"
)

_NUMBER = re.compile(rf"[+\uff0b\d][\d{SEPARATORS}{INVISIBLE}{_MORE_SEPARATORS}]*\d")


@frozen
class MaskedLabels(Labels):
    """Labels that show only the last digits of telephone numbers, also of those within names."""

    def party(self, party: Party) -> str:
        """Return the name of a party, with the masked number of an outside party."""
        if party.user_id is not None or party.group_id is not None:
            return super().party(party)
        number = None if party.number is None else mask_number(party.number)
        name = None if party.name is None else mask_number(party.name)
        return super().party(evolve(party, number=number, name=name))

    def called_number(self, call: Call) -> str:
        """Return the number that a call was made to, masked if it is an outside one."""
        number = super().called_number(call)
        return mask_number(number) if call.direction == "outbound" else number


def mask_number(text: str) -> str:
    """Replace all digits but the last three of each telephone number in a text by ``…``."""
    return _NUMBER.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    digits = [char for char in match[0] if char.isdigit()]
    if len(digits) <= _LONGEST_EXTENSION:
        return match[0]
    return "…" + "".join(digits[-_SHOWN_DIGITS:])
