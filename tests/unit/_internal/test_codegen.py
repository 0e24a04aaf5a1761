"""Generated constructors: equal to instances that the class itself makes."""

from __future__ import annotations

import copy
import inspect
import linecache
import pickle
import re
import traceback
from typing import Any

import attrs
import pytest
from attrs import frozen
from support.cases import for_each

from basix_ws_cti._internal import codegen
from basix_ws_cti._internal.codegen import constructor, function, generate, record_constructor


@frozen(kw_only=True)
class Base:
    type: Any = None


@frozen(kw_only=True)
class Thing(Base):
    # Names that generated code could use itself.
    list: Any = "default"
    name: Any = None


@frozen
class Empty:
    pass


@frozen
class Validated:
    size: int = attrs.field(converter=int, validator=attrs.validators.gt(0))


@frozen
class Person:
    id: int | None
    name: str | None


def unchanged(value):
    return value


def make_records(
    cls=Thing, size=3, *, positions, decoders=None, computed=None, decode_scalar=unchanged
):
    return record_constructor(
        cls,
        size,
        positions=positions,
        decoders=decoders or {},
        decode_scalar=decode_scalar,
        computed=computed or {},
    )


def make_decoding_records(cls, decode_scalar):
    """Return a function that takes the parts of a record of ``Person`` as arguments."""
    make = make_records(cls, 2, positions={"id": 0, "name": 1}, decode_scalar=decode_scalar)
    return lambda *parts: make(parts)


IN_ORDER = {"type": 0, "list": 1, "name": 2}


def test_constructed_instance_equals_a_usual_one():
    """It has the same class, hash and repr."""
    made = constructor(Thing)("a", "b", "c")
    usual = Thing(type="a", list="b", name="c")
    assert made == usual
    assert type(made) is Thing
    assert hash(made) == hash(usual)
    assert repr(made) == repr(usual)
    assert len({made, usual}) == 1


def test_instance_of_a_record_equals_a_usual_one():
    made = make_records(positions=IN_ORDER)(("a", "b", "c"))
    usual = Thing(type="a", list="b", name="c")
    assert made == usual
    assert type(made) is Thing
    assert hash(made) == hash(usual)


@for_each(
    "made",
    [constructor(Thing)("a", "b", "c"), make_records(positions=IN_ORDER)(("a", "b", "c"))],
)
def test_constructed_instances_are_frozen(made):
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.name = "other"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del made.name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.more = 1
    assert made == Thing(type="a", list="b", name="c")


@for_each(
    "make_copy",
    [lambda made: pickle.loads(pickle.dumps(made)), copy.copy, copy.deepcopy, attrs.evolve],
)
def test_constructed_instances_can_be_pickled_copied_and_evolved(make_copy):
    made = constructor(Thing)("a", "b", "c")
    assert make_copy(made) == made
    assert type(make_copy(made)) is Thing


def test_constructor_takes_all_fields_by_position():
    """Inherited fields come first, and no field may be left out."""
    make = constructor(Thing)
    assert attrs.astuple(make(1, 2, 3)) == (1, 2, 3)
    with pytest.raises(TypeError):
        make(1, 2)
    with pytest.raises(TypeError):
        make(1, 2, 3, 4)


def test_class_without_fields_has_constructors():
    assert constructor(Empty)() == Empty()
    assert make_records(Empty, 0, positions={})(()) == Empty()


def test_validators_and_converters_do_not_run():
    assert constructor(Validated)("-1").size == "-1"
    assert make_records(Validated, 1, positions={"size": 0})(("-1",)).size == "-1"


@for_each("make", [constructor, make_decoding_records])
def test_values_of_another_than_the_declared_type_are_decoded(make):
    make_person = make(Person, lambda value: ("read", value))
    assert make_person(1, "text") == Person(1, "text")
    assert make_person(None, None) == Person(None, None)
    for value in (1.5, True, False, [1], (), {}):
        assert make_person(value, value) == Person(("read", value), ("read", value))
    assert make_person("text", 1) == Person(("read", "text"), ("read", 1))


def test_constructor_keeps_raw_fields():
    make = constructor(Thing, lambda value: ("read", value), raw=("list",))
    assert make((1,), (2,), (3,)) == Thing(type=("read", (1,)), list=(2,), name=("read", (3,)))


def test_constructor_without_decode_scalar_keeps_lists():
    assert constructor(Thing)([1], [], None) == Thing(type=[1], list=[], name=None)


def test_fields_are_read_from_their_positions():
    make = make_records(positions={"name": 0, "type": 2, "list": 1})
    assert make(("a", "b", "c")) == Thing(name="a", list="b", type="c")


def test_field_without_a_position_becomes_none():
    """The default of the class does not count."""
    assert make_records(positions={"name": 1})(("a", "b", "c")) == Thing(list=None, name="b")


@for_each("count", range(7))
def test_missing_parts_become_none_and_surplus_parts_are_ignored(count):
    make = make_records(positions=IN_ORDER)
    parts = (*range(count), None, None, None)
    assert attrs.astuple(make(tuple(range(count)))) == parts[:3]


@for_each("record", [(), ("a",), ("a", "b")])
def test_size_zero_gives_instances_without_values(record):
    make = make_records(size=0, positions={}, computed={"name": lambda record: record})
    assert make(record) == Thing(list=None, name=record)


