"""Redaction: no pickle, repr, copy or traceback contains a secret."""

from __future__ import annotations

import copy
import inspect
import itertools
import logging
import pickle
import re

import attrs
import pytest
from support.cases import for_each
from support.free_ports import free_port
from support.secret_scanner import TOKEN, assert_clean, found_in, leaks_of, secret_holders

from basix_ws_cti import (
    AuthenticationError,
    Basic,
    Client,
    ConnectFailed,
    Ticket,
    UsageError,
    connect,
    feed_url,
)
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.transport.handshake import RedactingLogger
from basix_ws_cti.transport.redaction import Redactor, SecretValue, scrub_traceback

ARGUMENTS = {"domain": "acme", "token": TOKEN, "app_name": "tests"}
SERVER = "ws://127.0.0.1:1"


def holders():
    """Return objects that contain a secret or refer to one."""
    client = Client(SERVER, **ARGUMENTS)
    connector = connect(SERVER, **ARGUMENTS)
    return [
        Basic("acme", TOKEN),
        Ticket(TOKEN),
        connector,
        connect(
            SERVER,
            app_name="a",
            additional_headers={"Cookie": TOKEN.encode("ascii", "ignore").decode()},
        ),
        connect(SERVER, app_name="a", credentials=Ticket(TOKEN)),
        client,
        *secret_holders(client),
        *secret_holders(connector),
        Redactor([TOKEN]),
        SecretValue([TOKEN]),
    ]


