"""Normal form and comparison of telephone numbers."""

from __future__ import annotations

import doctest
import re
from functools import cache

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from support.cases import for_each

from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror import phone_numbers
from basix_ws_cti.mirror.dialling_plans import calling_code, dialling_plan
from basix_ws_cti.mirror.phone_numbers import MAX_URI, _normalise, normalise_number, same_number

# Table: notations that a person, a phone or a CRM writes, and their normal form in Japan.
NOTATIONS = {
    "0312341234": [
        "03-1234-1234",
        "(03) 1234.1234",
        " 03/1234\u20101234 ",
        "03\u2212\u200b1234\u22121234",
        "\uff10\uff13\u30fc\uff11\uff12\uff13\uff14\u30fc\uff11\uff12\uff13\uff14",
        "\uff08\uff10\uff13\uff09\uff11\uff12\uff13\uff14\uff0d1234",
        "\u0660\u0663\u0661\u0662\u0663\u0664\u0661\u0662\u0663\u0664",
        "+81312341234",
        "+81 3-1234-1234",
        "+81 (0)3 1234 1234",
        "+8103-1234-1234",
        "+ 81 3 1234 1234",
        "(+81)312341234",
        "(+81) 3-1234-1234",
        "( +81)3 1234 1234",
        "\uff0b81312341234",
        "81312341234",
        "81-3-1234-1234",
        "81 03 1234 1234",
        "(81)3-1234-1234",
        "010-81-3-1234-1234",
        "01081312341234",
        "010 81 03 1234 1234",
        "1840312341234",
        "186-03-1234-1234",
        "184 010 81 3 1234 1234",
        "\u202a+81312341234\u202c",
        "\u200e03-1234-1234\u2069",
        "\ufeff0312341234",
        "03\u00ad1234\u20601234",
        "%2B81312341234",
        "%2b81%2D3%2D1234%2D1234",
        "03%201234%201234",
        "%E2%80%AA0312341234",
        "tel:+81312341234",
        "TEL:+81-3-1234-1234;ext=12",
        "tel:03-1234-1234",
        "tel:3-1234-1234;phone-context=+81",
        "tel:03-1234-1234;isub=1;phone-context=+81",
        "tel:03-1234-1234;phone-context=acme.example",
        "tel:+81312341234;phone-context=+1",
        "tel:312341234;phone-context=%2B81",
        "sip:+81312341234@pbx.example",
        "sips:0312341234@pbx.example:5061;transport=tls",
        "sip:0312341234:secret@pbx.example",
        "sip:3-1234-1234;phone-context=+81@pbx.example;user=phone",
        "sip:%2B81312341234@[2001:db8::1]",
        "sip:+81312341234",
        "<sip:0312341234@pbx.example>",
        "\u200e sip:0312341234@pbx.example?Subject=03 ",
        "callto:+81312341234",
    ],
    "09011112222": ["+81 90 1111 2222", "819011112222", "010819011112222", "18409011112222"],
    "05012345678": ["050-1234-5678", "+815012345678", "815012345678"],
    "0120123456": ["0120-123-456", "+81120123456", "81120123456", "1840120123456"],
    "08001234567": ["0800-123-4567", "+818001234567"],
    "0570012345": ["0570-012-345", "+81570012345"],
    "+12125550100": ["+1 (212) 555-0100", "010 1 212 555 0100", "0101 212 555 0100"],
    "+442079460018": [
        "+44 (0)20 7946 0018",
        "010442079460018",
        "tel:20 7946 0018;phone-context=+44",
    ],
    "+390612345678": ["+39 06 1234 5678", "+39 (0)6 1234 5678", "010 39 06 1234 5678"],
    "+4532123456": ["+45 32 12 34 56", "010 45 32123456"],
    "+34912345678": ["+34 912 345 678", "01034912345678"],
    "+74951234567": ["+7 495 123-45-67", "+7 8 495 123-45-67", "010 7 4951234567"],
    "+3612345678": ["+36 1 234 5678", "+36 06 1 234 5678"],
    "+8821612345678": ["+882 16 1234 5678"],
    # Digits without meaning outside: extensions, emergency and service numbers.
    "1001": ["1 001", "tel:1001", "sip:1001@pbx.example"],
    "110": ["110", "tel:110"],
    "119": ["119"],
    "184": ["184"],
    "0101": ["0101"],
    "0101234": ["0101234"],
    "1840": ["1840"],
    "184012345678": ["184012345678"],
    "8101234": ["8101234"],
    "812345678": ["812345678"],
    # No country has these calling codes.
    "+0312341234": ["+0312341234"],
    "+999123456": ["+999 123456"],
    "010999123456": ["010999123456"],
    "+81": ["+81", "+81 (0)"],
}


