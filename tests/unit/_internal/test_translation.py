"""Translations: languages, contexts, and the catalogue as JSON."""

from __future__ import annotations

import contextvars
import gettext
import json
import threading

import pytest
from support.cases import for_each

from basix_ws_cti._internal import translation
from basix_ws_cti._internal.translation import (
    LANGUAGES,
    N_,
    _,
    catalogue_messages,
    current_language,
    ngettext,
    pgettext,
    use_language,
    use_translations,
)

MESSAGE = "--lang: unknown language {code!r}: pass one of {known}"


class Marked(gettext.NullTranslations):
    """Language whose texts show which function has translated them."""

    def gettext(self, message):
        return f"<{message}>"

    def ngettext(self, msgid1, msgid2, n):
        return f"<{msgid1}|{msgid2}|{n}>"

    def pgettext(self, context, message):
        return f"<{context}:{message}>"


def in_new_context(function):
    """Return what a function returns in a context of its own, in which no language is chosen."""
    return contextvars.Context().run(function)


def test_english_is_the_default():
    def texts():
        return (
            _("calls"),
            ngettext("{n} call", "{n} calls", 1),
            ngettext("{n} call", "{n} calls", 2),
            pgettext("menu", "calls"),
        )

    assert in_new_context(texts) == ("calls", "{n} call", "{n} calls", "calls")


def test_current_language_is_the_chosen_one():
    def languages():
        before = current_language()
        use_language("ja")
        return before, current_language()

    assert in_new_context(languages) == ("en", "ja")


def test_use_language_selects_a_catalogue():
    def texts():
        use_language("ja")
        japanese = _(MESSAGE)
        use_language("en")
        return japanese, _(MESSAGE)

    japanese, english = in_new_context(texts)
    assert english == MESSAGE
    assert japanese == catalogue_messages("ja")[MESSAGE]
    assert japanese != english


@for_each("language", ["", "fr", "JA", "../ja"])
@for_each("function", [use_language, catalogue_messages])
def test_unknown_language_is_a_key_error(function, language):
    with pytest.raises(KeyError):
        function(language)


def test_every_function_uses_the_translations_of_the_context():
    def texts():
        use_translations(Marked())
        return _("a"), ngettext("b", "c", 2), pgettext("menu", "a"), N_("a")

    assert in_new_context(texts) == ("<a>", "<b|c|2>", "<menu:a>", "a")


def test_language_of_one_context_does_not_affect_another():
    use_in_a_task = contextvars.copy_context()
    use_in_a_task.run(use_translations, Marked())
    assert use_in_a_task.run(_, "a") == "<a>"
    assert in_new_context(lambda: _("a")) == "a"


def test_a_thread_starts_in_the_language_of_the_context_that_it_gets():
    texts = []
    context = contextvars.copy_context()
    context.run(use_translations, Marked())
    thread = threading.Thread(target=context.run, args=(lambda: texts.append(_("a")),))
    thread.start()
    thread.join()
    assert texts == ["<a>"]


def test_marking_a_constant_does_not_translate_it():
    def text():
        use_translations(Marked())
        return N_("a")

    assert in_new_context(text) == "a"


def test_catalogue_of_english_is_empty():
    assert catalogue_messages("en") == {}


@for_each("language", [one for one in LANGUAGES if one != "en"])
def test_catalogue_as_json_has_the_texts_that_gettext_returns(language):
    messages = catalogue_messages(language)
    assert json.loads(json.dumps(messages)) == messages

    def differences():
        use_language(language)
        for key, value in messages.items():
            context, separator, message = key.rpartition("\4")
            if isinstance(value, str):
                text = pgettext(context, message) if separator else _(message)
                if text != value:
                    yield key, text, value
            elif ngettext(message, "", 5) != value[-1]:
                yield key, value

    assert in_new_context(lambda: list(differences())) == []
    assert "" not in messages  # the header of the file


@pytest.fixture
def small_catalogue(monkeypatch):
    """Replace the file of the Japanese catalogue by one with each form of a message."""
    from babel.messages.catalog import Catalog
    from support.catalogues import mo_data

    catalogue = Catalog("ja")
    catalogue.add("call", "通話")
    catalogue.add(("{n} call", "{n} calls"), ("{n}件の通話",))
    catalogue.add("call", "電話する", context="verb")
    data = mo_data(catalogue)
    monkeypatch.setattr(translation.pkgutil, "get_data", lambda *_: data)


def test_catalogue_messages_have_plural_forms_and_contexts(small_catalogue):
    assert catalogue_messages("ja") == {
        "call": "通話",
        "{n} call": ["{n}件の通話"],
        "verb\4call": "電話する",
    }
