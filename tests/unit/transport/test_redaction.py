from __future__ import annotations

import copy
import inspect
import logging
import pickle

import attrs
import pytest
from support.secret_scanner import TOKEN, assert_clean, found_in, leaks_of

from basix_ws_cti import Basic, Client, Ticket, UsageError, connect, feed_url
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.transport.handshake import RedactingLogger
from basix_ws_cti.transport.redaction import Redactor, SecretValue, scrub_traceback

ARGUMENTS = {"domain": "acme", "token": TOKEN, "app_name": "tests"}
HERE = "ws://127.0.0.1:1"


def holders():
    """Whatever has a secret in it, or leads to one."""
    client = Client(HERE, **ARGUMENTS)
    made = connect(HERE, **ARGUMENTS)
    return [
        Basic("acme", TOKEN),
        Ticket(TOKEN),
        made,
        connect(
            HERE,
            app_name="a",
            additional_headers={"Cookie": TOKEN.encode("ascii", "ignore").decode()},
        ),
        connect(HERE, app_name="a", credentials=Ticket(TOKEN)),
        client,
        client._feed_loop._open_connection,
        made._headers,
        made._options,
        Redactor([TOKEN]),
        SecretValue([TOKEN]),
    ]


@pytest.mark.parametrize("holder", holders(), ids=lambda holder: type(holder).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_pickle_holds_a_secret(holder, protocol):
    """What holds a secret is not pickled, by itself or within something, and says so."""
    for thing in (holder, [holder], {"a": (holder,)}):
        with pytest.raises(UsageError, match="cannot be pickled or copied") as caught:
            pickle.dumps(thing, protocol)
        assert [*leaks_of(caught.value)] == []


@pytest.mark.parametrize("holder", holders(), ids=lambda holder: type(holder).__name__)
def test_nothing_shows_a_secret(holder):
    """Neither repr nor str nor a look at the attributes shows it."""
    assert_clean(holder, [holder], {1: holder})
    parts = vars(holder) if hasattr(holder, "__dict__") else {}
    shown = {name: part for name, part in parts.items() if not isinstance(part, str)}
    assert_clean(shown)


def test_a_copy_is_no_second_secret():
    """Credentials can't change, so that their copy is themselves; the rest is not copied."""
    for credentials in (Basic("acme", TOKEN), Ticket(TOKEN)):
        assert copy.copy(credentials) is copy.deepcopy(credentials) is credentials
        assert copy.deepcopy([credentials]) == [credentials]
        assert attrs.evolve(credentials) == credentials
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(UsageError, match="copied"):
            copied(connect(HERE, **ARGUMENTS))


async def test_a_connection_is_not_pickled():
    """An open connection knows the secret, to mask it: no pickle has it."""
    async with Simulator(calls=False) as pbx, connect(**pbx.connect_args) as cti:
        assert_clean(cti, vars(cti))
        with pytest.raises(UsageError, match="a Connection holds a secret"):
            pickle.dumps(cti)


WRONG = [
    ({"app_name": ""}, UsageError),
    ({"app_name": 5}, UsageError),
    ({"domain": f"a:{TOKEN}"}, UsageError),
    ({"domain": None}, UsageError),
    ({"token": [TOKEN]}, UsageError),
    ({"token": f"{TOKEN}\ud800"}, UsageError),
    ({"credentials": Basic("acme", TOKEN)}, UsageError),
    ({"domain": None, "token": None, "credentials": TOKEN}, UsageError),
    ({"user_id": 1, "user_name": "b"}, UsageError),
    ({"additional_headers": {"Authorization": TOKEN}}, UsageError),
    ({"additional_headers": {"Cookie": f"{TOKEN}\n"}}, UsageError),
    ({"additional_headers": [TOKEN]}, UsageError),
    ({"ssl": True}, UsageError),
    ({"no_such_thing": TOKEN}, (TypeError, UsageError)),
    ({"server": f"wss://acme:{TOKEN}@host"}, UsageError),
    ({"server": f"wss://host/?token={TOKEN}"}, UsageError),
    ({"server": f"wss://host:{TOKEN}"}, UsageError),
    ({"server": f"wss://[{TOKEN}]"}, UsageError),
    ({"server": 5}, UsageError),
]


@pytest.mark.parametrize("make", [connect, Client, feed_url])
@pytest.mark.parametrize(("arguments", "error"), WRONG)
def test_arguments_are_not_to_be_read_on_an_error(make, arguments, error):
    """What can't work leads to no frame that holds its arguments, nor to an error in a chain."""
    given = {"server": HERE, **ARGUMENTS, **arguments}
    taken = inspect.signature(make).parameters
    if make is feed_url and not arguments.keys() <= taken.keys() | {"no_such_thing"}:
        return
    with pytest.raises(error) as caught:
        make(**given)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert [*leaks_of(caught.value)] == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: Basic("a:b", TOKEN),
        lambda: Basic("", TOKEN),
        lambda: Basic(TOKEN, "a", "b"),
        lambda: Basic(TOKEN, b"a"),
        lambda: Ticket(f"{TOKEN}\ud800"),
        lambda: Ticket(TOKEN, 5),
        lambda: attrs.evolve(Basic("a", TOKEN), domain="a:b"),
    ],
)
def test_credentials_that_are_none(make):
    """A Basic or a Ticket that can't be leaves nothing behind either."""
    with pytest.raises((UsageError, TypeError)) as caught:
        make()
    assert [*leaks_of(caught.value)] == []


