"""Generated functions that construct frozen attrs instances quickly.

The ``__init__`` of a frozen class sets each field through ``object.__setattr__``. For the 24
fields of a channel this takes half as long as decoding the frame. A function generated here
takes a fifth of that time: it creates an instance of a writable subclass, assigns the fields
as plain attributes, and then sets ``__class__`` to the frozen class. The subclass has no slots
of its own, so that both classes have the same layout.

Invariants:

- An instance leaves the function only as one of the frozen class.
- Defaults, validators and converters of the class are not used: the generated function has to
  assign every field.
- The source contains field names of our own classes, numbers and fixed templates, never text
  from a peer: whatever else it needs is passed in by name, through the namespace.

The source is registered in ``linecache``, so that tracebacks and debuggers show it.
"""

from __future__ import annotations

import itertools
import linecache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

# An exception, and a function that is called instead if a generated function raises it.
Fallback: TypeAlias = "tuple[type[Exception], Callable[..., Any]]"

# Makes the file names of generated functions unique within the process.
_numbers = itertools.count(1)

# Sources that are registered in ``linecache``. A peer that announces ever new field specs must not
# fill the memory. Sources are never removed: a removal during ``linecache.checkcache`` would raise
# a KeyError in the middle of a traceback.
MAX_SOURCES = 256


# Expression for a scalar field: ``{0}`` stands for its value, ``{1}`` for ``_int`` or ``_str``,
# whichever is declared. The usual values are recognised without a call or a look-up.
_SCALAR: Final = "{0} if {0}.__class__ is {1} or {0} is None else _decode_scalar({0})"


def constructor(
    cls: type[T],
    decode_scalar: Callable[[Any], Any] | None = None,
    *,
    raw: tuple[str, ...] = (),
) -> Callable[..., T]:
    """Return a function that takes all fields of ``cls`` by position and makes an instance.

    With ``decode_scalar``, a field whose argument is neither ``None`` nor of the declared type, int
    or else str, holds what that function returns for it. The fields named in ``raw`` hold any
    argument as it is.
    """
    attributes = attrs.fields(cls)  # type: ignore[arg-type]
    names = [attribute.name for attribute in attributes]
    return generate(
        cls,
        parameters=", ".join(names),
        before=[],
        values={
            name: name if decode_scalar is None or name in raw else _scalar(attribute, name)
            for name, attribute in zip(names, attributes, strict=True)
        },
        namespace={"_decode_scalar": decode_scalar, "_int": int, "_str": str},
    )


def _scalar(attribute: attrs.Attribute[Any], part: str) -> str:
    """Return the expression for a scalar field whose value is ``part``."""
    declared = "_int" if str(attribute.type).startswith("int") else "_str"
    return _SCALAR.format(part, declared)


def record_constructor(
    cls: type[T],
    size: int,
    *,
    positions: Mapping[str, int],
    decoders: Mapping[str, Callable[[Any], Any]],
    decode_scalar: Callable[[Any], Any],
    computed: Mapping[str, Callable[[tuple[Any, ...]], Any]],
    constants: Mapping[str, Any] | None = None,
    fallback: Fallback | None = None,
) -> Callable[[tuple[Any, ...]], T]:
    """Return a function that makes a ``cls`` from a record, a tuple of about ``size`` parts.

    Parts missing at the end of a record count as ``None``; surplus parts are ignored.
    The first of these that names a field determines its value:

    - ``computed``: the function's result for the whole record, as it was received;
    - ``constants``: the same value for every record;
    - ``positions``: the part of the record at this index. A part other than ``None`` goes
      through the field's function in ``decoders``. Without one, a part of the declared type, int
      or else str, is the value, and any other goes through ``decode_scalar``.

    All other fields are ``None``. If one of these functions raises the exception of ``fallback``,
    the result is what the fallback's function returns for the record. As long as nothing is
    raised, this costs nothing; a wrapper would cost a call for each record.
    """
    values, namespace = field_values(
        cls,
        positions=positions,
        decoders=decoders,
        computed=computed,
        constants=constants or {},
        scalar=_scalar,
    )
    namespace |= {"_decode_scalar": decode_scalar, "_int": int, "_str": str}
    # Unpacking detects a wrong size at no cost for records of the right one.
    parts = "".join(f"_{position}, " for position in range(size)) or "[]"
    unpack = [
        "try:",
        f"    {parts} = _record",
        "except ValueError:",
        f"    {parts} = (_record[:{size}] + (None,) * ({size} - len(_record)))",
    ]
    return generate(
        cls,
        parameters="_record",
        before=unpack,
        values=values,
        namespace=namespace,
        fallback=fallback,
    )