@for_each(
    "text, normal_form",
    [(text, number) for number, texts in NOTATIONS.items() for text in (number, *texts)],
)
def test_notations_of_a_number_have_one_normal_form(text, normal_form):
    assert normalise_number(text) == normal_form


@for_each(
    "text",
    [
        *(None, "", " ", "+", "-", "()", "(+", "\u200e", "%", "%ZZ", "%FF"),
        *("anonymous", "Anonymous", "unknown", "unavailable", "restricted", "非通知"),
        *("RINGING_PARK901", "pickup_uuid.5714495a", "media_plug", "*97", "#1", "*67 0312341234"),
        *("03+1234", "++81312341234", "0312341234 ext. 5", "0120-GO-HOME"),
        *("sip:anonymous@anonymous.invalid", "sip:192.168.1.1", "sip:[2001:db8::1]", "sip:@host"),
        *("sip:alice@pbx.example", "sip:", "tel:", "tel:;phone-context=acme.example"),
        *("0312341234@example.com", "https://0312341234", "mailto:0312341234", "5714495a-1234"),
        *(5, b"0312341234", [], [5], {}, ("a", [])),
    ],
)
def test_other_texts_and_values_have_no_normal_form(text):
    """Values that are no number are not even equal to themselves."""
    assert normalise_number(text) is None
    assert not same_number(text, text)


# Home country, a number in it, and notations: of countries with and without a trunk prefix.
@for_each(
    "country_code, normal_form, texts",
    [
        ("44", "02079460018", ["+44 20 7946 0018", "00 44 20 7946 0018", "442079460018"]),
        ("44", "+81312341234", ["+81312341234", "0081 3 1234 1234"]),
        (
            "1",
            "2125550100",
            ["+12125550100", "1 212 555 0100", "(212) 555-0100", "0111212-5550100"],
        ),
        ("1", "+81312341234", ["011 81 3 1234 1234", "+81 (0)3 1234 1234"]),
        ("39", "0612345678", ["+39 06 1234 5678", "+39 (0)6 1234 5678", "0039 06 1234 5678"]),
        ("39", "3912345678", ["+39 391 234 5678", "391 234 5678"]),
        ("45", "32123456", ["+45 32 12 34 56", "4532123456", "004532123456"]),
        ("45", "45123456", ["+45 45 12 34 56", "45 12 34 56"]),
        ("34", "912345678", ["+34 912 345 678", "34912345678", "0034 912 345 678"]),
        ("7", "84951234567", ["+7 495 123-45-67", "8 495 123 45 67", "74951234567"]),
        ("7", "+12125550100", ["8 10 1 212 555 0100"]),
        ("36", "0612345678", ["+36 1 234 5678", "06 1 234 5678", "0036 1 234 5678"]),
        ("44", "1840207946001", ["184 020 7946 001"]),
    ],
)
def test_country_code_selects_the_dialling_plan(country_code, normal_form, texts):
    assert [normalise_number(text, country_code) for text in texts] == [normal_form] * len(texts)


@for_each("code", ["", "+81", "081", "999", "882", "JP", None, 81, ["81"], "81" * 50])
def test_unknown_country_code_is_a_usage_error(code):
    with pytest.raises(UsageError, match=r"unknown country_code .*such as '81'") as caught:
        normalise_number("0312341234", code)
    assert len(str(caught.value)) < 150
    with pytest.raises(UsageError, match="country_code"):
        same_number(None, None, code)


