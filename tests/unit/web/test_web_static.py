"""Files of the page: what they load, how large they are, and the hashes of the vendored ones."""

from __future__ import annotations

import gzip
import hashlib
import re
from html.parser import HTMLParser

import pytest
from support.web_page import STATIC

VENDORED = {
    "LICENSE-htm.txt": "740725f7252e750af735d0028cc534970772f513331e9f68150fede8fb3ce00f",
    "LICENSE-preact.txt": "1fe6958409c8c257a70c587a18b6f7f412b179b456630790d30b2ec9a8e4b7d4",
    "entry.js": "916c80d249c2a08b68870d0e7325c247a8be7a024ea08aa250f82f882001ad93",
    "preact-htm.js": "2879d89cc54146ac16227f6e7aa1e2c880cbfd4a01e1957c7bf17fc765fa2a9b",
}

OWN = sorted(path for path in STATIC.iterdir() if path.is_file())
SCRIPTS = [path for path in OWN if path.suffix == ".js"]


def read(path):
    return path.read_text(encoding="utf-8")


def test_vendored_files_have_their_hashes():
    files = [path for path in (STATIC / "vendor").iterdir() if path.name != "README.md"]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == VENDORED


def test_page_has_no_inline_code_and_loads_only_its_own_files():
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Reader().feed(read(STATIC / "index.html"))
    for tag, attributes in found:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        address = attributes.get("src") or attributes.get("href")
        assert tag not in {"script", "link"} or address.startswith("static/")
        if address:
            assert (STATIC / address.removeprefix("static/")).is_file()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_only_files_that_exist(path):
    for name in re.findall(r'from "([^"]+)"', read(path)):
        assert (STATIC / name).is_file(), name


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_own_files_name_no_other_server_and_make_no_markup_from_text(path):
    text = read(path).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|url\(|@import", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)
    assert len(text.splitlines()) < 700


def test_script_for_old_browsers_is_es5():
    text = re.sub(r'"[^"]*"|//.*', "", read(STATIC / "supported.js"))
    assert not re.search(r"=>|`|\b(const|let|class|import|export|async)\b|\?\.|\?\?", text)


def test_all_files_are_under_150_kb_compressed():
    files = [*OWN, STATIC / "vendor" / "preact-htm.js"]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < 50_000
