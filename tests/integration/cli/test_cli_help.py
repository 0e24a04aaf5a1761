"""Help texts: layout, grouping, examples; and what the first steps need."""

from __future__ import annotations

import re
import shlex

import pytest
from support.cli_runner import run_in_process
from typer.core import TyperGroup

from basix_ws_cti.cli.app import build_command, build_program, load_function
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.help.catalogue import COMMANDS, FIRST_STEPS, subcommands, top_level_commands
from basix_ws_cti.cli.help.commands import grouped_parameters
from basix_ws_cti.cli.help.connection import EXAMPLES
from basix_ws_cti.cli.help.layout import text_width

PROGRAM = "basix-ws-cti"
NAMES = [*COMMANDS]
LEAVES = [name for name in NAMES if not subcommands(name)]


def help_of(name, columns=80):
    arguments = [*name.split(), "--help"]
    return run_in_process(*arguments, env={"COLUMNS": str(columns)}).stdout


def parameters(name):
    """Return the parameters of a command."""
    return build_command(name, COMMANDS[name]).params


def sections(text):
    """Return the headings of a help text in their order."""
    return re.findall(r"^([A-Z][\w ]+)$", text, re.MULTILINE)


def described_options(text):
    """Return the options that have an entry in a help text."""
    return re.findall(r"^  (?:-h, )?(--\S+)(?: [A-Z]+)?(?:  |$)", text, re.MULTILINE)


# -- layout ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("name", ["", *NAMES])
def test_lines_fit_the_terminal(name, columns):
    """Only examples may be longer than a narrow terminal, so that they can be copied."""
    text = help_of(name, columns).partition("\nExamples\n")[0]
    assert [line for line in text.splitlines() if text_width(line) > columns] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *NAMES])
def test_examples_fit_80_columns(name):
    assert [line for line in help_of(name).splitlines() if text_width(line) > 80] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *NAMES])
def test_help_has_no_type_names(name):
    """Metavars are words such as FILE; flags have none."""
    assert not re.search(r"<\w+[^<>]*>|\{\w+\}|list\[|None", help_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAVES)
def test_each_option_with_a_value_names_it(name):
    """The fallback, the name of the parameter, is no description."""
    for param in parameters(name):
        is_flag = getattr(param, "is_flag", False)
        assert is_flag or param.metavar or getattr(param, "hidden", False), param.name
        assert param.help or param.name == "token"


@pytest.mark.parametrize("name", LEAVES)
def test_texts_are_sentences(name):
    """Summaries and descriptions end with a period; the list of commands needs one line each."""
    texts = COMMANDS[name]
    assert texts.summary.endswith(".")
    assert len(texts.summary) <= 66
    for param in parameters(name):
        if not getattr(param, "hidden", False):
            assert param.help[0].isupper()
            assert param.help.endswith(".")


def test_defaults_and_variables_are_never_split():
    text = run_in_process("help", "connection", env={"COLUMNS": "80"}).stdout
    variables = re.findall(r"\[variable: (\w+)\]", text)
    assert len(variables) == text.count("[variable")
    assert "BASIX_USER_EXTENSION" in variables
    assert "[default: basix-ws-cti]" in text


# -- groups ------------------------------------------------------------------------------


def test_commands_are_grouped_by_task():
    """Readers find how to watch, record, replay and check a connection."""
    text = run_in_process("--help").stdout
    groups = ["Watch", "Record and replay", "Control calls", "Check and tools"]
    assert sections(text) == [*groups, "Options", "Examples"]
    headings = rf"^(?:{'|'.join(groups)})$"
    parts = dict(zip(groups, re.split(headings, text, flags=re.MULTILINE)[1:], strict=True))
    listed = {
        name: re.findall(r"^  ([a-z-]+) ", part, re.MULTILINE) for name, part in parts.items()
    }
    listed["Check and tools"] = [
        name for name in listed["Check and tools"] if name in top_level_commands()
    ]
    assert listed == {
        "Watch": ["top", "web", "listen", "state"],
        "Record and replay": [
            *("record", "replay", "anonymise", "log", "report", "publish", "metrics", "webhook"),
            "dead-letters",
        ],
        "Control calls": ["call", "hangup", "park", "transfer"],
        "Check and tools": [
            "doctor",
            "decode",
            "schema",
            "simulate",
            "config",
            "web-access",
            "help",
        ],
    }


def test_first_steps_watch_record_replay_and_check():
    """The examples of the program itself cover the four tasks."""
    assert {example.line.split()[1] for example in FIRST_STEPS} == {
        *("top", "record", "replay", "doctor")
    }


def test_options_are_grouped():
    assert sections(help_of("listen")) == [
        *("Selection", "Output", "Connection", "Other options", "Examples"),
    ]
    assert sections(help_of("transfer")) == [
        *("Arguments", "Options", "Connection", "Other options", "Examples"),
    ]


