"""Which values can be frozen, and what is said about the others."""

from __future__ import annotations

import enum
import math
import re
import socket
from collections import Counter, OrderedDict, defaultdict, namedtuple
from typing import Any

import floe
import pytest
from conftest import frozen
from hypothesis import given
from hypothesis import strategies as st

REFUSED: list[tuple[Any, str]] = [
    ({"a": [1, 2, 3, socket.socket]}, r"value['a'][3]: type cannot be frozen"),
    ([object()], "value[0]: object cannot be frozen"),
    ({"x": {"y": (1, 2j)}}, "value['x']['y'][1]: complex cannot be frozen"),
    (bytearray(b"x"), "value: bytearray cannot be frozen"),
    ({object: 1}, "type cannot be frozen"),
    ([range(3)], "value[0]: range cannot be frozen"),
    ({"f": len}, "value['f']: builtin_function_or_method cannot be frozen"),
    ({1, object}, "type cannot be frozen"),
]


@pytest.mark.parametrize(("value", "told"), REFUSED)
def test_what_is_no_data_is_named_with_the_way_to_it(value: Any, told: str) -> None:
    with pytest.raises(TypeError, match=re.escape(told)):
        floe.freeze(value, "refused")


class Colour(enum.IntEnum):
    """A subclass of int."""

    RED = 3


class Name(str):
    """A subclass of str."""

    __slots__ = ()


Pair = namedtuple("Pair", ["left", "right"])

SUBCLASSES: list[tuple[Any, Any]] = [
    (OrderedDict(a=1), {"a": 1}),
    (defaultdict(list, a=[1]), {"a": [1]}),
    (Counter("aab"), {"a": 2, "b": 1}),
    (Pair(1, 2), (1, 2)),
    (Colour.RED, 3),
    (Name("x"), "x"),
    (type("List", (list,), {})([1]), [1]),
    (type("Set", (set,), {})([1]), {1}),
    (type("Frozen", (frozenset,), {})([1]), frozenset([1])),
    (type("Float", (float,), {})(1.5), 1.5),
    (type("Bytes", (bytes,), {})(b"x"), b"x"),
]


@pytest.mark.parametrize(("value", "base"), SUBCLASSES)
def test_subclasses_are_refused_or_frozen_as_their_base(value: Any, base: Any) -> None:
    told = rf"value\['k'\]: {type(value).__name__} is a subclass of {type(base).__name__}"
    with pytest.raises(TypeError, match=told):
        floe.freeze({"k": value}, "refused")
    read = floe.freeze({"k": value}, "based", as_base=True).value["k"]
    assert read == base
    assert type(floe.thaw(read)) is type(base)


def test_what_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match=r"^value\[0\]: holds itself$"):
        floe.freeze(value, "refused")
    mapping: dict[str, Any] = {}
    mapping["a"] = [{"b": mapping}]
    with pytest.raises(ValueError, match=re.escape("value['a'][0]['b']: holds itself")):
        floe.freeze(mapping, "refused")


def test_what_is_shared_is_no_recursion() -> None:
    shared = [1]
    assert frozen([shared, shared, {"a": shared}]) == [[1], [1], {"a": [1]}]


def test_depth_has_a_limit() -> None:
    def nested(depth: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(depth - 1):
            value = [value]
        return value

    assert frozen(nested(100)) == nested(100)
    with pytest.raises(ValueError, match="nested deeper than"):
        floe.freeze(nested(200), "refused")


def test_numbers_that_are_not_equal_to_themselves() -> None:
    read = frozen([float("nan"), [math.nan], {"x": math.nan}])
    assert math.isnan(read[0])
    assert math.isnan(read[2]["x"])
    with pytest.raises(ValueError, match="cannot be a key"):
        floe.freeze({math.nan: 1}, "refused")


def test_lone_surrogates() -> None:
    value = {"\ud800": "x\udfff", "plain": "\U0001f600"}
    read = frozen(value)
    assert read == value
    assert read["\ud800"] == "x\udfff"
    assert "\ud801" not in read


@given(st.integers(), st.integers(0, 2000))
def test_integers_of_any_size(number: int, shift: int) -> None:
    for value in (number << shift, -(number << shift), (1 << shift) - 1, -(1 << shift)):
        assert frozen(value) == value
        assert frozen({value: 1})[value] == 1
        assert frozen([value, "x"])[0] == value


@pytest.mark.parametrize("value", [0.0, -0.0, math.inf, -math.inf, 5e-324, 1.7e308])
def test_floats_keep_every_bit(value: float) -> None:
    read = frozen([value, None])[0]
    assert math.copysign(1, read) == math.copysign(1, value)
    assert read == value


def test_singletons_and_plain_objects_are_themselves() -> None:
    assert frozen(None) is None
    assert frozen(True) is True
    assert frozen([False])[0] is False
    assert type(frozen((1, "a", [2]))) is tuple
    assert isinstance(frozen((1, [2]))[1], floe.FrozenList)
    assert type(frozen("x")) is str
    assert type(frozen(b"x")) is bytes


def test_frozen_values_are_data() -> None:
    inner = frozen({"a": [1, {2}]})
    again = frozen({"kept": inner, "list": inner["a"], "set": inner["a"][1]})
    assert again == {"kept": {"a": [1, {2}]}, "list": [1, {2}], "set": {2}}


def test_names_are_those_of_files() -> None:
    for name in ("", "a/b", "..", "x" * 300):
        with pytest.raises(floe.InvalidError, match="cannot be used for a cache"):
            floe.freeze({}, name)


def test_nothing_is_left_of_a_freeze_that_failed() -> None:
    import os

    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        with pytest.raises(TypeError):
            floe.freeze([1, object()], "refused")
    assert len(os.listdir("/proc/self/fd")) == len(before)
