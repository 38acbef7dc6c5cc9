"""What Rust programs froze as types of their own."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import subprocess
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import floe
import pytest

GOLDEN = Path(__file__).parents[3] / "tests" / "golden"
#: What `floe dump` prints of these.
FORMS = Path(__file__).parent / "golden"


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


def same(value: Any, form: Any, path: str = "value") -> None:
    """Compare what Python reads with the JSON that the tool prints."""
    if isinstance(value, floe.Record):
        value = dict(
            zip(value._fields, (getattr(value, name) for name in value._fields), strict=True)
        )
    if isinstance(value, (set, frozenset)):
        # Python's own sets are ordered by hashes of texts, which differ from run to run.
        value, form = sorted(value, key=json.dumps), sorted(form, key=json.dumps)
    if isinstance(value, Mapping):
        assert isinstance(form, dict), path
        assert len(value) == len(form), path
        for (key, item), (told, part) in zip(value.items(), form.items(), strict=True):
            same_key(key, told, path)
            same(item, part, f"{path}[{told!r}]")
    elif isinstance(value, (Set, bytes)) or (
        isinstance(value, Sequence) and not isinstance(value, str)
    ):
        assert isinstance(form, list), path
        assert len(value) == len(form), path
        for number, (item, part) in enumerate(zip(value, form, strict=True)):
            same(item, part, f"{path}[{number}]")
    elif isinstance(value, str):
        # JSON has no lone surrogates.
        assert re.sub("[\ud800-\udfff]", "\ufffd", value) == form, path
    elif isinstance(value, int) and isinstance(form, str):
        # JSON's numbers end somewhere.
        assert abs(value) >= 1 << 64, path
        assert value == int(form), path
    elif isinstance(value, float) and not math.isfinite(value):
        assert form is None, path
    else:
        assert (type(value), value) == (type(form), form), path
        if isinstance(value, float):
            assert math.copysign(1, value) == math.copysign(1, form), path


def same_key(key: Any, told: str, path: str) -> None:
    """Compare a key: other than texts are JSON in a text."""
    if isinstance(key, str):
        assert key == told, path
    else:
        same(key, json.loads(told), f"{path} key")


@pytest.mark.parametrize("name", sorted(path.stem for path in FORMS.glob("*.json")))
def test_what_python_reads_is_what_the_tool_prints(name: str) -> None:
    region = GOLDEN / f"{name}.floe"
    text = (FORMS / f"{name}.json").read_text()
    # With FLOE_TOOL, the forms are those of a tool that was just built.
    if tool := os.environ.get("FLOE_TOOL"):
        text = subprocess.run(
            [tool, "dump", region], capture_output=True, check=True
        ).stdout.decode()
    value, form = floe.load(region).value, json.loads(text)
    same(value, form)
    same(floe.thaw(value), form)


KEYS = floe.load(GOLDEN / "keys-2.floe").value


@pytest.mark.parametrize("name", KEYS._fields)
def test_every_key_finds_its_entry(name: str) -> None:
    entries = getattr(KEYS, name)
    assert len(entries) == len(entries.items()) > 1
    for key, value in entries.items():
        assert key in entries
        assert entries[key] == value
        assert entries.get(key) == value
    assert dict(entries.items()) == entries.thaw() == entries


def test_records_and_tuples_find_structs() -> None:
    packages = floe.load(GOLDEN / "map-2.floe").value
    key = next(key for key in packages if key.number == 3)
    assert key == floe.load(GOLDEN / "map-2.floe").value.keys()[list(packages).index(key)]
    name = "a package with the number 3"
    assert packages[key].name == name
    assert packages["x86_64 with a long suffix", 3].name == name
    assert packages.get(("x86_64 with a long suffix", 4)) is None
    for absent in [("aarch64",), ("aarch64", 1, 2), (3, "aarch64"), "aarch64", 3, None, ()]:
        assert absent not in packages
        with pytest.raises(KeyError) as raised:
            packages[absent]
        assert raised.value.args == (absent,)
    # A record of another struct with the same fields, as records are equal by their fields.
    other = pickle.loads(pickle.dumps(key))
    assert packages[other].name == name
    first, second = (("aarch64", 0), ("x86_64 with a long suffix", 1))
    assert KEYS.nested[first,] == 1
    assert KEYS.nested[first, second] == 2
    assert KEYS.tuples[1, second, "ß"] == 1
    assert (1, second, "s") not in KEYS.tuples
    assert KEYS.steps["All"] == 0
    assert KEYS.steps[frozenset([("Named", "compile")])] == 1


def test_keys_are_of_the_kind_that_the_map_has() -> None:
    assert KEYS.texts["17"] == 0
    assert 17 not in KEYS.texts
    assert True not in KEYS.texts
    assert None not in KEYS.texts
    assert "17" not in KEYS.options
    assert KEYS.options[None] == 0
    assert 0 not in KEYS.flags
    assert KEYS.bytes[b"\0\xff"] == KEYS.bytes[0, 255] == 1
    assert 1 << 101 not in KEYS.wide
    assert "\ud800" not in KEYS.texts
    assert 0.5 not in KEYS.wide
    deep: Any = ()
    for _ in range(1000):
        deep = (deep,)
    assert deep not in KEYS.nested
    with pytest.raises(TypeError, match="unhashable"):
        KEYS.tuples[1, ["aarch64", 0], "ß"]
