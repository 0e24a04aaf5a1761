"""Imports that an extra makes possible."""

from __future__ import annotations

import subprocess
import sys

import pytest

from basix_ws_cti._internal.extras import imports_of_extra


def test_missing_package_names_the_module_the_package_and_the_extra():
    with pytest.raises(ModuleNotFoundError) as caught, imports_of_extra("a.b", "calllog"):
        import no_such_package  # noqa: F401
    assert str(caught.value) == (
        "a.b needs the package no_such_package: pip install 'basix_ws_cti[calllog]'"
    )
    assert caught.value.name == "no_such_package"


def test_missing_module_of_this_package_keeps_its_error():
    with pytest.raises(ModuleNotFoundError) as caught, imports_of_extra("a.b", "calllog"):
        import basix_ws_cti.no_such_module  # noqa: F401
    assert str(caught.value) == "No module named 'basix_ws_cti.no_such_module'"


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["sqlalchemy", "filelock"])
def test_reports_without_a_package_name_the_extra(missing):
    program = f"import sys; sys.modules[{missing!r}] = None; import basix_ws_cti.reports"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False
    )
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: basix_ws_cti.reports needs the package {missing}: "
        "pip install 'basix_ws_cti[reports]'"
    )
