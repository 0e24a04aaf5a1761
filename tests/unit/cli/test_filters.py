"""Selection of elements and calls by telephone number."""

from __future__ import annotations

import pytest
from support.cases import for_each

from basix_ws_cti import Channel, Mirror, UsageError
from basix_ws_cti.cli.filters import Filters


def matches(option, number, **options):
    """Return True if ``--number option`` selects a channel with this number."""
    filters = Filters.parse(numbers=[option], **options)
    channel = Channel(uuid="1", calling_number=number)
    return filters.match_element("channel", channel, "added", Mirror())


@for_each(
    "option, number, country_code",
    [
        ("+1 212 555 0100", "+12125550100", "81"),
        ("+1 (212) 555-0100", "010 1 212 555 0100", "81"),
        ("0033 1 23 45 67 89", "+33123456789", "81"),
        ("00 81 3 1234 1234", "0312341234", "81"),
        ("0033-12-3456", "0033123456", "81"),
        ("0033 1 23 45 67 89", "0033123456789", "81"),
        ("(212) 555-0100", "+12125550100", "1"),
        ("011 81 3 1234 1234", "+81312341234", "1"),
        ("020 7946 0000", "+442079460000", "44"),
        ("0033 1 23 45 67 89", "+33123456789", "44"),
        ("01 23 45 67 89", "0033123456789", "33"),
    ],
)
def test_number_is_found_in_the_notations_of_a_country(option, number, country_code):
    assert matches(option, number, country_code=country_code)


@for_each(
    "option, number, country_code",
    [
        ("+1 212 555 0100", "2125550100", "81"),
        ("0033 1 23 45 67 89", "0123456789", "81"),
        ("0312341234", "+81312341234", "1"),
    ],
)
def test_number_of_another_country_is_not_found(option, number, country_code):
    assert not matches(option, number, country_code=country_code)


def test_unknown_country_code_names_the_option():
    with pytest.raises(UsageError, match="--country-code: no country has the calling code '999'"):
        Filters.parse(country_code="999")
