"""The page as HTML: one file without scripts, which loads nothing."""

from __future__ import annotations

import base64
import hashlib
import pkgutil
from functools import cache

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from basix_ws_cti._internal.translation import _, current_language

from .by_subject import agents_section, calls_section, queues_section, waits_section
from .by_time import hours_section, results_section, service_level_section
from .content import PageRows
from .headline import definitions, facts, heading, notices, tiles

_TEMPLATE = "report.html.jinja"

_SECTIONS = (
    results_section,
    service_level_section,
    hours_section,
    waits_section,
    queues_section,
    agents_section,
    calls_section,
)


def render(rows: PageRows) -> str:
    """Return the page as HTML, in the language of the current context."""
    style = _read("report.css")
    return _template().render(
        language=current_language(),
        style=Markup(style),  # noqa: S704 - a file of this package
        style_hash=_source_hash(style),
        kind=_("Call report"),
        heading=heading(rows),
        facts=list(facts(rows)),
        notices=list(notices(rows)),
        tiles=list(tiles(rows)),
        sections=[section(rows) for section in _SECTIONS],
        definitions_heading=_("Definitions"),
        definitions=list(definitions(rows)),
        foot=_(
            "This file contains personal data: names of agents. Keep it as you keep the call log."
        ),
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_read),
    )
    return environment.get_template(_TEMPLATE)


@cache
def _read(name: str) -> str:
    data = pkgutil.get_data(__package__ or "", name)
    assert data is not None  # noqa: S101 - None means a loader that can read no data
    return data.decode()


def _source_hash(style: str) -> str:
    """Return the hash by which a content security policy allows a style element."""
    digest = hashlib.sha256(style.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
