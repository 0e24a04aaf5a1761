"""``support.cases``: tables of small cases that run as one test."""

from __future__ import annotations

import pytest
from support.cases import for_each


def test_all_combinations_run():
    seen = []

    @for_each("a, b", [(1, 2), pytest.param(3, 4, id="second")])
    @for_each("c", [(5, 6), 7])
    def example(a, b, c):
        seen.append((a, b, c))

    example()
    assert seen == [(1, 2, (5, 6)), (1, 2, 7), (3, 4, (5, 6)), (3, 4, 7)]


@pytest.mark.parametrize("kind", ["function", "coroutine function"])
async def test_failure_names_its_case(kind):
    def fail(a, b):
        if a == "two":
            pytest.fail("no")

    async def fail_later(a, b):
        fail(a, b)

    example = for_each("a", ["one", "two"])(fail if kind == "function" else fail_later)
    with pytest.raises(pytest.fail.Exception) as caught:
        pending = example(b=1)
        if pending is not None:
            await pending
    assert caught.value.__notes__ == ["for a='two'"]


SEEN = []


@pytest.mark.parametrize("c", [1, 2])
@for_each("a", [1, 2, 3])
@pytest.mark.parametrize("b", ["x"])
def test_fixtures_and_parametrize_apply_to_all_cases(request, a, b, c):
    SEEN.append((request.node.name, a))
    here = [case for name, case in SEEN if name == f"{request.node.originalname}[x-{c}]"]
    assert here == [1, 2, 3][:a]
    assert b == "x"


@pytest.mark.parametrize(
    "values", [[], [pytest.param(1, marks=pytest.mark.slow)], [(1, 2, 3)]], ids=repr
)
def test_table_that_would_check_nothing_is_refused(values):
    with pytest.raises((AssertionError, ValueError)):
        for_each("a, b", values)
