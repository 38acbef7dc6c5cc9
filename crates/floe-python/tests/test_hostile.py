"""What comes from anywhere, code that runs in the middle, threads, and how programs end."""

from __future__ import annotations

import copy
import gc
import hashlib
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from typing import Any

import floe
import pytest
from conftest import frozen

LEVELS = 100


def doubled(kind: Any, leaf: Any) -> Any:
    """Return a value that is 2^100 values where each use of a part counts."""
    value = leaf
    for _ in range(LEVELS):
        value = kind(value)
    return value


LISTS = doubled(lambda part: [part, part], [1])
DICTS = doubled(lambda part: {"a": part, "b": part}, {})
TUPLES = {"tuple": doubled(lambda part: (part, part), (1,))}


def refused(call: Any, told: str = "written out at each use") -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match=told):
        call()
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("bomb", [LISTS, DICTS], ids=["lists", "dicts"])
def test_shared_parts_do_not_grow_without_bound(bomb: Any) -> None:
    handle = floe.freeze(bomb, "bomb")
    assert handle.size < 1 << 20
    value, other = handle.value, floe.freeze(bomb, "other").value
    assert value == other
    assert value == value
    refused(lambda: floe.thaw(value))
    refused(lambda: pickle.dumps(value))
    refused(lambda: repr(value))
    refused(lambda: hash(value))
    assert len(copy.copy(value)) == 2


def test_tuples_are_made_whole_within_a_bound() -> None:
    value = frozen(TUPLES)
    refused(lambda: value["tuple"])
    refused(lambda: list(value.values()))
    refused(lambda: floe.thaw(value))
    assert "tuple" in value
    assert frozen({"few": ((1, (2,)), (1, (2,)))})["few"] == ((1, (2,)), (1, (2,)))


def test_maps_are_thawed_within_one_bound() -> None:
    builder = floe.Builder("bombs")
    text = "x" * (1 << 20)
    for number in range(30):
        builder.insert(str(number), [text] * 100)
    value = builder.finish().value
    refused(lambda: floe.thaw(value))
    assert len(floe.thaw(value["7"])) == 100


def test_honest_values_are_not_refused() -> None:
    rows = [("a" * 200, {"b": [number, 2.5]}, (1, (2, "c"))) for number in range(20_000)]
    value = frozen(rows)
    assert floe.thaw(value) == rows
    assert repr(value) == repr(rows)
    assert value == frozen(rows)


def test_maps_that_are_frozen_again_keep_their_texts() -> None:
    def made(tag: str) -> Any:
        builder = floe.Builder(tag)
        for number in range(3000):
            builder.insert(f"k{number}", [f"{tag}-{number}-{part}" for part in range(5)])
        return builder.finish()

    one, other = made("aa"), made("cc")
    parts = [handle.value for handle in (one, other, one, other, one)]
    value = frozen(parts)
    for got, expected in zip(value, parts, strict=True):
        assert floe.thaw(got) == floe.thaw(expected)


def test_bases_are_frozen_without_what_subclasses_say() -> None:
    class Number(int):
        def bit_length(self) -> int:
            raise AssertionError

        def to_bytes(self, *_: Any, **__: Any) -> bytes:
            raise AssertionError

    class Text(str):
        def encode(self, *_: Any) -> bytes:
            raise AssertionError

    class Items(set[int]):
        def __iter__(self) -> Any:
            raise AssertionError

    value = [Number(1 << 70), Text("\ud800"), Items({1, 2})]
    got = floe.freeze(value, "bases", as_base=True).value
    assert got == [1 << 70, "\ud800", {1, 2}]
    inner = floe.freeze([{Items2((1,))}], "bases", as_base=True).value
    assert inner == [{frozenset([1])}]


class Items2(frozenset[int]):
    """A set that tells something else than it has."""

    def __iter__(self) -> Any:
        raise AssertionError


def test_keys_that_drop_everything_while_they_are_looked_up() -> None:
    held: list[Any] = [frozen({(1, "a"): [1], (2, "b"): "x" * 300, "text": 1})]

    class Key:
        def __hash__(self) -> int:
            return hash((2, "b"))

        def __eq__(self, other: object) -> bool:
            held.clear()
            gc.collect()
            return other == (2, "b")

    assert held[0][Key()] == "x" * 300
    assert not held
    held.append(frozen([1, 2, {"a": 3}]))
    assert held[0].count(Key()) == 0
    held.append(frozen({(2, "b")}))
    assert Key() in held[-1]

    class Failing(Key):
        def __eq__(self, other: object) -> bool:
            raise OSError

        __hash__ = Key.__hash__

    value = frozen({(2, "b"): 1})
    for call in (
        lambda: value[Failing()],
        lambda: value.get(Failing()),
        lambda: Failing() in value,
    ):
        with pytest.raises(OSError, match="^$"):
            call()