def field_values(
    cls: type[Any],
    *,
    positions: Mapping[str, int],
    decoders: Mapping[str, Callable[[Any], Any]],
    computed: Mapping[str, Callable[[tuple[Any, ...]], Any]],
    constants: Mapping[str, Any],
    scalar: Callable[[attrs.Attribute[Any], str], str] = lambda _, part: part,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return ``values`` and ``namespace`` for ``generate``, by the rules of ``record_constructor``.

    The expressions expect the parts of the record in ``_0``, ``_1``, …, and the record itself
    in ``_record`` if a field is computed. ``scalar`` returns the expression for a field without a
    decoder and its part.
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
        elif name in decoders:
            namespace[f"_decode_{name}"] = decoders[name]
            values[name] = f"None if {part} is None else _decode_{name}({part})"
        else:
            values[name] = scalar(attribute, part)
    return values, namespace


def generate(
    cls: type[Any],
    *,
    parameters: str,
    before: list[str],
    values: Mapping[str, str],
    namespace: dict[str, Any],
    result: str = "_self",
    fallback: Fallback | None = None,
) -> Callable[..., Any]:
    """Return a function that makes a ``cls``, named ``_self`` in it, and returns ``result``.

    The function takes ``parameters`` and starts with the lines of ``before``. Then it assigns
    to each field in ``values`` the value of its expression. ``namespace`` defines the names
    that lines and expressions use. They all start with an underscore, and no field does. If an
    expression raises the exception of ``fallback``, the function returns what the fallback's
    function returns for the same ``parameters``.
    """
    namespace |= {"_Writable": writable(cls), "_cls": cls}
    assignments = [f"_self.{name} = {value}" for name, value in values.items()]
    if fallback is not None:
        namespace |= {"_Error": fallback[0], "_fall_back": fallback[1]}
        assignments = [
            "try:",
            *(f"    {assignment}" for assignment in assignments),
            "except _Error:",
            f"    return _fall_back({parameters})",
        ]
    lines = [
        *before,
        "_self = _Writable()",
        *assignments,
        "_self.__class__ = _cls",
        f"return {result}",
    ]
    return function(cls.__name__, parameters, lines, namespace)


def writable(cls: type[Any]) -> type[Any]:
    """Return a subclass of ``cls`` whose instances are created empty and can be written.

    Assign every field, and then set ``__class__`` to ``cls``, as the functions generated here do.
    """
    # Overriding both methods makes attribute assignment as fast as on a plain class. With one
    # alone, Python looks the method up at every assignment.
    assignable = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    # Calling the class without arguments is faster than object.__new__, by a fifth of the total.
    empty = {"__slots__": (), "__init__": object.__init__}
    return type(f"Writable{cls.__name__}", (cls,), empty | assignable)


def function(
    name: str, parameters: str, lines: list[str], namespace: dict[str, Any]
) -> Callable[..., Any]:
    """Return a function with these parameters and lines, compiled in ``namespace``.

    ``name`` is part of the file name that tracebacks show: ``<basix_ws_cti generated NAME 1>``.
    The sources of the first ``MAX_SOURCES`` functions are in ``linecache``.
    """
    source = "\n    ".join([f"def make({parameters}):", *lines]) + "\n"
    number = next(_numbers)
    filename = f"<basix_ws_cti generated {name} {number}>"
    # The source has no text from a peer in it: see the top of this module.
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102
    make: Callable[..., Any] = namespace["make"]
    if number <= MAX_SOURCES:
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return make
