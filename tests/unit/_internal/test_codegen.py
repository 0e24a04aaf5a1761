"""The generated constructors: what they make is what the class itself would have made."""

from __future__ import annotations

import copy
import inspect
import itertools
import linecache
import pickle
import re
import traceback
from typing import Any

import attrs
import pytest
from attrs import frozen

from basix_ws_cti._internal import codegen
from basix_ws_cti._internal.codegen import constructor, function, generate, record_constructor


@frozen(kw_only=True)
class Base:
    type: Any = None


@frozen(kw_only=True)
class Thing(Base):
    # Names that generated code may want for itself.
    list: Any = "default"
    name: Any = None


@frozen
class Empty:
    pass


@frozen
class Careful:
    size: int = attrs.field(converter=int, validator=attrs.validators.gt(0))


def no_list(value):
    raise AssertionError(f"no list was given, but {value!r}")


def make_records(
    cls=Thing, size=3, *, positions, decoders=None, computed=None, decode_list=no_list
):
    return record_constructor(
        cls,
        size,
        positions=positions,
        decoders=decoders or {},
        decode_list=decode_list,
        computed=computed or {},
    )


IN_ORDER = {"type": 0, "list": 1, "name": 2}


def test_the_instance_is_the_class_s_own():
    """What comes out equals a normally made instance and is of the very same class."""
    made = constructor(Thing)("a", "b", "c")
    usual = Thing(type="a", list="b", name="c")
    assert made == usual
    assert type(made) is Thing
    assert hash(made) == hash(usual)
    assert repr(made) == repr(usual)
    assert len({made, usual}) == 1


def test_from_a_record_too():
    """What a record's constructor makes is no less the class's own."""
    made = make_records(positions=IN_ORDER)(("a", "b", "c"))
    usual = Thing(type="a", list="b", name="c")
    assert made == usual
    assert type(made) is Thing
    assert hash(made) == hash(usual)


@pytest.mark.parametrize(
    "made",
    [constructor(Thing)("a", "b", "c"), make_records(positions=IN_ORDER)(("a", "b", "c"))],
    ids=["constructor", "record_constructor"],
)
def test_frozen_afterwards(made):
    """An instance can't be written to once it is out, as any of its class."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.name = "other"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del made.name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.more = 1
    assert made == Thing(type="a", list="b", name="c")


@pytest.mark.parametrize(
    "again", [lambda made: pickle.loads(pickle.dumps(made)), copy.copy, copy.deepcopy, attrs.evolve]
)
def test_copies(again):
    """An instance can be pickled, copied and evolved, as any of its class."""
    made = constructor(Thing)("a", "b", "c")
    assert again(made) == made
    assert type(again(made)) is Thing


def test_all_fields_positional():
    """A constructor takes every field, inherited ones first, by position; none may be left out."""
    make = constructor(Thing)
    assert attrs.astuple(make(1, 2, 3)) == (1, 2, 3)
    with pytest.raises(TypeError):
        make(1, 2)
    with pytest.raises(TypeError):
        make(1, 2, 3, 4)


def test_a_class_without_fields():
    """A class without fields has constructors as well."""
    assert constructor(Empty)() == Empty()
    assert make_records(Empty, 0, positions={})(()) == Empty()


def test_validators_and_converters_do_not_run():
    """The values are taken as they are: no validator, no converter."""
    assert constructor(Careful)("-1").size == "-1"
    assert make_records(Careful, 1, positions={"size": 0})(("-1",)).size == "-1"


def test_decode_list_of_a_constructor():
    """A list, and nothing else, goes through ``decode_list``, whichever field it is in."""
    make = constructor(Thing, lambda value: ("read", *value))
    assert make([1], (2,), "3") == Thing(type=("read", 1), list=(2,), name="3")
    assert make(None, [], {}) == Thing(type=None, list=("read",), name={})


def test_no_decode_list_of_a_constructor():
    """Without ``decode_list`` a list stays."""
    assert constructor(Thing)([1], [], None) == Thing(type=[1], list=[], name=None)


def test_positions():
    """A field holds the part of the record that stands in its position."""
    make = make_records(positions={"name": 0, "type": 2, "list": 1})
    assert make(("a", "b", "c")) == Thing(name="a", list="b", type="c")


def test_no_position():
    """A field without a position is None, whatever the class's own default."""
    assert make_records(positions={"name": 1})(("a", "b", "c")) == Thing(list=None, name="b")


@pytest.mark.parametrize("count", range(7))
def test_missing_and_surplus_parts(count):
    """Parts missing at the end are None, surplus ones are ignored, whatever the size."""
    make = make_records(positions=IN_ORDER)
    parts = (*range(count), None, None, None)
    assert attrs.astuple(make(tuple(range(count)))) == parts[:3]


@pytest.mark.parametrize("record", [(), ("a",), ("a", "b")])
def test_size_of_nothing(record):
    """Where nothing is described, every record gives an instance without values."""
    make = make_records(size=0, positions={}, computed={"name": lambda given: given})
    assert make(record) == Thing(list=None, name=record)


def test_many_parts():
    """A record may have more parts than a small tuple of the wire."""
    make = make_records(size=1000, positions={"name": 999})
    assert make(tuple(range(1000))).name == 999
    assert make((1,)).name is None
    assert make(tuple(range(2000))).name == 999


def test_decoders():
    """A field holds what its decoder returns for its part."""
    make = make_records(positions=IN_ORDER, decoders={"name": str.upper, "type": len})
    assert make(("abc", "b", "c")) == Thing(type=3, list="b", name="C")


