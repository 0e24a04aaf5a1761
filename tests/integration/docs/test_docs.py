"""The documentation is true: its code runs, its links lead somewhere, its lists are complete."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import sys

import pytest
from support import docs_code, secret_scanner

# Blocks that can't run here, each by its first line, and why.
INSTALLS = "it installs: CI does so, from the README, in a fresh copy"
REDIS = "it needs a Redis: tests/integration/examples/test_example_redis.py starts one"
REAL = "it needs a real PBX"
NOT_RUN = {
    "README.md": {
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/python "
        "examples/listen.py": INSTALLS,
        ".venv/bin/pip install -q '.[dev]' && .venv/bin/python -m pytest": INSTALLS,
    },
    "docs/contributing.md": {
        "python3 -m venv .venv": INSTALLS,
        "HATCH_BUILD_HOOK_ENABLE_MYPYC=1 python -m build": "it needs a compiler: tox -e compiled",
    },
    "docs/quickstart.md": {
        "python3 -m venv .venv": INSTALLS,
        "basix-ws-cti top --simulate": "needs a terminal: see test_cli_top.py",
        "read -rs BASIX_TOKEN && export BASIX_TOKEN": "somebody has to type",
        "basix-ws-cti doctor --server bcs.brastel.com --domain acme --user-extension 1001": REAL,
    },
    "docs/tutorial.md": {"python3 -m venv .venv": INSTALLS},
    "docs/howto/index.md": {
        "python -m basix_ws_cti.simulator --domain acme --token simulated --speed 40 --rate 20": (
            "its port may be taken: docs/reference/simulator.md has it with any that is free"
        )
    },
    "docs/explanation/performance.md": {
        "python tests/benchmarks/run.py": "it takes minutes: tests/benchmarks runs it in small"
    },
    "docs/howto/crm.md": {
        "python examples/screen_pop.py 1001 https://crm.example.com/pop": "it needs a CRM: "
        "tests/integration/examples/test_examples_calls.py is one"
    },
    "docs/howto/fan-out.md": {
        "python examples/redis_fanout.py --redis redis://127.0.0.1:6379 --stream basix": REDIS,
        "python examples/redis_consumer.py --redis redis://127.0.0.1:6379 --stream basix": REDIS,
    },
    "docs/howto/web.md": {"uvicorn app:app": "a web server of another project"},
    "docs/howto/bug-report.md": {
        "pip install 'basix_ws_cti[cli]'": INSTALLS,
        "basix-ws-cti record bug.jsonl --anonymise --server bcs.brastel.com --domain acme": REAL,
        "basix-ws-cti replay bug.jsonl": "there is no such recording",
    },
    "docs/howto/service.md": {
        "[Unit]": "a service file: it needs systemd",
        "FROM python:3.13-slim": "a container's file: it needs a registry",
    },
}

# Pages whose code is run by other tests.
ELSEWHERE = {
    "docs/cli.md": "tests/cli runs the commands",
    "docs/ja/quickstart.md": "same code as docs/quickstart.md: see test_translations.py",
}

HERE = [
    page for page in docs_code.PAGES if page.relative_to(docs_code.ROOT).as_posix() not in ELSEWHERE
]


def name(page):
    return page.relative_to(docs_code.ROOT).as_posix()


@pytest.fixture(autouse=True)
def environment():
    """What a page's program sets in its environment ends with it."""
    kept = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.mark.parametrize("page", HERE, ids=name)
