"""Command line ``basix-ws-cti``, or ``python -m basix_ws_cti``; requires the extra ``cli``.

- ``app`` loads the commands on demand; ``commands`` has one module for each.
- ``help`` has the list of commands with their help texts, and lays out ``--help``.
- ``completion`` provides values for the shell; ``feed_names`` and ``suggestions`` check names.
- ``options`` defines shared options, ``open_source`` opens the feed that they select.
- ``render`` formats a feed as lines, tables or JSON; ``wallboard`` is a Textual application.
- ``diagnostics`` examines a connection step by step, for ``doctor``.
- ``language`` and ``language_choice`` choose the language before commands are imported, which
  translate their help.
- ``config_location`` finds the config file, ``config_file`` reads it, ``settings`` lists what it
  may hold, ``precedence`` decides between its values and others, and ``profile_options`` adds it to
  a command.
- ``output``, ``stdout_pipe``, ``signals`` and ``exit_codes`` deal with the terminal and shell.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .language_choice import LanguageChoice

# Packages of the extra ``cli``, whose absence means that the extra is not installed.
EXTRA = frozenset({"typer", "rich", "textual"})


def main() -> None:
    """Run the command in ``sys.argv`` and exit with its code (docs/cli.md lists the codes)."""
    try:
        language = _use_chosen_language()
        from .app import run_program  # translates the help texts when it is imported

        run_program(language)
    except KeyboardInterrupt:  # raised before a command was running
        sys.exit(130)
    except OSError as error:  # the help could not be written; a command reports its own errors
        from .exit_codes import error_message
        from .output import flush_or_discard_output, report

        report(error_message(error))
        flush_or_discard_output()
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        sys.exit(
            f"basix-ws-cti: the command line needs the package {package}: "
            "pip install 'basix_ws_cti[cli]'"
        )


def _use_chosen_language() -> LanguageChoice:
    """Use the language of ``--lang``, the config file or the locale, and return the choice.

    Removes ``--lang`` from ``sys.argv``.
    """
    from basix_ws_cti._internal.translation import use_language
    from basix_ws_cti.exceptions import UsageError

    from .language import take_language_option
    from .language_choice import choose_language
    from .output import prepare_streams, report

    prepare_streams()
    choice = choose_language(None, sys.argv[1:], os.environ)
    use_language(choice.language)
    try:
        option, sys.argv[1:] = take_language_option(sys.argv[1:])
    except UsageError as error:
        from .exit_codes import ExitCode

        report(str(error))
        sys.exit(ExitCode.USAGE)
    if option is not None:
        choice = choose_language(option, sys.argv[1:], os.environ)
        use_language(choice.language)
    return choice
