"""Call, Phase and Party: derived values and immutability."""

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


def test_times_are_available_as_datetimes():
    """Datetimes are aware; the time of an event that has not happened is None."""
    assert CALL.started_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert (CALL.answered_at, CALL.ended_at) == (None, None)
    ended = attrs.evolve(CALL, answered=START + 1_000_000, ended=START + 60_000_000)
    assert ended.answered_at == datetime(2025, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert ended.ended_at == datetime(2025, 1, 1, 0, 1, tzinfo=UTC)


def test_time_in_adds_up_ended_phases_of_some_kinds():
    """A phase that has not ended counts as 0."""
    assert CALL.time_in("ivr") == 4
    assert CALL.time_in("ivr", "queued", "talking") == 11
    assert CALL.time_in("parked") == CALL.time_in() == 0
    assert CALL.phase.kind == "talking"
    assert CALL.phase.duration == 0


def test_refused_call_has_cause_meaning_and_sip_status():
    """A call that was not refused has none of them."""
    busy = attrs.evolve(CALL, hangup=Hangup("send_refuse", "USER_BUSY"))
    assert (busy.cause, busy.cause_meaning, busy.sip_status) == ("USER_BUSY", "busy", 486)
    assert (CALL.cause, CALL.cause_meaning, CALL.sip_status) == (None, None, None)


def test_calls_phases_and_parties_are_immutable():
    for item, name in ((CALL, "ended"), (CALL.phase, "ended"), (CALL.caller, "name")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(item, name, 1)