@pytest.mark.parametrize("name", ["top", "listen", "state", "record", "doctor", "hangup"])
def test_connection_options_are_collapsed(name):
    """A command's help has those that everybody needs, and names the page with all of them."""
    text = help_of(name)
    connection = text.partition("\nConnection\n")[2].partition("\n\n")[0]
    listed = [
        option
        for option in described_options(connection)
        if option not in {"--recording", "--redis"}
    ]
    assert listed == [
        *("--server", "--domain", "--token-file", "--[no-]full-events", "--[no-]simulate"),
        "--profile",
    ]
    assert connection.endswith("basix-ws-cti help connection")
    assert "--user-email" not in text


def test_connection_page_has_every_connection_option():
    """``help connection`` lists them with their environment variables."""
    text = run_in_process("help", "connection").stdout
    listed = {option.replace("[no-]", "") for option in described_options(text)}
    grouped = grouped_parameters(parameters("listen"))
    expected = {
        param.opts[0]
        for panel in (panels.CONNECTION, panels.MORE_CONNECTION)
        for param in grouped[panel]
    }
    assert listed == expected
    assert {"--user-email", "--ca-file", "--force", "--simulate-seed"} < listed
    assert "[variable: BASIX_SERVER]" in text


# -- the command help --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["listen", "config", "help"])
def test_help_command_prints_the_help_of_a_command(name):
    assert run_in_process("help", name).stdout == help_of(name, 200)


def test_help_command_lists_the_commands():
    assert run_in_process("help").stdout == run_in_process("--help").stdout


def test_unknown_topic_suggests_a_similar_one():
    done = run_in_process("help", "conection")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("basix-ws-cti: unknown topic 'conection'; did you mean 'connection'?\n")


# -- examples ----------------------------------------------------------------------------


ALL_EXAMPLES = {
    "": FIRST_STEPS,
    "help connection": EXAMPLES,
    **{name: texts.examples for name, texts in COMMANDS.items()},
}


def own_arguments(line):
    """Return the arguments of this program in a line of a shell script; ``None`` without it."""
    match = re.search(rf"{PROGRAM} ([^|>)]*)", line)
    return None if match is None else shlex.split(match[1])


def parsed_command(arguments):
    """Parse arguments without running the command; return its full name."""
    program = build_program()
    context = program.make_context(PROGRAM, arguments.copy())
    path = []
    while isinstance(context.command, TyperGroup):
        name, command, arguments = context.command.resolve_command(context, arguments)
        path.append(name)
        context = command.make_context(name, arguments.copy(), parent=context)
    return " ".join(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param(name, example.line, id=f"{name}: {example.line}")
        for name, examples in ALL_EXAMPLES.items()
        for example in examples
    ],
)
def test_examples_can_be_parsed(name, line, tmp_path, monkeypatch):
    """Each example is a valid command line, of the command that it explains or a related one."""
    config = tmp_path / "config.toml"
    config.write_text('[profiles.acme]\ndomain = "acme"\n', encoding="utf-8")
    monkeypatch.setenv("BASIX_CONFIG", str(config))
    arguments = own_arguments(line)
    if arguments is None:
        assert line.startswith("export BASIX_")
        return
    groups = ("config", "dead-letters", "web-access")
    is_mixed = name in {"", "help connection", "anonymise", "simulate", *groups}
    assert parsed_command(arguments) == name or is_mixed


@pytest.mark.parametrize("name", LEAVES)
def test_each_command_has_examples_with_comments(name):
    examples = COMMANDS[name].examples
    assert 1 <= len(examples) <= 4
    assert all(example.comment[0].isupper() for example in examples)
    for example in examples:
        assert f"  # {example.comment}\n  {example.line}" in help_of(name)


# -- the list of commands ----------------------------------------------------------------


@pytest.mark.parametrize("name", LEAVES)
def test_each_listed_command_can_be_loaded(name):
    assert callable(load_function(name))


def test_unlisted_command_cannot_be_loaded():
    with pytest.raises(KeyError):
        load_function("moon")


def test_usage_errors_show_plain_usage():
    """Usage texts have no braces, and errors no boxes."""
    done = run_in_process("record")
    assert done.returncode == 2
    assert "record [OPTIONS] FILE\n" in done.stderr
    assert "missing argument 'FILE'" in done.stderr


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False)],
)
def test_colours_follow_the_environment(variables, is_coloured):
    done = run_in_process("listen", "--help", env=variables)
    assert ("\x1b[" in done.stdout) is is_coloured


def test_example_frame_can_be_decoded():
    example = top_level_commands()["decode"].examples[0]
    done = run_in_process(*example.line.split()[1:])
    assert done.returncode == 0, done.stderr
    assert "logout" in done.stdout
