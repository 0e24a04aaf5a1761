"""Choice of the language: the option ``--lang``, else the environment, else the system."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from basix_ws_cti._internal.translation import LANGUAGES, _
from basix_ws_cti.exceptions import UsageError

# Variables in gettext's order: the first one that is not empty decides.
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")

# Locales without a language, whose messages are English.
_NEUTRAL = frozenset({"C", "POSIX"})

# Primary languages of Windows: the lower ten bits of a LANGID.
_PRIMARY_LANGUAGES = {0x09: "en", 0x11: "ja"}
_PRIMARY_MASK = 0x3FF


def take_language_option(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the language of ``--lang``, and the arguments without this option.

    The option may stand before and after the command; the last one counts. The language is
    ``None`` without the option. Raises ``UsageError`` if the value is missing or unknown.
    """
    language = None
    kept = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":  # operands follow
            kept.append(argument)
            break
        name, is_joined, value = argument.partition("=")
        if name != "--lang":
            kept.append(argument)
            continue
        code = value if is_joined else next(remaining, "")
        language = _known_language(code)
        if language is None:
            message = _("--lang: unknown language {code!r}: pass one of {known}")
            raise UsageError(message.format(code=code, known=", ".join(LANGUAGES)))
    return language, [*kept, *remaining]


def environment_language(
    environment: Mapping[str, str], system_language: Callable[[], str | None]
) -> str:
    """Return the language for an environment, in gettext's order; English if none is known.

    ``system_language`` returns the language of the user interface, and ``None`` if the system has
    none; it decides if no variable is set.
    """
    variable = locale_variable(environment)
    if variable is None:
        return system_language() or "en"
    return _first_known(environment[variable].split(":")) or "en"


def locale_variable(environment: Mapping[str, str]) -> str | None:
    """Return the name of the variable that decides the language; ``None`` if none is set."""
    return next(filter(environment.get, _VARIABLES), None)


def language_of_langid(langid: int) -> str | None:
    """Return the language of a LANGID of Windows; ``None`` if there are no texts in it."""
    return _PRIMARY_LANGUAGES.get(langid & _PRIMARY_MASK)


if sys.platform == "win32":

    def windows_language() -> str | None:
        """Return the language of the user interface; ``None`` if there are no texts in it."""
        import ctypes

        return language_of_langid(ctypes.windll.kernel32.GetUserDefaultUILanguage())
else:

    def windows_language() -> str | None:
        """Return ``None``: only Windows has a language besides the environment."""
        return None


def _first_known(codes: Iterable[str]) -> str | None:
    return next(filter(None, map(_known_language, codes)), None)


def _known_language(code: str) -> str | None:
    """Return the language of a locale such as ``ja_JP.UTF-8`` or ``ja-JP``; else ``None``."""
    name = code.partition(".")[0].partition("@")[0]
    if name in _NEUTRAL:
        return "en"
    language = name.replace("-", "_").partition("_")[0].lower()
    return language if language in LANGUAGES else None
