"""Records: what a struct of a Rust program is here."""

from __future__ import annotations

# Reading starts sooner without the module `typing`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Record:
    """Values by name, as attributes: ``recipe.depends``. Cannot be changed.

    Compares, and hashes if its values do, by its fields, whatever the struct is called. `thaw`
    gives a dict.
    """

    __slots__ = ("_values",)
    _fields: tuple[str, ...] = ()
    _values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        """Take the values in the order of the fields."""
        if len(values) != len(self._fields):
            told = f"{type(self).__name__} has {len(self._fields)} fields, got {len(values)}"
            raise TypeError(told)
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> Any:
        if name in self._fields:
            return self._values[self._fields.index(name)]
        told = f"{type(self).__name__} has no field {name!r}; fields: {', '.join(self._fields)}"
        raise AttributeError(told)

    def __setattr__(self, name: str, value: object) -> None:
        told = f"{type(self).__name__} is frozen: {name!r} cannot be set"
        raise AttributeError(told)

    def __delattr__(self, name: str) -> None:
        told = f"{type(self).__name__} is frozen: {name!r} cannot be removed"
        raise AttributeError(told)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._fields]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return self._fields == other._fields and self._values == other._values

    def __hash__(self) -> int:
        return hash((self._fields, self._values))

    def __repr__(self) -> str:
        fields = zip(self._fields, self._values, strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return record, (type(self).__name__, dict(zip(self._fields, self._values, strict=True)))

    def thaw(self) -> dict[str, Any]:
        """Return the fields as an ordinary dict, with ordinary values."""
        return {name: plain(value) for name, value in zip(self._fields, self._values, strict=True)}


def plain(value: Any) -> Any:
    """Return a value in which records are dicts."""
    if isinstance(value, Record):
        return value.thaw()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return value


def record_class(name: str, fields: tuple[str, ...]) -> type[Record]:
    """Make the class of records with these fields."""
    members = {"__slots__": (), "_fields": fields, "__match_args__": fields}
    return type(name, (Record,), members)


def record(name: str, values: Mapping[str, Any]) -> Record:
    """Make one record of a class of its own."""
    return record_class(name, tuple(values))(*values.values())
