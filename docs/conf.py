import importlib.metadata

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.search.en import SearchEnglish
from sphinx.search.ja import DefaultSplitter

from basix_ws_cti import elements, states

project = "basix_ws_cti"
author = "basix_ws_cti contributors"
copyright = "2026, basix_ws_cti contributors"
release = importlib.metadata.version(project)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "basix_ws_cti"
html_static_path = ["_static"]
html_css_files = ["site.css"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__new__"}  # the pages' own are + more
default_role = "py:obj"
myst_heading_anchors = 3

# Names in annotations that no page of ours documents.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections\.abc|datetime|ssl|tls|types|typing|websockets)\..*"),
    (r"py:.*", r"(.*\.)?(CallEvent|Change|ClientState|Credentials|Extra)"),
    (r"py:.*", r"(.*\.)?(Frame|Message|R|T|datetime)"),
]

# Sphinx sorts inherited fields by name: let them stand in the order of their declaration.
for module in (elements, states):
    source = ModuleAnalyzer.for_module(module.__name__)
    source.analyze()
    for cls in vars(module).values():
        for base in getattr(cls, "__mro__", ())[1:]:
            for name in vars(base):
                declared = source.tagorder.get(f"{base.__name__}.{name}")
                if declared is not None:
                    source.tagorder.setdefault(f"{cls.__name__}.{name}", declared)


class Search(SearchEnglish):
    """English words, and the words in Japanese text, where no spaces stand between them.

    Such text is kept whole, too: what somebody asks for is not taken apart in the browser.
    """

    _splitter = DefaultSplitter({})

    def split(self, text: str) -> list[str]:
        """The words of a text."""
        words = super().split(text)
        japanese = [word for word in words if not word.isascii()]
        return [*words, *(part for word in japanese for part in self._splitter.split(word))]


def say_language(
    _app: Sphinx, page: str, _template: str, context: dict[str, object], _doctree: object
) -> None:
    """Browsers choose glyphs, and screen readers a voice, by a page's language."""
    if page.startswith("ja/"):
        context["language"] = "ja"


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.add_search_language(Search)
    app.connect("html-page-context", say_language)