def test_decoders_never_see_none():
    """A decoder is not called for None, whether it was sent or the part is missing."""
    make = make_records(positions=IN_ORDER, decoders={"name": str.upper})
    assert make(("a", "b", None)).name is None
    assert make(("a", "b")).name is None


def test_decoders_see_what_is_false():
    """A decoder is called for false values other than None."""
    make = make_records(positions=IN_ORDER, decoders={"name": repr})
    for value in (0, False, "", (), {}, 0.0):
        assert make(("a", "b", value)).name == repr(value)


def test_lists_in_a_record():
    """A list goes through ``decode_list``, unless the field has a decoder of its own."""
    make = make_records(
        positions=IN_ORDER,
        decoders={"name": lambda value: ("decoder", value)},
        decode_list=lambda value: ("list", value),
    )
    assert make(([1], "b", [2])) == Thing(type=("list", [1]), list="b", name=("decoder", [2]))


def test_computed():
    """A computed field sees the record as it is, whatever its size, and comes before a part."""
    seen = []
    make = make_records(
        positions=IN_ORDER, computed={"name": lambda record: seen.append(record) or "computed"}
    )
    records = [("a", "b", "c"), ("a",), ("a", "b", "c", "d")]
    for record in records:
        made = make(record)
        assert (made.type, made.name) == ("a", "computed")
    assert seen == records


@pytest.mark.parametrize("record", [("a", "b", "c"), ("a", "b", "c", "d")])
def test_decoder_error_passes_through(record):
    """A ValueError from a decoder passes through: it is not taken for a wrong size."""
    seen = []

    def fail(value):
        seen.append(value)
        raise ValueError("from the decoder")

    make = make_records(positions=IN_ORDER, decoders={"name": fail})
    with pytest.raises(ValueError, match="from the decoder"):
        make(record)
    assert seen == ["c"]


def test_constructors_do_not_meddle():
    """Two constructors of one class, made one after the other, keep their own decoders."""
    first = make_records(positions=IN_ORDER, decoders={"name": str.upper})
    second = make_records(positions={"name": 0}, decoders={"name": str.title})
    assert first(("a", "b", "cd")).name == "CD"
    assert second(("ab",)).name == "Ab"
    assert first(("a", "b", "cd")).name == "CD"


def test_constants():
    """A constant stands in its field whatever the record says, and comes before a part."""
    constant = object()
    make = record_constructor(
        Thing,
        3,
        positions=IN_ORDER,
        decoders={},
        decode_list=no_list,
        computed={},
        constants={"name": constant, "list": None},
    )
    assert make(("a", "b", "c")) == Thing(type="a", list=None, name=constant)
    assert make(()) == Thing(type=None, list=None, name=constant)


def test_generated_with_a_beginning():
    """What is generated begins with the lines given, and returns what is asked for."""
    make = generate(
        Thing,
        parameters="_given",
        before=["if not _given:", "    return _nothing", "_name = _given * 2"],
        values={"type": "_given", "list": "None", "name": "_name"},
        namespace={"_nothing": "nothing"},
        result="(_self, _name)",
    )
    assert make(2) == (Thing(type=2, list=None, name=4), 4)
    assert make(0) == "nothing"


def test_a_function_of_lines():
    """A function has the parameters and lines that it is given."""
    add = function("add", "_one, _two", ["_sum = _one + _two", "return _sum"], {})
    assert add(1, 2) == 3


@pytest.fixture
def registered(monkeypatch):
    """The next generated functions have registered sources, however many came before."""
    monkeypatch.setattr(codegen, "_numbers", itertools.count(1))


@pytest.mark.usefixtures("registered")
def test_traceback_shows_generated_source():
    """A traceback through generated code names the class and shows the line that failed."""

    def fail(value):
        raise ValueError("from the decoder")

    make = make_records(positions=IN_ORDER, decoders={"name": fail})
    with pytest.raises(ValueError, match="from the decoder") as caught:
        make(("a", "b", "c"))
    text = "".join(traceback.format_exception(caught.value))
    assert re.search(
        r'File "<basix_ws_cti generated Thing \d+>", line \d+, in make\n'
        r"    _self\.name = None if _2 is None else _decode_name\(_2\)\n",
        text,
    )


@pytest.mark.usefixtures("registered")
def test_each_generated_function_has_its_own_source():
    """Two functions for one class have different file names, so neither shows the other's code."""
    first, second = constructor(Thing), make_records(positions=IN_ORDER)
    assert first.__code__.co_filename != second.__code__.co_filename
    for make, line in ((first, "def make(type, list, name):"), (second, "def make(_record):")):
        linecache.checkcache()  # it drops the entries of files that have changed
        assert linecache.getline(make.__code__.co_filename, 1) == f"{line}\n"
    assert inspect.getsource(first).endswith("    return _self\n")


def test_number_of_sources_is_bounded(monkeypatch):
    """Functions beyond the limit work without a registered source, and nothing is ever removed."""
    monkeypatch.setattr(codegen, "_numbers", itertools.count(codegen.MAX_SOURCES))
    last, beyond = constructor(Thing), constructor(Thing)
    assert last.__code__.co_filename in linecache.cache
    assert beyond.__code__.co_filename not in linecache.cache
    assert beyond(1, 2, 3) == last(1, 2, 3)
    linecache.cache.pop(last.__code__.co_filename)
