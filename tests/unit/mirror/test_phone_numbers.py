from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basix_ws_cti.mirror.phone_numbers import _normalise, normalise_number, same_number


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("0312341234", "0312341234"),
        ("03-1234-1234", "0312341234"),
        ("+81312341234", "0312341234"),
        ("+81 (0)3 1234 1234", "0312341234"),
        ("+8103-1234-1234", "0312341234"),
        ("010-81-3-1234-1234", "0312341234"),
        ("\uff10\uff13\u30fc1234\u22121234", "0312341234"),
        ("(03) 1234.1234", "0312341234"),
        (" 03/1234\u20101234 ", "0312341234"),
        ("+1 212 555 0100", "+12125550100"),
        ("0101 212 555 0100", "01012125550100"),
        ("1001", "1001"),
        ("81312341234", "81312341234"),
    ],
)
def test_a_number_however_it_is_written(text, plain):
    """Separators, widths and the country code make no difference; what is no code stays."""
    assert normalise_number(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", " ", "+", "-", "anonymous", "Anonymous", "unknown", "非通知", "()"),
        *("RINGING_PARK901", "pickup_uuid.5714495a", "media_plug", "*97", "#1", "03+1234"),
        *(5, b"0312341234"),
    ],
)
def test_what_is_no_number(text):
    """Withheld callers and markers are no numbers, and not even the same as themselves."""
    assert normalise_number(text) is None
    assert not same_number(text, text)


def test_another_country():
    """The country code is a parameter."""
    assert normalise_number("+44 20 7946 0018", "44") == "02079460018"
    assert same_number("020 7946 0018", "+44 (0)20 7946 0018", "44")
    assert normalise_number("+81312341234", "44") == "+81312341234"


def test_different_numbers():
    """Numbers that differ in a digit, or in the country, are different."""
    assert not same_number("0312341234", "0312341235")
    assert not same_number("0312341234", "+1312341234")
    assert not same_number("0312341234", "312341234")


@given(st.text(max_size=30))
def test_any_text(text):
    """Any text is a number in its one form, which is its own, or none."""
    plain = normalise_number(text)
    assert plain is None or normalise_number(plain) == plain


def test_long_text_is_no_number():
    """A text of over 64 characters is no number, and is not remembered."""
    _normalise.cache_clear()
    assert normalise_number("0" * 64) == "0" * 64
    assert normalise_number("0" * 65) is None
    assert normalise_number("-" * 10_000 + "1") is None
    assert _normalise.cache_info().currsize == 1


@pytest.mark.parametrize("value", [5, [], [5], {}, ("a", [])])
def test_what_is_no_text_is_no_number(value):
    """A number field may hold anything at all: it is no number, and no error."""
    assert normalise_number(value) is None
