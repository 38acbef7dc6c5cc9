"""Frozen sets behave as sets and frozensets do."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Set as AbstractSet
from typing import Any

import floe
import pytest
from conftest import KEYS, SETS, frozen
from hypothesis import given

OPERATORS = [operator.and_, operator.or_, operator.sub, operator.xor]
ORDERS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@given(SETS, KEYS)
def test_what_is_read_is_what_was_frozen(value: set[Any], other: Any) -> None:
    for original in (value, frozenset(value)):
        read = frozen(original)
        assert read == original
        assert original == read
        assert len(read) == len(original)
        assert set(read) == original
        assert (other in read) == (other in original)
        assert all(item in read for item in original)
        assert hash(read) == hash(frozenset(original))
        assert eval(repr(read), {"inf": float("inf")}) == original
        for copied in (
            floe.thaw(read),
            copy.copy(read),
            copy.deepcopy(read),
            pickle.loads(pickle.dumps(read)),
        ):
            assert type(copied) is type(original)
            assert copied == original


@given(SETS, SETS)
def test_operators(one: set[Any], other: set[Any]) -> None:
    first, second = frozen(one), frozen(frozenset(other))
    for operate in OPERATORS:
        expected = operate(one, other)
        assert operate(first, second) == expected
        assert type(operate(first, second)) is set
        assert type(operate(second, first)) is frozenset
        assert operate(first, other) == expected
        assert operate(one, second) == expected
    for order in ORDERS:
        expected = order(one, other)
        assert order(first, second) == order(first, other) == order(one, second) == expected
    assert first.isdisjoint(second) == one.isdisjoint(other)
    assert first.issubset(list(other)) == one.issubset(other)
    assert first.issuperset(second) == one.issuperset(other)
    assert first.union(second, [1]) == one.union(other, [1])
    assert first.intersection(other) == one.intersection(other)
    assert first.difference(other, []) == one.difference(other)
    assert first.symmetric_difference(other) == one.symmetric_difference(other)


@given(SETS)
def test_equal_sets_give_equal_regions(value: set[Any]) -> None:
    items = list(value)
    first, second = floe.freeze(set(items), "set"), floe.freeze(set(items[::-1]), "set")
    assert list(first.value) == list(second.value)


def test_it_is_a_set_and_none_of_pythons() -> None:
    read = frozen({1, "a"})
    assert isinstance(read, AbstractSet)
    assert not isinstance(read, (set, frozenset))
    assert read != [1, "a"]
    with pytest.raises(TypeError):
        read & [1]
    assert {read: 1}[frozenset({1, "a"})] == 1
