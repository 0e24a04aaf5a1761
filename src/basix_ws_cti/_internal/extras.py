"""Error for an optional package that is not installed, when a module that needs it is imported."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def imports_of_extra(module: str, extra: str) -> Iterator[None]:
    """Let failed imports of other packages in this block name the extra that installs them.

    ``module`` is the module that needs them. Raises ``ModuleNotFoundError`` with the ``name`` of
    the missing package. An import of a module of this package fails with its own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "basix_ws_cti"):
            raise
        problem = f"{module} needs the package {package}: pip install 'basix_ws_cti[{extra}]'"
        raise ModuleNotFoundError(problem, name=package, path=error.path) from None