@for_each(
    "one, other",
    [
        ("0312341234", "0312341235"),
        ("0312341234", "+1312341234"),
        ("0312341234", "312341234"),
        ("110", "0110"),
        ("110", "+81110"),
        ("119", "tel:119;phone-context=+81"),
        ("1001", "1001000"),
        ("0312341234", "+39312341234"),
        ("+39 06 1234 5678", "+39 6 1234 5678"),
    ],
)
def test_different_numbers_stay_different(one, other):
    assert None not in {normalise_number(one), normalise_number(other)}
    assert not same_number(one, other)


def test_text_over_64_characters_is_no_number():
    """It is not cached either."""
    _normalise.cache_clear()
    assert normalise_number("0" * 64) == "0" * 64
    assert normalise_number("0" * 65) is None
    assert normalise_number("-" * 10_000 + "1") is None
    assert _normalise.cache_info().currsize == 1


def test_long_uri_is_cached_by_its_number_alone():
    """A URI may have up to 512 characters, its number 64."""
    _normalise.cache_clear()
    uri = "sip:+81312341234@pbx.example;opaque="
    assert normalise_number(uri + "x" * (MAX_URI - len(uri))) == "0312341234"
    assert normalise_number(uri + "y" * (MAX_URI - len(uri))) == "0312341234"
    assert _normalise.cache_info().currsize == 1
    assert normalise_number(uri + "x" * (MAX_URI - len(uri) + 1)) is None
    assert normalise_number(f"sip:{'0' * 65}@pbx.example") is None
    assert normalise_number(f"sip:alice@{'x' * 100}") is None


def test_examples_of_the_docstrings_hold():
    failed, attempted = doctest.testmod(phone_numbers)
    assert (failed, attempted) == (0, 8)


# Texts of the characters that matter to numbers.
TEXTS = st.text(max_size=20) | st.from_regex(
    re.compile(r"(\+|00|010|011|810|18[46])?(81|1|39|44|45|7|36)?[018()+ ]{0,4}[0-9]{0,12}"),
    fullmatch=True,
)


@pytest.mark.slow
@given(TEXTS, st.sampled_from(["81", "1", "39", "44", "45", "7", "36", "238"]))
@example("+81 10 1212 555 0100", "81")
@example("+44 0 0 1 212 555 0100", "44")
@example("+81 184 0312341234", "81")
@settings(max_examples=25)
def test_normal_form_of_a_normal_form_is_itself(text, code):
    normal_form = normalise_number(text, code)
    assert normal_form is None or normalise_number(normal_form, code) == normal_form


# -- comparison with the library phonenumbers -----------------------------------------

REGIONS = set(phonenumbers.SUPPORTED_REGIONS)

# Numbers that the two treat differently on purpose.
# Argentina: in the country, a mobile number is dialled with 15 inside, and without the 9 that
# follows the calling code. Belarus: a zero that belongs to no number follows the trunk prefix.
EXCEPT = {"AR", "BY"}


def trunk_of(region):
    """Return the trunk prefix of a country; in normal forms the prefix 1 is left out."""
    trunk = phonenumbers.PhoneMetadata.metadata_for_region(region).national_prefix
    return "" if trunk in {None, "1"} else trunk


def expected_form(number, code):
    """Return the normal form in the home country ``code``, from the library's own rules."""
    if str(number.country_code) != code:
        return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    region = phonenumbers.region_code_for_country_code(number.country_code)
    return trunk_of(region) + phonenumbers.national_significant_number(number)


