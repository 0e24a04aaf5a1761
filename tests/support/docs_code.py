"""Code blocks of the documentation: parsing, execution and comparison of the output."""

from __future__ import annotations

import _thread
import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import trustme
from attrs import frozen
from sybil import Document
from sybil.parsers.abstract.lexers import LexerCollection
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer
from sybil.parsers.myst.lexers import DirectiveLexer

import basix_ws_cti
from basix_ws_cti.simulator import Simulator

from .cli_runner import run_in_process
from .paths import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]

# The server that the documentation names, and the options of the simulator that replaces it.
SERVER = "bcs.brastel.com"
SIMULATION = {"speed": 40, "seed": 1, "rate": 20}

# Pages on which a call must last long enough for commands.
SLOWER_PAGES = {
    "docs/explanation/javascript.md": {"speed": 10},
    "docs/howto/commands.md": {"speed": 10},
    "docs/howto/eavesdrop.md": {"speed": 10},
}

# Timeout of one block in seconds; none takes more than two on an idle machine.
BLOCK_TIMEOUT = 60

LEXERS = LexerCollection(
    [
        FencedCodeBlockLexer(
            language=r"\w*", mapping={"language": "arguments", "source": "source"}
        ),
        DirectiveLexer(directive="code-block"),
    ]
)


@frozen
class Block:
    """Block of code, and its output: the text block that follows it directly."""

    page: str
    line: int
    language: str
    file: str | None
    source: str
    output: str | None = None

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def first(self):
        return self.source.partition("\n")[0]


def parse_regions(document):
    for region in LEXERS(document):
        region.parsed = region.lexemes["source"]
        region.evaluator = None
        yield region


def blocks(page):
    """Return the blocks of a page in order; text directly after a block is its output."""
    document = Document.parse(str(page), parse_regions)
    found, end = [], 0
    for example in document.examples():
        lexemes = example.region.lexemes
        language, source = lexemes["arguments"], str(example.parsed)
        follows = not document.text[end : example.region.start].strip()
        end = example.region.end
        if language == "text" and follows and found and found[-1].language != "text":
            last = found.pop()
            found.append(Block(*[getattr(last, name) for name in FIELDS], source))
            continue
        file = (lexemes.get("options") or {}).get("caption")
        name = page.relative_to(ROOT).as_posix()
        found.append(Block(name, example.line, language, file, source))
    return found


FIELDS = ("page", "line", "language", "file", "source")


# -- output --------------------------------------------------------------------------


def pattern(output):
    """Return the pattern of an output: ``…`` is any text in a line, or, alone, any lines."""
    lines = (
        r"(?:.*\n)*?" if line == "…\n" else re.escape(line).replace("…", ".*?")
        for line in output.splitlines(keepends=True)
    )
    return re.compile("".join(lines))


def is_endless(output):
    """Return True if a program must be interrupted after the output shown."""
    return output is not None and output.endswith("…\n") and output.splitlines()[-1] == "…"


class OutputComplete(KeyboardInterrupt):
    """An endless program has printed all of the output shown."""


class OutputBuffer(io.StringIO):
    """Replacement of stdout; raises once the output is complete or 50 lines too long."""

    def __init__(self, output):
        super().__init__()
        self.complete_output = pattern(output) if is_endless(output) else None
        self.lines = (output or "").count("\n") + 50

    def write(self, text):
        super().write(text)
        printed = self.getvalue()
        if printed.count("\n") > self.lines or (
            self.complete_output and self.complete_output.fullmatch(printed)
        ):
            raise OutputComplete
        return len(text)


def compare(block, printed):
    expected = "" if block.output is None else block.output
    if basix_ws_cti.compiled:  # the pages show the wheel that most users install
        expected = expected.replace("(pure Python)", "(compiled)")
    if not pattern(expected).fullmatch(printed):
        raise AssertionError(f"{block} printed\n{printed}\nand not\n{expected}")


