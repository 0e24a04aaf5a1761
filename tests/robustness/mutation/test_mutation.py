"""Mutants and their list of accepted survivors."""

from __future__ import annotations

import textwrap

import pytest
from mutations import mutants
from targets import TARGETS, accepted_mutants, part_mutants, path_of_tests

SOURCE = '''
    """Docstrings are not mutated."""
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        import never
    LIMIT: "int" = 3
    class Box:
        size = 0 < LIMIT
        def held(self, key: str = "") -> int:
            """Docstrings are not mutated either."""
            if self and key is not None:
                self.log(key, loud=True)
                raise KeyError from None
            return not key
'''
NAMES = """
 | LIMIT: "int" = 3 | 3 => 4
Box | size = 0 < LIMIT | 0 => 1
Box | size = 0 < LIMIT | 0 < LIMIT => 0 <= LIMIT
Box | def held(self, key: str = "") -> int: | '' => 'XX'
Box.held | if self and key is not None: | self and key is not None => self or key is not None
Box.held | if self and key is not None: | key is not None => key is None
Box.held | self.log(key, loud=True) | self.log(key, loud=True) => pass
Box.held | self.log(key, loud=True) | loud=True => nothing
Box.held | self.log(key, loud=True) | True => False
Box.held | raise KeyError from None | raise KeyError from None => pass
Box.held | raise KeyError from None | None => nothing
Box.held | return not key | return not key => return None
Box.held | return not key | not key => key
"""


def test_each_change_makes_a_mutant_named_without_line_numbers():
    source = textwrap.dedent(SOURCE)
    found = list(mutants(source, "box.py"))
    assert [mutant.name for mutant in found] == NAMES.strip("\n").split("\n")
    assert [m.is_call for m in found] == [False] * 4 + [True] * 9
    codes = {mutant.code for mutant in found}
    assert len(codes) == len(found)
    assert compile(source, "box.py", "exec") not in codes


def test_equal_changes_on_equal_lines_are_numbered():
    names = [mutant.name for mutant in mutants("a = 1\na = 1\n", "a.py")]
    assert names == [" | a = 1 | 1 => 2", " | a = 1 | 1 => 2 #2"]


@pytest.mark.parametrize("name", TARGETS)
def test_targets_name_existing_test_files(name):
    target = TARGETS[name]
    assert all(path_of_tests(test) for test in target.own_tests + target.other_tests)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_accepted_mutants_exist(name):
    """Every function of a target exists, and every entry of ``accepted.toml`` is a mutant."""
    found = {}
    for part, functions in TARGETS[name].parts.items():
        found |= {one.name: one.scope for one in part_mutants(part, functions, with_code=False)}
        scopes = {".".join(scope[:end]) for scope in found.values() for end in (1, 2)}
        assert {*functions} <= scopes
    assert accepted_mutants(name) <= found.keys()