@for_each("holder", holders())
@for_each("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_with_secrets_cannot_be_pickled(holder, protocol):
    for thing in (holder, [holder], {"a": (holder,)}):
        with pytest.raises(UsageError, match="cannot be pickled or copied") as caught:
            pickle.dumps(thing, protocol)
        assert [*leaks_of(caught.value)] == []


@for_each("holder", holders())
def test_repr_and_attributes_contain_no_secret(holder):
    assert_clean(holder, [holder], {1: holder})
    parts = vars(holder) if hasattr(holder, "__dict__") else {}
    shown = {name: part for name, part in parts.items() if not isinstance(part, str)}
    assert_clean(shown)


def test_holders_include_those_inside_a_client_and_a_connector():
    assert {type(one).__name__ for one in secret_holders(Client(SERVER, **ARGUMENTS))} == {
        "_ConnectionFactory"
    }
    assert {type(one).__name__ for one in secret_holders(connect(SERVER, **ARGUMENTS))} == {
        "Basic",
        "SecretValue",
    }


def test_copies_do_not_duplicate_secrets():
    """A copy of immutable credentials is the same object; other objects refuse to be copied."""
    for credentials in (Basic("acme", TOKEN), Ticket(TOKEN)):
        assert copy.copy(credentials) is copy.deepcopy(credentials) is credentials
        assert copy.deepcopy([credentials]) == [credentials]
        assert attrs.evolve(credentials) == credentials
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(UsageError, match="copied"):
            copied(connect(SERVER, **ARGUMENTS))


async def test_connection_cannot_be_pickled():
    """An open connection contains the secret in order to redact it."""
    async with Simulator(calls=False) as pbx, connect(**pbx.connect_args) as cti:
        assert_clean(cti, vars(cti))
        with pytest.raises(UsageError, match="a Connection holds a secret"):
            pickle.dumps(cti)


INVALID_ARGUMENTS = [
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


@for_each("make", [connect, Client, feed_url])
@for_each("arguments, error", INVALID_ARGUMENTS)
def test_errors_contain_no_arguments_with_secrets(make, arguments, error):
    """No frame of the traceback and no chained error contains the arguments."""
    options = {"server": SERVER, **ARGUMENTS, **arguments}
    parameters = inspect.signature(make).parameters
    if make is feed_url and not arguments.keys() <= parameters.keys() | {"no_such_thing"}:
        return
    with pytest.raises(error) as caught:
        make(**options)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert [*leaks_of(caught.value)] == []


@for_each(
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
def test_errors_of_invalid_credentials_contain_no_secret(make):
    with pytest.raises((UsageError, TypeError)) as caught:
        make()
    assert [*leaks_of(caught.value)] == []


def test_scrub_traceback_keeps_result_name_and_signature():
    @scrub_traceback
    def double(secret: str, *, times: int = 2) -> str:
        """Return the secret twice."""
        return secret * times

    assert double("a") == "aa"
    assert double("a", times=3) == "aaa"
    assert (double.__name__, double.__doc__) == ("double", "Return the secret twice.")
    assert str(inspect.signature(double)) == "(secret: 'str', *, times: 'int' = 2) -> 'str'"
    with pytest.raises(TypeError) as caught:
        double(TOKEN, times=TOKEN)
    names = []
    traceback = caught.value.__traceback__
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert names == ["test_scrub_traceback_keeps_result_name_and_signature", "call"]
    assert not found_in(str(caught.value.__traceback__.tb_next.tb_frame.f_locals))


def fail(text):
    raise KeyError(text)


def test_redacting_logger_redacts_exceptions(caplog):
    """The text of an exception is redacted, printable and short."""
    caplog.set_level(logging.DEBUG, logger="a library")
    logger = RedactingLogger(logging.getLogger("a library"), Redactor([TOKEN]))
    try:
        fail(f"\x1b {TOKEN}\n{'x' * 1000}")
    except KeyError:
        logger.debug("! failed", exc_info=True)
    (record,) = caplog.records
    assert record.exc_info is None
    text = record.getMessage()
    assert text.startswith("! failed: ")
    assert "[secret]" in text
    assert text.isprintable()
    assert len(text) == len("! failed: ") + 256


def test_scrub_traceback_removes_cause_and_context():
    @scrub_traceback
    def fail(cause):
        try:
            return {}[TOKEN]
        except KeyError as error:
            raise ValueError("problem") from (error if cause else None)

    for cause in (True, False):
        with pytest.raises(ValueError, match="problem") as caught:
            fail(cause)
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_pickle_error_names_the_class_and_the_remedy():
    with pytest.raises(UsageError) as caught:
        pickle.dumps(Ticket(TOKEN))
    assert str(caught.value) == (
        "a Ticket holds a secret and cannot be pickled or copied: create it where it is needed"
    )


def test_redactor_replaces_the_longest_secret_first():
    """It ignores empty secrets, and its repr contains none."""
    redactor = Redactor(["zzzz-zzzz", "", "azzzz-zzzza", "zzzz-zzzz"])
    assert redactor("azzzz-zzzza zzzz-zzzz zzza") == "[secret] [secret] zzza"
    assert repr(redactor) == "<Redactor>"


def test_secret_that_begins_with_another_one_is_replaced_as_a_whole():
    for secrets in itertools.permutations(["8-chars!", "8-chars!-and-more", "8-chars!-and"]):
        assert Redactor(secrets)("8-chars!-and-more 8-chars!") == "[secret] [secret]"


@for_each(
    "secret", ["a", "the", "wrong", "server", "credentials", "secret", "s", "[", "1", "7-chars"]
)
def test_text_with_a_short_or_wordlike_secret_is_withheld(secret):
    """Replacing only the secret would tell it to anyone who knows the text."""
    assert Redactor([secret])(f"no {secret}s") == ""


@for_each("secret", ["8-chars!", "A1b2C3d4", "two words"])
def test_other_secrets_are_replaced_in_their_place(secret):
    assert Redactor([secret])(f"no {secret}s") == "no [secret]s"


def test_text_is_searched_for_wordlike_secrets_beside_the_replaced_ones():
    """The word that replaces a secret is not searched."""
    redactor = Redactor(["wordlike", "not-a-word"])
    assert redactor("not-a-word wordlike") == ""
    assert redactor("not-a-word") == "[secret]"
    assert Redactor(["secret", "not-a-word"])("not-a-word") == "[secret]"


ORDINARY_TOKENS = ["a", "the", "server", "wrong", "login", "Connection", "OPEN", "refused", "1"]


@pytest.mark.parametrize("token", ORDINARY_TOKENS)
async def test_fixed_text_of_an_error_is_the_same_for_every_token(token):
    """A text of the server that contains the token is left out."""
    async with Simulator(calls=False, token="unlike any word") as pbx:
        arguments = {**pbx.connect_args, "token": token}
        with pytest.raises(AuthenticationError) as caught:
            await connect(**arguments).__aenter__()
    reason = "wrong or missing credentials"
    expected = "the server refused the login with HTTP 401"
    assert str(caught.value) == (expected if token in reason else f"{expected}: {reason}")


@pytest.mark.parametrize("token", ORDINARY_TOKENS)
async def test_fixed_text_of_a_network_error_is_the_same_for_every_token(token):
    with pytest.raises(ConnectFailed) as caught:
        await connect(f"ws://127.0.0.1:{free_port()}", **{**ARGUMENTS, "token": token}).__aenter__()
    assert re.fullmatch(
        r"cannot connect: 127\.0\.0\.1, port \d+: Connection refused", str(caught.value)
    )


@pytest.mark.parametrize("token", ORDINARY_TOKENS)
async def test_fixed_words_of_a_log_line_are_the_same_for_every_token(token, caplog):
    """Of a header that contains the token, only the name is logged."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")
    async with Simulator(calls=False, token=token) as pbx, connect(**pbx.connect_args):
        pass
    lines = [line for line in caplog.messages if line[0] in "=>"]
    assert {"= connection is CONNECTING", "= connection is OPEN"} <= set(lines)
    (login,) = [line for line in lines if line.startswith("> Authorization: ")]
    assert login in {"> Authorization: Basic [secret]", "> Authorization: [secret]"}
    assert [line for line in lines if line.startswith("> Sec-WebSocket-Key: ")]
