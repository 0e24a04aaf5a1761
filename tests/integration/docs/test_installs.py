"""Pages name what to install and to set, above the first code that needs it."""

from __future__ import annotations

import re

import pytest
from support import docs_code

# Extra or package that code needs, by a pattern of the code.
COMMAND = r"(?m)^(?!docker )(?:.*[ /])?basix-ws-cti (?:--lang \w+ )?"
NEEDS = {
    COMMAND: "cli",
    COMMAND + r"log ": "calllog",
    COMMAND + r"report ": "reports",
    COMMAND + r"web(?:-access)? ": "web",
    COMMAND + r"web (?:.*\\\n)*.*--log ": "reports",
    COMMAND + r"metrics ": "metrics",
    COMMAND + r"webhook ": "webhook",
    COMMAND + r"call ": "http",
    COMMAND + r"(?:publish |.*\b(?:redis|rediss)://)": "fanout",
    COMMAND + r".*\bpostgresql://": "postgresql",
    r"import .*\bHttpApi\b": "http",
    r"from basix_ws_cti\.calllog\b": "calllog",
    r"from basix_ws_cti\.reports\b": "reports",
    r"from basix_ws_cti\.fanout\b": "fanout",
    r"from basix_ws_cti\.web\b": "web",
    r"from basix_ws_cti\.bridges import .*\bMetrics\b": "metrics",
    r"from basix_ws_cti\.bridges import .*\bWebhook\b": "webhook",
    r"Simulator\([^)]*tls=True": "simulator",
    r"from starlette\b": "starlette",
    r"from fastapi\b": "fastapi",
    r"\.testclient import\b": "httpx2",
    r"(?m)^uvicorn ": "uvicorn",
    r"-m pytest\b": "pytest",
    r"-m build\b": "build",
}

# Packages that an extra installs, if code needs them by name.
PACKAGES_OF = {"starlette": "web", "uvicorn": "web", "httpx2": "http", "pytest": "dev"}

# Programs other than Python's, and the words that say how to get them.
PROGRAMS = {
    r"(?m)^(?:\w+=\S+ )?docker ": "Docker Engine",
    r"\bredis://127\.0\.0\.1": "redis-server",
    r"\bpostgresql://": "apt-get install postgresql",
    r"\bopenssl ": "apt-get install openssl",
    r"\| jq ": "apt-get install jq",
    r"(?m)^node ": "Node.js",
    r"(?m)^promtool ": "promtool",
}

# A command that connects, without an option that says where to. Its page shows the variables.
CONNECTS = re.compile(
    r"(?m)^basix-ws-cti (?:--lang \w+ )?"
    r"(?:call|doctor|hangup|listen|log|metrics|park|publish|record|state|top|transfer|web|webhook) "
    r"(?!(?:.*\\\n)*.*--(?:help|profile|recording|redis|server|simulate|user-extension)\b)"
    r"(?!.*\brediss?://reader@)"
)

# These pages are read after a page that says it; they are not followed from top to bottom.
ABOUT = {
    "docs/contributing.md",
    "docs/development/performance-notes.md",
    "docs/changelog.md",
}
PAGES = [
    page for page in docs_code.PAGES if page.relative_to(docs_code.ROOT).as_posix() not in ABOUT
]


def installed_above(text):
    """Return the extras and packages that the commands ``pip install`` of a text name."""
    found = set()
    for line in re.findall(r"pip install ([^`\n]+)", text):
        found |= set(re.findall(r"[\w-]+", line))
    return found | {name for name, extra in PACKAGES_OF.items() if extra in found}


def missing(page):
    """Yield line, and the extra or program that is needed there and not named above it."""
    text = page.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    for block in docs_code.blocks(page):
        if block.language not in {"sh", "python"}:
            continue
        above = "".join(lines[: block.line])
        installed = installed_above(above + block.source)
        for pattern, name in NEEDS.items():
            if re.search(pattern, block.source) and name not in installed:
                yield f"{block}: say how to install {name} above: {block.first}"
        for pattern, name in PROGRAMS.items():
            if re.search(pattern, block.source) and name not in above:
                yield f"{block}: name {name} above: {block.first}"
        if CONNECTS.search(block.source) and "BASIX_SERVER" not in above + block.source:
            yield f"{block}: show BASIX_SERVER above: {block.first}"


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(docs_code.ROOT).as_posix()
)
def test_page_says_what_code_needs_before_it_is_needed(page):
    found = [*missing(page)]
    assert not found, "\n".join(found)
