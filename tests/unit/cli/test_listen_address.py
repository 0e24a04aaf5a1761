"""Addresses on which a command listens."""

from __future__ import annotations

import errno

import pytest

from basix_ws_cti import UsageError
from basix_ws_cti.cli.listen_address import cannot_listen, parse_listen_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9850", ("127.0.0.1", 9850)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_host_and_port(text, expected):
    assert parse_listen_address("--listen", text, "127.0.0.1:9850") == expected


@pytest.mark.parametrize(
    "text",
    ["", "9850", "127.0.0.1", "127.0.0.1:65536", "::1:9850", "a b:1", ":9850", "x:\uff11", "x:-1"],
)
def test_text_that_is_no_address_is_reported(text):
    with pytest.raises(UsageError) as raised:
        parse_listen_address("--listen", text, "127.0.0.1:9850")
    assert str(raised.value) == (
        f"--listen: expected HOST:PORT, such as 127.0.0.1:9850, got {text!r}"
    )


def test_error_of_the_system_names_the_address():
    error = cannot_listen("--listen", "10.0.0.1:80", PermissionError(errno.EACCES, "no"))
    assert str(error) == "cannot listen on 10.0.0.1:80: Permission denied"
