"""Seam E: what BitBake knows of code and of files' checksums, from regions.

The cooker, its parsers and the workers read one region in place. What they find lies in overlays,
goes back in BitBake's own files, and is merged by the rule BitBake meant for it: of code the first
finding stays, of checksums the one of the newest file.
"""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import bb.codeparser
import bb.fetch2
import bb.utils
from bb.cache import MultiProcessCache
from bb.codeparser import CodeParserCache

from floebb import child, findings, say, state, wrap

_SEAM = "parsers"
# Whether all recipes are parsed this time, so that code which nobody asks for is idle.
_all_parsed = False
# For these a region was asked for once; it is not made again and again where it cannot be.
_tried: list[Any] = []


def install() -> None:
    """Puts the seam in. The cache of parsed code is open by now."""
    if "bb.cooker" in sys.modules:
        _follow_parses(sys.modules["bb.cooker"])

    @_method("init_cache")
    def init(original: Any, self: Any, cachedir: str, name: str | None = None) -> None:
        if not cachedir or name or not _open(self, cachedir):
            original(self, cachedir, name)

    @_method("save_extras")
    def save_extras(original: Any, self: Any) -> None:
        if not attached(self):
            return original(self)
        try:
            _save_extras(self)
        except OSError as error:
            say.once(f"{_SEAM}: not saved, will be found again: {error}")
        except Exception as error:
            say.surprise(_SEAM, error)
            detach(self)
            original(self)

    @_method("save_merge")
    def save_merge(original: Any, self: Any) -> None:
        try:
            _save_merge(self)
        except OSError as error:
            # BitBake would write over its file in place, and so lose it.
            say.once(f"{_SEAM}: not merged, kept for the next time: {error}")
        except Exception as error:
            say.surprise(_SEAM, error)
            detach(self)
            original(self)

    for cache in _caches():
        if cache.cachefile and state.active():
            try:
                attach(cache)
            except Exception as error:
                say.surprise(_SEAM, error)


def _method(name: str) -> Callable[[Callable[..., Any]], None]:
    """As `wrap.method`, for the two caches. Where the layer is off, BitBake gets them back."""
    original = getattr(MultiProcessCache, name)

    def put(function: Callable[..., Any]) -> None:
        @functools.wraps(original)
        def wrapper(self: Any, *args: Any) -> Any:
            if type(self) not in findings.PARTS:
                return original(self, *args)
            if not state.active():
                detach(self)
                return original(self, *args)
            return function(original, self, *args)

        setattr(MultiProcessCache, name, wrapper)

    return put


def _caches() -> tuple[Any, ...]:
    return bb.codeparser.codeparsercache, bb.fetch2._checksum_cache


def _follow_parses(cooker: Any) -> None:
    @wrap.method(cooker.CookerParser, "start")
    def start(original: Any, self: Any) -> None:
        global _all_parsed
        _all_parsed = 0 < self.total == self.toparse
        original(self)

    @wrap.method(cooker.BBCooker, "updateCache")
    def update_cache(original: Any, self: Any) -> Any:
        more = original(self)
        if more is None:
            # BitBake merges nothing where nothing was parsed: there may be no region yet.
            for cache in _caches():
                if not attached(cache) and cache not in _tried:
                    _tried.append(cache)
                    cache.save_merge()
        return more


def attached(cache: Any) -> bool:
    """Whether a cache reads a region."""
    return isinstance(cache.cachedata[0], findings.Entries)


def attach(cache: Any, keep: bool = True) -> bool:
    """Lets a cache read its region; False if there is none. What it has found since it was opened
    is kept on demand."""
    entries = findings.load(cache)
    if entries is None:
        return False
    if keep:
        for mine, found in zip(entries, cache.cachedata_extras):
            mine.update(found)
    _replace(cache, entries, entries)
    return True


def detach(cache: Any) -> None:
    """Gives a cache back to BitBake, with all that it knows."""
    if attached(cache):
        entries = cache.cachedata
        _replace(cache, [e.as_dict() for e in entries], [e.found() for e in entries])


def _replace(cache: Any, known: list[Any], found: list[Any]) -> None:
    cache.cachedata, cache.cachedata_extras = known, found
    if isinstance(cache, CodeParserCache):
        cache.pythoncache, cache.shellcache = known
        cache.pythoncacheextras, cache.shellcacheextras = found
        # Whatever these share is in the region now.
        cache.pythoncachelines.clear()
        cache.shellcachelines.clear()
        bb.codeparser.codecache.setcache.clear()


def _open(cache: Any, cachedir: str) -> bool:
    """Opens a cache by its region, without BitBake's file being read."""
    was = cache.cachefile
    cache.cachefile = os.path.join(cachedir, type(cache).cache_file_name)
    if not os.path.exists(findings.path(cache)):
        cache.cachefile = was
        return False
    lock = bb.utils.lockfile(cache.cachefile + ".lock")
    try:
        return attach(cache, keep=not attached(cache))
    except Exception as error:
        say.surprise(_SEAM, error)
        return False
    finally:
        bb.utils.unlockfile(lock)


def _save_extras(cache: Any) -> None:
    """A parser leaves what it found, or what it asked for if that counts."""
    if not cache.cachefile:
        return
    found = any(e.overlay.changes() for e in cache.cachedata)
    if not found and not (_counts(cache) and any(e.asked() for e in cache.cachedata)):
        return
    shared = bb.utils.lockfile(cache.cachefile + ".lock", shared=True)
    try:
        number = os.getpid()
        while True:
            file = f"{cache.cachefile}-{number}"
            try:
                with open(file, "xb") as out:
                    findings.write_extras(cache, out)
                return
            except FileExistsError:
                number += 1
            except BaseException:
                os.unlink(file)
                raise
    finally:
        bb.utils.unlockfile(shared)


def _counts(cache: Any) -> bool:
    """Whether this is a generation. For checksums each merge is, since it brings something new."""
    return _all_parsed and isinstance(cache, CodeParserCache)


def _save_merge(cache: Any) -> None:
    if not cache.cachefile:
        return
    lock = bb.utils.lockfile(cache.cachefile + ".lock")
    try:
        there = bool(findings.extras(cache))
        if there or (not attached(cache) and os.path.exists(cache.cachefile)):
            generation = there and (_counts(cache) or not isinstance(cache, CodeParserCache))
            child.run(lambda: findings.merge(cache, generation))
            attach(cache, keep=False)
    finally:
        bb.utils.unlockfile(lock)
