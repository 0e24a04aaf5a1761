"""Texts of the page."""

from __future__ import annotations

import re
from string import Formatter

from support.web_page import STATIC, texts_in

from basix_ws_cti.web.texts import TEXTS, page_texts

SCRIPTS = "\n".join(
    path.read_text(encoding="utf-8") for path in STATIC.glob("*.js") if path.name != "texts.js"
)


def fields(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_english_texts_are_those_of_the_source():
    assert page_texts() == TEXTS


def test_japanese_texts_differ_and_have_the_same_values():
    japanese = texts_in("ja")
    assert japanese.keys() == TEXTS.keys()
    same = {key for key, text in TEXTS.items() if japanese[key] == text}
    assert same <= {"phase_ivr"}
    assert {key: fields(text) for key, text in japanese.items()} == {
        key: fields(text) for key, text in TEXTS.items()
    }


def test_scripts_use_exactly_these_texts():
    used = set(re.findall(r'\bt\("([a-z_]+)"', SCRIPTS))
    assert used <= TEXTS.keys()
    # Keys that are put together, or are in a variable, are in the scripts in parts.
    starts = tuple(re.findall(r"`([a-z_]+_)\$\{", SCRIPTS))
    rest = {key for key in TEXTS.keys() - used if not key.startswith(starts)}
    assert {key for key in rest if f'"{key}"' not in SCRIPTS} == set()
