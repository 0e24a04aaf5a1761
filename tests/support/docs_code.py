"""The documentation's code: which blocks a page has, and what it takes to run them as written."""

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

from basix_ws_cti.simulator import Simulator

from .paths import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]

# The server that the documentation names, and how its day goes where the simulator plays it.
SERVER = "bcs.brastel.com"
DAY = {"speed": 40, "seed": 1, "rate": 20}

# Where a call has to last for as long as somebody needs to park it.
SLOWER = {"docs/howto/commands.md": {"speed": 10}}

# Seconds for one block: none takes more than two on an idle machine.
PATIENCE = 60

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
    """A block of code, and what it prints: the block of text right behind it."""

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


def lexed(document):
    for region in LEXERS(document):
        region.parsed = region.lexemes["source"]
        region.evaluator = None
        yield region


def blocks(page):
    """A page's blocks, in their order; a text right behind one is its output."""
    document = Document.parse(str(page), lexed)
    found, end = [], 0
    for example in document.examples():
        lexemes = example.region.lexemes
        language, source = lexemes["arguments"], str(example.parsed)
        behind = not document.text[end : example.region.start].strip()
        end = example.region.end
        if language == "text" and behind and found and found[-1].language != "text":
            last = found.pop()
            found.append(Block(*[getattr(last, name) for name in HEAD], source))
            continue
        file = (lexemes.get("options") or {}).get("caption")
        name = page.relative_to(ROOT).as_posix()
        found.append(Block(name, example.line, language, file, source))
    return found


HEAD = ("page", "line", "language", "file", "source")


# -- what is printed --------------------------------------------------------------------------


def pattern(output):
    """What matches an output: ``…`` is any text within a line, and alone in one, any lines."""
    lines = (
        r"(?:.*\n)*?" if line == "…\n" else re.escape(line).replace("…", ".*?")
        for line in output.splitlines(keepends=True)
    )
    return re.compile("".join(lines))


def goes_on(output):
    """Whether a program is ended once all that is shown has come."""
    return output is not None and output.endswith("…\n") and output.splitlines()[-1] == "…"


class Enough(KeyboardInterrupt):
    """All that is shown was printed by a program that would go on."""


class Paper(io.StringIO):
    """Stands for stdout; fifty lines more than are shown are enough in any case."""

    def __init__(self, output):
        super().__init__()
        self.enough = pattern(output) if goes_on(output) else None
        self.lines = (output or "").count("\n") + 50

    def write(self, text):
        super().write(text)
        printed = self.getvalue()
        if printed.count("\n") > self.lines or (self.enough and self.enough.fullmatch(printed)):
            raise Enough
        return len(text)


def compare(block, printed):
    wanted = "" if block.output is None else block.output
    if not pattern(wanted).fullmatch(printed):
        raise AssertionError(f"{block} printed\n{printed}\nand not\n{wanted}")


@contextlib.contextmanager
def patience(interrupt):
    """Interrupt what does not end."""
    timer = threading.Timer(PATIENCE, interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# -- running ----------------------------------------------------------------------------------


def run_python(block, namespace):
    """Run a block as a program, or, where it awaits, in an event loop of its own."""
    source = "\n" * block.line + block.source
    code = compile(source, block.page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    paper = Paper(block.output)
    try:
        with patience(_thread.interrupt_main), contextlib.redirect_stdout(paper):
            result = eval(code, namespace)
            if inspect.iscoroutine(result):
                asyncio.run(result)
    except Enough:
        pass
    except KeyboardInterrupt:
        raise AssertionError(f"{block} did not end; it printed\n{paper.getvalue()}") from None
    compare(block, paper.getvalue())


def run_session(block, namespace):
    """Run what was typed at a prompt."""
    test = doctest.DocTestParser().get_doctest(
        block.source, namespace, block.page, block.page, block.line
    )
    said = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=said.write, clear_globs=False)
    namespace.update(test.globs)
    assert not runner.failures, said.getvalue()


def run_shell(block, folder):
    """Run a shell's lines; a program that would go on is interrupted, as by Ctrl-C."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        # A plugin that a reader has not installed: it warns where nothing configures it.
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
        paper = Paper(block.output)
        with patience(lambda: os.killpg(process.pid, signal.SIGKILL)):
            try:
                for line in process.stdout:
                    paper.write(line)
            except Enough:
                os.killpg(process.pid, signal.SIGINT)
                process.stdout.read()
            process.wait()
    ended = {0, 130, -signal.SIGINT} if goes_on(block.output) else {0}
    assert process.returncode in ended, f"{block}: {process.returncode}\n{paper.getvalue()}"
    compare(block, paper.getvalue())


# -- the server that the documentation names ----------------------------------------------------


class Stage:
    """Where blocks run: whoever asks for the documentation's server gets a simulator, over TLS.

    The code is as written: the name is looked up, the certificate is checked, the token is
    asked for. Only the address that the name leads to is another one.
    """

    def __init__(self, page, folder, patch, token):
        self._day = {"token": token, **DAY, **SLOWER.get(page, {})}
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
        self._ports = {}
        look_up, connect = socket.getaddrinfo, asyncio.BaseEventLoop.create_connection
        plain = socket.create_connection

        def getaddrinfo(host, *args, **kwargs):
            return look_up(
                "127.0.0.1" if host in {SERVER, SERVER.encode()} else host, *args, **kwargs
            )

        async def create_connection(loop, factory, host=None, port=None, **kwargs):
            if port == 443:
                kwargs.setdefault("server_hostname", host if kwargs.get("ssl") else None)
                # Only the tickets' API is asked by a library that looks names up itself.
                host, port = "127.0.0.1", self._ports["feed" if host == SERVER else "api"]
            return await connect(loop, factory, host, port, **kwargs)

        def connected(address, *args, **kwargs):
            there = ("127.0.0.1", self._ports["feed"])
            return plain(there if address == (SERVER, 443) else address, *args, **kwargs)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        patch.setattr(socket, "create_connection", connected)
        patch.setattr(asyncio.BaseEventLoop, "create_connection", create_connection)

    @contextlib.contextmanager
    def day(self):
        """A simulated day at the server, from its beginning."""
        with Simulator(domain="acme", tls=self._context, api=True, **self._day) as pbx:
            self._ports = {
                "feed": int(pbx.url.rpartition(":")[2]),
                "api": int(pbx.api_url.rpartition(":")[2]),
            }
            yield
