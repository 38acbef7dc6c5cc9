"""What overlays over maps have changed, on its way to the owner of the cache."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import floe
import pytest


def built(entries: dict[str, Any], name: str = "base") -> floe.Frozen:
    """Make a map."""
    builder = floe.Builder(name)
    for key, value in entries.items():
        builder.insert(key, value)
    return builder.finish()


BASE = {"a": [1], "b": {"c": 2}, "d": 3}


def changed(base: floe.Frozen, values: dict[str, Any], *removed: str) -> floe.Delta:
    """Make a delta."""
    overlay: floe.Overlay[str, Any] = floe.Overlay(base)
    overlay.update(values)
    for key in removed:
        del overlay[key]
    return overlay.delta()


def test_a_delta_has_what_was_changed(tmp_path: Path) -> None:
    base = built(BASE)
    overlay: floe.Overlay[str, Any] = floe.Overlay(base, thaw=True)
    overlay["a"].append(2)
    assert overlay["b"] == {"c": 2}
    overlay["e"] = (5, "\ud800", 2**80)
    del overlay["d"]
    delta = overlay.delta()
    assert delta.set == {"a": [1, 2], "e": (5, "\ud800", 2**80)}
    assert type(delta.set["a"]) is list
    assert (delta.removed, len(delta), delta.name, delta.generation) == ({"d"}, 3, "base", 1)
    assert repr(delta) == '<Delta over "base", generation 1: 2 set, 1 removed>'
    delta.save(tmp_path / "delta.floe")
    ways = [
        floe.Delta.load(tmp_path / "delta.floe"),
        floe.Delta.from_fds(delta.fds),
        pickle.loads(pickle.dumps(delta)),
    ]
    for came in ways:
        assert (came.set, came.removed) == (delta.set, delta.removed)
    assert len(pickle.dumps(delta)) < 20_000
    assert overlay.changes().set == delta.set


def test_deltas_are_merged_by_rules() -> None:
    base = built(BASE)
    deltas = [changed(base, {"a": [2], "e": 1}), changed(base, {"a": [3], "e": 1}, "d")]
    first, report = floe.merge(base, deltas)
    assert first.value == {**BASE, "e": 1}
    assert (first.name, first.generation, report.generation) == ("base", 2, 2)
    assert report.changed
    assert [(it.added, it.equal, it.kept) for it in report.deltas] == [(1, 0, 1), (0, 1, 2)]
    assert repr(report).startswith("base: generation 2, 4 entries, merged in ")
    assert "\n  delta 1: 1 there already, 2 kept as it was" in repr(report)
    last, _ = floe.merge(base, deltas, "last")
    assert last.value == {"a": [3], "b": {"c": 2}, "e": 1}
    seen = []

    def joined(key: str, earlier: Any, later: Any) -> Any:
        seen.append((key, type(earlier)))
        return earlier + later

    both, _ = floe.merge(base, deltas, joined)
    assert both.value == {**BASE, "a": [1, 2, 3], "e": 1}
    # A list that was made is one of the frozen ones the next time.
    assert seen == [("a", floe.FrozenList)] * 2
    kept, report = floe.merge(base, deltas, lambda _, earlier, later: earlier)
    assert kept.value == {**BASE, "e": 1}
    assert report.deltas[0].kept == 1
    same, report = floe.merge(base, [])
    assert (same.generation, report.changed) == (1, False)


def test_a_rule_that_raises_refuses_the_delta() -> None:
    base = built(BASE)
    deltas = [changed(base, {"a": [2], "e": 1}), changed(base, {"f": 1})]

    def fails(key: str, *_: object) -> Any:
        raise LookupError(key)

    after, report = floe.merge(base, deltas, fails)
    assert after.value == {**BASE, "f": 1}
    assert report.has_refusals
    assert "LookupError" in str(report.deltas[0].refused)
    assert isinstance(report.exception, LookupError)
    after, report = floe.merge(base, deltas, "equal")
    assert after.value == {**BASE, "f": 1}
    assert isinstance(report.exception, floe.MergeConflict)
    assert report.exception.key == "a"
    assert str(report.exception) == "'a': [1] there, [2] here; a rule says which one stays"
    _, report = floe.merge(base, deltas, lambda *_: object())
    assert isinstance(report.exception, TypeError)
    after, report = floe.merge(base, [changed(built({}, "other"), {"a": 1})])
    assert "other" in str(report.deltas[0].refused)


def test_values_of_other_kinds_take_the_place_of_equal_ones() -> None:
    base = built({"a": 1})
    after, _ = floe.merge(base, [changed(base, {"a": 2})], lambda *_: True)
    assert after.value["a"] is True


def test_wrong_uses_are_told() -> None:
    base = built(BASE)
    with pytest.raises(floe.InvalidError, match="not over FrozenDict; send changes"):
        floe.Overlay(floe.freeze({}, "dict")).delta()
    with pytest.raises(floe.InvalidError, match="into maps that a builder"):
        floe.merge(floe.freeze({}, "dict"), [])
    with pytest.raises(floe.InvalidError, match="over a Live"):
        floe.Overlay(base).contribute()
    with pytest.raises(ValueError, match="Store.merge finds out"):
        floe.merge(base, [], "newest")
    with pytest.raises(ValueError, match="Store.merge compares"):
        overlay: floe.Overlay[str, Any] = floe.Overlay(base)
        overlay["a"] = 1
        overlay.merge(overlay.changes(), "newest")
    with pytest.raises(ValueError, match='rule must be "first"'):
        floe.merge(base, [], "other")
    with pytest.raises(ValueError, match="rule must be"):
        floe.merge(base, [], 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="keys of a map are texts, and 1"):
        changed(base, {1: 1})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="value: object cannot be frozen"):
        changed(base, {"a": object()})
    with pytest.raises(ValueError, match="nested deeper"):
        endless: list[Any] = []
        endless.append(endless)
        changed(base, {"a": endless})
    with pytest.raises(floe.InvalidError):
        floe.Delta._read(b"nothing")
    with pytest.raises(TypeError, match="can be passed, not Delta"):
        floe.passing(changed(base, {}))  # type: ignore[arg-type]
    with pytest.raises(floe.OtherTypeError):
        floe.Delta.from_fds(base.fds)


def write(path: Path, text: str, age: float) -> None:
    """Write a file that was last changed so long ago."""
    path.write_text(text)
    changed = path.stat().st_mtime - age
    os.utime(path, (changed, changed))


def read(base: floe.Frozen, key: str, path: Path) -> floe.Delta:
    """Make a delta with one value, which was read from a file."""
    overlay: floe.Overlay[str, Any] = floe.Overlay(base)
    assert overlay.get_or_build(key, lambda inputs: inputs.read_text(path)) == path.read_text()
    assert overlay.get_or_build(key, lambda _: pytest.fail("it is there")) == path.read_text()
    return overlay.delta()


def test_a_store_grows_by_merges_and_knows_the_newest(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, "old", 200)
    write(new, "new", 100)
    store = floe.Store(tmp_path / "store")
    cache = store.merged("texts", floe.Policy(inputs=True))
    store.refresh().raise_failures()
    assert cache.value == {}
    base = cache.get()
    report = store.merge("texts", [read(base, "a", new), read(base, "b", old)])
    assert (report.generation, report.saved, report.entries) == (2, True, 2)
    base = cache.get()
    older, plain = read(built({}, "texts"), "a", old), changed(base, {"a": "plain"})
    assert store.merge("texts", [older, plain], "newest").deltas[0].kept == 1
    assert cache.value == {"a": "new", "b": "old"}
    write(new, "newest", 50)
    newest = read(built({}, "texts"), "b", new)
    assert store.merge("texts", [newest], "newest").deltas[0].replaced == 1
    assert cache.value == {"a": "new", "b": "newest"}
    # What "a" was read from has changed since.
    assert store.refresh()["texts"].dropped == 1
    assert cache.value == {"b": "newest"}
    with pytest.raises(floe.InvalidError, match="built by closures"):
        store.cache("built", lambda _: 1)
        store.keyed("entries", lambda _: [], lambda *_: 1)
        store.merge("entries", [])


def test_inputs_go_when_their_value_does(tmp_path: Path) -> None:
    write(tmp_path / "file", "text", 100)
    base = built({}, "texts")
    overlay: floe.Overlay[str, Any] = floe.Overlay(base)
    for key in "abcd":
        overlay.get_or_build(key, lambda inputs: inputs.read_text(tmp_path / "file"))
    overlay["a"] = "other"
    del overlay["b"]
    overlay["b"] = "other"
    store = floe.Store()
    cache = store.merged("texts", floe.Policy(inputs=True))
    store.refresh()
    store.merge("texts", [overlay.delta()])
    write(tmp_path / "file", "changed", 50)
    store.refresh()
    assert cache.value == {"a": "other", "b": "other"}
    overlay.clear()
    # The deltas before have told of them.
    assert overlay.delta().removed == set("abcd")


def test_inputs_go_when_the_base_has_their_value(tmp_path: Path) -> None:
    write(tmp_path / "file", "text", 100)
    store = floe.Store()
    cache = store.merged("texts", floe.Policy(inputs=True))
    store.refresh()
    overlay: floe.Overlay[str, Any] = floe.Overlay(store.live("texts"), thaw=True)
    overlay.get_or_build("a", lambda inputs: [inputs.read_text(tmp_path / "file")])
    store.merge("texts", [overlay.delta()])
    assert overlay.advance()
    overlay["a"].append("more")
    store.merge("texts", [overlay.delta()], "last")
    write(tmp_path / "file", "changed", 50)
    store.refresh()
    assert cache.value == {"a": ["text", "more"]}


def test_what_has_changed_by_the_merge_is_outdated(tmp_path: Path) -> None:
    write(tmp_path / "file", "text", 100)
    store = floe.Store()
    cache = store.merged("texts", floe.Policy(inputs=True))
    store.accept("texts")
    store.refresh()
    overlay: floe.Overlay[str, Any] = floe.Overlay(store.live("texts"))
    overlay.get_or_build("a", lambda inputs: inputs.read_text(tmp_path / "file"))
    sent = overlay.contribute()
    write(tmp_path / "file", "changed", 50)
    (report,) = store.fold()
    assert (report.deltas[0].added, report.deltas[0].outdated) == (0, 1)
    assert "outdated=1" in repr(report.deltas[0])
    outcome = sent.wait(60)
    assert outcome is not None
    assert (outcome.taken, outcome.outdated, outcome.refused) == (0, 1, None)
    assert "outdated=1" in repr(outcome)
    assert cache.value == {}


def shared(entries: dict[str, Any]) -> tuple[floe.Store, floe.Cache, floe.Overlay[str, Any]]:
    """Make a cache with these entries that takes the last word, and an overlay that follows it."""
    store = floe.Store()
    cache = store.merged("texts")
    store.accept("texts", "last")
    store.refresh()
    store.merge("texts", [changed(cache.get(), entries)])
    return store, cache, floe.Overlay(store.live("texts"), thaw=True)


def test_the_last_word_of_deltas_counts() -> None:
    store, cache, overlay = shared({"a": 1, "b": [1]})
    overlay.update({"a": 2, "c": None, "d": 4})
    overlay["b"].append(2)
    deltas = [overlay.delta()]
    # All of this is what the base has.
    overlay["a"] = 1
    overlay["b"].pop()
    del overlay["c"]
    assert not overlay.changes().removed
    assert overlay.changes().set == {"d": 4}
    deltas.append(overlay.delta())
    assert (deltas[1].set, deltas[1].removed) == ({"a": 1, "b": [1], "d": 4}, {"c"})
    # It is told until a generation has it: the delta before may be lost.
    deltas.append(overlay.delta())
    assert (deltas[2].set, deltas[2].removed) == (deltas[1].set, deltas[1].removed)
    store.merge("texts", deltas, "last")
    assert cache.value == {"a": 1, "b": [1], "d": 4}
    assert overlay.advance()
    assert len(overlay.delta()) == 0


def test_the_last_word_of_contributions_counts() -> None:
    store, cache, overlay = shared({"a": 1})
    other: floe.Overlay[str, Any] = floe.Overlay(store.live("texts"))
    overlay["a"] = 2
    overlay["k"] = "v"
    overlay.contribute()
    overlay["a"] = 1
    del overlay["k"]
    other["z"] = 0
    store.merge("texts", [other.delta()])
    # This generation says the same, and the contribution is yet to come.
    assert overlay.advance()
    assert overlay == {"a": 1, "z": 0}
    store.fold()
    assert cache.value == {"a": 2, "k": "v", "z": 0}
    assert overlay.advance()
    assert overlay == {"a": 1, "z": 0}
    assert len(overlay) == 2
    overlay.contribute()
    store.fold()
    assert cache.value == {"a": 1, "z": 0}
    assert overlay.advance()
    assert (overlay, len(overlay.delta())) == ({"a": 1, "z": 0}, 0)


def test_what_was_not_sent_is_not_told() -> None:
    store, cache, overlay = shared({"a": 1})
    live, other = store.live("texts"), floe.Overlay(store.live("texts"))
    overlay["a"] = 2
    live.contribute(overlay)
    overlay["a"] = 1
    with pytest.raises(floe.InvalidError, match="one value"):
        floe.Publisher(floe.freeze(1, "one")).live().contribute(overlay)
    other["z"] = 0
    store.merge("texts", [other.delta()])
    assert overlay.advance()
    live.contribute(overlay)
    store.fold()
    assert cache.value == {"a": 1, "z": 0}


def test_merges_that_were_not_saved_are_joined_by_their_function(tmp_path: Path) -> None:
    def owner() -> tuple[floe.Store, floe.Cache]:
        store = floe.Store(tmp_path / "store", lock_timeout=0.001)
        cache = store.merged("texts")
        store.refresh().raise_failures()
        return store, cache

    def longest(_: str, earlier: str, later: str) -> str:
        return max(earlier, later, key=len)

    (one, mine), (other, theirs) = owner(), owner()
    assert one.merge("texts", [changed(mine.get(), {"a": "1"})], longest).saved
    other.refresh().raise_failures()
    with (tmp_path / "store" / "texts.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        apart = one.merge("texts", [changed(mine.get(), {"a": "22"})], longest)
        assert not apart.saved
    # A merge that fails takes nothing from it.
    with pytest.raises(floe.UnknownNameError):
        one.merge("unknown", [], "last")
    assert other.merge("texts", [changed(theirs.get(), {"a": "333", "y": "x"})], longest).saved
    one.refresh().raise_failures()
    assert mine.value == {"a": "333", "y": "x"}
    assert one.merge("texts", [changed(mine.get(), {"z": "1"})], "last").saved
    assert mine.value == {"a": "333", "y": "x", "z": "1"}
    assert owner()[1].value == mine.value


def grow(live: floe.Live | floe.Frozen, number: int) -> floe.Delta:
    """Find something out, in a worker."""
    overlay: floe.Overlay[str, Any] = floe.Overlay(live)
    overlay[f"key {number}"] = [number]
    return overlay.delta()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_return_deltas(method: str) -> None:
    base = built(BASE)
    with multiprocessing.get_context(method).Pool(2) as pool:
        deltas = pool.starmap(grow, [(base, number) for number in range(6)])
    after, _ = floe.merge(base, deltas)
    assert after.value == {**BASE, **{f"key {number}": [number] for number in range(6)}}


PROGRAM = """
import pickle, sys, floe
overlay = floe.Overlay(floe.Frozen.inherited("base"))
overlay["x"] = overlay["a"] + [9]
del overlay["d"]
sys.stdout.buffer.write(pickle.dumps(overlay.delta()))
"""


def test_programs_return_deltas() -> None:
    base = built(BASE)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, check=True, **floe.passing(base)
    )
    delta = pickle.loads(ran.stdout)
    assert (delta.set, delta.removed) == ({"x": [1, 9]}, {"d"})
    after, _ = floe.merge(base, [delta], "last")
    assert after.value == {"a": [1], "b": {"c": 2}, "x": [1, 9]}


CONTRIBUTOR = """
import sys, floe
live = floe.Live.inherited("texts")
overlay = floe.Overlay(live)
overlay["program"] = [1]
outcome = overlay.contribute().wait(60)
assert (outcome.taken, outcome.refused) == (1, None), outcome
assert overlay.advance() and not overlay.changes()
print(outcome.generation)
"""


def test_workers_contribute_while_they_run() -> None:
    store = floe.Store()
    cache = store.merged("texts")
    store.accept("texts", lambda _, earlier, later: earlier + later)
    store.refresh()
    live = store.live("texts")
    overlay: floe.Overlay[str, Any] = floe.Overlay(live)
    overlay["a"] = [1]
    first = overlay.contribute()
    assert first.outcome is None
    assert first.wait(0) is None
    assert isinstance(first.fileno(), int)
    assert repr(first) == '<Contribution to "texts">'
    (report,) = store.fold()
    assert report.deltas[0].added == 1
    assert first.outcome == floe.Outcome(generation=2, taken=1)
    other: floe.Overlay[str, Any] = floe.Overlay(built({}, "texts"))
    other["a"] = [2]
    sent = live.contribute(other.delta())
    report = store.refresh()
    assert report.merges[0].deltas[0].replaced == 1
    assert "delta 0: 1 replaced" in repr(report)
    assert sent.wait(60) == sent.outcome
    assert cache.value == {"a": [1, 2]}
    assert overlay.advance()
    assert overlay == {"a": [1]}
    # A rule that raises refuses it.
    other["a"] = {}
    sent = live.contribute(other)
    (report,) = store.fold()
    assert isinstance(report.exception, TypeError)
    outcome = sent.wait(60)
    assert outcome is not None
    assert "TypeError" in str(outcome.refused)
    store.stop_accepting("texts")
    with pytest.raises(floe.InvalidError, match="contribut"):
        store.live("texts").contribute(other)
    with pytest.raises(floe.InvalidError, match="one value"):
        floe.Publisher(floe.freeze(1, "one")).live().contribute(other)


def test_programs_contribute_to_a_thread() -> None:
    store = floe.Store()
    cache = store.merged("texts")
    store.refresh()
    publisher = store.publisher("texts")
    assert "FLOE_ACCEPT" in floe.passing(publisher)["env"]
    # It is said anew to whom the cache is passed from now on.
    store.accept("texts")
    with store.refresh_in_background(3600):
        ran = subprocess.run(
            [sys.executable, "-c", CONTRIBUTOR],
            stdout=subprocess.PIPE,
            check=True,
            **floe.passing(publisher),
        )
    assert ran.stdout == b"2\n"
    assert cache.value == {"program": [1]}
