"""Exceptions that the simulated PBX raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from basix_ws_cti.exceptions import BasixError

if TYPE_CHECKING:
    from http import HTTPStatus


class NotPossibleError(BasixError):
    """An operation that the PBX cannot carry out in its current state.

    For example, the channel has ended, or is in a state from which the operation is not
    possible. The state of the PBX is unchanged.
    """


class ApiError(BasixError):
    """A request to the HTTP API that cannot be carried out.

    ``error_id`` and ``reason``: machine-readable name and explanation, for the response's body.
    """

    def __init__(self, error_id: str, reason: str) -> None:
        super().__init__(error_id, reason)
        self.error_id = error_id
        self.reason = reason


class RefusedError(BasixError):
    """A request that the PBX refuses.

    ``status`` is the HTTP status of the response, ``reason`` a sentence for its body.
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
