"""Connection options as arguments and environment variables, tokens, and usage errors."""

from __future__ import annotations

import base64
import errno
import http.server
import json
import os
import re
import select
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.cli_runner import environment, run, run_in_process
from support.example_connections import connection_environment
from support.secret_scanner import found_in
from support.sizes import NIGHTLY

import basix_ws_cti
from basix_ws_cti.simulator import Simulator, faults

TOKEN = "zQ7kanari-of-the-command-line"


@pytest.fixture(scope="module")
def refusing_server():
    """URL of a server that refuses all logins, and the list of its requests."""
    requests = []

    class Refuse(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            requests.append((self.path, self.headers["Authorization"]))
            self.send_error(401)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


def sent_request(refusing_server, *arguments, env, adds_server=True):
    """Return the query parameters and the credentials that ``state`` sends to the PBX.

    The server is added as an argument if it is not given, unless ``adds_server`` is false.
    """
    url, requests = refusing_server
    requests.clear()
    if adds_server and "BASIX_SERVER" not in env and "--server" not in arguments:
        arguments = ("--server", url, *arguments)
    done = run_in_process("state", *arguments, env=env)
    assert done.returncode == 3, done.stderr
    assert "check --domain and the token" in done.stderr
    assert not found_in(done.stdout + done.stderr)
    ((target, login),) = requests
    query = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
    return query, base64.b64decode(login.removeprefix("Basic ")).decode()


@pytest.mark.parametrize("source", ["arguments", "environment", "profile"])
def test_connection_options_reach_the_pbx(refusing_server, source, tmp_path):
    """Each option works as an argument, as an environment variable and in a profile."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    options = {
        "server": refusing_server[0],
        "domain": "acme",
        "app-name": "wall board",
        "token-file": file,
        "full-events": None,
        "force": None,
    }
    if source == "arguments":
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        query, login = sent_request(
            refusing_server, *(one for one in arguments if one is not None), env={}
        )
    elif source == "profile":
        values = (
            f"{name} = true\n" if value is None else f"{name} = '{value}'\n"
            for name, value in options.items()
        )
        config = tmp_path / "config.toml"
        config.write_text("[profiles.p]\n" + "".join(values))
        env = {"BASIX_CONFIG": str(config), "BASIX_PROFILE": "p"}
        query, login = sent_request(refusing_server, env=env, adds_server=False)
    else:
        env = {
            f"BASIX_{name.replace('-', '_').upper()}": "1" if value is None else str(value)
            for name, value in options.items()
        }
        query, login = sent_request(refusing_server, env=env)
    assert login == f"acme:{TOKEN}"
    assert query == {
        "app_name": "wall board",
        "full_events": "true",
        "force": "true",
        "forced": "true",
    }


USERS = ["id", "name", "label", "extension", "did", "email"]


@pytest.mark.parametrize("name", USERS)
def test_user_options_reach_the_pbx(refusing_server, name):
    arguments = ("--domain", "acme", f"--user-{name}", "山田 1")
    query, login = sent_request(refusing_server, *arguments, env={"BASIX_TOKEN": TOKEN})
    assert (query[f"user_{name}"], login) == ("山田 1", f"acme:{TOKEN}")


@pytest.mark.parametrize("name", USERS if NIGHTLY else USERS[-2:])
def test_user_variables_reach_the_pbx(refusing_server, name):
    env = {"BASIX_TOKEN": TOKEN, "BASIX_DOMAIN": "acme", f"BASIX_USER_{name.upper()}": "鈴木 2"}
    query, _ = sent_request(refusing_server, env=env)
    assert query == {"app_name": "basix-ws-cti", f"user_{name}": "鈴木 2"}


def test_options_override_environment_variables(refusing_server, tmp_path):
    """A token file given as an option overrides ``BASIX_TOKEN``."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    env = {"BASIX_TOKEN": "another", "BASIX_DOMAIN": "other", "BASIX_FULL_EVENTS": "1"}
    arguments = ("--domain", "acme", "--no-full-events", "--token-file", file)
    query, login = sent_request(refusing_server, *arguments, env=env)
    assert (login, query) == (f"acme:{TOKEN}", {"app_name": "basix-ws-cti"})


def test_basix_token_overrides_basix_token_file(refusing_server, tmp_path):
    file = tmp_path / "token"
    file.write_text("another")
    env = {"BASIX_TOKEN": TOKEN, "BASIX_TOKEN_FILE": str(file)}
    _, login = sent_request(refusing_server, "--domain", "acme", env=env)
    assert login == f"acme:{TOKEN}"


# -- the token -----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--token", TOKEN], [f"--token={TOKEN}"]])
def test_token_as_an_argument_is_refused(arguments):
    """The error names the alternatives and does not contain the token."""
    done = run_in_process("listen", "--server", "x", "--domain", "y", *arguments)
    assert done.returncode == 2
    assert re.search(r"BASIX_TOKEN.*--token-file", done.stderr, re.DOTALL)
    assert not found_in(done.stdout + done.stderr)


def test_help_does_not_list_the_token_option():
    done = run_in_process("listen", "--help")
    assert "--token-file" in done.stdout
    assert not re.search(r"--token\s", done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("typed", "code"), [(TOKEN + "\n", 3), ("\n", 2), ("\x04", 2), ("\x03", 130)]
)
@pytest.mark.slow
def test_terminal_prompts_for_the_token(refusing_server, typed, code):
    """The token is not echoed. An empty line, Ctrl-D and Ctrl-C end the command."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        arguments = ["state", "--server", refusing_server[0], "--domain", "acme"]
        os.execve(sys.executable, [sys.executable, "-m", "basix_ws_cti", *arguments], environment())
    shown = b""
    while b"Token:" not in shown:
        shown += os.read(terminal, 1024)
    refusing_server[1].clear()
    os.write(terminal, typed.encode())
    with open(terminal, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        try:
            while select.select([file], [], [], 60)[0] and (more := file.read(1024)):
                shown += more
        except OSError:  # the terminal is gone with its process
            pass
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == code, shown
    assert b"Traceback" not in shown
    assert TOKEN.encode() not in shown
    if code == 3:
        assert (
            base64.b64decode(refusing_server[1][0][1].removeprefix("Basic "))
            == f"acme:{TOKEN}".encode()
        )


# -- usage errors -------------------------------------------------------------------------


SERVER_AND_DOMAIN = ["--server", "x", "--domain", "y"]


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        ([], {}, "--server, or --simulate"),
        (["--server", "x"], {}, "--domain"),
        (SERVER_AND_DOMAIN, {}, "set BASIX_TOKEN or pass --token-file"),
        ([*SERVER_AND_DOMAIN, "--token-file", "/no/such"], {}, "no such file"),
        ([*SERVER_AND_DOMAIN, "--token-file", "/"], {}, "folder"),
        ([*SERVER_AND_DOMAIN, "--token-file", os.devnull], {}, "empty"),
        (["--server", "http://x/y z"], {"BASIX_DOMAIN": "y", "BASIX_TOKEN": "t"}, "server"),
        (["--server", "x", "--domain", ""], {"BASIX_TOKEN": "t"}, "--domain"),
        ([*SERVER_AND_DOMAIN, "--user-id", "1", "--user-name", "n"], {"BASIX_TOKEN": "t"}, "user"),
        ([*SERVER_AND_DOMAIN, "--ca-file", "/no/such"], {"BASIX_TOKEN": "t"}, "no such file"),
        ([*SERVER_AND_DOMAIN, "--ca-file", os.devnull], {"BASIX_TOKEN": "t"}, "--ca-file"),
        (["--simulate"], {"BASIX_FULL_EVENTS": "perhaps"}, "BASIX_FULL_EVENTS"),
        (["--nonsense"], {}, "--nonsense"),
        (["--limit", "0"], {}, "--limit"),
        (["--log-level", "loud"], {}, "loud"),
        (["--simulate", "--timezone", "Asia/Tokio"], {}, "did you mean 'Asia/Tokyo'?"),
        (["--simulate", "--number", "abc"], {}, "--number"),
    ],
)  # fmt: skip
def test_missing_or_invalid_options_are_usage_errors(arguments, env, words):
    """The error says what to do."""
    done = run_in_process("listen", *arguments, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_binary_token_file_is_an_error(tmp_path):
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe\x00")
    done = run_in_process("listen", "--server", "x", "--domain", "y", "--token-file", file)
    assert done.returncode == 2
    text = f"cannot read the token file {file}: it is not UTF-8"
    assert done.stderr == f"basix-ws-cti: {text}\n"


@pytest.mark.parametrize("level", ["debug", "critical"])
@pytest.mark.slow
def test_logs_do_not_contain_the_token(level):
    with Simulator(calls=False, token=TOKEN) as pbx:
        pbx.inject(faults.DropDuringSnapshot(3))
        env = {"BASIX_TOKEN": TOKEN, "BASIX_SERVER": pbx.url, "BASIX_DOMAIN": "demo"}
        done = run("listen", "--log-level", level, "--limit", "3", env=env)
    assert done.returncode == 0
    assert ("DEBUG" in done.stderr) == (level == "debug")
    assert not found_in(done.stdout + done.stderr)


# -- TLS -----------------------------------------------------------------------------------


@contextmanager
def secured(tmp_path):
    """Yield the environment for a PBX with a private CA, and the file of the CA."""
    import ssl

    import trustme

    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    with Simulator(calls=False, tls=context, token=TOKEN) as pbx:
        yield {"BASIX_TOKEN": TOKEN, "BASIX_SERVER": pbx.url, "BASIX_DOMAIN": "demo"}, file


@pytest.mark.slow
def test_ca_file_makes_a_private_ca_trusted(tmp_path):
    """Without it the error names the option."""
    with secured(tmp_path) as (env, file):
        done = run_in_process("state", "--json", env=env)
        assert done.returncode == 4
        assert "--ca-file" in done.stderr
        assert "doctor" in done.stderr
        for arguments, more in ((["--ca-file", file], {}), ([], {"BASIX_CA_FILE": str(file)})):
            done = run_in_process("state", "--json", *arguments, env={**env, **more})
            assert (done.returncode, json.loads(done.stdout)["type"]) == (0, "state")


# -- environment failures -----------------------------------------------------------------


@pytest.mark.parametrize("missing", ["typer", pytest.param("rich.cells", marks=pytest.mark.slow)])
def test_missing_extra_is_explained(missing):
    """The error says in one line how to install the extra ``cli``."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['x', 'listen', '--simulate'];"
        "from basix_ws_cti.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60,
        env=environment(),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("pip install 'basix_ws_cti[cli]'")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_other_import_errors_are_not_hidden():
    """An import error with another cause is not reported as a missing extra."""
    code = (
        "import sys; sys.modules['basix_ws_cti.cli.commands.listen'] = None;"
        "sys.argv = ['basix-ws-cti', 'listen']; from basix_ws_cti.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [((errno.EINVAL, "invalid"), 0), ((errno.EINVAL, "invalid", "a:b"), 1), ((5, "broken"), 1)],
)
@pytest.mark.slow
def test_closed_pipe_on_windows_ends_quietly(error, code):
    """A closed pipe is ``EINVAL`` there; the same error with a file name is an error."""
    script = (
        "import ssl, sys, typer\n"  # ssl cannot be imported once the platform is Windows
        "from basix_ws_cti.cli.command_wrapper import LogLevel, wrap_command\n"
        f"def fail() -> None: raise OSError(*{error})\n"
        "run = wrap_command(fail); sys.platform = 'win32'\n"
        "try: run(log_level=LogLevel.CRITICAL)\n"
        "except typer.Exit as end: sys.exit(end.exit_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, bool(done.stderr)) == (code, code == 1), done.stderr
    assert "Traceback" not in done.stderr


def test_interrupt_during_start_exits_with_130():
    code = (
        "import sys; from basix_ws_cti import cli; import basix_ws_cti.cli.app as app\n"
        "def app_(*_): raise KeyboardInterrupt\n"
        "app.run_program = app_; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["listen", "-h"], ["schema"], ["decode", "836a"]]
)
@pytest.mark.slow
def test_full_disk_is_reported_in_one_line(arguments):
    """This holds for help texts, too."""
    with Path("/dev/full").open("w") as full:
        done = run(*arguments, stdout=full)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no space left" in done.stderr


def test_short_help_option():
    """``-h`` equals ``--help``, for commands as well."""
    assert run_in_process("-h").stdout == run_in_process("--help").stdout
    assert run_in_process("state", "-h").stdout == run_in_process("state", "--help").stdout


def test_version_is_the_installed_version():
    """It says whether the parse path is compiled."""
    from importlib.metadata import version

    build = "compiled" if basix_ws_cti.compiled else "pure Python"
    done = run_in_process("--version")
    assert done.returncode == 0
    assert done.stdout == f"basix-ws-cti {version('basix_ws_cti')} ({build})\n"


@pytest.mark.slow
def test_installed_script_runs_the_same_program():
    """``basix-ws-cti`` and ``python -m basix_ws_cti`` have the same entry point."""
    from importlib.metadata import entry_points

    from basix_ws_cti.cli import main

    (script,) = entry_points(group="console_scripts", name="basix-ws-cti") or [None]
    if script is None:
        pytest.skip("the package is not installed with its scripts")
    assert script.load() is main
    program = Path(sys.executable).with_name("basix-ws-cti")
    if program.exists():
        done = subprocess.run([program, "--help"], capture_output=True, check=False, timeout=60)
        assert done.returncode == 0


def test_no_arguments_print_help():
    done = run_in_process()
    assert "listen" in done.stdout + done.stderr


# -- language -----------------------------------------------------------------------------


UNKNOWN_LANGUAGE = "--lang: unknown language 'fr': pass one of en, ja"


@pytest.mark.parametrize("arguments", ["--lang fr listen", "listen --lang=fr", "--lang fr --help"])
def test_unknown_language_is_a_usage_error(arguments):
    done = run_in_process(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"basix-ws-cti: {UNKNOWN_LANGUAGE}\n"


def test_environment_selects_the_language():
    done = run_in_process("--lang", "fr", env={"LANG": "ja_JP.UTF-8"})
    assert (
        done.stderr == "basix-ws-cti: --lang: 'fr'という言語はありません。指定できる言語: en, ja\n"
    )


@pytest.mark.parametrize("arguments", ["--lang ja --version", "--version --lang=ja"])
def test_language_is_accepted_before_and_after_other_options(arguments):
    done = run_in_process(*arguments.split())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp932", "ascii"])
@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "listen --help",
        "listen --simulate --limit 20",
        "listen --simulate --limit 5 --calls",
        "state --simulate",
        "doctor --simulate",
        "doctor --server ws://127.0.0.1:1 --domain d",
        "listen --limit 1 --kind chanel --simulate",
    ],
)
def test_japanese_output_is_written_in_any_encoding(command, encoding):
    """Characters that the encoding lacks are replaced; nothing is raised."""
    variables = {"PYTHONIOENCODING": encoding, "BASIX_TOKEN": "t0ken"}
    done = run("--lang", "ja", *command.split(), env=variables, encoding=encoding)
    assert done.returncode in {0, 2, 4}
    output = done.stdout + done.stderr
    assert ("?" in output) if encoding == "ascii" else re.search("[ぁ-ん]|[ァ-ン]", output)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["log", "calls.db"],
        ["metrics", "--listen", "127.0.0.1:0"],
        ["web", "--listen", "127.0.0.1:0"],
        ["webhook", "http://127.0.0.1:9/", "--spool", "hook.db"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_refused_login_ends_a_command_that_serves(arguments, tmp_path, monkeypatch):
    """It ends with exit code 3, and no output shows the token."""
    monkeypatch.chdir(tmp_path)
    secrets = {"BASIX_TOKEN": TOKEN, "BASIX_WEBHOOK_SECRET": "whsec_" + "A" * 32}
    with Simulator(calls=False) as pbx:
        done = run_in_process(*arguments, env={**connection_environment(pbx), **secrets})
    assert done.returncode == 3
    assert "the server refused the login" in done.stderr
    assert found_in(done.stdout + done.stderr) == []
