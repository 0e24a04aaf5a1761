"""Documentation: code blocks, links and page indexes."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import sys

import pytest
from support import docs_code, secret_scanner
from support.cases import for_each
from support.report_days import log_day

# Blocks that cannot run here, by their first line, with the reason.
INSTALLS = "it installs: CI does so, from the README, in a fresh copy"
REDIS = "it needs a Redis: tests/integration/fanout starts one"
REAL = "it needs a real PBX"
DOCKER = "it needs Docker: see tests/integration/deploy"
CRM = "it needs a web server: see test_cli_webhook.py"
NOT_RUN = {
    "README.md": {
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/python "
        "examples/listen.py": INSTALLS,
        ".venv/bin/pip install -q '.[dev]' && .venv/bin/python -m pytest": INSTALLS,
    },
    "docs/index.md": {"python3 -m venv .venv": INSTALLS},
    "docs/contributing.md": {
        "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'": INSTALLS,
        ".venv/bin/python -m pytest -n0 tests/unit/mirror": "runs the tests themselves",
        ".venv/bin/ruff check . && .venv/bin/ruff format . && .venv/bin/mypy && "
        ".venv/bin/lint-imports && .venv/bin/python -m pytest": "runs the tests themselves",
        "cd tests && ../.venv/bin/python -m support.catalogues": "it changes the source",
        "cd tests && ../.venv/bin/python -m support.pseudo_language doctor --simulate": (
            "it needs a clone: see test_pseudo_language.py"
        ),
        "HATCH_BUILD_HOOK_ENABLE_MYPYC=1 python -m build": "it needs a compiler: tox -e compiled",
    },
    "docs/quickstart.md": {
        "python3 -m venv .venv": INSTALLS,
        "basix-ws-cti top --simulate": "needs a terminal: see test_cli_top.py",
        "read -rs BASIX_TOKEN && export BASIX_TOKEN": "it waits for a typed token",
        "basix-ws-cti doctor --server bcs.brastel.com --domain acme --user-extension 1001": REAL,
    },
    "docs/tutorial.md": {"python3 -m venv .venv": INSTALLS},
    "docs/howto/install.md": {"python3 -m venv .venv": INSTALLS, "pip install build": INSTALLS},
    "docs/howto/index.md": {
        "python -m basix_ws_cti.simulator --domain acme --token simulated --speed 40 --rate 20": (
            "its port may be taken: docs/reference/simulator.md has it with any that is free"
        )
    },
    "docs/development/performance-notes.md": {
        "python tests/benchmarks/run.py": "it takes minutes: tests/benchmarks runs it in small",
        "PYTHONPATH=src:tests python tests/benchmarks/fanout_followers.py": (
            "it takes minutes: tests/benchmarks runs it in small"
        ),
        "PYTHONPATH=src:tests python tests/benchmarks/web_streams.py": "it takes four minutes",
    },
    "docs/howto/crm.md": {
        "basix-ws-cti webhook https://crm.example.com/pop --event ringing --user 1001": CRM
    },
    "docs/howto/wallboard.md": {
        "pip install '.[cli,web]'": INSTALLS,
        "basix-ws-cti web --full-events --log calls.db": REAL,
        "basix-ws-cti web-access password wallboard.access anna": REAL,
        "basix-ws-cti web --full-events --password-file wallboard.access \\": REAL,
        "basix-ws-cti web --full-events --limits limits.toml": REAL,
        "uvicorn --timeout-graceful-shutdown 2 intranet:app": REAL,
    },
    "docs/howto/fan-out.md": {
        "pip install '.[cli,fanout]'": INSTALLS,
        "export BASIX_SERVER=bcs.brastel.com BASIX_DOMAIN=acme BASIX_TOKEN_FILE=token "
        "BASIX_REDIS_PASSWORD=…": REAL,
        "ACL SETUSER publisher on >PASSWORD ~basix ~{basix}:* +get +set +del +pexpire +eval +xadd "
        "+xrange +xrevrange +xinfo|stream": "commands of Redis: see test_redis_acl.py",
        "basix-ws-cti doctor --redis rediss://publisher@redis.example.com": REDIS,
        "basix-ws-cti publish rediss://publisher@redis.example.com --full-events "
        "--allow-commands": (REDIS),
        "# Ends a call, and starts another one.": REDIS,
        "ACL SETUSER commanding-publisher on >PASSWORD ~basix ~{basix}:* +get +set +del +pexpire "
        "+eval +xadd +xrange +xrevrange +xinfo|stream +xread +time +rpush": (
            "commands of Redis: see test_redis_acl.py"
        ),
        "# Works with a Client and with a Follower.": "it needs a Redis: see test_follower_docs.py",
        "(umask 077; openssl rand -base64 32 > pseudonyms.key)": REDIS,
        "# Publishes pseudonyms.": "it needs a Redis: see test_follower_docs.py",
        "basix-ws-cti top --redis rediss://reader@redis.example.com": REDIS,
    },
    "docs/howto/capacity.md": {
        "events per second = calls per hour × events per call ÷ 3600": "a formula",
        "share of one core = events per second × processor time per event": "formulae",
        "size of the call log = calls per day × days of --keep × 2.5 kB": "a formula",
    },
    "docs/howto/container.md": {
        "docker build -t basix-ws-cti -f docs/deploy/Dockerfile .": DOCKER,
        "cd docs/deploy": DOCKER,
        "docker compose build": DOCKER,
        "BASIX_SERVER=bcs.brastel.com": "a file of variables",
    },
    "docs/howto/monitoring.md": {
        "pip install '.[cli,metrics]'": INSTALLS,
        "# prometheus.yml": "configuration of Prometheus",
    },
    "docs/howto/webhook.md": {
        "pip install '.[cli,webhook]'": INSTALLS,
        "basix-ws-cti webhook https://crm.example.com/calls --event answered --event ended "
        "--group 1900": CRM,
        "basix-ws-cti webhook https://crm.example.com/calls --secret-file secrets.txt": CRM,
        "basix-ws-cti webhook https://chat.example.com/alerts --alerts "
        "'longest-wait>60s@sales' --only-alerts --spool chat.db": CRM,
        "basix-ws-cti dead-letters list": "there is no spool: see test_cli_webhook.py",
        "import asyncio": CRM,
    },
    "docs/reference/webhook.md": {"POST /calls HTTP/1.1": "a request"},
    "docs/howto/web.md": {"uvicorn app:app": "a web server of another project"},
    "docs/howto/bug-report.md": {
        "pip install '.[cli]'": INSTALLS,
        "basix-ws-cti record bug.jsonl --anonymise --server bcs.brastel.com --domain acme": REAL,
        "basix-ws-cti replay bug.jsonl": "there is no such recording",
        "basix-ws-cti doctor --facts --seconds 3600 --server bcs.brastel.com --domain acme "
        "--full-events > facts.md": REAL,
    },
    "docs/howto/call-log.md": {
        "pip install '.[cli,calllog]'": INSTALLS,
        "basix-ws-cti log calls.db --server bcs.brastel.com --domain acme --full-events": REAL,
        "pip install '.[cli,calllog,postgresql]'": INSTALLS,
        "CREATE USER logger PASSWORD '…';": "it needs a PostgreSQL server",
        "basix-ws-cti log postgresql://logger@db.example/calls --full-events": REAL,
    },
    "docs/howto/reports.md": {
        "pip install '.[cli,calllog,reports]'": INSTALLS,
        "basix-ws-cti report calls.db": "its period, yesterday, has no calls",
        "basix-ws-cti record day.rec.gz --simulate --simulate-speed 900 --seconds 4": (
            "the calls would depend on the machine's speed: see PREPARED"
        ),
        "30 6 * * * basix-ws-cti --lang ja report /var/lib/basix/calls.db --by hour --output "
        "/srv/reports/yesterday.html --overwrite": "a line for cron",
    },
    "docs/howto/profiles.md": {"basix-ws-cti top": "needs a terminal: see test_cli_top.py"},
    "docs/howto/service.md": {
        "[Unit]": "a service file: it needs systemd",
        "sudo python3 -m venv /opt/basix": INSTALLS,
        "FROM python:3.13-slim": "a container's file: it needs a registry",
    },
}

# Functions that write the files which a page's blocks need.
PREPARED = {"docs/howto/reports.md": lambda folder: log_day(folder / "calls.db", calls=300)}

# Pages whose code is run by other tests.
TESTED_ELSEWHERE = {
    "docs/cli.md": "tests/integration/cli runs the commands",
}

# Translations have the code of their English page: see test_translations.py.
RUN_PAGES = [
    page
    for page in docs_code.PAGES
    if page.relative_to(docs_code.ROOT).as_posix() not in TESTED_ELSEWHERE
    and docs_code.ROOT / "docs" / "ja" not in page.parents
]


def page_name(page):
    return page.relative_to(docs_code.ROOT).as_posix()


# Pages whose code runs for more than 0.5 s.
SLOW_PAGES = {
    *(
        "README.md",
        "docs/index.md",
        "docs/quickstart.md",
        "docs/tutorial.md",
        "docs/reference/simulator.md",
    ),
    *("docs/howto/bug-report.md", "docs/howto/call-log.md", "docs/howto/click-to-call.md"),
    *(
        "docs/howto/alerts.md",
        "docs/howto/commands.md",
        "docs/howto/eavesdrop.md",
        "docs/howto/install.md",
        "docs/howto/follow.md",
    ),
    *(
        "docs/howto/logging.md",
        "docs/howto/monitoring.md",
        "docs/howto/profiles.md",
        "docs/howto/reports.md",
        "docs/howto/service.md",
        "docs/howto/testing.md",
    ),
    *("docs/howto/web.md", "docs/explanation/javascript.md"),
}


def with_marks(pages):
    """Return one test parameter per page; pages with slow code are marked."""
    return [
        pytest.param(
            page,
            id=page_name(page),
            marks=[pytest.mark.slow] if page_name(page) in SLOW_PAGES else [],
        )
        for page in pages
    ]


@pytest.fixture(autouse=True)
def environment():
    """Restore the environment after the programs of a page."""
    kept = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.mark.parametrize("page", with_marks(RUN_PAGES))
def test_code_blocks_run(page, tmp_path, monkeypatch):
    """Each block of a page runs as written and prints the output shown.

    It runs after the blocks above it; blocks of how-to guides run alone, because readers copy
    them.
    """
    server = docs_code.DocumentedServer(
        page_name(page), tmp_path, monkeypatch, secret_scanner.SIMULATOR_TOKEN
    )
    if page_name(page) in PREPARED:
        PREPARED[page_name(page)](tmp_path)
    runs_alone = page_name(page).startswith("docs/howto/")
    namespace = {"__name__": "__main__"}
    for block in docs_code.blocks(page):
        if runs_alone:
            namespace = {"__name__": "__main__"}
        if block.first in NOT_RUN.get(block.page, ()):
            continue
        if block.file is not None:
            (tmp_path / block.file).write_text(block.source, encoding="utf-8")
            # As in a fresh interpreter, no module of that name is loaded or stays loaded.
            module = block.file.removesuffix(".py")
            monkeypatch.setitem(sys.modules, module, None)
            del sys.modules[module]
            continue
        with (
            server.run_simulator() if docs_code.SERVER in block.source else contextlib.nullcontext()
        ):
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


def test_excluded_blocks_and_pages_exist():
    """Each block and page that is excluded from the run exists."""
    found = {
        (block.page, block.first) for page in docs_code.PAGES for block in docs_code.blocks(page)
    }
    listed = {(page, first) for page, blocks in NOT_RUN.items() for first in blocks}
    assert listed <= found
    assert {*TESTED_ELSEWHERE, *NOT_RUN, *PREPARED, *SLOW_PAGES, *docs_code.SLOWER_PAGES} <= {
        page_name(page) for page in docs_code.PAGES
    }


@pytest.mark.parametrize(
    ("page", "lines"),
    [("docs/index.md", 50), ("docs/quickstart.md", 50), ("docs/tutorial.md", 500)],
)
@pytest.mark.slow
def test_endless_programs_keep_printing(page, lines, tmp_path):
    """A newcomer's program survives a simulated day, whatever happens in it."""
    saved = {
        block.file or f"line_{block.line}.py": block.source
        for block in docs_code.blocks(docs_code.ROOT / page)
        if block.language == "python" and (block.file is not None or "speed=10" in block.source)
    }
    for file, source in saved.items():
        faster = source.replace("speed=10", "speed=1000")
        (tmp_path / file).write_text(faster, encoding="utf-8")
    lasting = [file for file, source in saved.items() if "speed=10" in source]
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


