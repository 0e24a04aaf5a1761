# ruff: noqa: RUF001 - full-width digits and separators
"""Telephone numbers in display texts, masked."""

from __future__ import annotations

import pytest

from basix_ws_cti.web.masking import mask_number


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("0312345678", "…678"),
        ("+81 3-1234-5678", "…678"),
        ("＋81 3-1234-5678", "…678"),
        ("(03) 1234.5678", "(…678"),
        ("０３－１２３４－５６７８", "…６７８"),
        ("０３（１２３４）５６７８", "…６７８"),
        ("03ー1234ー5678", "…678"),
        ("03ｰ1234ｰ5678", "…678"),
        ("03\u22121234\u22125678", "…678"),
        ("03\u20101234\u20105678", "…678"),
        ("03・1234・5678", "…678"),
        ("03･1234･5678", "…678"),
        ("03~1234～5678", "…678"),
        ("03\u301c1234\u301c5678", "…678"),
        ("03/1234／5678", "…678"),
        ("03_1234_5678", "…678"),
        ("03\u200b1234\u00ad5678", "…678"),
        ("Tanaka 090\u20131234\u20135678 (mobile)", "Tanaka …678 (mobile)"),
        ("田中ー０９０－１２３４－５６７８", "田中ー…６７８"),
        ("1001", "1001"),
        ("Support 24/7", "Support 24/7"),
        ("12:05:59 – 13:00:00", "12:05:59 – 13:00:00"),
        ("パーク・センター", "パーク・センター"),
    ],
)
def test_only_the_last_three_digits_of_a_number_are_shown(text, masked):
    assert mask_number(text) == masked
