"""Seam A over whole caches: every field, every index. The dumps of a real BitBake, whose folder
FLOE_BITBAKE_CACHES names, or small ones of the same shape."""

import inspect
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import dumps
import pytest
from bb.cache import Cache, CacheData, CoreRecipeInfo
from bb.cooker import CookerParser
from floebb import indexes, state, store, warm

FOLDER = os.environ.get("FLOE_BITBAKE_CACHES")


class Saved:
    """BitBake's file of a dump, and the regions beside it."""

    def __init__(self, folder: Path) -> None:
        """Writes them."""
        self.folder = folder
        self.infos = dumps.read(Path(FOLDER) if FOLDER else None)
        self.names = {name for name in self.infos if not name.startswith("virtual:")}
        self.appends = {name: self.infos[name].appends for name in self.names}
        self.disk = dumps.Disk(self.infos)
        cache = dumps.cache(folder)
        cache.depends_cache = infos = {name: [info] for name, info in self.infos.items()}
        inspect.unwrap(Cache.sync)(cache)
        store.save(cache, infos, self.names, store.identity(cache))

    def bitbake(self) -> Cache:
        """BitBake's own cache."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(state, "_off", True)
            cache = dumps.cache(self.folder)
            cache.load_cachefile(lambda done: None)
        return cache

    def floe(self) -> Cache:
        """The same with the layer."""
        cache = dumps.cache(self.folder)
        cache.load_cachefile(lambda done: None)
        assert cache._floe is not None
        return cache


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return Saved(tmp_path_factory.mktemp("cache"))


def test_a_region_is_of_the_file_that_was_read(saved: Saved, tmp_path: Path) -> None:
    """BitBake's file is replaced after it was read, and before the region is made."""
    shutil.copytree(saved.folder, tmp_path, dirs_exist_ok=True)
    for replaced in (False, True):
        for region in tmp_path.glob("bb_cache.floe*"):
            region.unlink()
        cache = dumps.cache(tmp_path)
        cache.load_cachefile(lambda done: None)
        cache.checked = saved.names
        if replaced:
            os.utime(cache.getCacheFile("bb_cache.dat"))
        warm._save_aside([(cache, cache._floe_wanted)], None)
        assert len(list(tmp_path.glob("bb_cache.floe*"))) == 2
        again = dumps.cache(tmp_path)
        again.load_cachefile(lambda done: None)
        assert (again._floe is None) == replaced


def test_bitbake_waits_for_the_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it gives back the lock of the build directory, by `final_cleanup`."""
    go, done = threading.Event(), []
    parser = object.__new__(CookerParser)
    parser.syncthread = threading.Thread(target=go.wait, args=(60,))
    parser.syncthread.start()
    cache = SimpleNamespace(_floe_wanted="of", cacheclean=True, depends_cache={}, checked=set())
    parser.bb_caches = {"": cache}
    monkeypatch.setattr("floebb.child.run", lambda work: done.append(work.args))
    warm._after(SimpleNamespace(parser=parser))
    assert not done  # BitBake's own thread is at work.
    go.set()
    parser.final_cleanup()
    assert done == [(cache, {}, set(), "of")]


def test_every_field_of_every_recipe(saved: Saved) -> None:
    theirs, ours = saved.bitbake().depends_cache, saved.floe().depends_cache
    assert set(ours) == set(theirs)
    assert len(ours) == len(theirs)
    for name, (info,) in ours.items():
        assert vars(info) == vars(theirs[name][0])
        assert type(info) is CoreRecipeInfo


def test_every_index(saved: Saved) -> None:
    with saved.disk:
        theirs = saved.bitbake()
        valid = dumps.validate(theirs, saved.appends)
        assert valid == saved.names
        want = dumps.index(theirs, valid)
        ours = saved.floe()
        assert dumps.validate(ours, saved.appends) == valid
    data = CacheData([CoreRecipeInfo])
    indexes.put(ours._floe.root, data, parse_follows=False)
    for name in indexes.ALL:
        assert dumps.plain(getattr(data, name)) == dumps.plain(getattr(want, name)), name


def test_indexes_without_some_recipes(saved: Saved) -> None:
    gone = set(sorted(saved.names)[::7])
    with saved.disk:
        theirs, ours = saved.bitbake(), saved.floe()
        dumps.validate(theirs, saved.appends)
        want = dumps.index(theirs, saved.names - gone)
    data = CacheData([CoreRecipeInfo])
    indexes.put(ours._floe.root, data, parse_follows=True)
    indexes.take_out(data, ours._floe.records(gone, ""))
    for name in indexes.ALL:
        assert dumps.plain(getattr(data, name)) == dumps.plain(getattr(want, name)), name
    back = dumps.index(theirs, gone)
    for name in gone:
        for variant, infos in theirs.loadCached(name, ()):
            theirs.add_info(variant, infos, data)
    assert set(data.pkg_fn) == set(want.pkg_fn) | set(back.pkg_fn)


def test_what_changed_makes_its_readers_doubtful(saved: Saved) -> None:
    name = sorted(saved.names)[3]
    path, _ = saved.infos[name].file_depends[-1]
    readers = {n for n in saved.names if path in dict(saved.infos[n].file_depends)}
    was = saved.disk.stamps[path]
    saved.disk.stamps[path] = (1, 2, 3)
    try:
        with saved.disk:
            valid = dumps.validate(saved.floe(), saved.appends)
            assert valid == saved.names - readers
            assert valid == dumps.validate(saved.bitbake(), saved.appends)
    finally:
        saved.disk.stamps[path] = was


def test_a_file_that_appears(saved: Saved) -> None:
    found = (
        (name, entry.removesuffix(":False"))
        for name in sorted(saved.names)
        for entries in getattr(saved.infos[name], "file_checksums", {}).values()
        for entry in dumps.SEPARATOR.split(entries.strip())
        if entry.endswith(":False")
    )
    name, path = next(found)
    saved.disk.there.add(path)
    try:
        with saved.disk:
            valid = dumps.validate(saved.floe(), saved.appends)
            assert name not in valid
            assert valid == dumps.validate(saved.bitbake(), saved.appends)
    finally:
        saved.disk.there.discard(path)


def test_other_appends(saved: Saved) -> None:
    name = sorted(saved.names)[0]
    with saved.disk:
        assert not saved.floe().cacheValid(name, ["/layer/appends/new.bbappend"])


def test_it_saves_what_it_was_given(saved: Saved) -> None:
    again = saved.floe()
    objects = {name: infos[0] for name, infos in again.depends_cache.items()}
    parts = store.contents(objects, saved.names, "")
    assert parts[""]["infos"] == again._floe.infos.frozen()
    assert parts["-inputs"]["watched"] == again._floe._inputs["watched"]
    assert dumps.plain(parts[""]["indexes"]) == dumps.plain(again._floe.root["indexes"])
