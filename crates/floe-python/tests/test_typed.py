"""What Rust programs froze as types of their own."""

from __future__ import annotations

import pickle
from pathlib import Path

import floe
import pytest

GOLDEN = Path(__file__).parents[3] / "tests" / "golden"


def test_structs_are_records() -> None:
    first, second, *_ = floe.load(GOLDEN / "value-2.floe").value
    assert first.name == "a package with the number 0"
    assert first.epoch is None
    assert first.depends == ["glibc", "a dependency with a long name"]
    assert second.origin == {"Mirror": ("https://mirror.example.org", "ß")}
    assert second.flags == {"flag 0": True}
    assert isinstance(first, floe.Record)
    assert "Package(name='a package with the number 0', epoch=None" in repr(first)
    assert first != second
    with pytest.raises(AttributeError, match="no field 'other'; fields: name, epoch"):
        first.other
    with pytest.raises(AttributeError, match="frozen"):
        first.name = "x"
    assert floe.thaw(first)["license"] == first.license
    assert pickle.loads(pickle.dumps(first)) == first
    match second:
        case floe.Record(name=name, weight=weight):
            assert (name, weight) == ("a package with the number 1", -0.75)
        case _:
            pytest.fail("the pattern fits")


def test_maps_are_mappings() -> None:
    slots = floe.load(GOLDEN / "slots-2.floe").value
    assert isinstance(slots, floe.TypedMap)
    assert len(slots) == 300
    assert slots[227000] == [0, 0, 227]
    assert 227000 in slots
    assert 1 not in slots
    assert slots.get(1, "absent") == "absent"
    with pytest.raises(KeyError):
        slots[1]
    with pytest.raises(TypeError, match="unhashable"):
        slots[[]]
    assert list(slots)[:2] == [0, 227000]
    assert dict(slots.items()) == slots.thaw() == slots
    assert repr(slots) == '<TypedMap "golden slots": 300 entries>'
    assert pickle.loads(pickle.dumps(slots)) == slots.thaw()


def test_roots_are_fields() -> None:
    handle = floe.load(GOLDEN / "roots-2.floe")
    assert handle.name == "golden roots"
    assert handle.value.value[0].name == "a package with the number 0"
    with pytest.raises(ValueError, match="no descriptor"):
        handle.fileno()


def test_an_older_format_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="format version 1, this build reads 2"):
        floe.load(GOLDEN / "map-1.floe")