def test_records_may_have_a_thousand_parts():
    """A small tuple on the wire has at most 255 parts."""
    make = make_records(size=1000, positions={"name": 999})
    assert make(tuple(range(1000))).name == 999
    assert make((1,)).name is None
    assert make(tuple(range(2000))).name == 999


def test_decoders_convert_their_fields():
    make = make_records(positions=IN_ORDER, decoders={"name": str.upper, "type": len})
    assert make(("abc", "b", "c")) == Thing(type=3, list="b", name="C")


def test_decoders_are_not_called_for_none():
    """The None was sent, or the part is missing."""
    make = make_records(positions=IN_ORDER, decoders={"name": str.upper})
    assert make(("a", "b", None)).name is None
    assert make(("a", "b")).name is None


def test_decoders_are_called_for_false_values():
    make = make_records(positions=IN_ORDER, decoders={"name": repr})
    for value in (0, False, "", (), {}, 0.0):
        assert make(("a", "b", value)).name == repr(value)


def test_field_with_a_decoder_needs_no_decode_scalar():
    make = make_records(
        positions=IN_ORDER,
        decoders={"name": lambda value: ("decoder", value)},
        decode_scalar=lambda value: ("other", value),
    )
    assert make(([1], "b", [2])) == Thing(type=("other", [1]), list="b", name=("decoder", [2]))
    assert make(((1,), "b", 3)) == Thing(type=("other", (1,)), list="b", name=("decoder", 3))


def test_fallback_reads_the_record_if_its_error_is_raised():
    """It gets the record as it was received; other exceptions pass."""

    def decode(value):
        raise KeyError if value == "key" else ValueError

    make = record_constructor(
        Thing,
        3,
        positions=IN_ORDER,
        decoders={"name": decode},
        decode_scalar=unchanged,
        computed={},
        fallback=(ValueError, lambda record: ("fallback", record)),
    )
    assert make(("a", "b")) == Thing(type="a", list="b", name=None)
    assert make(("a", "b", "c", "d")) == ("fallback", ("a", "b", "c", "d"))
    with pytest.raises(KeyError):
        make(("a", "b", "key"))


def test_computed_field_gets_the_record_and_replaces_a_part():
    """The function gets the record unchanged, whatever its size."""
    seen = []
    make = make_records(
        positions=IN_ORDER, computed={"name": lambda record: seen.append(record) or "computed"}
    )
    records = [("a", "b", "c"), ("a",), ("a", "b", "c", "d")]
    for record in records:
        made = make(record)
        assert (made.type, made.name) == ("a", "computed")
    assert seen == records


@for_each("record", [("a", "b", "c"), ("a", "b", "c", "d")])
def test_decoder_error_passes_through(record):
    """The constructor does not mistake a ValueError for a wrong size."""
    seen = []

    def fail(value):
        seen.append(value)
        raise ValueError("from the decoder")

    make = make_records(positions=IN_ORDER, decoders={"name": fail})
    with pytest.raises(ValueError, match="from the decoder"):
        make(record)
    assert seen == ["c"]


def test_constructors_of_one_class_keep_their_own_decoders():
    first = make_records(positions=IN_ORDER, decoders={"name": str.upper})
    second = make_records(positions={"name": 0}, decoders={"name": str.title})
    assert first(("a", "b", "cd")).name == "CD"
    assert second(("ab",)).name == "Ab"
    assert first(("a", "b", "cd")).name == "CD"


def test_constant_field_replaces_a_part():
    constant = object()
    make = record_constructor(
        Thing,
        3,
        positions=IN_ORDER,
        decoders={},
        decode_scalar=unchanged,
        computed={},
        constants={"name": constant, "list": None},
    )
    assert make(("a", "b", "c")) == Thing(type="a", list=None, name=constant)
    assert make(()) == Thing(type=None, list=None, name=constant)


def test_generate_starts_with_the_lines_of_before():
    """The generated function returns the value of ``result``."""
    make = generate(
        Thing,
        parameters="_number",
        before=["if not _number:", "    return _nothing", "_name = _number * 2"],
        values={"type": "_number", "list": "None", "name": "_name"},
        namespace={"_nothing": "nothing"},
        result="(_self, _name)",
    )
    assert make(2) == (Thing(type=2, list=None, name=4), 4)
    assert make(0) == "nothing"


def test_function_has_the_specified_parameters_and_lines():
    add = function("add", "_one, _two", ["_sum = _one + _two", "return _sum"], {})
    assert add(1, 2) == 3


@pytest.fixture
def registered(monkeypatch):
    """Let all generated functions have registered sources, like the first ones."""
    monkeypatch.setattr(codegen, "MAX_SOURCES", 10**9)


@pytest.mark.usefixtures("registered")
def test_traceback_shows_generated_source():
    """The traceback contains the name of the class and the line that failed."""

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
    """Functions beyond the limit work without a registered source."""
    assert codegen.MAX_SOURCES == 256
    made_before = int(re.search(r"\d+", constructor(Thing).__code__.co_filename)[0])
    monkeypatch.setattr(codegen, "MAX_SOURCES", made_before + 1)
    last, beyond = constructor(Thing), constructor(Thing)
    assert last.__code__.co_filename in linecache.cache
    assert beyond.__code__.co_filename not in linecache.cache
    assert beyond(1, 2, 3) == last(1, 2, 3)
    linecache.cache.pop(last.__code__.co_filename)