def test_indices_of_any_size() -> None:
    items = list(range(10))
    value, floats = frozen(items), frozen([float(item) for item in items])
    most = sys.maxsize
    for index in (-11, 10, most, -most - 1, 1 << 80, -(1 << 80)):
        for sequence in (value, floats):
            with pytest.raises(IndexError):
                sequence[index]
    edges = [None, 0, 3, -3, 9, 10, -10, -11, most, -most - 1, 1 << 80, -(1 << 80)]
    for start in edges:
        for stop in edges:
            for step in [*edges[2:], 1, -1, None]:
                assert value[start:stop:step] == items[start:stop:step]
    with pytest.raises(ValueError, match="zero"):
        value[::0]
    with pytest.raises((OverflowError, MemoryError)):
        value * most
    assert value * -1 == []


def test_buffers_outlive_handles_and_tell_what_was_asked() -> None:
    handle = floe.freeze([1.5, 2.5], "floats")
    view, expected = memoryview(handle.value), hashlib.sha256(memoryview(handle.value)).digest()
    gone = weakref.ref(handle)
    del handle
    gc.collect()
    assert gone() is not None
    assert (view.format, view.shape, view.strides, view.tolist()) == ("d", (2,), (8,), [1.5, 2.5])
    assert hashlib.sha256(view).digest() == expected
    part = view[1:]
    view.release()
    assert part.tolist() == [2.5]
    part.release()
    gc.collect()
    assert gone() is None
    with pytest.raises(BufferError):
        memoryview(frozen([1, 2]))


def test_a_thread_that_waits_does_not_stop_others() -> None:
    publisher = floe.Publisher(floe.freeze({"a": 1}, "waited"))
    live = publisher.live()
    assert live.value == {"a": 1}
    found: list[bool] = []
    waits = threading.Thread(target=lambda: found.append(live.wait_newer(20)))
    waits.start()
    time.sleep(0.2)
    start = time.monotonic()
    assert live.value == {"a": 1}
    assert live.generation == 1
    assert time.monotonic() - start < 5
    assert waits.is_alive()
    publisher.publish({"a": 2})
    waits.join(10)
    assert found == [True]
    assert live.value == {"a": 2}
    start = time.monotonic()
    assert not live.wait_newer(0.1)
    assert not live.wait_newer(0)
    assert 0.1 <= time.monotonic() - start < 5
    del publisher
    gc.collect()
    assert not live.wait_newer(20)
    assert time.monotonic() - start < 10


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_program_ends_with_a_thread_that_refreshes() -> None:
    program = """
        import sys, time, floe
        store, built = floe.Store(), [0]
        def build(inputs):
            built[0] += 1
            return list(range(built[0], built[0] + 1000))
        store.cache("x", build, floe.Policy(refresh_after=0.0))
        store.refresh()
        thread = store.refresh_in_background(0.0001, lambda report: None)
        time.sleep(float(sys.argv[1]))
        kept = store.live("x").value
    """
    for number in range(12):
        ended = run(program, f"0.0{number + 10}")
        assert (ended.returncode, ended.stderr) == (0, "")


def test_a_thread_that_refreshes_ends_when_it_is_dropped() -> None:
    program = """
        import faulthandler, time, floe
        faulthandler.dump_traceback_later(30, exit=True)
        store = floe.Store()
        store.cache("x", lambda inputs: [time.sleep(0.01)], floe.Policy(refresh_after=0.0))
        for _ in range(20):
            store.refresh_in_background(0.0001, lambda report: None)
            time.sleep(0.005)
    """
    ended = run(program)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_programs_end_with_live_proxies() -> None:
    program = """
        import builtins, sys, floe
        handle = floe.freeze({"a": [1.5, 2.5], "b": {"c": (1, [2])}, "d": {3}}, "kept")
        builtins.kept = [handle.value, iter(handle.value), handle.value.items(), handle.value["d"]]
        kept.append(memoryview(handle.value["a"]))
        class AtEnd:
            def __del__(self, value=handle.value):
                assert value["b"]["c"][1][0] == 2 and value["a"][0] == 1.5
        builtins.end = AtEnd()
        sys.modules["floe"] = None
    """
    ended = run(program)
    assert (ended.returncode, ended.stderr) == (0, "")
