"""Frozen attrs instances, made quickly by generated functions.

A frozen class's own ``__init__`` sets each field through ``object.__setattr__``, which for
the 24 fields of a channel takes half as long as decoding its frame. Here the fields are
set while the instance still belongs to a subclass that may be written to; then it becomes
what it is: a fifth of the time. Validators and converters of the class do not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


def constructor(
    cls: type[T], read_list: Callable[[list[Any]], Any] | None = None
) -> Callable[..., T]:
    """A function that makes a ``cls`` of all its fields, positional, in their order.

    With ``read_list``, a field given a list holds what that makes of it.
    """
    names = [attribute.name for attribute in attrs.fields(cls)]  # type: ignore[arg-type]
    value = "{0}" if read_list is None else "{0} if _type({0}) is not _list else _read_list({0})"
    return generate(
        cls,
        parameters=", ".join(names),
        before=[],
        values={name: value.format(name) for name in names},
        namespace={"_read_list": read_list},
    )


def record_constructor(
    cls: type[T],
    size: int,
    *,
    positions: Mapping[str, int],
    readers: Mapping[str, Callable[[Any], Any]],
    read_list: Callable[[list[Any]], Any],
    computed: Mapping[str, Callable[[tuple[Any, ...]], Any]],
    constants: Mapping[str, Any] | None = None,
) -> Callable[[tuple[Any, ...]], T]:
    """A function that makes a ``cls`` of a record, a tuple of about ``size`` parts.

    Parts missing at the end are ``None``, surplus ones are ignored.

    A field in ``computed`` holds what its function makes of the record as it is; one in
    ``constants`` that; one in ``positions`` holds that part of it: what its reader makes of
    it, or, without a reader, the part itself, or what ``read_list`` makes of a list. Readers
    never see ``None``. All other fields are ``None``.
    """
    values, namespace = field_values(
        cls,
        positions=positions,
        readers=readers,
        computed=computed,
        constants=constants or {},
        scalar="{0} if _type({0}) is not _list else _read_list({0})",
    )
    namespace["_read_list"] = read_list
    # Without a size check for each record: a wrong size shows itself.
    parts = "".join(f"_{position}, " for position in range(size)) or "[]"
    unpack = [
        "try:",
        f"    {parts} = _record",
        "except ValueError:",
        f"    {parts} = (_record[:{size}] + (None,) * ({size} - len(_record)))",
    ]
    return generate(cls, parameters="_record", before=unpack, values=values, namespace=namespace)


def field_values(
    cls: type[Any],
    *,
    positions: Mapping[str, int],
    readers: Mapping[str, Callable[[Any], Any]],
    computed: Mapping[str, Callable[[tuple[Any, ...]], Any]],
    constants: Mapping[str, Any],
    scalar: str = "{0}",
) -> tuple[dict[str, str], dict[str, Any]]:
    """What ``generate`` needs for what ``record_constructor`` says: ``values``, ``namespace``.

    The record is ``_record`` there, if something is computed of it, and its parts are ``_0``,
    ``_1``, …; ``scalar`` is what becomes of a part without a reader.
    """
    values = {}
    namespace: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        name = attribute.name
        part = f"_{positions.get(name)}"
        if name in computed:
            namespace[f"_compute_{name}"] = computed[name]
            values[name] = f"_compute_{name}(_record)"
        elif name in constants:
            namespace[f"_constant_{name}"] = constants[name]
            values[name] = f"_constant_{name}"
        elif name not in positions:
            values[name] = "None"
        elif name in readers:
            namespace[f"_read_{name}"] = readers[name]
            values[name] = f"None if {part} is None else _read_{name}({part})"
        else:
            values[name] = scalar.format(part)
    return values, namespace


def generate(
    cls: type[Any],
    *,
    parameters: str,
    before: list[str],
    values: Mapping[str, str],
    namespace: dict[str, Any],
    result: str = "_self",
) -> Callable[..., Any]:
    """A function of these parameters that makes a ``cls``, ``_self``, and returns ``result``.

    The lines of ``before`` come first; then each field of ``values`` becomes what its
    expression says. ``namespace`` is where the names in all of them stand for something; all
    begin with an underscore, as no class's field does.
    """
    # Both, or Python falls back to looking the method up at every assignment.
    writable = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    # Called without arguments, which is quicker than object.__new__ by a fifth of the whole.
    empty = {"__slots__": (), "__init__": object.__init__}
    namespace |= {
        "_draft": type(f"{cls.__name__}Draft", (cls,), empty | writable),
        "_cls": cls,
        "_type": type,  # a field may be called so
        "_list": list,
    }
    lines = [
        *before,
        "_self = _draft()",
        *(f"_self.{name} = {value}" for name, value in values.items()),
        "_self.__class__ = _cls",
        f"return {result}",
    ]
    return function(parameters, lines, namespace)


def function(parameters: str, lines: list[str], namespace: dict[str, Any]) -> Callable[..., Any]:
    """A function of these parameters and lines."""
    # Nothing of a peer's is in there: a class's own field names, and numbers.
    exec("\n    ".join([f"def make({parameters}):", *lines]), namespace)  # noqa: S102
    make: Callable[..., Any] = namespace["make"]
    return make
