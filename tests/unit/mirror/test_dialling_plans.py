"""Dialling plans of countries."""

from __future__ import annotations

import pytest

from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.dialling_plans import calling_code, dialling_plan


@pytest.mark.parametrize(
    ("digits", "code"),
    [
        ("81312341234", "81"),
        ("12125550100", "1"),
        ("74951234567", "7"),
        ("3531234567", "353"),
        ("8821612345", "882"),
        *(("999123456", None), ("0312341234", None), ("", None), ("21", None)),
    ],
)
def test_calling_code_is_the_beginning_of_an_international_number(digits, code):
    assert calling_code(digits) == code


@pytest.mark.parametrize(
    ("code", "digits", "parts"),
    [
        ("81", "01012125550100", ("010", "12125550100")),
        ("81", "0101234567", ("010", "1234567")),
        ("81", "010123456", ("", "010123456")),
        ("81", "010" + "1" * 17, ("010", "1" * 17)),
        ("81", "010" + "1" * 18, ("", "010" + "1" * 18)),
        ("81", "0109991234567", ("", "0109991234567")),
        ("1", "01181312341234", ("011", "81312341234")),
        ("55", "002181312341234", ("0021", "81312341234")),
        ("44", "0312341234", ("", "0312341234")),
    ],
)
def test_international_prefix_needs_a_number_behind_it(code, digits, parts):
    assert dialling_plan(code).split_international_prefix(digits) == parts


@pytest.mark.parametrize(
    ("code", "digits", "parts"),
    [
        ("81", "1840312341234", ("184", "0312341234")),
        ("81", "186010442079460018", ("186", "010442079460018")),
        ("81", "184031234123", ("", "184031234123")),
        ("81", "1850312341234", ("", "1850312341234")),
        ("44", "1840312341234", ("", "1840312341234")),
    ],
)
def test_caller_id_prefix_is_japanese_and_needs_a_number_behind_it(code, digits, parts):
    assert dialling_plan(code).split_caller_id_prefix(digits) == parts


@pytest.mark.parametrize(
    ("code", "digits", "is_bare"),
    [
        ("81", "81312341234", True),
        ("81", "819011112222", True),
        ("81", "8109011112222", True),
        ("81", "8131234123", False),
        ("81", "8190111122223", False),
        ("81", "0312341234", False),
        ("1", "12125550100", True),
        ("1", "2125550100", False),
        ("39", "3912345678", False),
        ("298", "298201234", False),
    ],
)
def test_bare_calling_code_needs_a_number_of_national_length(code, digits, is_bare):
    assert dialling_plan(code).has_bare_code(digits) is is_bare


@pytest.mark.parametrize(
    ("code", "digits", "normal_form"),
    [
        ("81", "81312341234", "0312341234"),
        ("81", "8110121255501", "+8110121255501"),
        ("81", "810", "+81"),
        ("81", "999", "+999"),
        ("81", "78495123456", "+78495123456"),
        ("81", "784951234567", "+74951234567"),
        ("81", "360612345678", "+3612345678"),
        ("81", "390612345678", "+390612345678"),
        ("375", "375152450911", "8152450911"),
    ],
)
def test_international_digits_have_a_normal_form(code, digits, normal_form):
    assert dialling_plan(code).normalise_international(digits) == normal_form


def test_plan_exists_for_countries_only():
    with pytest.raises(UsageError, match="unknown country_code '882': pass the digits"):
        dialling_plan("882")
