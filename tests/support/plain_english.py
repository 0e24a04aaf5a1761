"""Words and phrases that pages and messages avoid, with the wording to use instead.

``cd tests && python -m support.plain_english`` prints all places, and exits with 1 if there are any.
``tests/integration/docs/test_prose.py`` runs the same check. Code in backticks and code blocks are
not checked. A place that is correct nevertheless is listed in ``EXCEPTIONS`` with the reason.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from .paths import ROOT

CATALOGUE = ROOT / "src/basix_ws_cti/locale/ja/LC_MESSAGES/basix_ws_cti.po"


@frozen
class Term:
    """Regular expression of a term to avoid, and what to write instead."""

    pattern: str
    instead: str


# In the patterns, a space stands for any white space, such as a line break.
TERMS = (
    # What the client keeps and does.
    Term(r"pictures?", "snapshot, state or mirror; for a graphic: image"),
    Term(r"(?<!colour-)blind(?! transfers?|, attended| \(unattended| or attended|: the| and attended| and then)", "disconnected, gap in the feed"),
    Term(r"tells? (of|about|what|whether|who|how)|told|tells? (apart|them)", "report, notify, deliver; distinguish"),
    Term(r"audience|whoever|who(?:ever)? wants to know", "subscriber, callback, user; name the actor"),
    Term(r"whole", "complete, entire or consistent"),
    Term(r"the truth|as true as|keeps? (it|them) true", "the current state"),
    Term(r"doubtful", "stale, out of sync"),
    Term(r"takes? turns|in turns|turns? of \d", "time slice; alternately"),
    Term(r"veil(ed|s)?|discreet|secretive", "redact"),
    Term(r"sorts? of|of (that|this|the|which) sorts?", "kind, type"),
    Term(r"stays? raw", "is kept as decoded"),
    # Calls.
    Term(r"telephones?(?! (numbers?|or SIP|URI))", "phone, endpoint; telephone number"),
    Term(r"g(?:ave|ives?|iving) up", "abandon (a call); stop"),
    Term(r"sent on|handed over|hands? over", "transfer, pass"),
    # Plain words.
    Term(r"nobody|no one", "name what does not exist: no user, no client, no phone"),
    Term(r"of (its|one's|their|his|her|our) own", "its own …, separate"),
    Term(r"so many", "a number, or: many"),
    Term(r"for good", "permanently, finally"),
    Term(r"(?<!there\s)(?:is|are) none(?! of)", "is not a …"),
    Term(r"brings?|brought", "contain, include, need, cause"),
    Term(r"mend(s|ed|ing)?", "fix, remedy"),
    Term(r"dear(er|est)", "more expensive"),
    Term(r"anew|afresh", "again, restarts"),
    Term(r"in vain|not to be had|to no effect", "without effect, not available"),
    Term(r"in (the|its|their|whose) place(?= of|,|\.)", "instead of, replaces"),
    Term(r"nonsense|gibberish", "invalid data"),
    Term(r"everything there is|all there is|what there is", "all"),
    Term(r"what is what|is there already|stands? behind|says? so", "say what exists or happens, and where"),
    Term(r"harms? nobody", "does not affect others"),
    Term(r"no fault|at fault", "not an error; invalid, causing the error"),
    Term(r"hand in|hands? it", "pass"),
    Term(r"none the less|nonetheless|henceforth|hitherto|thereof|wherein", "a shorter word"),
    Term(r"is to (be|have|know|end|see)|are to (be|have|know|see)", "must, should, will"),
)

# Places that are correct: the file, the text around the term, and the reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}


@frozen
class Place:
    """Place where a term occurs."""

    file: str
    line: int
    text: str
    """The term as it stands there."""
    context: str
    """The line."""
    instead: str

    def __str__(self) -> str:
        text = " ".join(self.text.split())
        return f"{self.file}:{self.line}: {text!r}: write instead: {self.instead}"


def _compiled(term: Term) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{term.pattern})\b".replace(" ", r"\s+"), re.IGNORECASE)


_PATTERNS = [(_compiled(term), term) for term in TERMS]


def without_code(text: str) -> str:
    """Return a page whose code, links' targets and comments are blank; lines keep their numbers."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r"^ *(`{3,}|~{3,}).*?^ *\1", blank, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", blank, text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)|<!--.*?-->", blank, text, flags=re.DOTALL)


def places(file: str, text: str) -> Iterator[Place]:
    """Yield the places of a text in which a term occurs, without the exceptions."""
    lines = text.splitlines()
    for pattern, term in _PATTERNS:
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start())
            around = " ".join(text[max(0, match.start() - 60) : match.end() + 60].split())
            if any(one == file and part in around for one, part in EXCEPTIONS):
                continue
            yield Place(file, line + 1, match[0], lines[line], term.instead)


def pages() -> list[Path]:
    """Return the English pages, and the README."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    english = [page for page in docs if not {"ja", "_build"} & {*page.relative_to(ROOT).parts}]
    return [ROOT / "README.md", *english]


def messages() -> Iterator[tuple[int, str]]:
    """Yield line and text of each English message in the catalogue."""
    catalogue = CATALOGUE.read_text(encoding="utf-8")
    for entry in re.finditer(r'^msgid(?:_plural)? ((?:".*"\n)+)', catalogue, re.MULTILINE):
        text = "".join(re.findall(r'"(.*)"', entry[1])).replace(r"\n", " ").replace(r"\"", '"')
        yield catalogue.count("\n", 0, entry.start()) + 1, text


def all_places() -> list[Place]:
    """Return the places of all pages and messages, by file and line."""
    found = []
    for page in pages():
        name = page.relative_to(ROOT).as_posix()
        found += places(name, without_code(page.read_text(encoding="utf-8")))
    name = CATALOGUE.relative_to(ROOT).as_posix()
    for line, text in messages():
        found += [Place(name, line, one.text, text, one.instead) for one in places(name, text)]
    return sorted(found, key=lambda place: (place.file, place.line))


if __name__ == "__main__":
    result = all_places()
    print(*result, sep="\n")
    sys.exit(1 if result else 0)
