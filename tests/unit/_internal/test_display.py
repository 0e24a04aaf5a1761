"""Representations of objects in ``repr``, Rich and notebooks."""

from __future__ import annotations

import inspect
from html.parser import HTMLParser
from io import StringIO

import attrs
from attrs import field, frozen
from rich.console import Console
from rich.pretty import Pretty
from support.cases import for_each

import basix_ws_cti
from basix_ws_cti import (
    Call,
    Channel,
    Hangup,
    InitialInfo,
    Interval,
    LoginTime,
    MessageParser,
    Mirror,
    OtherElement,
    Participation,
    Party,
    Phase,
    QueueStats,
    QueueWait,
    Session,
    Subscription,
    Terminal,
    User,
)
from basix_ws_cti._internal.display import MAX_HTML_ROWS, SetFields, count_of, html_table
from basix_ws_cti.elements import Extra
from basix_ws_cti.states import Calling, Ringing

HOSTILE = "<script>alert('1')</script>\x1b[31m\u202e"


@frozen(repr=False)
class Sample(SetFields):
    first: int
    second: object = None
    hidden: str = field(default="", repr=False)
    items: tuple[object, ...] = field(default=(), repr=count_of("items"))


class Cells(HTMLParser):
    """Parser that collects the names of all tags, and the texts of all cells."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self._is_in_cell = False
        self.feed(html)

    def handle_starttag(self, tag, _):
        self.tags.append(tag)
        self._is_in_cell = tag in {"td", "th"}
        if self._is_in_cell:
            self.texts.append("")

    def handle_endtag(self, _):
        self._is_in_cell = False

    def handle_data(self, data):
        if self._is_in_cell:
            self.texts[-1] += data


@for_each(
    "value, text",
    [
        (Sample(1), "Sample(first=1)"),
        (Sample(1, False), "Sample(first=1, second=False)"),
        (Sample(1, "x", "secret", (1, 2)), "Sample(first=1, second='x', items=<2 items>)"),
        (User(id=7, label="佐藤 健"), "User(id=7, label='佐藤 健')"),
        (Terminal(registered=False), "Terminal(registered=False)"),
        (Terminal(registered=True), "Terminal(registered=True)"),
        (User(extra=Extra(colour="red")), "User(extra={'colour': 'red'})"),
        (OtherElement(element_name="robot"), "OtherElement(element_name='robot')"),
        (Ringing(ts=1), "Ringing(ts=1)"),
        (Hangup("recv_bye"), "Hangup(disposition='recv_bye')"),
        (Party(), "Party()"),
        (Interval(started=1, ended=2), "Interval(started=1, ended=2)"),
        (
            InitialInfo("user", {7: User(id=7)}),
            "InitialInfo(element_name='user', elements=<1 elements>)",
        ),
    ],
)
def test_repr_shows_the_fields_that_are_set(value, text):
    assert repr(value) == text


def test_repr_of_an_element_is_python_that_creates_it_again():
    channel = Channel(uuid="u", state=Calling(ts=1, user_id=3), user_id=3, tags=("a",))
    assert eval(repr(channel)) == channel


def test_repr_of_a_call_counts_its_legs_and_phases():
    call = Call(
        id="c",
        direction="inbound",
        caller=Party(number="0312341234"),
        called_number=None,
        started=1,
        phases=(Phase(kind="ivr", started=1),),
    )
    assert repr(call) == (
        "Call(id='c', direction='inbound', caller=Party(number='0312341234'), called_number=None, "
        "started=1, phases=<1 phases>)"
    )


@for_each("name", sorted(basix_ws_cti.__all__))
def test_public_classes_have_a_repr_of_their_own(name):
    cls = getattr(basix_ws_cti, name)
    if inspect.isclass(cls) and not getattr(cls, "_is_protocol", False):
        assert cls.__repr__ is not object.__repr__


@for_each(
    "value, text",
    [
        (LoginTime(lambda _: None), "<LoginTime of 0 users>"),
        (QueueStats(60), "<QueueStats 60 s, 0 active calls>"),
        (MessageParser(), "<MessageParser without field specs>"),
        (Session(), "<Session not synced, 0 gaps, <Mirror empty>>"),
    ],
)
def test_repr_of_stateful_objects_is_short(value, text):
    assert repr(value) == text


async def test_repr_of_a_subscription_shows_its_queue():
    subscription = Subscription("fail", 5, None, lambda _: None)
    assert repr(subscription) == "<Subscription open, 0 of 5 items queued>"
    subscription.close()
    assert repr(subscription) == "<Subscription ended, 0 of 5 items queued>"


def test_rich_prints_only_the_fields_that_are_set():
    output = StringIO()
    Console(file=output, width=80).print(Pretty(User(id=7, label="[bold]x")))
    assert output.getvalue() == "User(id=7, label='[bold]x')\n"


@for_each(
    "value",
    [
        User(id=7, label=HOSTILE),
        Channel(uuid=HOSTILE, tags=(HOSTILE,)),
        Party(name=HOSTILE),
        Sample(1, items=(Party(name=HOSTILE), Party(number=HOSTILE))),
    ],
)
def test_notebooks_show_text_of_the_feed_without_its_markup(value):
    html = value._repr_html_()
    assert {*Cells(html).tags} <= {"table", "tr", "th", "td"}
    assert html.isprintable()


def test_notebooks_show_an_element_as_a_table_of_its_fields():
    assert Cells(User(id=7, label="佐藤 健")._repr_html_()).texts == [
        *("User", ""),
        *("id", "7"),
        *("label", "佐藤 健"),
    ]


def test_notebooks_show_the_parts_of_a_value_as_a_table():
    value = Sample(1, items=(Party(user_id=7), Party(number="090")))
    assert Cells(value._repr_html_()).texts == [
        *("Sample", ""),
        *("first", "1"),
        *("items", ""),
        *("user_id", "number"),
        *("7", ""),
        *("", "090"),
    ]


def test_notebooks_show_the_elements_of_a_mirror():
    mirror = Mirror()
    elements = {number: User(id=number) for number in range(MAX_HTML_ROWS + 2)}
    mirror.apply(InitialInfo("user", elements))
    assert Cells(mirror._repr_html_()).texts == ["Kind", "Elements", "user", "102"]
    html = mirror.users._repr_html_()
    assert Cells(html).texts == ["id", *map(str, range(MAX_HTML_ROWS))]
    assert html.endswith("<p>2 more</p>")


@for_each("cls", [QueueWait, Participation, basix_ws_cti.CallRecord])
def test_rows_leave_out_empty_columns(cls):
    required = {a.name: "x" for a in attrs.fields(cls) if a.default is attrs.NOTHING}
    shown = ", ".join(f"{name}={value!r}" for name, value in required.items())
    assert repr(cls(**required)) == f"{cls.__name__}({shown})"


def test_html_table_says_nothing_about_rows_that_fit():
    assert html_table(("a",), [("1",)], 1).endswith("</table>")


def test_dir_lists_the_public_names_only():
    assert dir(basix_ws_cti) == sorted(basix_ws_cti.__all__)


def test_to_dict_of_an_element_equals_the_function():
    channel = Channel(uuid="u", state=Ringing(ts=1))
    assert channel.to_dict() == basix_ws_cti.to_dict(channel)
