"""Call, Phase, Party: what can be asked of them."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from basix_ws_cti.calls import Call, Party, Phase
from basix_ws_cti.elements import Hangup

START = 1_735_689_600_000_000
CALL = Call(
    id="a",
    direction="inbound",
    caller=Party(number="1"),
    called_number="2",
    started=START,
    phases=(
        Phase(kind="ivr", started=START, ended=START + 3),
        Phase(kind="queued", started=START + 3, ended=START + 10),
        Phase(kind="ivr", started=START + 10, ended=START + 11),
        Phase(kind="talking", started=START + 11),
    ),
)


def test_times_as_datetimes():
    """Times can be had as aware datetimes; what has not happened has none."""
    assert CALL.started_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert (CALL.answered_at, CALL.ended_at) == (None, None)
    ended = attrs.evolve(CALL, answered=START + 1_000_000, ended=START + 60_000_000)
    assert ended.answered_at == datetime(2025, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert ended.ended_at == datetime(2025, 1, 1, 0, 1, tzinfo=UTC)


def test_time_in_phases():
    """The time in some sorts of phases is added up; what goes on counts nothing yet."""
    assert CALL.time_in("ivr") == 4
    assert CALL.time_in("ivr", "queued", "talking") == 11
    assert CALL.time_in("parked") == CALL.time_in() == 0
    assert CALL.phase.kind == "talking"
    assert CALL.phase.duration == 0


def test_the_cause_in_words():
    """A call that was refused says why, in words and as a SIP status; another has nothing."""
    busy = attrs.evolve(CALL, hangup=Hangup("send_refuse", "USER_BUSY"))
    assert (busy.cause, busy.cause_meaning, busy.sip_status) == ("USER_BUSY", "busy", 486)
    assert (CALL.cause, CALL.cause_meaning, CALL.sip_status) == (None, None, None)


def test_nothing_of_it_changes():
    """A call, its phases and parties are immutable."""
    for item, name in ((CALL, "ended"), (CALL.phase, "ended"), (CALL.caller, "name")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(item, name, 1)
