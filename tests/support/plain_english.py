"""Words that pages and messages avoid, with the wording to use instead.

``cd tests && python -m support.plain_english`` prints all places, and exits with 1 if there are
any. ``tests/integration/docs/test_prose.py`` runs the same check. Code in backticks and code blocks
are not checked. A place that is correct nevertheless is listed in ``EXCEPTIONS`` with the reason.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

from .paths import ROOT

CATALOGUE = ROOT / "src" / "basix_ws_cti" / "locale" / "ja" / "LC_MESSAGES" / "basix_ws_cti.po"

# Characters on each side of a term in which a correct use is looked for.
CONTEXT = 20


@frozen
class Term:
    """Term to avoid, and what to write instead."""

    words: str
    """Regular expression of the words, in lower case; a space stands for any white space."""

    instead: str

    unless: str = r"(?!)"
    """Regular expression of a correct use, searched in the term and the text around it."""


TERMS = (
    # The client and the feed.
    Term(r"pictures?", "snapshot, state, mirror; for a graphic: image"),
    Term(
        r"blind",
        "disconnected, gap in the feed",
        unless=r"colou?r.blind|blind transfer|blind,? (and |or )?attended|\(blind|, blind|blind:",
    ),
    Term(r"told|tells? (of|about|what|whether|who|how|apart|them)", "report, deliver, distinguish"),
    Term(r"audience|whoever|who wants? to know", "subscriber, callback, user"),
    Term(r"whole", "complete, entire, consistent"),
    Term(r"the truth|as true as|keeps? (it|them) true", "the current state"),
    Term(r"doubtful", "stale, out of sync"),
    Term(r"takes? turns|in turns", "time slice; alternately"),
    Term(r"veil(s|ed)?|discreet|secretive", "redact"),
    Term(r"sorts? of|of (that|this|which) sort", "kind, type"),
    Term(r"stays? raw", "is kept as decoded"),
    # Calls.
    Term(r"telephones?", "phone, endpoint", unless=r"telephone (numbers?|and sip|or sip|uri)"),
    Term(r"g(ave|ives?|iving) up", "abandon, hang up; stop"),
    Term(r"sent on|hand(s|ed)? over", "transfer, pass"),
    # General.
    Term(r"nobody", "the actor that does not exist: no user, no client, no phone"),
    Term(r"of (its|one's|their|his|her|our) own", "its own …; separate"),
    Term(r"so many", "a number; many"),
    Term(r"for good", "permanently, finally"),
    Term(r"(is|are) none", "is not a …", unless=r"there (is|are) none|none of"),
    Term(r"brings?|brought", "contain, include, need, cause"),
    Term(r"mend(s|ed|ing)?", "fix, remedy"),
    Term(r"dearer|dearest", "more expensive"),
    Term(r"anew|afresh", "again; restart"),
    Term(r"in vain|not to be had|to no effect", "without effect; not available"),
    Term(r"in the place of|in (its|their|whose) place", "instead of; replace"),
    Term(r"nonsense|gibberish", "invalid data"),
    Term(r"everything there is|all there is|what there is|what is what", "all …"),
    Term(r"stands? behind|says? so", "the fact itself: where it is, what it says"),
    Term(r"no fault|at fault", "not an error; invalid"),
    Term(r"hand in|hands? it", "pass"),
    Term(r"nonetheless|henceforth|hitherto|thereof|wherein", "a common word"),
    Term(r"(is|are) to (be|have|know|see)", "must, should, will"),
)

# Correct places. Key: file, and the term with its context in lower case. Value: the reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}


@frozen
class Place:
    """Place where a term occurs."""

    file: str
    line: int
    term: str
    instead: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.term!r}: write instead: {self.instead}"


@cache
def _pattern(term: Term) -> re.Pattern[str]:
    words = term.words.replace(" ", r"\s+")
    return re.compile(rf"\b(?:{words})\b")


def without_code(text: str) -> str:
    """Return a page with blanks for code, targets of links and comments; lines stay lines."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r"^ *(`{3,}).*?^ *\1", blank, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", blank, text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)|<!--.*?-->", blank, text, flags=re.DOTALL)


def places(file: str, text: str) -> Iterator[Place]:
    """Yield the places of a text in which a term occurs, without the exceptions."""
    lower = text.lower()  # much faster than a pattern that ignores case
    for term in TERMS:
        for match in _pattern(term).finditer(lower):
            start, end = max(0, match.start() - CONTEXT), match.end() + CONTEXT
            context = " ".join(lower[start:end].split())
            if re.search(term.unless, context):
                continue
            if any(name == file and part in context for name, part in EXCEPTIONS):
                continue
            line = 1 + text.count("\n", 0, match.start())
            yield Place(file, line, " ".join(match[0].split()), term.instead)


def pages() -> list[Path]:
    """Return the README and the English pages."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    left_out = {"ja", "_build"}
    english = [page for page in docs if not left_out & {*page.relative_to(ROOT).parts}]
    return [ROOT / "README.md", *english]


def messages() -> str:
    """Return the catalogue with blanks for all but its English messages; lines stay lines."""
    catalogue = CATALOGUE.read_text(encoding="utf-8")
    kept = re.compile(r'^msgid(?:_plural)? (?:".*"\n)+', re.MULTILINE)
    pieces, end = [], 0
    for entry in kept.finditer(catalogue):
        pieces += ["\n" * catalogue.count("\n", end, entry.start()), entry[0]]
        end = entry.end()
    return re.sub(r'^msgid(_plural)? |^"|"$|\\n', " ", "".join(pieces), flags=re.MULTILINE)


def all_places() -> list[Place]:
    """Return the places of all pages and messages, by file and line."""
    found: list[Place] = []
    for page in pages():
        name = page.relative_to(ROOT).as_posix()
        found += places(name, without_code(page.read_text(encoding="utf-8")))
    found += places(CATALOGUE.relative_to(ROOT).as_posix(), messages())
    return sorted(found, key=lambda place: (place.file, place.line))


if __name__ == "__main__":
    result = all_places()
    sys.stdout.writelines(f"{place}\n" for place in result)
    sys.exit(1 if result else 0)