def test_a_discreet_function():
    """It returns what it returns and raises what it raises, with its name and signature."""

    @scrub_traceback
    def double(secret: str, *, times: int = 2) -> str:
        """Twice."""
        return secret * times

    assert double("a") == "aa"
    assert double("a", times=3) == "aaa"
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    assert str(inspect.signature(double)) == "(secret: 'str', *, times: 'int' = 2) -> 'str'"
    with pytest.raises(TypeError) as caught:
        double(TOKEN, times=TOKEN)
    names = []
    traceback = caught.value.__traceback__
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert names == ["test_a_discreet_function", "call"]
    assert not found_in(str(caught.value.__traceback__.tb_next.tb_frame.f_locals))


def fail(text):
    raise KeyError(text)


def test_the_masking_logger_shows_no_exception_as_it_came(caplog):
    """The text of an exception beside a line is masked too, and fit for it."""
    caplog.set_level(logging.DEBUG, logger="a library")
    logger = RedactingLogger(logging.getLogger("a library"), Redactor([TOKEN]))
    try:
        fail(f"\x1b {TOKEN}\n{'x' * 1000}")
    except KeyError:
        logger.debug("! so it is", exc_info=True)
    (record,) = caplog.records
    assert record.exc_info is None
    text = record.getMessage()
    assert text.startswith("! so it is: ")
    assert "[secret]" in text
    assert text.isprintable()
    assert len(text) == len("! so it is: ") + 256


def test_what_hung_on_an_error_is_gone():
    """What a scrub_traceback function raises has no cause and no context left, whatever it had."""

    @scrub_traceback
    def fail(cause):
        try:
            return {}[TOKEN]
        except KeyError as error:
            raise ValueError("odd") from (error if cause else None)

    for cause in (True, False):
        with pytest.raises(ValueError, match="odd") as caught:
            fail(cause)
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_what_is_said_instead_of_a_pickle():
    """Who pickles a secret is told which, and what to do."""
    with pytest.raises(UsageError) as caught:
        pickle.dumps(Ticket(TOKEN))
    assert str(caught.value) == (
        "a Ticket holds a secret and cannot be pickled or copied: create it where it is needed"
    )


def test_mask():
    """The mask takes the longest secret first, leaves no empty one, and shows none itself."""
    mask = Redactor(["zz", "", "azza", "zz"])
    assert mask("azza zz za") == "[secret] [secret] za"
    assert repr(mask) == "<Redactor>"