def test_the_code_runs(page, tmp_path, monkeypatch):
    """Each block of a page runs as written, and prints what is shown.

    It runs after those above it; in a how-to guide, from which people copy, by itself.
    """
    stage = docs_code.Stage(name(page), tmp_path, monkeypatch, secret_scanner.SIMULATOR_TOKEN)
    whole = name(page).startswith("docs/howto/")
    namespace = {"__name__": "__main__"}
    for block in docs_code.blocks(page):
        if whole:
            namespace = {"__name__": "__main__"}
        if block.first in NOT_RUN.get(block.page, ()):
            continue
        if block.file is not None:
            (tmp_path / block.file).write_text(block.source, encoding="utf-8")
            # As in an interpreter of its own: no module of that name is loaded, or stays.
            module = block.file.removesuffix(".py")
            monkeypatch.setitem(sys.modules, module, None)
            del sys.modules[module]
            continue
        with stage.day() if docs_code.SERVER in block.source else contextlib.nullcontext():
            if block.source.startswith(">>>"):
                docs_code.run_session(block, namespace)
            elif block.language == "python":
                docs_code.run_python(block, namespace)
            elif block.language == "sh":
                docs_code.run_shell(block, tmp_path)
            else:
                pytest.fail(
                    f"{block}: nothing can run {block.language or 'that'}, nor is it listed"
                )


def test_what_is_not_run_is_there():
    """Each block that is listed as not run is on its page, and so is each page."""
    found = {
        (block.page, block.first) for page in docs_code.PAGES for block in docs_code.blocks(page)
    }
    listed = {(page, first) for page, blocks in NOT_RUN.items() for first in blocks}
    assert listed <= found
    assert {*ELSEWHERE, *NOT_RUN, *docs_code.SLOWER} <= {name(page) for page in docs_code.PAGES}


@pytest.mark.parametrize(("page", "lines"), [("docs/quickstart.md", 50), ("docs/tutorial.md", 500)])
def test_a_program_that_goes_on_survives_the_day(page, lines, tmp_path):
    """A newcomer's program does so for as long as they let it, whatever the day brings."""
    saved = [block for block in docs_code.blocks(docs_code.ROOT / page) if block.file is not None]
    for block in saved:
        faster = block.source.replace("speed=10", "speed=1000")
        (tmp_path / block.file).write_text(faster, encoding="utf-8")
    lasting = [block.file for block in saved if "speed=10" in block.source]
    assert lasting
    for file in lasting:
        with subprocess.Popen(
            [sys.executable, "-u", file],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                seen = len([*itertools.islice(process.stdout, lines)])
            finally:
                process.kill()
            assert seen == lines, process.stderr.read().decode()


@pytest.mark.parametrize("page", HERE, ids=name)
def test_a_program_that_is_saved_is_run(page):
    """What a page has in a file is imported or run by a block further down."""
    blocks = docs_code.blocks(page)
    for at, block in enumerate(blocks):
        if block.file is not None:
            stem = block.file.removesuffix(".py")
            assert any(re.search(rf"\b{stem}\b", later.source) for later in blocks[at + 1 :])


def test_output_is_compared():
    """What a block prints and what is shown are compared; ``…`` is any text, or any lines."""
    shown = docs_code.pattern("one … three\n…\nfive\n")
    assert shown.fullmatch("one 2 three\nfive\n")
    assert shown.fullmatch("one 2 three\n4\n4\nfive\n")
    assert not shown.fullmatch("one\nthree\nfive\n")
    assert not shown.fullmatch("one 2 three\nfive\nsix\n")


def slug(heading):
    """A heading's anchor."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", docs_code.PAGES, ids=name)
def test_no_link_is_dead(page):
    """Each link within the project leads to a file that is there, and a heading that is in it."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(\s*([^)\s]+?)\s*\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.is_file(), target
        headings = re.findall(r"^#+ (.*)", there.read_text(encoding="utf-8"), re.MULTILINE)
        assert not anchor or anchor in map(slug, headings), target


@pytest.mark.parametrize("folder", ["howto", "reference", "explanation"])
def test_every_page_is_in_its_index(folder):
    """Whoever comes to a folder's first page finds all others there."""
    index = docs_code.ROOT / "docs" / folder / "index.md"
    listed = re.findall(
        r"^\|.*\]\((\w[\w-]*\.md)\)", index.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted([*listed, "index.md"]) == sorted(path.name for path in index.parent.glob("*.md"))
