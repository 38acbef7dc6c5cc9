"""Frozen lists behave as lists do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from typing import Any

import floe
import pytest
from conftest import LISTS, VALUES, frozen
from hypothesis import given
from hypothesis import strategies as st

SLICES = st.slices(8)


@given(LISTS, SLICES)
def test_what_is_read_is_what_was_frozen(value: list[Any], part: slice) -> None:
    read = frozen(value)
    assert read == value
    assert value == read
    assert len(read) == len(value)
    assert bool(read) == bool(value)
    assert list(read) == value
    assert list(reversed(read)) == value[::-1]
    assert read[part] == value[part]
    assert type(read[part]) is list
    for position in range(-len(value), len(value)):
        assert read[position] == value[position]
    for position in (len(value), -len(value) - 1):
        with pytest.raises(IndexError):
            read[position]


@given(LISTS, VALUES)
def test_items_are_found(value: list[Any], other: Any) -> None:
    read = frozen(value)
    for item in [*value, other]:
        assert (item in read) == (item in value)
        assert read.count(item) == value.count(item)
        if item in value:
            assert read.index(item) == value.index(item)
        else:
            with pytest.raises(ValueError, match="not in list"):
                read.index(item)


@given(LISTS, LISTS)
def test_comparing_and_joining(one: list[Any], other: list[Any]) -> None:
    first, second = frozen(one), frozen(other)
    assert (first == second) == (one == other)
    assert (first == other) == (one == other)
    assert first + other == first + second == one + other
    assert type(first + second) is list
    assert first * 2 == 2 * first == one * 2
    extended = list(one)
    extended += second
    assert extended == one + other
    assert hash(first) == hash(frozen(one))


@given(st.lists(st.integers()), st.lists(st.integers()))
def test_order_is_that_of_lists(one: list[int], other: list[int]) -> None:
    first, second = frozen(one), frozen(other)
    assert (first < second) == (one < other)
    assert (first >= other) == (one >= other)
    assert (one <= second) == (one <= other)


@given(LISTS)
def test_copies(value: list[Any]) -> None:
    read = frozen(value)
    for copied in (floe.thaw(read), copy.deepcopy(read), pickle.loads(pickle.dumps(read))):
        assert type(copied) is list
        assert copied == value
    assert type(read.copy()) is list


def test_it_is_a_sequence_and_no_list() -> None:
    read = frozen([1, 2])
    assert isinstance(read, Sequence)
    assert not isinstance(read, list)
    assert read != (1, 2)
    with pytest.raises(TypeError):
        read[0] = 1
    with pytest.raises(TypeError, match="indices must be integers or slices, not str"):
        read["a"]
    with pytest.raises(TypeError, match="can only concatenate"):
        read + (3,)
    with pytest.raises(TypeError):
        [] + read
    first, *rest = read
    assert (first, rest) == (1, [2])
    assert max(read) == 2
    assert sorted(read, reverse=True) == [2, 1]
    assert ",".join(frozen(["a", "b"])) == "a,b"


@pytest.mark.parametrize("item", [1.5, 2**40])
def test_numbers_are_packed(item: float) -> None:
    read = floe.freeze([item] * 1000, "numbers")
    assert read.size < 16_000
    assert read.value == [item] * 1000
    assert read.value[-1] == item
    assert type(read.value[0]) is type(item)
    with memoryview(read.value) as lent:
        assert lent.readonly
        assert lent.format == ("d" if isinstance(item, float) else "q")
        assert lent.tolist() == [item] * 1000


def test_other_lists_lend_no_memory() -> None:
    with pytest.raises(BufferError, match="only a list of floats"):
        memoryview(frozen([1, "a"]))  # type: ignore[arg-type]


def test_memory_that_is_lent_keeps_the_region() -> None:
    lent = memoryview(frozen([0.5, 1.5]))
    assert lent.tolist() == [0.5, 1.5]


def test_length_hints_are_true() -> None:
    iterator = iter(frozen([1, 2, 3]))
    assert iterator.__length_hint__() == 3
    next(iterator)
    assert iterator.__length_hint__() == 2
    assert list(iterator) == [2, 3]
    assert list(iterator) == []
