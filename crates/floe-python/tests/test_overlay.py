"""Overlays behave as dicts, and know what they changed."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import floe
import pytest
from conftest import frozen
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

KEYS = st.sampled_from("abcdefgh")
VALUES = st.integers() | st.lists(st.integers(), max_size=2)


class AgainstDict(RuleBasedStateMachine):
    """An overlay and a dict, changed in the same ways."""

    def __init__(self) -> None:
        super().__init__()
        self.base = {"a": 1, "b": [2], "c": {"d": 3}}
        self.overlay: floe.Overlay[str, Any] = floe.Overlay(frozen(self.base))
        self.dict: dict[str, Any] = dict(self.base)

    @rule(key=KEYS, value=VALUES)
    def set(self, key: str, value: Any) -> None:
        self.overlay[key] = self.dict[key] = value

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        if key in self.dict:
            del self.overlay[key]
            del self.dict[key]
        else:
            with pytest.raises(KeyError):
                del self.overlay[key]

    @rule(key=KEYS)
    def pop(self, key: str) -> None:
        assert self.overlay.pop(key, None) == self.dict.pop(key, None)

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key: str, value: Any) -> None:
        assert self.overlay.setdefault(key, value) == self.dict.setdefault(key, value)

    @rule(changes=st.dictionaries(KEYS, VALUES))
    def update(self, changes: dict[str, Any]) -> None:
        self.overlay |= changes
        self.dict |= changes

    @rule()
    def clear(self) -> None:
        self.overlay.clear()
        self.dict.clear()

    @invariant()
    def same(self) -> None:
        assert self.overlay == self.dict
        assert len(self.overlay) == len(self.dict)
        assert set(self.overlay) == set(self.dict)
        for key in "abcdefgh":
            assert self.overlay.get(key) == self.dict.get(key)
            assert (key in self.overlay) == (key in self.dict)

    @invariant()
    def changes_rebuild_it(self) -> None:
        changes = pickle.loads(pickle.dumps(self.overlay.changes()))
        other: floe.Overlay[str, Any] = floe.Overlay(frozen(self.base))
        other.merge(changes)
        assert other == self.dict


TestAgainstDict = AgainstDict.TestCase


def test_the_base_stays() -> None:
    base = frozen({"a": [1], "b": 2})
    overlay: floe.Overlay[str, Any] = floe.Overlay(base)
    overlay["a"] = [9]
    del overlay["b"]
    assert base == {"a": [1], "b": 2}
    assert overlay.base is base


def test_missing_values_are_made_where_they_are_read() -> None:
    overlay: floe.Overlay[str, Any] = floe.Overlay(frozen({"a": [1]}), missing=list)
    overlay["b"].append(2)
    assert overlay == {"a": [1], "b": [2]}
    assert overlay.get("c") is None
    assert "c" not in overlay
    with pytest.raises(KeyError):
        overlay.pop("c")
    assert overlay.changes().set == {"b": [2]}
    with pytest.raises(KeyError):
        floe.Overlay({})["x"]


def test_copies_that_are_changed_in_place_are_changes() -> None:
    overlay: floe.Overlay[str, Any] = floe.Overlay(
        frozen({"a": [2, 1], "b": {"c": {1}}, "d": [5]}), thaw=True
    )
    assert overlay["a"] is overlay["a"]
    overlay["a"].sort()
    assert overlay["d"] == [5]
    overlay["b"]["c"].add(2)
    assert overlay == {"a": [1, 2], "b": {"c": {1, 2}}, "d": [5]}
    changes = overlay.changes()
    assert changes.set == {"a": [1, 2], "b": {"c": {1, 2}}}
    assert not changes.removed
    assert list(overlay) == ["a", "b", "d"]


def test_changes_are_small() -> None:
    base = floe.freeze({str(number): [number] * 5 for number in range(5000)}, "base")
    overlay: floe.Overlay[str, Any] = floe.Overlay(base)
    overlay["7"] = base.value["8"]
    del overlay["9"]
    pickled = pickle.dumps(overlay.changes())
    assert len(pickled) < 300
    changes = pickle.loads(pickled)
    assert changes == overlay.changes()
    assert (changes.name, changes.set, changes.removed) == ("base", {"7": [8] * 5}, {"9"})
    assert len(changes) == 2
    assert repr(changes) == "<Changes over 'base': 1 set, 1 removed>"


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, VALUES))
def test_rules(one: dict[str, Any], other: dict[str, Any]) -> None:
    # What the base has is no change.
    one, other = ({k: v for k, v in it.items() if (k, v) != ("a", 0)} for it in (one, other))

    def merged(rule: Any) -> dict[str, Any]:
        first: floe.Overlay[str, Any] = floe.Overlay(frozen({"a": 0}))
        first.update(one)
        second: floe.Overlay[str, Any] = floe.Overlay(frozen({"a": 0}))
        second.update(other)
        first.merge(second.changes(), rule)
        return first.copy()

    base = {"a": 0}
    assert merged("first") == base | other | one
    assert merged("last") == base | one | other
    both = {key: [one[key], other[key]] for key in one.keys() & other.keys()}
    joined = merged(lambda _, earlier, later: [earlier, later])
    assert joined == base | one | other | both
    if any(one[key] != other[key] for key in both):
        with pytest.raises(floe.MergeConflict):
            merged("equal")
    else:
        assert merged("equal") == base | one | other


def test_changes_over_another_base_are_refused() -> None:
    changes = floe.Overlay(floe.freeze({}, "one")).changes()
    with pytest.raises(ValueError, match="do not fit an overlay over 'two'"):
        floe.Overlay(floe.freeze({}, "two")).merge(changes)
    with pytest.raises(ValueError, match="rule must be"):
        overlay: floe.Overlay[str, int] = floe.Overlay({}, missing=int)
        overlay["a"] = 1
        overlay.merge(overlay.changes(), "other")


def test_wrong_bases_are_refused() -> None:
    with pytest.raises(TypeError, match="over a mapping, not over FrozenList"):
        floe.Overlay(floe.freeze([1], "list"))
    with pytest.raises(TypeError, match="missing must be callable"):
        floe.Overlay({}, missing=1)  # type: ignore[arg-type]


def test_pickling_gives_a_dict() -> None:
    overlay: floe.Overlay[str, Any] = floe.Overlay(frozen({"a": [1]}))
    overlay["b"] = 2
    assert pickle.loads(pickle.dumps(overlay)) == {"a": [1], "b": 2}
    assert type(copy.deepcopy(overlay)) is dict
    assert overlay | {"c": 3} == {"a": [1], "b": 2, "c": 3}
    assert {"c": 3} | overlay == {"c": 3, "a": [1], "b": 2}


def test_an_overlay_over_a_live_moves_on() -> None:
    publisher = floe.Publisher(floe.freeze({"a": [1], "b": 2, "c": 3}, "base"))
    live = publisher.live()
    overlay: floe.Overlay[str, Any] = floe.Overlay(live, thaw=True)
    assert overlay["a"] == [1]  # a copy, not changed
    overlay["b"] = 20
    overlay["d"] = 4
    overlay["e"] = 5
    del overlay["c"]
    assert not overlay.advance()
    publisher.publish({"a": [1, 2], "b": 2, "d": 4})
    assert overlay == {"a": [1], "b": 20, "d": 4, "e": 5}
    assert overlay.advance()
    assert overlay == {"a": [1, 2], "b": 20, "d": 4, "e": 5}
    assert len(overlay) == 4
    changes = overlay.changes()
    assert (changes.name, changes.set, changes.removed) == ("base", {"b": 20, "e": 5}, set())
    overlay["a"].append(3)
    publisher.publish({"a": [0], "b": 20, "e": 5})
    assert overlay.advance()
    assert overlay.changes().set == {"a": [1, 2, 3]}
    assert overlay == {"a": [1, 2, 3], "b": 20, "e": 5}
    with pytest.raises(TypeError, match="not over FrozenList"):
        publisher.publish([1])
        overlay.advance()
    assert overlay == {"a": [1, 2, 3], "b": 20, "e": 5}


def test_missing_values_are_looked_for_in_the_next_generation() -> None:
    publisher = floe.Publisher(floe.freeze({"a": 1}, "base"))
    overlay: floe.Overlay[str, int] = floe.Overlay(publisher.live(), missing=int)
    publisher.publish({"a": 1, "b": 2, "c": 3})
    assert overlay["b"] == 2
    assert overlay.setdefault("c", 9) == 3
    assert overlay["d"] == 0
    assert overlay.changes().set == {"d": 0}


def test_what_the_base_has_is_no_change() -> None:
    overlay: floe.Overlay[str, Any] = floe.Overlay(frozen({"a": [1], "b": 1}))
    overlay["a"] = [1]
    overlay["b"] = 1
    assert not overlay.changes().set
    overlay["b"] = True
    assert overlay.changes().set == {"b": True}
