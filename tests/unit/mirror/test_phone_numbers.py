"""Normal form and comparison of telephone numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basix_ws_cti.mirror.phone_numbers import _normalise, normalise_number, same_number


@pytest.mark.parametrize(
    ("text", "normal_form"),
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
def test_notations_of_a_number_have_one_normal_form(text, normal_form):
    """Separators, character widths and the own country code make no difference."""
    assert normalise_number(text) == normal_form


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", " ", "+", "-", "anonymous", "Anonymous", "unknown", "非通知", "()"),
        *("RINGING_PARK901", "pickup_uuid.5714495a", "media_plug", "*97", "#1", "03+1234"),
        *(5, b"0312341234"),
    ],
)
def test_withheld_numbers_and_markers_have_no_normal_form(text):
    """Values that are no number are not even equal to themselves."""
    assert normalise_number(text) is None
    assert not same_number(text, text)


def test_country_code_is_a_parameter():
    assert normalise_number("+44 20 7946 0018", "44") == "02079460018"
    assert same_number("020 7946 0018", "+44 (0)20 7946 0018", "44")
    assert normalise_number("+81312341234", "44") == "+81312341234"


def test_different_numbers_stay_different():
    """Numbers that differ in a digit or in their country are different."""
    assert not same_number("0312341234", "0312341235")
    assert not same_number("0312341234", "+1312341234")
    assert not same_number("0312341234", "312341234")


@given(st.text(max_size=30))
def test_normal_form_of_any_text_is_stable(text):
    """The normal form of a normal form is itself; other texts have none."""
    normal_form = normalise_number(text)
    assert normal_form is None or normalise_number(normal_form) == normal_form


def test_text_over_64_characters_is_no_number():
    """It is not cached either."""
    _normalise.cache_clear()
    assert normalise_number("0" * 64) == "0" * 64
    assert normalise_number("0" * 65) is None
    assert normalise_number("-" * 10_000 + "1") is None
    assert _normalise.cache_info().currsize == 1


@pytest.mark.parametrize("value", [5, [], [5], {}, ("a", [])])
def test_value_of_another_type_is_no_number(value):
    """A number field may hold a value of any type; that is no error."""
    assert normalise_number(value) is None
