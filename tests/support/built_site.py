"""The documentation's site, built once for all tests."""

from __future__ import annotations

import os
import subprocess
import sys

from filelock import FileLock

from .paths import ROOT

SITE = ROOT / "docs" / "_build" / "html"


def build_site():
    """Return the folder of the site; build it first unless it is newer than all of its sources.

    CI has built it before the tests. Workers that need it at the same time wait for one build.
    """
    SITE.parent.mkdir(exist_ok=True)
    with FileLock(SITE.parent / "html.lock"):
        if not _is_current():
            subprocess.run(
                [sys.executable, "-m", "sphinx", "-q", "-E", "-b", "html", "docs", str(SITE)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "DOCS_URL": ""},
                check=True,
            )
            (SITE / "index.html").touch()
    return SITE


def _is_current():
    index = SITE / "index.html"
    if not index.exists():
        return False
    built = index.stat().st_mtime
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/**/*.*"), *ROOT.glob("examples/*.*")]
    return all(
        path.stat().st_mtime <= built
        for path in sources
        if SITE.parent not in path.parents and path.parent.name != "__pycache__"
    )
