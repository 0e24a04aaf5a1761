"""Pseudonyms: equal for equal input, of the same form, and distinct."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus, unquote
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from basix_ws_cti import UsageError
from basix_ws_cti.mirror.phone_numbers import normalise_number
from basix_ws_cti.recording.pseudonyms import MAX_ESCAPE_DEPTH, MAX_KEY_BYTES, Pseudonyms

KEY = b"for these tests"


names = Pseudonyms(KEY)


def test_word_has_one_pseudonym_in_any_context_and_escape():
    yamada = names.text("山田")
    assert names.text("山田 太郎").split()[0] == yamada
    assert names.text(quote("山田")) == quote(yamada)
    assert names.text(f"1*{quote_plus('山田 太郎')}").startswith(f"1*{quote_plus(yamada)}+")
    assert quote(quote(yamada)) in names.text(quote(quote("(山田)")))
    ken = names.text("ken")
    assert names.text("Ken KEN") == f"{ken.capitalize()} {ken.upper()}"
    assert len(names.text("kEn")) == len(ken)
    assert len({ken, names.text("kEn"), names.text("Kenji").lower()}) == 3


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("user1@example.com", r"[a-z]+@[a-z]+\.[a-z]+"),
        ("sips:ken@10.1.2.3:5061", r"sips:[a-z]+@10(\.\d+){3}:\d{4}"),
        ("https://a.b/x_1.PNG", r"https://[a-z]+\.[a-z]+/[a-z]+\.[A-Z]+"),
        ("sakura.png", r"[a-z]+\.png"),
        ("fe80::1%eth0", r".*"),
        ("00:11:22:33:44:55", r"fd00::[0-9a-f]{4}:[0-9a-f]{4}"),
        (
            '{"name":"a","spam":true,"n":[null,1]}',
            r'\{"name":"[a-z]+","spam":true,"[a-z]+":\[null,1\]\}',
        ),
        ("true", "[a-z]{10}"),
        ("", ""),
        (" *;|", r" \*;\|"),
    ],
)
def test_text_keeps_its_form(text, pattern):
    """Separators and parts of the protocol are kept."""
    assert re.fullmatch(pattern, names.text(text), re.ASCII), names.text(text)


NOTATIONS = [
    ["0312341234", "03-1234-1234", "(03) 1234-1234", "+81 3-1234-1234", "+81(0)312341234"],
    ["09011112222", "+819011112222", "090 1111 2222", "010-81-90-1111-2222"],
    ["0120-123-456", "".join(chr(ord(char) + 0xFEE0) for char in "0120123456")],
    ["0312341234", "81312341234", "184-03-1234-1234", "(+81)3-1234-1234", "%2B81312341234"],
    ["0312341234", "tel:+81312341234", "tel:0312341234"],
    ["1001", "1 0 0 1"],
    ["+14155550100", "+1 415 555 0100", "010 1 415 555 0100"],
]


@pytest.mark.parametrize("notations", NOTATIONS)
def test_number_has_one_pseudonym_in_all_notations(notations):
    """The pseudonym is another number, of the same length in each notation."""
    after = {normalise_number(names.text(notation)) for notation in notations}
    assert len(after) == 1
    assert after != {normalise_number(notations[0])}
    for notation in notations:
        assert len(names.text(notation)) == len(notation)


@pytest.mark.parametrize(
    ("code", "notations"),
    [
        ("1", ["2125550100", "+1 212 555 0100", "1 212 555 0100", "011 1 212 555 0100"]),
        ("45", ["32123456", "+45 32 12 34 56", "0045 32123456", "4532123456"]),
        ("44", ["020 7946 0018", "+44 (0)20 7946 0018", "0044 20 7946 0018"]),
        ("44", ["+81 3 1234 1234", "0081 3 1234 1234"]),
    ],
)
def test_home_country_decides_on_prefixes(code, notations):
    """As it does for ``normalise_number``."""
    pseudonyms = Pseudonyms(b"a key", code)
    after = {normalise_number(pseudonyms.text(notation), code) for notation in notations}
    assert len(after) == 1
    assert after != {normalise_number(notations[0], code)}


def test_international_number_of_few_digits_is_replaced_as_a_whole():
    after = names.digits("123456", international=True)
    assert len(after) == 6
    assert after[0] not in "01"


def test_extension_stays_one_in_a_country_without_trunk_prefix():
    after = Pseudonyms(KEY, "45").digits("1234")
    assert len(after) == 4
    assert after[0] not in "01"


@given(st.text("0123456789", min_size=3, max_size=13))
@settings(max_examples=25)
@example("0112345678")
def test_pseudonym_of_a_number_without_prefix_has_no_prefix(number):
    """Otherwise it would be another number in national form than in international form."""
    is_regular = normalise_number(number) == number
    assert (normalise_number(names.text(number)) == names.text(number)) is is_regular


@given(st.text("0123456789", min_size=3, max_size=15))
def test_number_keeps_its_length_and_type(number):
    """Extensions stay extensions, and mobile numbers stay mobile numbers."""
    after = names.text(number)
    assert len(after) == len(number)
    assert (after[0] == "0") is (number[0] == "0")
    if len(number) > 6 and number[0] == "0":
        mobile = re.compile("0[5789]0")
        assert bool(mobile.match(after)) is bool(mobile.match(number))
        assert after[:2] == number[:2]
    if len(number) < 7 and number[0] != "0" and not "901" <= number <= "999":
        assert after[0] != number[0]


def test_landline_number_never_becomes_a_mobile_number():
    """This applies to area codes close to a mobile prefix, too."""
    for number in range(100):
        assert names.text(f"05{100_000_00 + number}")[2] != "0"
        assert names.text(f"050{100_000_0 + number}")[:3] == "050"


@pytest.mark.parametrize("size", [3, 4])
def test_pseudonyms_of_all_numbers_of_a_length_are_distinct(size):
    """The pseudonyms are a permutation of the numbers; only park slots stay."""
    numbers = [f"{number:0{size}d}" for number in range(10**size)]
    after = [names.digits(number) for number in numbers]
    assert sorted(after) == numbers
    same = [one for one, other in zip(numbers, after, strict=True) if one == other]
    slots = [str(slot) for slot in range(901, 1000)]
    assert [one for one in same if one[0] != "0"] == (slots if size == 3 else [])


@pytest.mark.slow
def test_long_adversarial_texts_take_linear_time():
    """Texts that provoke repeated scanning are replaced without a timeout."""
    size = 100_000
    for text in ("a." * size, "1-" * size, "%25" * size, "%2" * size, "a%" * size, "1 " * size):
        assert names.text(text)
    for text in ("9" * size, ":" * size, "a:" * size, "(" * size, "%41" * size, "1.1.1." * size):
        assert names.text(text)


def test_uuids_are_kept_and_other_identifiers_become_uuids():
    """Empty identifiers are kept, too; an identifier always becomes the same uuid."""
    uuid = "5714495a-b8a1-4fff-8420-78648863ecd1"
    assert [names.uuid(text) for text in (uuid, uuid.upper(), "")] == [uuid, uuid.upper(), ""]
    replaced = names.uuid("channel-1")
    assert str(UUID(replaced)) == replaced == names.uuid("channel-1")
    assert names.uuid("channel-2") != replaced
    assert names.text(f"of {uuid}").endswith(uuid)


@pytest.mark.parametrize("number", [0, 99, -99, 10**15, 10**16 - 1])
def test_integers_that_are_no_telephone_numbers_are_kept(number):
    """Integers up to two digits and microseconds since the epoch are kept."""
    assert names.integer(number) == number


@pytest.mark.parametrize("number", [100, -100, 10**15 - 1, 10**16, 312341234])
def test_integers_that_may_be_telephone_numbers_are_replaced(number):
    """The pseudonym has as many digits and the same sign."""
    replaced = names.integer(number)
    assert replaced != number
    assert len(str(replaced)) == len(str(number))
    assert (replaced < 0) is (number < 0)


def test_floats_and_addresses_are_replaced():
    """A float becomes one from 0 to 1, an IP address a private one of its version."""
    assert 0 <= names.floating(2.5) < 1
    assert names.floating(2.5) != names.floating(2.75)
    assert names.address(192, 0, 2, 55)[0] == 10
    assert all(0 <= part < 256 for part in names.address(192, 0, 2, 55))
    ipv6 = names.address(8193, 3512, 0, 0, 0, 0, 0, 119)
    assert (len(ipv6), ipv6[0]) == (8, 0xFD00)


def test_escapes_are_decoded_to_a_limited_depth():
    """Up to ``MAX_ESCAPE_DEPTH`` levels of escapes are decoded; a deeper text is one word."""
    text = "(山田)"
    for _ in range(MAX_ESCAPE_DEPTH):
        text = quote(text, safe="")
    replaced = names.text(text)
    for _ in range(MAX_ESCAPE_DEPTH):
        replaced = unquote(replaced)
    assert replaced == f"({names.text('山田')})"
    deeper = names.text(quote(text, safe=""))
    for _ in range(MAX_ESCAPE_DEPTH):
        deeper = unquote(deeper)
    assert deeper.isalpha()


@pytest.mark.parametrize("size", [0, MAX_KEY_BYTES + 1])
def test_key_of_a_wrong_length_is_a_usage_error(size):
    with pytest.raises(UsageError, match=f"bytes, got {size}"):
        Pseudonyms(bytes(size))
