"""Read-only mapping that changes while others read it, from any thread."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar

from .display import html_table_of_objects

K = TypeVar("K")
V = TypeVar("V")


class LiveMapping(Mapping[K, V]):
    """Read-only mapping that always shows the current items.

    Another thread may change the contents at any time. So each iteration, over the mapping or a
    view of it, runs over a copy that ``copy`` makes when the iteration starts. ``keys()``,
    ``items()`` and ``values()`` are live views: each iteration shows the items of its time.
    """

    __slots__ = ()

    @abstractmethod
    def copy(self) -> dict[K, V]:
        """Return the items of this moment; safe in any thread."""

    def __iter__(self) -> Iterator[K]:
        return iter(self.copy())

    def __reversed__(self) -> Iterator[K]:
        return reversed(self.copy())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LiveMapping):
            other = other.copy()
        return self.copy() == other if isinstance(other, Mapping) else NotImplemented

    def _repr_html_(self) -> str:
        """Return the items as an HTML table, for notebooks."""
        return html_table_of_objects(self.copy())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the items of this moment, as a dict."""
        return dict, (self.copy(),)

    def keys(self) -> KeysView[K]:
        return _Keys(self)

    def items(self) -> ItemsView[K, V]:
        return _Items(self)

    def values(self) -> ValuesView[V]:
        return _Values(self)


class _Keys(KeysView[K]):
    _mapping: LiveMapping[K, Any]

    def __reversed__(self) -> Iterator[K]:
        return reversed(self._mapping)


class _Items(ItemsView[K, V]):
    _mapping: LiveMapping[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return iter(self._mapping.copy().items())

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return reversed(self._mapping.copy().items())


class _Values(ValuesView[V]):
    _mapping: LiveMapping[Any, V]

    def __contains__(self, value: object) -> bool:
        return value in self._mapping.copy().values()

    def __iter__(self) -> Iterator[V]:
        return iter(self._mapping.copy().values())

    def __reversed__(self) -> Iterator[V]:
        return reversed(self._mapping.copy().values())
