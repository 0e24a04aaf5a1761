from __future__ import annotations

import textwrap

from mutations import mutants

SOURCE = '''
    """What stays."""
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        import never
    LIMIT: "int" = 3
    class Box:
        size = 0 < LIMIT
        def held(self, key: str = "") -> int:
            """What stays, too."""
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


def test_mutants():
    """A mutant for each thing that can be changed, under a name that holds no line number."""
    source = textwrap.dedent(SOURCE)
    found = list(mutants(source, "box.py"))
    assert [mutant.name for mutant in found] == NAMES.strip("\n").split("\n")
    assert [m.is_call for m in found] == [False] * 4 + [True] * 9
    codes = {mutant.code for mutant in found}
    assert len(codes) == len(found)
    assert compile(source, "box.py", "exec") not in codes


def test_same_again():
    """What comes twice on lines that read the same is counted."""
    names = [mutant.name for mutant in mutants("a = 1\na = 1\n", "a.py")]
    assert names == [" | a = 1 | 1 => 2", " | a = 1 | 1 => 2 #2"]
