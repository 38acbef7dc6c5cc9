"""Cycles through what this package makes are freed by the collector."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import floe
import pytest

GOLDEN = Path(__file__).parents[3] / "tests" / "golden"


class Program:
    """What holds all of its parts, and what some of these lead back to."""

    store: floe.Store
    part: Any

    def build(self, *_: object) -> Any:
        return [1]

    def names(self, _: floe.Inputs) -> list[str]:
        return ["a"]

    def fail(self, _: floe.Inputs) -> Any:
        raise LookupError(self)

    def told(self, report: floe.Report) -> None:
        self.report = report


def whole(program: Program) -> None:
    """A store whose function leads back to it."""
    program.store = floe.Store()
    program.store.cache("a", program.build)
    program.store.refresh().raise_failures()


def keyed(program: Program) -> None:
    """The same by each of two functions."""
    program.store = floe.Store()
    program.store.keyed("a", lambda _: ["a"], program.build)
    program.store.keyed("b", program.names, lambda *_: 1)
    program.store.refresh().raise_failures()


def bound(program: Program) -> None:
    """A cycle that only the store can break: bound methods of it do not let go."""
    program.store = floe.Store()
    program.store.cache("a", program.store.status)


def accepting(program: Program) -> None:
    """A store whose rule for what is contributed leads back to it."""
    program.store = floe.Store()
    program.store.merged("a")
    program.store.accept("a", program.build)


def cache(program: Program) -> None:
    """A store that is only known by its cache, which a function of it leads back to."""
    program.part = floe.Store().cache("a", program.build)


def raised(program: Program) -> None:
    """What a function raised leads back to the store."""
    program.store = floe.Store()
    program.store.cache("a", program.fail)
    assert program.store.refresh()["a"].exception is not None


def merging(program: Program) -> None:
    """A store whose rule of a merge leads back to it."""
    program.store = floe.Store()
    cache = program.store.merged("a")
    program.store.refresh().raise_failures()
    overlay: floe.Overlay[str, Any] = floe.Overlay(cache.get())
    overlay["a"] = 1
    program.store.merge("a", [overlay.delta()], program.build)


def unreported(program: Program) -> None:
    """A thread in whose report there will be what leads back to it."""
    program.store = floe.Store()
    program.store.cache("a", program.fail)
    begun = threading.Event()
    program.store.cache("b", lambda _: begun.set() or threading.Event().wait(0.5))
    program.part = program.store.refresh_in_background(3600)
    assert begun.wait(60)


def listener(program: Program) -> None:
    """A thread whose listener leads back to it."""
    program.store = floe.Store()
    program.store.cache("a", lambda _: 1)
    program.part = program.store.refresh_in_background(3600, program.told)


def background(program: Program) -> None:
    """A thread whose store leads back to it, and which has stopped."""
    store = floe.Store()
    store.cache("a", program.build)
    program.part = store.refresh_in_background(3600)
    program.part.stop()


def following(program: Program) -> None:
    """Handles of a store that nothing else knows."""
    whole(program)
    program.part = [program.store.live("a"), program.store.publisher("a")]
    program.part.append(program.part[0].value)


def overlay(program: Program) -> None:
    """An overlay whose factory leads back to it, over what follows a publisher."""
    publisher = floe.Publisher(floe.freeze({"a": [1]}, "base"))
    program.part = floe.Overlay(publisher.live(), missing=program.build, thaw=True)
    assert program.part["a"] == program.part["b"] == [1]


def records(program: Program) -> None:
    """A handle whose classes of records lead back to it."""
    program.part = floe.load(GOLDEN / "value-2.floe")
    type(program.part.value[0]).program = program  # type: ignore[attr-defined]


def records_of_a_map(program: Program) -> None:
    """The same of a map, which is all that is kept."""
    program.part = floe.load(GOLDEN / "map-2.floe").value
    record = next(value for value in program.part.values() if isinstance(value, floe.Record))
    type(record).program = program  # type: ignore[attr-defined]


CYCLES = [
    whole,
    keyed,
    bound,
    accepting,
    cache,
    raised,
    merging,
    unreported,
    listener,
    background,
    following,
    overlay,
    records,
    records_of_a_map,
]


def living() -> list[str]:
    """What the collector knows of that could lead to something else."""
    gc.collect()
    kinds = (Program, floe.Store, floe.Background, floe.Overlay, floe.Frozen, floe.TypedMap)
    return sorted(type(it).__name__ for it in gc.get_objects() if type(it) in kinds)


@pytest.mark.parametrize("make", CYCLES, ids=lambda make: make.__name__)
def test_cycles_are_freed(make: Callable[[Program], None]) -> None:
    before = living()
    program = Program()
    make(program)
    known = weakref.ref(program)
    del program
    # Weak references go before anything is freed.
    assert living() == before
    assert known() is None


class Function:
    """A function that can be known weakly."""

    def __call__(self, *_: object) -> Any:
        return []


def test_functions_go_when_no_cache_has_them() -> None:
    store = floe.Store()
    store.merged("a")
    known = []

    def made() -> Any:
        function = Function()
        known.append(weakref.ref(function))
        return function

    store.accept("a", made())
    assert known.pop()() is not None
    store.accept("a", made())
    store.accept("a", made())
    assert [it() is None for it in known] == [True, False]
    store.stop_accepting("a")
    assert known[1]() is None
    with pytest.raises(floe.InvalidError, match="a"):
        store.cache("a", made())
    with pytest.raises(floe.InvalidError, match="a"):
        store.keyed("a", made(), made())
    store.refresh().raise_failures()
    store.merge("a", [], made())
    with pytest.raises(floe.UnknownNameError):
        store.merge("other", [], made())
    assert [it() for it in known] == [None] * 7


def test_what_is_in_use_is_kept() -> None:
    store = floe.Store()
    calls: list[str] = []
    store.cache("a", lambda _: calls.append("a"))
    gc.collect()
    store.refresh().raise_failures()
    assert calls == ["a"]
    record = floe.load(GOLDEN / "value-2.floe").value[0]
    gc.collect()
    assert record.name == "a package with the number 0"


def test_a_cache_outlives_its_store() -> None:
    store = floe.Store()
    cache = store.cache("a", lambda _: [1])
    store.refresh()
    del store
    assert cache.value == [1]
