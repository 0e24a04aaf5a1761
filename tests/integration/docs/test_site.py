"""The built site: reference entries, page heads, search and copy buttons."""

from __future__ import annotations

import importlib.metadata
import pkgutil
import re
import runpy

import attrs
import pytest
from support.browser import open_browser
from support.built_site import build_site
from support.paths import ROOT

import basix_ws_cti

bs4 = pytest.importorskip("bs4", reason="the site is built with the extra docs")
pytest.importorskip("sphinx", reason="the site is built with the extra docs")

# Without a site that CI has built, the first test builds one.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site():
    return build_site()


@pytest.fixture(scope="module")
def reference(site):
    """Parsed pages of the reference, by name."""
    return {
        path.stem: bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted((site / "reference").glob("*.html"))
    }


# -- reference ---------------------------------------------------------------------------------

# What Python and attrs show for a value without a readable form, and paths of the sources.
INTERNAL = re.compile(
    r"NOTHING|<(?:function|class|object)\b|object at 0x|src/basix_ws_cti|/site-packages/"
)


def test_reference_shows_no_internals(reference):
    found = {name: INTERNAL.findall(page.get_text()) for name, page in reference.items()}
    assert not any(found.values()), found


def entries(page):
    """Yield kind, name and description of each class, function and attribute of a page."""
    for entry in page.select("dl.py"):
        kind = entry["class"][1]
        name = entry.find("dt", recursive=False).get("id")
        yield kind, name, " ".join(entry.find("dd", recursive=False).stripped_strings)


def test_every_entry_of_the_reference_has_a_description(reference):
    """The parameters of ``__init__`` are described with their class."""
    listed = [entry for page in reference.values() for entry in entries(page)]
    assert len(listed) > 1000
    assert not [name for _kind, name, text in listed if not text and not name.endswith(".__init__")]


def test_every_public_class_and_function_has_an_entry(reference):
    listed = {name for page in reference.values() for _, name, _ in entries(page)}
    assert {f"basix_ws_cti.{name}" for name in basix_ws_cti.__all__} <= listed


# Classes whose fields are not for users: the model behind the simulator, whose operations are those
# of ``Simulator``, and the result of ``create_app``, which is called or entered only.
UNLISTED = {"basix_ws_cti.simulator.Pbx", "basix_ws_cti.web.WebApp"}


def test_every_field_of_every_listed_class_has_a_description(reference):
    """Each field has an entry, which shows its type, or the class's text explains it."""
    listed = {name: kind for page in reference.values() for kind, name, _ in entries(page)}
    classes = {name: pkgutil.resolve_name(name) for name, kind in listed.items() if kind == "class"}
    missing = [
        f"{name}.{one.name}"
        for name, value in classes.items()
        if attrs.has(value) and name not in UNLISTED
        for one in attrs.fields(value)
        if not one.name.startswith("_")
        and f"{name}.{one.name}" not in listed
        and f"``{one.name}``" not in (value.__doc__ or "")
    ]
    assert len(classes) > 100
    assert not missing


def described_parameters(page, name):
    """Return the parameters that the description of a class lists, and their types and defaults."""
    entry = page.find(id=f"basix_ws_cti.{name}").find_parent("dl")
    items = entry.find("dd", recursive=False).find_all("ul", recursive=False)
    return " ".join(item.get_text(" ") for item in items).replace("\n", " ")


@pytest.mark.parametrize("name", ["connect", "Client"])
def test_parameters_have_types_and_defaults(reference, name):
    text = re.sub(r"\s+", " ", described_parameters(reference["connecting"], name))
    ping = {"connect": "20", "Client": "4.0"}[name]
    assert "server ( str ): host" in text
    assert f"ping_interval ( float | None , default {ping} ): time without" in text
    assert "user_did , user_email ( str | None , default None ): without" in text
    assert ("backoff ( Backoff | None , default None ): delays" in text) is (name == "Client")


