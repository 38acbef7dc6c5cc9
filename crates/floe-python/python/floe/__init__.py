"""Frozen dicts, lists and sets that forked, exec'd and unrelated processes read in place.

`freeze` copies a value into a sealed region of shared memory; `Frozen` is the handle on it, and
``.value`` reads like the dict, list or set that it was made from. No process copies it, and none
can change it.
"""

from __future__ import annotations

# The same as in `collections.abc`, without what that package loads beside.
from _collections_abc import ItemsView, KeysView, Mapping, Sequence, Set, ValuesView

from ._errors import (
    Error,
    InvalidError,
    MissingFileError,
    NotPermittedError,
    OtherTypeError,
    SystemCallError,
    UnknownNameError,
)
from ._floe import (
    Background,
    Broker,
    Builder,
    Cache,
    Contribution,
    Delta,
    Frozen,
    FrozenDict,
    FrozenItems,
    FrozenKeys,
    FrozenList,
    FrozenMap,
    FrozenSet,
    FrozenValues,
    Inputs,
    Live,
    Part,
    Policy,
    Publisher,
    Store,
    TypedMap,
    __version__,
    connect,
    freeze,
    load,
    merge,
    thaw,
)
from ._handle import passing
from ._record import Record

# Reading starts sooner without the module `typing`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._memory import MemoryTable, memory
    from ._overlay import Changes, MergeConflict, Overlay
    from ._report import CacheReport, DeltaReport, MergeReport, Outcome, Report, Status

Mapping.register(FrozenDict)
Mapping.register(FrozenMap)
Mapping.register(TypedMap)
Sequence.register(FrozenList)
Set.register(FrozenSet)
KeysView.register(FrozenKeys)
ValuesView.register(FrozenValues)
ItemsView.register(FrozenItems)

__all__ = [
    "Background",
    "Broker",
    "Builder",
    "Cache",
    "CacheReport",
    "Changes",
    "Contribution",
    "Delta",
    "DeltaReport",
    "Error",
    "Frozen",
    "FrozenDict",
    "FrozenItems",
    "FrozenKeys",
    "FrozenList",
    "FrozenMap",
    "FrozenSet",
    "FrozenValues",
    "Inputs",
    "InvalidError",
    "Live",
    "MemoryTable",
    "MergeConflict",
    "MergeReport",
    "MissingFileError",
    "NotPermittedError",
    "OtherTypeError",
    "Outcome",
    "Overlay",
    "Part",
    "Policy",
    "Publisher",
    "Record",
    "Report",
    "Status",
    "Store",
    "SystemCallError",
    "TypedMap",
    "UnknownNameError",
    "__version__",
    "connect",
    "freeze",
    "load",
    "memory",
    "merge",
    "passing",
    "thaw",
]

_LAZY = {
    "CacheReport": "_report",
    "Changes": "_overlay",
    "DeltaReport": "_report",
    "MemoryTable": "_memory",
    "MergeConflict": "_overlay",
    "MergeReport": "_report",
    "Outcome": "_report",
    "Overlay": "_overlay",
    "Report": "_report",
    "Status": "_report",
    "memory": "_memory",
}


def __getattr__(name: str) -> object:
    """Load what few programs need when it is first asked for."""
    if name in _LAZY:
        from importlib import import_module

        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    told = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(told)
