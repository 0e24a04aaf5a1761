"""``doctor`` as a command: output, exit codes, and signals."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl

import pytest
import trustme
from support.cli_runner import run, run_here, start
from support.secret_scanner import SIMULATOR_TOKEN

from basix_ws_cti.cli.diagnostics.findings import STEPS
from basix_ws_cti.simulator import Simulator


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


def doctor(server, *options, token=SIMULATOR_TOKEN, **more):
    variables = {"BASIX_TOKEN": token, "BASIX_DOMAIN": "demo"}
    done = run_here("doctor", "--server", server, *options, env=variables, **more)
    assert token not in done.stdout + done.stderr
    return done


def test_a_warning_is_shown_and_harms_nothing(pbx):
    """Neither a user nor full_events: a warning with advice, and still 0."""
    done = doctor(pbx.url)
    assert done.returncode == 0
    first, advice, *_ = done.stdout.splitlines()
    assert first.startswith("warning options")
    assert "--full-events" in advice


def test_json(pbx):
    """A JSON line for each step, with what programs ask for."""
    done = doctor(pbx.url, "--json", "--user-extension", "1001")
    assert done.returncode == 0
    findings = {one["step"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert [*findings] == [*STEPS]
    assert findings["options"]["details"]["user_extension"] == "1001"
    assert findings["options"]["details"]["token_from"] == "BASIX_TOKEN"
    assert findings["snapshot"]["details"]["elements"]["user"] == 5
    assert {one["mark"] for one in findings.values()} == {"ok"}


def test_a_simulated_one():
    """A line for each step, and 0 when all is well, as it is with --simulate."""
    done = run("doctor", "--simulate")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", step] for step in STEPS]
    assert "the token is from the simulator" in lines[0]
    assert re.search(r"\(\d+ ms\)$", lines[-1])


def test_a_private_ca_by_file(tmp_path, authority):
    """--ca-file has the CA; without it the step says so, and the exit code is 4."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    with Simulator(calls=False, tls=context) as pbx:
        server = pbx.url.replace("127.0.0.1", "localhost")
        good, bad = doctor(server, "--ca-file", path), doctor(server)
    assert good.returncode == 0
    assert "its chain leads to --ca-file" in good.stdout
    assert bad.returncode == 4
    assert "failed  tls" in bad.stdout
    assert "--ca-file" in bad.stdout


@pytest.mark.parametrize(
    ("server", "options", "code", "line"),
    [
        ("ws://127.0.0.1:1", [], 4, "failed  tcp"),
        ("ws://pbx.example", [], 2, "failed  options    credentials would be sent"),
        ("x", ["--full-events", "--user-id", "1"], 2, "failed  options    user_id"),
    ],
)
def test_exit_codes(server, options, code, line):
    """2 for options, 4 for the connection; the steps after that are shown as skipped."""
    done = doctor(server, *options)
    assert done.returncode == code
    assert line in done.stdout
    assert done.stderr == ""
    assert "skipped pings" in done.stdout


def test_a_refused_login(pbx):
    """A token that the PBX does not know ends with 3, and is not shown."""
    done = doctor(pbx.url, token="not-the-token")
    assert done.returncode == 3
    assert "failed  login" in done.stdout


def test_where_the_token_is_from(pbx, tmp_path):
    """The file is named; that there is no token at all is an option's failure."""
    path = tmp_path / "token"
    path.write_text(SIMULATOR_TOKEN)
    options = ("doctor", "--server", pbx.url, "--domain", "demo")
    done = run(*options, "--token-file", path)
    assert done.returncode == 0
    assert f"the token is from the file {path}" in done.stdout
    done = run(*options)
    assert done.returncode == 2
    assert "failed  options    no token: set BASIX_TOKEN or pass --token-file" in done.stdout


def test_interrupted():
    """Ctrl-C in the middle of a step ends it with 130, quietly."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start(
            *("doctor", "--server", f"ws://127.0.0.1:{silent.getsockname()[1]}", "--domain", "d"),
            env={"BASIX_TOKEN": "t0ken"},
        )
        while "tls" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


def test_nobody_reads(pbx):
    """When whoever reads has gone, it ends quietly with 0."""
    process = start(
        *("doctor", "--server", pbx.url, "--domain", "demo"), env={"BASIX_TOKEN": SIMULATOR_TOKEN}
    )
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