@for_each("page", RUN_PAGES)
def test_saved_programs_are_used(page):
    """A block with a file name is imported or run by a later block."""
    blocks = docs_code.blocks(page)
    for at, block in enumerate(blocks):
        if block.file is not None:
            stem = block.file.removesuffix(".py")
            assert any(re.search(rf"\b{stem}\b", later.source) for later in blocks[at + 1 :])


def test_output_pattern():
    """``…`` matches any text in a line; a line of its own matches any lines."""
    shown = docs_code.pattern("one … three\n…\nfive\n")
    assert shown.fullmatch("one 2 three\nfive\n")
    assert shown.fullmatch("one 2 three\n4\n4\nfive\n")
    assert not shown.fullmatch("one\nthree\nfive\n")
    assert not shown.fullmatch("one 2 three\nfive\nsix\n")


def slug(heading):
    """Return the anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@for_each("page", docs_code.PAGES)
def test_links_lead_to_existing_pages_and_headings(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(\s*([^)\s]+?)\s*\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), target


@pytest.mark.parametrize("folder", ["howto", "reference", "explanation"])
def test_index_lists_every_page_of_its_folder(folder):
    index = docs_code.ROOT / "docs" / folder / "index.md"
    listed = re.findall(
        r"^\|.*\]\((\w[\w-]*\.md)\)", index.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted([*listed, "index.md"]) == sorted(path.name for path in index.parent.glob("*.md"))