# -- page heads --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["index", "howto/call-log", "ja/tutorial"])
def test_head_has_version_icon_and_description(site, page):
    head = bs4.BeautifulSoup((site / f"{page}.html").read_text("utf-8"), "html.parser").head
    version = importlib.metadata.version("basix_ws_cti")
    assert f"basix_ws_cti {version}" in head.title.get_text()
    icon = head.find("link", rel="icon")["href"]
    assert ((site / page).parent / icon.partition("?")[0]).resolve().is_file()
    described = {one.get("property") or one.get("name"): one for one in head.find_all("meta")}
    assert {"description", "og:title", "og:description", "twitter:card"} <= {*described}


LANGUAGE_LINK = re.compile(r"\s*(English|日本語)\b")


def test_descriptions_begin_with_the_text_of_the_page(site):
    """Translated pages begin with a link to the other language; it describes nothing."""
    described = {}
    for page in sorted(site.glob("**/*.html")):
        head = bs4.BeautifulSoup(page.read_text("utf-8"), "html.parser").head
        found = head.select('meta[name="description"], meta[property="og:description"]')
        described[page.relative_to(site).as_posix()] = [one["content"] for one in found]
    assert len(described["ja/quickstart.html"]) == len(described["quickstart.html"]) == 2
    wrong = {
        name: texts for name, texts in described.items() if any(map(LANGUAGE_LINK.match, texts))
    }
    assert not wrong


@pytest.mark.parametrize("name", ["quickstart", "ja/quickstart"])
def test_page_keeps_its_link_to_the_other_language(site, name):
    page = bs4.BeautifulSoup((site / f"{name}.html").read_text("utf-8"), "html.parser")
    first = page.select_one("article p")
    assert first.get_text() == ("日本語" if name == "quickstart" else "English")
    assert ((site / name).parent / first.a["href"]).resolve().is_file()


@pytest.mark.parametrize("address", ["", "https://docs.example/basix/"])
def test_card_is_named_where_the_address_of_the_site_is_known(monkeypatch, address):
    """A relative address would be of no use to social networks."""
    monkeypatch.delenv("READTHEDOCS_CANONICAL_URL", raising=False)
    monkeypatch.setenv("DOCS_URL", address)
    settings = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    assert settings["ogp_site_url"] == address
    assert settings["ogp_image"] == ("_static/card.png" if address else None)
    card = (ROOT / "docs" / "_static" / "card.png").read_bytes()
    assert [int.from_bytes(card[at : at + 4]) for at in (16, 20)] == [1200, 630]


# -- browser -----------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("eavesdrop", "howto/eavesdrop.html"),
        ("ClickToCall", "reference/connecting.html"),
        ("パーク保留", "ja/tutorial.html"),
    ],
)
async def test_search_finds_page(site, words, expected):
    async with open_browser() as browser:
        page = await browser.new_page()
        await page.goto(f"{(site / 'search.html').as_uri()}?q={words}")
        # Results appear one after another.
        await page.locator(f'#search-results ul.search a[href^="{expected}"]').first.wait_for()


@pytest.mark.browser
async def test_copy_button_copies_the_commands(site):
    async with open_browser() as browser:
        page = await browser.new_page()
        await page.goto((site / "quickstart.html").as_uri())
        block = page.locator("div.highlight-sh").first
        await block.hover()
        await block.locator("button.copybtn").click()
        await page.evaluate("""() => {
            const box = document.body.appendChild(document.createElement("textarea"));
            box.id = "pasted";
            box.focus();
        }""")
        await page.keyboard.press("Control+V")
        assert (await page.locator("#pasted").input_value()).splitlines() == [
            "python3 -m venv .venv",
            "source .venv/bin/activate",
            'pip install ".[cli]"',
        ]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_fit_a_phone(site, scheme):
    """No page is wider than the screen; wide code and tables scroll within the page."""
    async with open_browser() as browser:
        page = await browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
        for name in ("index", "howto/reports", "reference/connecting", "reference/commands"):
            await page.goto((site / f"{name}.html").as_uri())
            assert await page.evaluate("document.documentElement.scrollWidth") <= 390, name
