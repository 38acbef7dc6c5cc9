"""Seam A: the recipe phase from a region.

BitBake loads its cache, checks each recipe, and puts each into its indexes. With a region there is
nothing to load, each distinct input is asked for once, and the indexes are there. What is doubtful
goes BitBake's way, into overlays.
"""

import gc
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

from bb.cache import Cache, CoreRecipeInfo
from bb.cooker import BBCooker, CookerParser, SkippedPackage

from floebb import child, indexes, say, store, wrap

_SEAM = "warm"


def install() -> None:
    """Puts the seam in."""

    @wrap.method(Cache, "load_cachefile")
    def load_cachefile(original: Any, self: Cache, progress: Any) -> int:
        self._floe = self._floe_wanted = None
        if self.caches_array == [CoreRecipeInfo]:
            try:
                # Of the file that BitBake reads next, and of no later one.
                self._floe_wanted = store.identity(self)
                self._floe = store.load(self)
            except Exception as error:
                say.surprise(_SEAM, error)
        gc.unfreeze()
        if self._floe is None:
            return original(self, progress)
        self.depends_cache = self._floe.infos
        progress(self.cachesize())
        return len(self.depends_cache)

    @wrap.method(Cache, "cacheValid")
    def cache_valid(original: Any, self: Cache, fn: str, appends: Any) -> bool:
        warm = _warm(self)
        if warm is not None and fn not in self.checked:
            try:
                if warm.valid(fn, appends):
                    self.checked.add(fn)
                    self.clean.update(warm.whole[fn])
                    return True
            except Exception as error:
                say.surprise(_SEAM, error)
        return original(self, fn, appends)

    @wrap.method(CookerParser, "load_cached")
    def load_cached(original: Any, self: CookerParser) -> Iterator[Any]:
        for mc in self.cooker.multiconfigs:
            done = _take_over(self, mc, {job[2] for job in self.fromcache if job[0] == mc})
            self.fromcache = {j for j in self.fromcache if j[0] != mc or j[2] not in done}
        return original(self)

    @wrap.method(Cache, "sync")
    def sync(original: Any, self: Cache) -> None:
        if not self.cacheclean and self.caches_array == [CoreRecipeInfo]:
            try:
                child.run(lambda: _save(self, original))
            except Exception as error:
                say.surprise(_SEAM, error)
            else:
                del self.depends_cache
                return
        original(self)

    @wrap.method(BBCooker, "updateCache")
    def update_cache(original: Any, self: BBCooker) -> Any:
        more = original(self)
        if more is None and self.parser is not None:
            _after(self)
        return more


def _warm(cache: Cache) -> Any | None:
    return getattr(cache, "_floe", None)


def _save(cache: Cache, pickle: Any) -> None:
    infos = cache.depends_cache
    pickle(cache)
    store.save(cache, infos, cache.checked, store.identity(cache))


def _take_over(parser: CookerParser, mc: str, names: set[str]) -> set[str]:
    """Gives BitBake all at once what the region knows of these recipes. Returns those done."""
    cache, data = parser.bb_caches[mc], parser.cooker.recipecaches[mc]
    warm = _warm(cache)
    if warm is None:
        return set()
    try:
        taken = {name for name in names if name in warm.whole}
        indexes.put(warm.root, data, parse_follows=taken != names or parser.willparse)
        gone = warm.records(set(warm.whole) - taken, mc)
        if gone:
            indexes.take_out(data, gone)
        skipped = {name: SkippedPackage(info) for name, info in warm.skipped(taken)}
        watched = warm.watched()
    except Exception as error:
        say.surprise(_SEAM, error)
        CoreRecipeInfo.init_cacheData(data)
        return set()
    parser.cooker.skiplist_by_mc[mc].update(skipped)
    parser.cooker.parsewatched.update(watched)
    parser.cached += len(taken)
    parser.current += len(taken)
    parser.skipped += len(skipped)
    parser.virtuals += sum(len(warm.whole[name]) for name in taken)
    warm.checked()
    return taken


def _after(cooker: BBCooker) -> None:
    """The parse is done: makes the regions if there were none."""
    # What is here now stays as long as the parse. A child that collects would write to all of it.
    gc.freeze()
    wanted = []
    for cache in cooker.parser.bb_caches.values():
        of, cache._floe_wanted = getattr(cache, "_floe_wanted", None), None
        if of and _warm(cache) is None and cache.cacheclean:
            wanted.append((cache, of))
    if wanted:
        before = cooker.parser.syncthread
        # The thread that BitBake waits for before it gives its lock back.
        cooker.parser.syncthread = threading.Thread(
            target=_save_aside, args=(wanted, before), name="FloeSave"
        )
        cooker.parser.syncthread.start()


def _save_aside(wanted: list[tuple[Cache, Any]], before: threading.Thread | None) -> None:
    if before is not None:
        before.join()
    for cache, of in wanted:
        try:
            child.run(partial(store.save, cache, cache.depends_cache, cache.checked, of))
        except Exception as error:
            say.surprise(_SEAM, error)
