"""Credentials: validation, headers, redaction forms and copies."""

from __future__ import annotations

import base64
import copy

import pytest
from support.secret_scanner import STEM, TOKEN, assert_no_secret_in_error

from basix_ws_cti import Basic, Ticket, UsageError
from basix_ws_cti.transport.credentials import await_credentials, basic_header, secret_forms


def test_repr_of_credentials_contains_no_secret():
    """The header follows RFC 7617 with UTF-8."""
    basic, ticket = Basic("acme", TOKEN), Ticket(TOKEN)
    assert TOKEN not in f"{basic!r} {basic} {ticket!r} {ticket}"
    scheme, _, value = basic_header(basic).partition(" ")
    assert (scheme, base64.b64decode(value).decode()) == ("Basic", f"acme:{TOKEN}")
    assert base64.b64decode(basic_header(ticket)[6:]).decode() == f"ws_ticket:{TOKEN}"
    with pytest.raises(UsageError, match="empty"):
        Ticket("")
    with pytest.raises(UsageError, match="ticket must be a str, got None"):
        Ticket(None)


@pytest.mark.parametrize(
    ("make", "parts", "problem"),
    [
        (Basic, ("", "s3cret"), "domain must not be empty"),
        (Basic, ("acme", ""), "token must not be empty"),
        (
            Basic,
            ("ac:me", "s3cret"),
            "domain must not contain a colon: HTTP Basic ends the user name at the first one",
        ),
        (Basic, (b"acme", "s3cret"), "domain must be a str, got bytes"),
        (Basic, ("acme", b"s3cret"), "token must be a str, got bytes"),
        (
            Basic,
            ("\udfff", "s3cret"),
            "domain contains a lone surrogate, which UTF-8 cannot encode",
        ),
        (
            Basic,
            ("a", "s3cret\ud800"),
            "token contains a lone surrogate, which UTF-8 cannot encode",
        ),
        (Ticket, ("",), "ticket must not be empty"),
        (Ticket, (b"s3cret",), "ticket must be a str, got bytes"),
        (Ticket, ("s3cret\ud800",), "ticket contains a lone surrogate, which UTF-8 cannot encode"),
    ],
)
def test_invalid_credentials_are_refused_without_repeating_them(make, parts, problem):
    with pytest.raises(UsageError) as caught:
        make(*parts)
    assert str(caught.value) == problem


def test_characters_next_to_surrogates_are_allowed():
    assert Basic("\ud7ff", "\ue000").user_and_password == ("\ud7ff", "\ue000")
    assert Ticket("\ud7ff\ue000").user_and_password == ("ws_ticket", "\ud7ff\ue000")


def test_repr_of_credentials_shows_the_domain_only():
    assert repr(Basic("acme", TOKEN)) == "Basic(domain='acme')"
    assert repr(Ticket(TOKEN)) == "Ticket()"


def test_secret_forms_cover_html_json_url_and_base64():
    forms = secret_forms(Basic("acme", 'a/b ö"&'))
    assert set(forms) == {
        'a/b ö"&',
        "a/b ö&quot;&amp;",
        'a/b \\u00f6\\"&',
        'a/b ö\\"&',
        *("a%2Fb%20%C3%B6%22%26", "a%2fb%20%c3%b6%22%26"),
        *("a/b%20%C3%B6%22%26", "a/b%20%c3%b6%22%26"),
        *("a%2Fb+%C3%B6%22%26", "a%2fb+%c3%b6%22%26"),
        *("YS9iIMO2IiY=", "YS9iIMO2IiY"),
        *("YWNtZTphL2Igw7YiJg==", "YWNtZTphL2Igw7YiJg"),
    }
    assert sorted(map(len, forms), reverse=True) == [len(form) for form in forms]
    assert set(secret_forms(Basic("ab", "aaW"))) == {"aaW", "YWFX", "YWI6YWFX"}


def test_secret_forms_cover_the_encodings_of_a_token():
    forms = secret_forms(Basic("acme", TOKEN))
    assert TOKEN in forms
    assert f"{STEM}%3A%2F%40%20t%C3%B6k%C3%A9n%3F%2541%2B" in forms
    assert base64.b64encode(TOKEN.encode()).decode() in forms
    assert base64.b64encode(f"acme:{TOKEN}".encode()).decode() in forms
    assert list(forms) == sorted(forms, key=len, reverse=True)


@pytest.mark.parametrize("credentials", [Basic("acme", TOKEN), Ticket(TOKEN)])
def test_copy_of_credentials_is_the_same_object(credentials):
    """Credentials are immutable."""
    assert copy.copy(credentials) is credentials
    assert copy.deepcopy({"key": credentials})["key"] is credentials


@pytest.mark.parametrize(
    ("character", "problem"),
    [
        (" ", "begins or ends with white space: remove it, or the line break"),
        ("\n", "begins or ends with white space: remove it, or the line break"),
        ("\r\n", "begins or ends with white space: remove it, or the line break"),
        ("\u3000", "begins or ends with white space: remove it, or the line break"),
        ("\ufeff", "contains the invisible character U+FEFF: remove it"),
        ("\u200b", "contains the invisible character U+200B: remove it"),
        ("\x7f", "contains the invisible character U+007F: remove it"),
        ("a\u2028b", "contains the invisible character U+2028: remove it"),
        ("a\u2029b", "contains the invisible character U+2029: remove it"),
    ],
)
def test_characters_that_copying_adds_are_refused(character, problem):
    """The server would only answer that the login is wrong."""
    for text in (f"{character}{TOKEN}", f"{TOKEN}{character}"):
        for name, make in (
            ("domain", lambda text: Basic(text, "t")),
            ("token", lambda text: Basic("acme", text)),
            ("ticket", Ticket),
        ):
            with pytest.raises(UsageError) as caught:
                make(text)
            assert str(caught.value) == f"{name} {problem}"
            assert_no_secret_in_error(caught.value)


async def test_credentials_function_is_awaited():
    async def fetch(target):
        return Ticket(f"for-{target}")

    ticket = Ticket("for-/feed")
    assert await await_credentials(fetch, "/feed") == ticket
    assert await await_credentials(lambda target: fetch(target), "/feed") == ticket  # noqa: PLW0108


async def test_credentials_function_that_is_not_async_is_a_usage_error():
    """Neither the text nor the traceback holds the secret."""
    for result in (Basic("acme", TOKEN), TOKEN):
        with pytest.raises(UsageError, match=r"^credentials must be an async function") as caught:
            await await_credentials(lambda target, result=result: result, "/feed")
        assert_no_secret_in_error(caught.value)
