"""Checks of arguments, and the texts of their errors."""

from __future__ import annotations

import math

import pytest
from support.cases import for_each

from basix_ws_cti._internal.arguments import (
    check_bool,
    check_choice,
    check_filled_text,
    check_id,
    check_instance,
    check_integer,
    check_names,
    check_number,
    check_seconds,
    check_text,
    check_timeout,
    type_name,
)
from basix_ws_cti.exceptions import UsageError

SECONDS = "x must be a positive number of seconds, got "
OPTIONAL_SECONDS = "x must be a number of seconds, 0 or more (or None), got "


@for_each(
    "check, value, options, message",
    [
        (check_bool, 1, {}, "x must be True or False, got 1"),
        (check_bool, "false", {}, "x must be True or False, got str"),
        (check_bool, None, {}, "x must be True or False, got None"),
        (check_integer, 0, {}, "x must be an int of 1 or more, got 0"),
        (check_integer, True, {}, "x must be an int of 1 or more, got True"),
        (check_integer, 1.0, {}, "x must be an int of 1 or more, got 1.0"),
        (
            check_integer,
            "1",
            {"optional": True},
            "x must be an int of 1 or more (or None), got str",
        ),
        (check_integer, None, {}, "x must be an int of 1 or more, got None"),
        (check_integer, 9, {"at_least": 0, "at_most": 8}, "x must be an int from 0 to 8, got 9"),
        (
            check_integer,
            -(10**20),
            {},
            "x must be an int of 1 or more, got an int of more than 20 digits",
        ),
        (check_integer, -(10**20) + 1, {}, f"x must be an int of 1 or more, got -{'9' * 20}"),
        (check_number, 0, {}, "x must be a positive number, got 0"),
        (check_number, True, {}, "x must be a positive number, got True"),
        (check_number, math.inf, {}, "x must be a positive number, got inf"),
        (
            check_number,
            -1,
            {"at_least": 0, "unit": "cm"},
            "x must be a number of cm, 0 or more, got -1",
        ),
        (check_seconds, math.nan, {}, SECONDS + "nan"),
        (check_seconds, 10**400, {}, SECONDS + "an int of more than 20 digits"),
        (check_seconds, "5", {}, SECONDS + "str"),
        (check_seconds, None, {}, SECONDS + "None"),
        (check_seconds, -0.5, {"at_least": 0, "optional": True}, OPTIONAL_SECONDS + "-0.5"),
        (check_timeout, math.nan, {}, "x must be a number of seconds or None, got nan"),
        (check_timeout, True, {}, "x must be a number of seconds or None, got True"),
        (check_timeout, "5", {}, "x must be a number of seconds or None, got str"),
        (check_choice, "c", {"choices": ("a", "b")}, "x must be 'a' or 'b', got 'c'"),
        (check_choice, [], {"choices": ("a", "b", "c")}, "x must be 'a', 'b' or 'c', got list"),
        (check_choice, True, {"choices": (1, 2)}, "x must be 1 or 2, got True"),
        (check_text, b"s3cret", {}, "x must be a str, got bytes"),
        (check_text, 12345, {"optional": True}, "x must be a str (or None), got int"),
        (check_text, "\ud800", {}, "x contains a lone surrogate, which UTF-8 cannot encode"),
        (check_filled_text, "", {}, "x must not be empty"),
        (check_filled_text, None, {}, "x must be a str, got None"),
        (check_id, True, {}, "x must be an int or a str, got bool"),
        (check_id, 1.5, {}, "x must be an int or a str, got float"),
        (check_id, "", {}, "x must not be empty"),
        (
            check_instance,
            "s3cret",
            {"types": int, "expected": "an int"},
            "x must be an int, got str",
        ),
        (
            check_instance,
            5,
            {"types": (str, bytes), "expected": "text", "optional": True},
            "x must be text (or None), got int",
        ),
    ],
)
def test_refused_argument_is_named_with_what_to_pass(check, value, options, message):
    with pytest.raises(UsageError) as caught:
        check("x", value, **options)
    assert str(caught.value) == message


@for_each(
    "check, value, options",
    [
        (check_bool, False, {}),
        (check_integer, 1, {}),
        (check_integer, 8, {"at_least": 0, "at_most": 8}),
        (check_integer, None, {"optional": True}),
        (check_number, 0.01, {}),
        (check_number, 0, {"at_least": 0}),
        (check_number, None, {"optional": True}),
        (check_seconds, 10**9, {}),
        (check_timeout, None, {}),
        (check_timeout, -1, {}),
        (check_timeout, 10**400, {}),
        (check_timeout, math.inf, {}),
        (check_choice, "a", {"choices": ("a", "b")}),
        (check_text, "", {}),
        (check_text, None, {"optional": True}),
        (check_filled_text, "é", {}),
        (check_id, 0, {}),
        (check_id, "7", {}),
        (check_instance, 5, {"types": int, "expected": "an int"}),
        (check_instance, None, {"types": int, "expected": "an int", "optional": True}),
    ],
)
def test_valid_argument_passes(check, value, options):
    assert check("x", value, **options) is None


@for_each(
    "names, message",
    [
        ({"user_id": 1.5}, "user_id must be an int or a str, got float"),
        ({"group_name": ""}, "group_name must not be empty"),
        ({"user_id": 1, "group_name": 7}, "group_name must be a str, got int"),
    ],
)
def test_each_name_of_a_user_or_group_is_checked(names, message):
    with pytest.raises(UsageError, match=message):
        check_names(names)


def test_valid_names_of_users_and_groups_pass():
    check_names({})
    check_names({"user_id": 7, "group_id": "8", "user_label": "é"})


def test_type_name_shows_the_type_or_none():
    assert (type_name(None), type_name("s3cret")) == ("None", "str")