@contextlib.contextmanager
def time_limit(interrupt):
    """Call ``interrupt`` if the block does not end in time."""
    timer = threading.Timer(BLOCK_TIMEOUT, interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# -- running ----------------------------------------------------------------------------------


def run_python(block, namespace):
    """Run a block as a program, or in a new event loop if it uses top-level await."""
    source = "\n" * block.line + block.source
    code = compile(source, block.page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    output_buffer = OutputBuffer(block.output)
    try:
        with time_limit(_thread.interrupt_main), contextlib.redirect_stdout(output_buffer):
            result = eval(code, namespace)
            if inspect.iscoroutine(result):
                asyncio.run(result)
    except OutputComplete:
        pass
    except KeyboardInterrupt:
        raise AssertionError(
            f"{block} did not end; it printed\n{output_buffer.getvalue()}"
        ) from None
    compare(block, output_buffer.getvalue())


def run_session(block, namespace):
    """Run an interactive session (``>>>``) as a doctest."""
    test = doctest.DocTestParser().get_doctest(
        block.source, namespace, block.page, block.page, block.line
    )
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=report.write, clear_globs=False)
    namespace.update(test.globs)
    assert not runner.failures, report.getvalue()


# Variables of the environment in which blocks run. The pages show times of day in Japan.
ENVIRONMENT = {"LANGUAGE": "en", "BASIX_CONFIG": os.devnull, "TZ": "Asia/Tokyo"}

# Commands that need no process: a page with dozens of them would take a minute.
IN_PROCESS = re.compile(r"basix-ws-cti report [^|><;&$]*")


def run_commands(block):
    """Run commands of this program, one per line, in this process."""
    printed = ""
    for line in block.source.replace("\\\n", " ").splitlines():
        done = run_in_process(*shlex.split(line)[1:], env=ENVIRONMENT)
        assert done.returncode == 0, f"{block}: {done.stderr}"
        printed += done.stdout + done.stderr
    compare(block, printed)


def run_shell(block, folder):
    """Run shell commands; interrupt an endless program as Ctrl-C does."""
    if IN_PROCESS.fullmatch(block.source):
        run_commands(block)
        return
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        **ENVIRONMENT,
        # Readers may not have this plugin; without configuration it warns.
        "PYTEST_ADDOPTS": "-p no:asyncio",
    }
    with subprocess.Popen(
        ["bash", "-euc", block.source],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        output_buffer = OutputBuffer(block.output)
        with time_limit(lambda: os.killpg(process.pid, signal.SIGKILL)):
            try:
                for line in process.stdout:
                    output_buffer.write(line)
            except OutputComplete:
                os.killpg(process.pid, signal.SIGINT)
                process.stdout.read()
            process.wait()
    ended = {0, 130, -signal.SIGINT} if is_endless(block.output) else {0}
    assert process.returncode in ended, f"{block}: {process.returncode}\n{output_buffer.getvalue()}"
    compare(block, output_buffer.getvalue())


# -- the server that the documentation names ----------------------------------------------------


class DocumentedServer:
    """Redirection of the server that the documentation names to a simulator over TLS.

    The code runs as written: it resolves the name, checks the certificate and sends the token.
    Only the address of the name differs.
    """

    def __init__(self, page, folder, patch, token):
        self._simulation = {"token": token, **SIMULATION, **SLOWER_PAGES.get(page, {})}
        authority = trustme.CA()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(SERVER).configure_cert(self._context)
        trusted = folder / "company-ca.pem"
        authority.cert_pem.write_to_path(trusted)
        patch.setenv("SSL_CERT_FILE", str(trusted))
        patch.setenv("BASIX_TOKEN", token)
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        (folder / "examples").symlink_to(ROOT / "examples")
        self._port = 0
        resolve, connect = socket.getaddrinfo, asyncio.BaseEventLoop.create_connection
        connect_socket = asyncio.SelectorEventLoop.sock_connect
        plain = socket.create_connection

        def getaddrinfo(host, *args, **kwargs):
            return resolve(
                "127.0.0.1" if host in {SERVER, SERVER.encode()} else host, *args, **kwargs
            )

        async def create_connection(loop, factory, host=None, port=None, **kwargs):
            if port == 443:  # the client of the HTTP API; the feed's connects its own socket
                kwargs.setdefault("server_hostname", host if kwargs.get("ssl") else None)
                host, port = "127.0.0.1", self._port
            return await connect(loop, factory, host, port, **kwargs)

        async def sock_connect(loop, sock, address):
            if address[1] == 443:
                address = ("127.0.0.1", self._port)
            return await connect_socket(loop, sock, address)

        def create_plain_connection(address, *args, **kwargs):
            simulator = ("127.0.0.1", self._port)
            return plain(simulator if address == (SERVER, 443) else address, *args, **kwargs)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        patch.setattr(socket, "create_connection", create_plain_connection)
        patch.setattr(asyncio.BaseEventLoop, "create_connection", create_connection)
        patch.setattr(asyncio.SelectorEventLoop, "sock_connect", sock_connect)

    @contextlib.contextmanager
    def run_simulator(self):
        """Run the simulator from the start of its day."""
        with Simulator(domain="acme", tls=self._context, **self._simulation) as pbx:
            self._port = int(pbx.url.rpartition(":")[2])
            yield
