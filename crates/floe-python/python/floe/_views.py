"""Views of maps that go over their entries in one go."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any


class MapItems(ItemsView[str, Any]):
    """Pairs of key and value of a `FrozenMap`."""

    __slots__ = ()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._mapping._pairs())  # type: ignore[attr-defined]


class MapValues(ValuesView[Any]):
    """Values of a `FrozenMap`."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping._pairs())  # type: ignore[attr-defined]
