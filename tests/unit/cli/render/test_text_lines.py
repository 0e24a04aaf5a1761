"""Text lines on terminals of different widths."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.cells import cell_len
from support.cases import for_each
from support.hostile_texts import HOSTILE

from basix_ws_cti import (
    CallEnded,
    CallRinging,
    Channel,
    InfoEvent,
    InitialInfo,
    Lagged,
    Mirror,
    Msg,
    UnknownMessage,
    User,
)
from basix_ws_cti.calls.model import Call, Party, Phase
from basix_ws_cti.cli.filters import Filters
from basix_ws_cti.cli.render.ringing import PhonesRinging
from basix_ws_cti.cli.render.text_lines import TextLines
from basix_ws_cti.elements import EndUser, EndUsers, OtherInfo
from basix_ws_cti.states import Ringing

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

MIRROR = Mirror()
MIRROR.apply(
    InitialInfo("user", {11: User(id=11, label="青木 愛子"), 12: User(id=12, label="ben")})
)

CALL = Call(
    id="u",
    direction="inbound",
    caller=Party(number="0312341234", name="山田 太郎"),
    called_number="0501234567",
    started=0,
    phases=(Phase(kind="talking", started=0, ended=4_000_000),),
    answered_by=Party(user_id=11),
    disposition="answered",
    ended_by="caller",
)

LEG = Channel(
    direction="outbound",
    user_id=11,
    other_info=OtherInfo(
        end_user=EndUsers(count=1, items=(EndUser(name="山田 太郎"),)), address="0312341234"
    ),
    state=Ringing(),
)


def lines(item, width, *, colourise=lambda text, _: text, **options):
    convert = TextLines(
        MIRROR,
        Filters.parse(**options.pop("filters", {})),
        colourise,
        UTC,
        width=lambda: width,
        **options,
    )
    return [*convert(AT, item)]


@for_each(
    "width, expected",
    [
        (80, "03:04:05 updated channel 山田 太郎 -> 青木 愛子    ringing"),
        (
            120,
            "2026-01-02 03:04:05 updated channel 山田 太郎 (0312341234) -> 青木 愛子     ringing",
        ),
        (
            None,
            "2026-01-02 03:04:05 updated channel 山田 太郎 (0312341234) -> 青木 愛子"
            + " " * 16
            + "ringing",
        ),
    ],
)
def test_line_about_an_element(width, expected):
    """Narrow terminals have no room for the date and for numbers of parties with a name."""
    (line,) = lines(InfoEvent("channel", LEG, "updated"), width)
    assert line.split() == [*expected.split()]
    assert cell_len(line[: line.index("ringing")]) == cell_len(
        expected[: expected.index("ringing")]
    )


ENDED = "ended: answered, talked 0:04, caller hung up"


@for_each(
    "width, words",
    [
        (80, f"03:04:05 山田 太郎 -> 青木 愛子 {ENDED}"),
        (100, f"03:04:05 ended inbound 山田 太郎 -> 青木 愛子 {ENDED}"),
        (None, f"2026-01-02 03:04:05 ended inbound 山田 太郎 (0312341234) -> 青木 愛子 {ENDED}"),
    ],
)
def test_line_about_a_call(width, words):
    """Narrow terminals have no columns for event and direction; the description has the event."""
    (line,) = lines(CallEnded(CALL), width, of_calls=True)
    assert line.split() == words.split()
    assert width is None or cell_len(line) <= width


def test_colour_of_a_narrow_line_about_a_call_is_that_of_the_event():
    def mark(text, code):
        return f"<{code}>{text}</>"

    (line,) = lines(CallEnded(CALL), 80, of_calls=True, colourise=mark)
    assert "<31>ended: answered" in line
    (line,) = lines(CallEnded(CALL), 100, of_calls=True, colourise=mark)
    assert "<31>ended      </> inbound" in line


def test_phones_that_ring_together_have_one_line():
    parties = tuple(Party(user_id=user) for user in (11, 12, 13, 14))
    ringing = PhonesRinging(CALL, parties)
    (line,) = lines(ringing, None, of_calls=True)
    assert "ringing at 青木 愛子, ben and 2 more" in line
    assert not lines(ringing, None, of_calls=True, filters={"events": ["ended"]})


LONG = ("n" * 10_000, "名" * 10_000, "ｶﾅ" * 5000, "e" + "\u0301" * 10_000, "\x1b[31m" * 2000)


@for_each("text", [*LONG, *(name for name, _escaped in HOSTILE.values())])
@for_each("width", [40, 80, 120])
@for_each(
    "make",
    [
        lambda text: InfoEvent("user", User(id=1, label=text, main_extension=text), "added"),
        lambda text: InfoEvent(text, User(id=1, label=text), text),
        lambda text: InfoEvent(
            "channel", Channel(calling_number=text, called_number=text), "added"
        ),
        Msg,
        lambda text: UnknownMessage(text, (text,)),
    ],
)
def test_hostile_texts_fit_the_terminal(make, text, width):
    """A line has no control characters, and is no wider than the terminal."""
    (line,) = lines(make(text), width)
    assert line.endswith("\n")
    assert line[:-1].replace("\u3000", "").isprintable()
    assert cell_len(line[:-1]) <= width


@for_each("text", LONG)
def test_hostile_names_of_parties_fit_the_terminal(text):
    party = Party(name=text, number=text)
    call = Call(id="u", direction="internal", caller=party, called_number=text, started=0)
    for item in (CallRinging(call, party), CallEnded(call), PhonesRinging(call, (party,) * 5)):
        (line,) = lines(item, 80, of_calls=True)
        assert line[:-1].isprintable()
        assert cell_len(line[:-1]) <= 80


def test_message_uses_the_width_of_both_columns():
    (line,) = lines(Msg("x" * 200), 80)
    assert line == "03:04:05 message         " + "x" * 54 + "~\n"


def test_width_is_read_at_each_line():
    """A terminal can be resized."""
    widths = iter([80, 120])
    convert = TextLines(
        MIRROR, Filters.parse(), lambda text, _: text, UTC, width=lambda: next(widths)
    )
    first, second = (next(convert(AT, Lagged(3))) for _ in range(2))
    assert first.startswith("03:04:05 lagged")
    assert second.startswith("2026-01-02 03:04:05 lagged")


@for_each(
    "missed, text",
    [(1, "1 item dropped: output is too slow"), (3, "3 items dropped: output is too slow")],
)
def test_lost_items_are_counted(missed, text):
    (line,) = lines(Lagged(missed), None)
    assert text in line
