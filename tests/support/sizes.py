"""Sizes of the long tests: ``pytest --nightly`` runs them at their full size."""

from __future__ import annotations

# Set by conftest.py before test modules are imported.
NIGHTLY: bool = False
