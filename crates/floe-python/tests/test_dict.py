"""Frozen dicts behave as dicts do."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections import OrderedDict, UserDict
from collections.abc import Mapping
from typing import Any

import floe
import pytest
from conftest import DICTS, KEYS, LEAVES, VALUES, frozen
from hypothesis import given
from hypothesis import strategies as st


@given(DICTS)
def test_what_is_read_is_what_was_frozen(value: dict[Any, Any]) -> None:
    read = frozen(value)
    assert read == value
    assert value == read
    assert not read != value
    assert len(read) == len(value)
    assert bool(read) == bool(value)
    assert list(read) == list(value)
    assert list(read.items()) == list(value.items())
    assert list(read.values()) == list(value.values())
    assert list(reversed(read)) == list(reversed(value))


@given(DICTS, KEYS)
def test_keys_are_found_as_in_a_dict(value: dict[Any, Any], other: Any) -> None:
    read = frozen(value)
    for key in [*value, other]:
        assert (key in read) == (key in value)
        assert read.get(key, "absent") == value.get(key, "absent")
        if key in value:
            assert read[key] == value[key]
        else:
            with pytest.raises(KeyError) as raised:
                read[key]
            assert raised.value.args == (key,)


@given(DICTS)
def test_thawing_gives_the_same_types(value: dict[Any, Any]) -> None:
    read = frozen(value)
    for thawed in (floe.thaw(read), copy.deepcopy(read), pickle.loads(pickle.dumps(read))):
        assert thawed == value
        assert shape(thawed) == shape(value)


def shape(value: Any) -> Any:
    """The types of a value and of its parts; of sets in any order."""
    if isinstance(value, dict):
        return dict, [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [shape(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(repr(shape(item)) for item in value)
    return type(value)


@given(DICTS)
def test_repr_reads_as_the_value(value: dict[Any, Any]) -> None:
    assert eval(repr(frozen(value)), {"inf": float("inf")}) == value


@given(st.recursive(LEAVES, lambda parts: st.lists(parts) | st.dictionaries(LEAVES, parts)))
def test_repr_is_that_of_the_value(value: Any) -> None:
    assert repr(frozen(value)) == repr(floe.thaw(frozen(value)))
    assert repr(frozen({"key": (value,)})) == repr(floe.thaw(frozen({"key": (value,)})))


@given(DICTS, DICTS)
def test_two_are_equal_if_dicts_are(one: dict[Any, Any], other: dict[Any, Any]) -> None:
    first, second = frozen(one), frozen(other)
    assert (first == second) == (one == other)
    assert (first == other) == (one == other)
    assert first == frozen(one)
    assert hash(first) == hash(frozen(dict(reversed(one.items()))))


@given(DICTS, DICTS)
def test_joining_gives_an_ordinary_dict(one: dict[Any, Any], other: dict[Any, Any]) -> None:
    for joined in (frozen(one) | other, one | frozen(other), frozen(one) | frozen(other)):
        assert type(joined) is dict
        assert joined == one | other
        assert list(joined) == list(one | other)


@given(DICTS, DICTS)
def test_views_are_sets(one: dict[Any, Any], other: dict[Any, Any]) -> None:
    first, second = frozen(one), frozen(other)
    assert first.keys() == one.keys()
    assert first.keys() & second.keys() == one.keys() & other.keys()
    assert first.keys() | other.keys() == one.keys() | other.keys()
    assert first.keys() - set(other) == one.keys() - set(other)
    assert other.keys() ^ first.keys() == one.keys() ^ other.keys()
    assert first.keys().isdisjoint(other) == one.keys().isdisjoint(other)
    assert (first.keys() <= other.keys()) == (one.keys() <= other.keys())
    assert first.keys() & list(other) == one.keys() & list(other)
    for pair in one.items():
        assert pair in first.items()
    assert (object(), 1) not in first.items()
    assert list(reversed(first.items())) == list(reversed(one.items()))


@given(VALUES)
def test_a_value_stands_alone(value: Any) -> None:
    assert frozen(value) == value


def test_it_is_a_mapping_and_no_dict() -> None:
    read = frozen({"a": 1})
    assert isinstance(read, Mapping)
    assert not isinstance(read, dict)
    assert read == OrderedDict(a=1)
    assert UserDict(a=1) == read
    assert read != [("a", 1)]
    assert read != {"a": 2}
    with pytest.raises(TypeError):
        read["b"] = 2
    with pytest.raises(TypeError):
        del read["a"]
    with pytest.raises(TypeError, match="cannot create"):
        floe.FrozenDict()
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (floe.FrozenDict,), {})
    with pytest.raises((TypeError, AttributeError)):
        floe.FrozenDict.get = None  # type: ignore[method-assign,assignment]
    assert dict(read) == {**read} == {"a": 1}
    assert (lambda **given: given)(**read) == {"a": 1}


def test_match_takes_it_apart() -> None:
    match frozen({"kind": "pair", "of": [1, {"x": 2}], "more": 3}):
        case {"kind": "pair", "of": [first, {"x": second}], **rest}:
            assert (first, second, rest) == (1, 2, {"more": 3})
        case _:
            pytest.fail("the pattern fits")


def test_keys_that_are_no_data_are_compared() -> None:
    from decimal import Decimal
    from enum import IntEnum
    from fractions import Fraction

    class Number(IntEnum):
        ONE = 1

    class Name(str):
        __slots__ = ()

    read = frozen({1: "one", 0.5: "half", "name": "text", (1, 2): "pair"})
    assert read[Decimal(1)] == "one"
    assert read[Fraction(1, 2)] == "half"
    assert read[Number.ONE] == "one"
    assert read[Name("name")] == "text"
    assert read[True] == read[1.0] == "one"
    assert read[1.0, 2] == "pair"
    assert object() not in read
    assert math.nan not in read
    for key in ([], {}, {1}, (1, [])):
        with pytest.raises(TypeError, match="unhashable"):
            read[key]
        with pytest.raises(TypeError, match="unhashable"):
            read.get(key)
        with pytest.raises(TypeError, match="unhashable"):
            _ = key in read


def test_get_takes_one_or_two_arguments() -> None:
    read = frozen({"a": 1})
    assert read.get("b") is None
    with pytest.raises(TypeError):
        read.get()
    with pytest.raises(TypeError):
        read.get("a", 1, 2)


def test_copies_are_ordinary() -> None:
    value = {"a": [1, {"b": {2}}]}
    read = frozen(value)
    for shallow in (read.copy(), copy.copy(read)):
        assert type(shallow) is dict
        assert isinstance(shallow["a"], floe.FrozenList)
        assert shallow == value
    deep = copy.deepcopy(read)
    deep["a"][1]["b"].add(3)
    assert read == value


def test_json_takes_it_by_thaw() -> None:
    value = {"a": [1, None, {"b": 2.5}]}
    assert json.loads(json.dumps(frozen(value), default=floe.thaw)) == value


def test_annotations_take_parameters() -> None:
    assert floe.FrozenDict[str, int].__origin__ is floe.FrozenDict


@given(DICTS)
def test_large_dicts_are_found_by_tables(value: dict[Any, Any]) -> None:
    large = {**{f"key {number}": number for number in range(300)}, **value}
    read = frozen(large)
    assert all(read[key] == item for key, item in large.items())
    assert "key 300" not in read or "key 300" in value
