"""Config file at the command line: precedence, ``config show`` and ``path``, errors, secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.cli_runner import run, run_in_process
from support.paths import ROOT
from support.secret_scanner import TOKEN, found_in

from basix_ws_cti.cli.config_file import parse_config
from basix_ws_cti.cli.settings import all_settings
from basix_ws_cti.recording import Recorder

# The language has no option of the commands: main() takes --lang.
SETTINGS = {key: setting for key, setting in all_settings().items() if key != "lang"}

# Three values for each type: of the profile, the variable and the argument.
SAMPLES = {
    str: ("profile-value", "variable-value", "argument-value"),
    float: (2.5, 5.5, 7.5),
    int: (2, 5, 7),
}


@pytest.fixture
def write_config(tmp_path):
    """Function that writes a config file and returns its path."""
    file = tmp_path / "config.toml"

    def write(text):
        file.write_text(text, encoding="utf-8")
        return file

    return write


def shown(*arguments, env=None):
    """Return the lines of ``config show`` as a dict from key to value and source."""
    done = run_in_process("config", "show", *arguments, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    heading, _, table = done.stdout.partition("\n\n")
    rows = [line.split("  ") for line in table.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    return heading, {key: (value, source) for key, value, source in cells}


def as_toml(value):
    """Return a value in TOML; texts in single quotes, in which a backslash is no escape."""
    if isinstance(value, str):
        return f"'{value}'"
    return as_text(value)


# -- precedence ----------------------------------------------------------------------------


def samples(setting, tmp_path, *, is_on):
    """Return the values of an option in the profile, the variable and the argument.

    Those of a switch alternate; the first one is ``is_on``.
    """
    if setting.type is bool:
        return is_on, not is_on, is_on
    if setting.type is Path:
        files = [tmp_path / name for name in ("profile", "variable", "argument")]
        for file in files:
            file.write_text("content")
        return [str(file) for file in files]
    return SAMPLES[setting.type]


def as_text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_arguments(setting, value):
    """Return the arguments that set an option to a value."""
    if isinstance(value, bool):
        return [f"--{setting.key}" if value else f"--no-{setting.key}"]
    return [f"--{setting.key}", value]


def precedence_cases():
    """Return each option with each level that can be the strongest, and both values of switches."""
    return [
        pytest.param(setting, level, is_on, id=f"{setting.key}-{level}-{is_on}")
        for setting in SETTINGS.values()
        for level in ("profile", "variable", "argument")
        for is_on in (True, False)
        if (level != "variable" or setting.variables) and (is_on or setting.type is bool)
    ]


@pytest.mark.parametrize(("setting", "strongest", "is_on"), precedence_cases())
def test_argument_overrides_variable_overrides_profile(
    setting, strongest, is_on, *, write_config, tmp_path
):
    """Holds for every option that a profile can provide, and for both values of a switch."""
    key = setting.key
    in_profile, in_variable, in_argument = samples(setting, tmp_path, is_on=is_on)
    if setting.type is bool and not setting.variables:
        in_argument = not is_on
    file = write_config(f"[profiles.p]\n{key} = {as_toml(in_profile)}")
    env = {"BASIX_CONFIG": str(file), "BASIX_PROFILE": "p"}
    arguments = []
    expected = as_text(in_profile), f"profile p in {file}"
    if strongest != "profile" and setting.variables:
        variable = setting.variables[-1]  # the token's first one contains the token itself
        env[variable] = as_text(in_variable)
        expected = as_text(in_variable), f"environment variable {variable}"
    if strongest == "argument":
        arguments = as_arguments(setting, in_argument)
        expected = as_text(in_argument), f"option --{key}"
    assert shown(*arguments, env=env)[1][key] == expected


def test_defaults_without_a_config_file(tmp_path):
    env = {"BASIX_CONFIG": "", "XDG_CONFIG_HOME": str(tmp_path)}
    heading, rows = shown(env=env)
    file = tmp_path / "basix-ws-cti" / "config.toml"
    assert heading == "Profiles: -"
    assert rows.pop("config") == (f"{file} (does not exist)", "default")
    assert {source for _, source in rows.values()} == {"default"}
    given = {key: value for key, (value, _) in rows.items() if value not in {"-", "false"}}
    assert given == {
        "token": "(prompt)",
        "app-name": "basix-ws-cti",
        "simulate-speed": "4.0",
        "simulate-seed": "1",
        "country-code": "81",
        "spool": "webhook.db",
        "lang": "en",
    }


def test_report_has_a_row_for_every_setting(write_config, tmp_path):
    """The token stands in the place of its file if no file is given."""
    (tmp_path / "t").write_text(TOKEN)
    file = write_config("[profiles.p]\ntoken-file = 't'")
    settings = ["config", "profile", *all_settings()]
    assert [*shown("--config", file, "--profile", "p")[1]] == settings
    keys = [*shown("--config", file)[1]]
    assert keys == ["token" if key == "token-file" else key for key in settings]


@pytest.mark.parametrize(
    ("arguments", "env", "row"),
    [
        ([], {}, ("token-file", "{profile}", "profile p in {config}")),
        (
            [],
            {"BASIX_TOKEN_FILE": "{variable}"},
            ("token-file", "{variable}", "environment variable BASIX_TOKEN_FILE"),
        ),
        (
            [],
            {"BASIX_TOKEN_FILE": "{variable}", "BASIX_TOKEN": TOKEN},
            ("token", "(not shown)", "environment variable BASIX_TOKEN"),
        ),
        (
            ["--token-file", "{argument}"],
            {"BASIX_TOKEN_FILE": "{variable}", "BASIX_TOKEN": TOKEN},
            ("token-file", "{argument}", "option --token-file"),
        ),
    ],
)
def test_precedence_of_the_token(arguments, env, row, write_config, tmp_path):
    names = {name: str(tmp_path / name) for name in ("profile", "variable", "argument")}
    for file in names.values():
        Path(file).write_text(TOKEN)
    names["config"] = file = str(write_config("[profiles.p]\ntoken-file = 'profile'"))
    env = {
        name: value.format(**names) if name != "BASIX_TOKEN" else value
        for name, value in env.items()
    }
    arguments = [argument.format(**names) for argument in arguments]
    _, rows = shown("--config", file, *arguments, env={"BASIX_PROFILE": "p", **env})
    key, *value_and_source = (part.format(**names) for part in row)
    assert rows[key] == tuple(value_and_source)
    assert len({"token", "token-file"} & rows.keys()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "arguments", "env", "reported"),
    [
        ("branch", [], {"BASIX_TOKEN": TOKEN}, "BASIX_TOKEN"),
        ("branch", [], {"BASIX_TOKEN_FILE": "other"}, "BASIX_TOKEN_FILE"),
        ("branch", [], {}, None),
        ("branch", ["--token-file", "other"], {"BASIX_TOKEN": TOKEN}, None),
        ("no-token-file", [], {"BASIX_TOKEN": TOKEN}, None),
        # Nobody has asked for this profile in particular.
        (None, [], {"BASIX_TOKEN": TOKEN, "BASIX_PROFILE": "branch"}, None),
    ],
)
def test_variable_that_replaces_the_token_of_a_selected_profile_is_reported(
    profile, arguments, env, reported, *, write_config
):
    """The variable may hold the token of another PBX."""
    file = write_config("[profiles.branch]\ntoken-file = 't'\n[profiles.no-token-file]")
    selection = [] if profile is None else ["--profile", profile]
    done = run_in_process("config", "show", "--config", file, *selection, *arguments, env=env)
    line = f"basix-ws-cti: {reported} overrides token-file of the profile branch\n"
    assert done.stderr == (line if reported else "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "arguments", "env", "language", "source"),
    [
        ("", [], {"LANG": "en_US.UTF-8"}, "en", "environment variable LANG"),
        ("lang = 'ja'", [], {"LANG": "en_US.UTF-8"}, "ja", "{file}"),
        ("lang = 'en'", [], {"LANG": "ja_JP.UTF-8"}, "en", "{file}"),
        ("lang = 'ja'\n[profiles.p]\nlang = 'en'", [], {}, "en", "profile p in {file}"),
        ("lang = 'ja'", ["--lang", "en"], {}, "en", "option --lang"),
    ],
)
def test_precedence_of_the_language(text, arguments, env, language, source, *, write_config):
    """The locale is the weakest: it is set on most systems, for all programs."""
    file = write_config(f"{text}\n[profiles.p]" if "[" not in text else text)
    _, rows = shown("--config", file, "--profile", "p", *arguments, env=env)
    assert rows["lang"] == (language, source.format(file=file))


@pytest.mark.parametrize(
    ("profile", "arguments", "env", "selection"),
    [
        ("full-events = true", ["--user-id", "5"], {}, {"user-id": "5"}),
        ("full-events = true", [], {"BASIX_USER_NAME": "sato"}, {"user-name": "sato"}),
        ("user-id = '5'", ["--full-events"], {}, {"full-events": "true"}),
        ("user-id = '5'", ["--no-full-events"], {}, {"user-id": "5"}),
        ("user-id = '5'", ["--user-did", "03"], {"BASIX_USER_ID": "6"}, {"user-did": "03"}),
        ("user-id = '5'", [], {"BASIX_FULL_EVENTS": "1"}, {"full-events": "true"}),
    ],
)  # fmt: skip
def test_strongest_selection_of_channels_is_used(profile, arguments, env, selection, write_config):
    """The PBX accepts one selection only."""
    file = write_config(f"[profiles.p]\n{profile}")
    _, rows = shown("--config", file, "--profile", "p", *arguments, env=env)
    selected = {
        key: value
        for key, (value, _) in rows.items()
        if key.startswith(("user-", "full-events")) and value not in {"-", "false"}
    }
    assert selected == selection


@pytest.mark.parametrize(
    ("arguments", "env", "simulate"),
    [
        ([], {}, "true"),
        ([], {"BASIX_SERVER": "pbx"}, "true"),
        (["--server", "pbx"], {}, "false"),
        (["--server", "pbx", "--simulate"], {}, "true"),
    ],
)
def test_argument_for_a_server_replaces_the_simulated_pbx_of_a_profile(
    arguments, env, simulate, write_config
):
    file = write_config("[profiles.demo]\nsimulate = true")
    _, rows = shown("--config", file, "--profile", "demo", *arguments, env=env)
    assert rows["simulate"][0] == simulate


@pytest.mark.slow
def test_recording_replaces_the_simulated_pbx_of_a_profile(write_config, tmp_path):
    """The two options exclude each other."""
    file = write_config("[profiles.demo]\nsimulate = true")
    recording = tmp_path / "day.rec"
    with Recorder(recording):
        pass
    options = ["--config", file, "--profile", "demo"]
    done = run_in_process("listen", *options, "--recording", recording)
    assert done.returncode == 0, done.stderr
    done = run_in_process("listen", *options, "--recording", recording, "--simulate")
    assert done.returncode == 2


# -- choice of file and profile ------------------------------------------------------------

TWO_PROFILES = """\
profile = "office"
timezone = "Asia/Tokyo"
[profiles.office]
domain = "acme"
[profiles.branch]
domain = "branch"
timezone = "UTC"
"""


@pytest.mark.parametrize(
    ("arguments", "env", "in_use", "source", "values"),
    [
        ([], {}, "office", "{file}", ("acme", "Asia/Tokyo")),
        (
            [],
            {"BASIX_PROFILE": "branch"},
            "branch",
            "environment variable BASIX_PROFILE",
            ("branch", "UTC"),
        ),
        (["--profile", "branch"], {}, "branch", "option --profile", ("branch", "UTC")),
        (
            ["--profile", "office"],
            {"BASIX_PROFILE": "branch"},
            "office",
            "option --profile",
            ("acme", "Asia/Tokyo"),
        ),
        (
            ["--profile", ""],
            {"BASIX_PROFILE": "branch"},
            "-",
            "option --profile",
            ("-", "Asia/Tokyo"),
        ),
    ],
)
def test_selection_of_the_profile(arguments, env, in_use, source, values, *, write_config):
    file = write_config(TWO_PROFILES)
    heading, rows = shown(*arguments, env={"BASIX_CONFIG": str(file), **env})
    assert heading == "Profiles: branch, office"
    assert rows["profile"] == (in_use, source.format(file=file))
    assert (rows["domain"][0], rows["timezone"][0]) == values


def test_general_setting_names_the_file_as_its_source(write_config):
    file = write_config(TWO_PROFILES)
    assert shown("--config", file)[1]["timezone"] == ("Asia/Tokyo", str(file))


@pytest.mark.parametrize("order", [1, -1])
def test_config_and_profile_may_stand_in_any_order(order, write_config):
    options = [("--config", write_config(TWO_PROFILES)), ("--profile", "branch")][::order]
    _, rows = shown(*(part for option in options for part in option))
    assert rows["domain"][0] == "branch"


def test_config_option_overrides_its_variable(write_config, tmp_path):
    file = write_config(TWO_PROFILES)
    env = {"BASIX_CONFIG": str(tmp_path / "absent.toml")}
    assert shown("--config", file, env=env)[1]["config"] == (str(file), "option --config")
    assert shown(env={"BASIX_CONFIG": str(file)})[1]["config"] == (
        str(file),
        "environment variable BASIX_CONFIG",
    )


def test_default_file_is_read_from_xdg_config_home(tmp_path):
    file = tmp_path / "basix-ws-cti" / "config.toml"
    file.parent.mkdir()
    file.write_text(TWO_PROFILES)
    env = {"BASIX_CONFIG": "", "XDG_CONFIG_HOME": str(tmp_path)}
    assert shown(env=env)[1]["domain"] == ("acme", f"profile office in {file}")
    assert run_in_process("config", "path", env=env).stdout == f"{file}\n"


@pytest.mark.parametrize("is_argument", [True, False])
def test_config_path_prints_the_selected_file(is_argument):
    """The file need not exist."""
    arguments, env = (
        (["--config", "my.toml"], {}) if is_argument else ([], {"BASIX_CONFIG": "my.toml"})
    )
    done = run_in_process("config", "path", *arguments, env=env)
    assert (done.returncode, done.stdout) == (0, "my.toml\n")


# -- other commands ------------------------------------------------------------------------


@pytest.mark.slow
def test_commands_take_their_options_from_the_profile(write_config):
    file = write_config("""\
