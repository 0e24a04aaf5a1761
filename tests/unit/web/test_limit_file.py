"""Limits of figures in a file."""

from __future__ import annotations

import pytest

from basix_ws_cti import UsageError
from basix_ws_cti.board.limits import BoardLimits, Limits, ShareLimits
from basix_ws_cti.web.limit_file import read_limits

DEFAULTS = BoardLimits(wait=Limits(10, 20))


def read(tmp_path, text):
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    return read_limits(path, DEFAULTS)


def test_a_queue_takes_from_all_and_all_from_the_defaults(tmp_path):
    limits = read(
        tmp_path,
        "[all]\nservice_level = [90, 85]\ntalk = [300, 600]\n"
        "[queue.1900]\nwait = [30, 60]\n[queue.7]\nabandon_rate = [3, 6.5]\n",
    )
    assert limits.general == BoardLimits(
        wait=Limits(10, 20), service_level=ShareLimits(0.9, 0.85), talk=Limits(300, 600)
    )
    assert limits.of(1900).wait == Limits(30, 60)
    assert limits.of(1900).talk == Limits(300, 600)
    assert limits.of("7").abandon_rate == ShareLimits(0.03, 0.065)
    assert limits.of(8) == limits.general


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[all", "limits.toml: "),
        ("[other]\n", r"expected \[all\] and \[queue.ID\], got \[other\]"),
        ("queue = 1\n", "expected a table"),
        ("[queue]\n1900 = 3\n", r"\[queue.1900\]: expected a table"),
        ("[all]\nwiat = [1, 2]\n", r"\[all\]: unknown figure 'wiat'"),
        ("[all]\nwait = 60\n", r"\[all\], wait: expected two numbers"),
        ("[all]\nwait = [1, 2, 3]\n", r"\[all\], wait: expected two numbers"),
        ('[all]\nservice_level = ["80", "75"]\n', "service_level: expected two numbers"),
        ("[queue.1900]\nwait = [60, 30]\n", r"\[queue.1900\], wait: the warning limit must"),
        ("[all]\nservice_level = [800, 75]\n", "must be a share from 0 to 1"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, text)
