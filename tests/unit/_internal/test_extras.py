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
@pytest.mark.parametrize(
    ("module", "name", "missing", "extra"),
    [
        ("calllog", "CallLog", "sqlalchemy", "calllog"),
        ("fanout", "Follower", "redis", "fanout"),
        ("web", "create_app", "starlette", "web"),
        ("reports", "Reports", "sqlalchemy", "reports"),
        ("reports", "Reports", "filelock", "reports"),
        ("bridges", "Metrics", "prometheus_client", "metrics"),
    ],
)
def test_package_without_what_it_needs_names_the_extra(module, name, missing, extra):
    statement = f"from basix_ws_cti.{module} import {name}"
    program = f"import sys; sys.modules[{missing!r}] = None; {statement}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False
    )
    by = f"{module}.{name}" if module == "bridges" else module
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: basix_ws_cti.{by} needs the package {missing}: "
        f"pip install 'basix_ws_cti[{extra}]'"
    )
