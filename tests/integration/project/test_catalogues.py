"""Message catalogues: complete, compiled, and in agreement with the calls in the source."""

from __future__ import annotations

import ast
import io
import string

import pytest
from babel.messages.mofile import read_mo
from support.catalogues import (
    FUNCTIONS,
    SOURCE,
    catalogue_path,
    extract,
    mo_data,
    po_text,
    read,
    translated_languages,
    untranslated,
)

UPDATE = "run: cd tests && ../.venv/bin/python -m support.catalogues"
TRANSLATE = f"{UPDATE}; translate the messages that it lists, and run it again"


def messages(catalogue):
    """Return the translations by context and message, without the header.

    A message with a plural, and its translation, are tuples.
    """
    return {(one.context, hashable(one.id)): hashable(one.string) for one in catalogue if one.id}


def hashable(text):
    return tuple(text) if isinstance(text, list) else text


def calls_in_source():
    """Yield each call of a function that marks messages, with its place in the source."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in FUNCTIONS
            ):
                yield node.func.id, node, f"{path.relative_to(SOURCE)}:{node.lineno}"


def literals(name, call):
    """Return the literal arguments of a call by which a catalogue has it; ``None`` for others."""
    count = {"ngettext": 2, "pgettext": 2}.get(name, 1)
    return [
        node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
        for node in call.args[:count]
    ]


def key_of(name, call):
    """Return context and message of a call, as ``messages`` does."""
    first, *others = literals(name, call)
    match name:
        case "ngettext":
            return None, (first, *others)
        case "pgettext":
            return first, others[0]
    return None, first


def is_marked_constant(name, call):
    """Return True for ``_(CONSTANT)``: a name, an attribute or an item, marked with ``N_``."""
    argument = call.args[0]
    return name == "_" and isinstance(argument, ast.Name | ast.Attribute | ast.Subscript)


@pytest.mark.slow
def test_each_message_in_the_source_is_a_literal():
    """Babel skips f-strings, sums of strings and calls of ``format`` without a word."""
    others = [
        place
        for name, call, place in calls_in_source()
        if None in literals(name, call) and not is_marked_constant(name, call)
    ]
    assert others == [], "format after the translation: _('… {name} …').format(name=…)"


@pytest.mark.slow
def test_babel_finds_the_messages_of_every_call():
    in_source = {
        key_of(name, call)
        for name, call, _ in calls_in_source()
        if not is_marked_constant(name, call)
    }
    assert set(messages(extract())) == in_source
    assert in_source


@pytest.mark.slow
@pytest.mark.parametrize("language", translated_languages())
def test_catalogue_has_exactly_the_messages_of_the_source(language):
    in_source, in_catalogue = messages(extract()).keys(), messages(read(language)).keys()
    assert in_source - in_catalogue == set(), TRANSLATE
    assert in_catalogue - in_source == set(), UPDATE


@pytest.mark.parametrize("language", translated_languages())
def test_every_message_is_translated(language):
    catalogue = read(language)
    assert untranslated(catalogue) == [], TRANSLATE
    assert [message.id for message in catalogue if message.fuzzy] == []
    assert not catalogue.obsolete, UPDATE


@pytest.mark.parametrize("language", translated_languages())
def test_compiled_catalogue_is_current(language):
    compiled = read_mo(io.BytesIO(catalogue_path(language).with_suffix(".mo").read_bytes()))
    translated = {key: value for key, value in messages(read(language)).items() if value}
    assert messages(compiled) == translated, UPDATE


@pytest.mark.parametrize("language", translated_languages())
def test_catalogue_is_written_in_one_way(language):
    """Otherwise the next update would change more than the messages."""
    assert catalogue_path(language).read_bytes() == po_text(read(language)), UPDATE


def test_compilation_is_reproducible():
    assert mo_data(read("ja")) == mo_data(read("ja"))


def fields(text):
    """Return the format fields of a text with their conversions and format specifications."""
    return sorted(
        (name, spec or "", conversion or "")
        for _, name, spec, conversion in string.Formatter().parse(text)
        if name is not None
    )


@pytest.mark.parametrize("language", translated_languages())
def test_translations_have_the_format_fields_of_their_messages(language):
    wrong = []
    for (_, message), translation in messages(read(language)).items():
        forms = translation if isinstance(translation, tuple) else (translation,)
        original = message[-1] if isinstance(message, tuple) else message
        wrong += [form for form in forms if form and fields(form) != fields(original)]
    assert wrong == []