profile = "demo"
[profiles.demo]
simulate = true
simulate-speed = 20
timezone = "Asia/Tokyo"
""")
    done = run_in_process("listen", "--limit", "1", env={"BASIX_CONFIG": str(file)})
    # The simulated day begins at midnight UTC.
    assert (done.returncode, done.stdout[:14]) == (0, "2025-01-01 09:")


@pytest.mark.parametrize(
    ("command", "reads_profile"),
    [
        (["state"], True),
        (["doctor"], True),
        (["hangup", "uuid"], True),
        (["call", "1001", "0312345678"], True),
        (["replay", "no-such-file"], True),
        (["schema"], False),
        (["decode", "836a"], False),
        (["config", "path"], False),
    ],
)
def test_commands_that_connect_or_show_times_read_the_config_file(
    command, reads_profile, write_config
):
    file = write_config("[profiles.a]\nsevrer = 'x'")
    done = run_in_process(*command, env={"BASIX_CONFIG": str(file)})
    assert ("did you mean 'server'?" in done.stderr) is reads_profile
    assert done.returncode == (2 if reads_profile else 0)


def test_simulate_command_does_not_take_the_domain_of_a_profile():
    """Its options describe a PBX to run, not one to connect to."""
    done = run_in_process("simulate", "--help")
    assert "--domain" in done.stdout
    assert "--profile" not in done.stdout


def test_help_is_printed_in_spite_of_an_invalid_config_file(write_config):
    env = {"BASIX_CONFIG": str(write_config("no TOML"))}
    done = run_in_process("listen", "--help", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--profile" in done.stdout


# -- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "arguments", "problem"),
    [
        ("[profiles.a]\nsevrer = 'x'", [], "did you mean 'server'?"),
        ("[profiles.office]", ["--profile", "ofice"], "did you mean 'office'?"),
        ("[profiles.a]\nforce = 1", [], "profiles.a.force: expected true or false, got an integer"),
        ("[profiles.a", [], "line 1, column 12: expected ']' at the end of a table declaration"),
        ("[profiles.a]\ntoken = 't'", [], "name that file with token-file"),
    ],
)  # fmt: skip
def test_invalid_config_file_exits_with_2(text, arguments, problem, write_config):
    file = write_config(text)
    done = run_in_process("state", "--config", file, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"basix-ws-cti: {file}")
    assert problem in done.stderr


@pytest.mark.parametrize("arguments", [["--config", "no-such.toml"], ["--profile", "office"]])
def test_missing_file_or_profile_exits_with_2(arguments):
    done = run_in_process("state", *arguments, env={"BASIX_CONFIG": ""})
    assert (done.returncode, done.stdout) == (2, "")


def test_hostile_names_are_printed_as_escapes(write_config):
    name = "\\u001b]0;x\\u0007\\u202e"
    file = write_config(f'profile = "{name}"\n[profiles."{name}"]\ndomain = "{name}"')
    done = run_in_process("config", "show", "--config", file)
    assert done.returncode == 0
    assert r"\x1b]0;x\x07\u202e" in done.stdout
    assert not {"\x1b", "\x07", "\u202e"} & {*done.stdout}


# -- documentation ---------------------------------------------------------------------------

CLI_PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_documented_config_file_is_valid():
    (text,) = re.findall(r"```toml\n(.*?)```", CLI_PAGE, re.DOTALL)
    config = parse_config(text, Path("config.toml"), all_settings())
    assert [*config.profiles] == [config.default_profile]


def test_documented_keys_are_the_settings():
    rows = re.findall(r"^\| (.*) \| .* \| (above|in) .*profiles?.* \|$", CLI_PAGE, re.MULTILINE)
    keys = {
        place: " ".join(keys for keys, one in rows if one == place) for place in ("above", "in")
    }
    found = {place: [*re.findall("`(.*?)`", text)] for place, text in keys.items()}
    general = {key for key, setting in all_settings().items() if setting.is_general}
    assert {*found["above"]} == general | {"profile"}
    assert {*found["in"]} == all_settings().keys() - general


# -- secrets -------------------------------------------------------------------------------

# Config file, arguments and environment, each with the token in a place where somebody could have
# put it. {token} is a file that contains the token, {bare} the token alone as a config file.
LEAKS = {
    "literal token": (f"[profiles.p]\ntoken = '{TOKEN}'", [], {}),
    "literal token outside profiles": (f"token = '{TOKEN}'", [], {}),
    "literal token in a table": (f"[profiles.p.token]\nx = '{TOKEN}'", [], {}),
    "literal token, quote missing": (f"[profiles.p]\ntoken = '{TOKEN}", [], {}),
    "literal token, no quotes": (f"[profiles.p]\ntoken = {TOKEN}", [], {}),
    "unknown key": (f"[profiles.p]\ntokn = '{TOKEN}'", [], {}),
    "wrong type": (f"[profiles.p]\nforce = '{TOKEN}'", [], {}),
    "token in place of its file": (f"[profiles.p]\ntoken-file = '{TOKEN}'", [], {}),
    "file with the token": ("[profiles.p]\ntoken-file = 'token'", [], {}),
    "token in the server": (f"[profiles.p]\nserver = 'acme:{TOKEN}@pbx'", [], {}),
    "token in the domain": (f"[profiles.p]\ndomain = 'acme:{TOKEN}'", [], {}),
    "token in the argument of the domain": ("[profiles.p]", ["--domain", f"acme:{TOKEN}"], {}),
    "token as an argument": ("[profiles.p]", ["--token", TOKEN], {}),
    "argument in place of the token file": ("[profiles.p]", ["--token-file", TOKEN], {}),
    "variable": ("[profiles.p]", [], {"BASIX_TOKEN": TOKEN}),
    "variable in place of the token file": ("[profiles.p]", [], {"BASIX_TOKEN_FILE": TOKEN}),
    "variable with the server": ("[profiles.p]", [], {"BASIX_SERVER": f"acme:{TOKEN}@pbx"}),
    "token file in place of the config file": (TOKEN, [], {}),
}
COMMANDS = [["config", "show"], ["doctor", "--json", "--timeout", "0.1"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(("text", "arguments", "env"), LEAKS.values(), ids=LEAKS)
def test_no_output_contains_the_token(command, text, arguments, env, *, write_config, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    file = write_config(text)
    fixed = {"BASIX_DOMAIN": "acme"} if command[0] == "doctor" and "domain" not in text else {}
    env = {"BASIX_CONFIG": str(file), "BASIX_PROFILE": "p", **fixed, **env}
    done = run_in_process(*command, *arguments, env=env)
    assert done.returncode in {0, 2}
    assert not found_in(done.stdout + done.stderr)


@pytest.mark.slow
def test_debug_log_of_a_profile_contains_no_token(write_config, tmp_path):
    """The connection is refused; a process shows what its log contains."""
    (tmp_path / "token").write_text(TOKEN)
    file = write_config("""\
[profiles.p]
server = "ws://127.0.0.1:9"
domain = "acme"
token-file = "token"
""")
    done = run("state", "--config", file, "--profile", "p", "--log-level", "debug")
    assert done.returncode == 4
    assert "127.0.0.1" in done.stderr
    assert not found_in(done.stdout + done.stderr)