def assert_same_as_the_library(number, code):
    """Check all notations of a number that the library writes."""
    region = phonenumbers.region_code_for_country_code(int(code))
    expected = expected_form(number, code)
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    texts = [
        e164,
        phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
        phonenumbers.format_number(number, PhoneNumberFormat.RFC3966),
        phonenumbers.format_number(number, PhoneNumberFormat.RFC3966).replace("+", "%2B"),
        f"sip:{e164}@pbx.example;user=phone",
        f"({e164[: 1 + len(str(number.country_code))]}){e164[1 + len(str(number.country_code)) :]}",
    ]
    if str(number.country_code) != code:
        dialled = phonenumbers.format_out_of_country_calling_number(number, region)
        texts.append(dialled.replace("~", " "))  # in Russia: wait for a dial tone
    else:
        national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        if re.sub(r"\D", "", national).startswith(trunk_of(region)):
            texts.append(national)
    assert {text: normalise_number(text, code) for text in texts} == dict.fromkeys(texts, expected)


@pytest.mark.slow
def test_example_numbers_of_all_countries_agree_with_the_library():
    """Landline and mobile numbers of each country, seen from Japan and from the country itself."""
    for region in REGIONS - EXCEPT:
        for number_type in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
            number = phonenumbers.example_number_for_type(region, number_type)
            if number is not None:
                assert_same_as_the_library(number, "81")
                assert_same_as_the_library(number, str(number.country_code))


@for_each("number_type", sorted(set(PhoneNumberType.values()) - {99}))
def test_japanese_example_numbers_agree_with_the_library(number_type):
    """Numbers of every type: free of charge, premium rate, IP telephony, pagers …"""
    number = phonenumbers.example_number_for_type("JP", number_type)
    if number is None:  # Japan has no numbers of this type
        assert number_type in {2, 4, 5, 9, 10, 28}
    else:
        assert_same_as_the_library(number, "81")
        bare = phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:]
        assert normalise_number(bare) == expected_form(number, "81")


@cache
def numbers_of(region):
    """Return a strategy for valid landline and mobile numbers of a country."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    patterns = [
        kind.national_number_pattern
        for kind in (metadata.fixed_line, metadata.mobile)
        if kind.national_number_pattern
    ]
    digits = st.one_of(
        st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True) for pattern in patterns
    )
    parsed = digits.map(lambda text: phonenumbers.parse(f"+{metadata.country_code}{text}"))
    return parsed.filter(phonenumbers.is_valid_number)


HOMES = ["JP", "US", "IT", "DK", "ES", "GB", "DE", "FR", "RU", "HU", "CH", "AU", "IN", "SG"]


@pytest.mark.slow
@pytest.mark.parametrize("region", [*HOMES, "KR", "TW", "PL", "NL", "CI", "SM"])
@given(data=st.data())
@settings(max_examples=40)
def test_generated_numbers_agree_with_the_library(region, data):
    """Valid numbers of many countries have the library's normal form in every home country."""
    number = data.draw(numbers_of(region))
    home = data.draw(st.sampled_from([region, *HOMES]))
    assert_same_as_the_library(number, str(phonenumbers.country_code_for_region(home)))


@given(numbers_of("JP"))
@settings(max_examples=8)
def test_generated_japanese_numbers_agree_with_the_library(number):
    """With the prefixes and notations that are used in Japan."""
    assert_same_as_the_library(number, "81")
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    national = expected_form(number, "81")
    for text in (e164[1:], f"010{e164[1:]}", f"184{national}", f"+81 (0){e164[3:]}"):
        assert same_number(text, national), text


def test_table_of_dialling_plans_agrees_with_the_library():
    """Every calling code is known, with the trunk prefix and the lengths of the library."""
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        assert calling_code(f"{code}55512345") == str(code)
        if regions[0] == "001":
            continue
        plan = dialling_plan(str(code))
        assert plan.trunk == trunk_of(regions[0]), code
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(regions[0])
        lengths = metadata.fixed_line.possible_length + metadata.mobile.possible_length
        assert (plan.shortest, plan.longest) == (min(lengths), max(lengths)), code
        prefix = metadata.international_prefix
        if re.fullmatch(r"\d+", prefix):
            assert plan.international.fullmatch(prefix), code
