"""Caches that functions of Python build."""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Any

import floe
import pytest


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with two recipes."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "zlib.bb").write_text("1.3.1")
    (folder / "curl.bb").write_text("8.12")
    return folder


def recipes(store: floe.Store, folder: Path) -> floe.Cache:
    """Add a cache of what is in the files."""

    def parse(path: str, inputs: floe.Inputs) -> Any:
        text = inputs.read_text(path)
        if text == "bad":
            raise LookupError(path)
        return {"version": text, "stat": inputs.stat(path) is not None}

    return store.keyed(
        "recipes",
        lambda inputs: inputs.glob(f"{folder}/*.bb"),
        parse,
        floe.Policy(inputs=True, settle=0),
    )


def test_only_what_changed_is_built_again(sources: Path, tmp_path: Path) -> None:
    store = floe.Store(tmp_path / "store")
    cache = recipes(store, sources)
    with pytest.raises(floe.InvalidError, match="never been built"):
        cache.get()
    report = store.refresh()
    assert report["recipes"].rebuilt == 2
    assert cache.value[f"{sources}/zlib.bb"]["version"] == "1.3.1"
    old = cache.value
    (sources / "zlib.bb").write_text("1.3.2")
    report = store.refresh()
    assert (report["recipes"].rebuilt, report["recipes"].carried) == (1, 1)
    assert report["recipes"].why is not None
    assert "zlib.bb: " in repr(report)
    assert cache.value[f"{sources}/zlib.bb"]["version"] == "1.3.2"
    assert old[f"{sources}/zlib.bb"]["version"] == "1.3.1"
    assert store.refresh()["recipes"].outcome == "fresh"

    again = floe.Store(tmp_path / "store")
    loaded = recipes(again, sources)
    assert again.refresh()["recipes"].rebuilt == 0
    assert loaded.value == cache.value
    assert loaded.get().generation == 2


def test_what_a_function_raises_is_kept_with_its_traceback(sources: Path) -> None:
    store = floe.Store()
    cache = recipes(store, sources)
    store.refresh().raise_failures()
    (sources / "zlib.bb").write_text("bad")
    report = store.refresh()
    assert report.has_failures
    failed = report["recipes"]
    assert failed.outcome == "failed"
    assert isinstance(failed.exception, LookupError)
    told = "".join(traceback.format_exception(failed.exception))
    assert "raise LookupError(path)" in told
    assert failed.error is not None
    assert "LookupError" in failed.error
    with pytest.raises(LookupError):
        report.raise_failures()
    assert cache.value[f"{sources}/zlib.bb"]["version"] == "1.3.1"
    (status,) = store.status()
    assert status.failures == 1
    assert status.age is not None


def test_whole_values_depend_on_other_caches(sources: Path) -> None:
    store = floe.Store()
    cache = recipes(store, sources)
    names = store.cache(
        "names",
        lambda inputs: sorted(Path(path).stem for path in inputs.cache(cache).value),
        floe.Policy(inputs=True),
    )
    store.refresh()
    assert names.value == ["curl", "zlib"]
    (sources / "acl.bb").write_text("2")
    store.refresh()
    assert names.value == ["acl", "curl", "zlib"]


def test_absent_files_listings_and_values_are_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOE_TEST", "one")
    store = floe.Store()
    lent: list[floe.Inputs] = []

    def build(inputs: floe.Inputs) -> Any:
        lent.append(inputs)
        inputs.value("mode", "fast")
        return {
            "absent": inputs.read(tmp_path / "absent"),
            "exists": inputs.exists(tmp_path),
            "names": inputs.listdir(tmp_path),
            "env": inputs.env("FLOE_TEST"),
            "none": inputs.env("FLOE_NOT_SET"),
        }

    cache = store.cache("config", build, floe.Policy(inputs=True, settle=0))
    store.set_value("mode", "fast")
    store.refresh().raise_failures()
    assert cache.value == {
        "absent": None,
        "exists": True,
        "names": [],
        "env": "one",
        "none": None,
    }
    assert store.refresh()["config"].outcome == "fresh"
    (tmp_path / "absent").write_bytes(b"here")
    assert store.refresh()["config"].outcome == "published"
    assert cache.value["absent"] == b"here"
    store.invalidate("config")
    assert store.refresh()["config"].outcome == "unchanged"
    with pytest.raises(ValueError, match="build that has ended"):
        lent[0].read("x")


def test_what_cannot_be_frozen_fails_the_build() -> None:
    store = floe.Store()
    store.cache("bad", lambda _: {"a": [object()]})
    report = store.refresh()
    assert isinstance(report["bad"].exception, TypeError)
    assert "value['a'][0]: object" in str(report["bad"].exception)


def test_wrong_uses_are_told() -> None:
    store = floe.Store()
    with pytest.raises(TypeError, match="must be a function"):
        store.cache("x", 1)  # type: ignore[arg-type]
    store.cache("x", lambda _: 1)
    with pytest.raises(ValueError, match="already has a cache"):
        store.cache("x", lambda _: 1)
    with pytest.raises(ValueError, match="seconds from 0 on"):
        floe.Policy(refresh_after=-1)
    with pytest.raises(ValueError, match="contradicts itself"):
        store.cache("y", lambda _: 1, floe.Policy(refresh_after=5, expire_after=1))
    with pytest.raises(KeyError, match="no cache"):
        store.invalidate("absent")


def test_a_thread_keeps_it_fresh(sources: Path) -> None:
    store = floe.Store()
    cache = recipes(store, sources)
    store.refresh()
    live, reports = store.live("recipes"), []
    with store.refresh_in_background(0.01, reports.append):
        (sources / "zlib.bb").write_text("1.3.2")
        assert live.wait_newer(30)
    assert live.value[f"{sources}/zlib.bb"]["version"] == "1.3.2"
    assert cache.value == live.value
    assert any(report["recipes"].outcome == "published" for report in reports)


def test_expired_values_are_not_served() -> None:
    publisher = floe.Publisher(floe.freeze([1], "short"), expire_after=0.001)
    live = publisher.live()
    deadline = time.monotonic() + 10
    while not live.is_expired and time.monotonic() < deadline:
        pass
    with pytest.raises(floe.InvalidError, match="has expired"):
        _ = live.value
    assert live.stale_value == [1]
