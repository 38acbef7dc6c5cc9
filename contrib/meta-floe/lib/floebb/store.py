"""The region beside BitBake's recipe cache: what is in it, how it comes to be."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import bb
import bb.cache
import bb.parse
from bb.cache import Cache, CoreRecipeInfo

from floebb import files, indexes, inputs
from floebb.recipes import Infos, plain

FORMAT = 2
_INPUTS = "-inputs"


def path(cache: Cache, part: str = "") -> str:
    """Beside `bb_cache.dat`, with the same ending."""
    return cache.getCacheFile("bb_cache.floe" + part)


def identity(cache: Cache) -> dict[str, Any]:
    """What a region must have been made of: BitBake's own file as it is now. So one that BitBake
    wrote without the layer makes the region void."""
    return {
        "format": FORMAT,
        "bitbake": (bb.__version__, bb.cache.__cache_version__),
        "file": files.stamp(cache.getCacheFile(CoreRecipeInfo.cachefile)),
    }


def load(cache: Cache) -> "Warm | None":
    """The regions, if they belong to BitBake's file."""
    of = identity(cache)
    root, inputs = files.load(path(cache), of), files.load(path(cache, _INPUTS), of)
    return None if root is None or inputs is None else Warm(root, inputs)


def save(cache: Cache, infos: Any, asked: set[str], of: Mapping[str, Any]) -> None:
    """Freezes what `cache` holds, which is what BitBake's file has, as `of` tells. `asked` are the
    recipe files of this run: BitBake never drops what it knows of others, which must not get into
    the indexes."""
    objects = {name: array[0] for name, array in infos.items()}
    for part, value in contents(objects, asked, cache.mc).items():
        files.save({"of": of, **value}, "bb_cache" + part, path(cache, part))


def contents(
    infos: Mapping[str, CoreRecipeInfo], asked: set[str], mc: str
) -> dict[str, dict[str, Any]]:
    """The values to freeze: what is looked at before the parse, and what BitBake holds from then
    on. Indexes and recipes share nearly all of their texts, so they are one region."""
    whole = {}
    for name in asked & infos.keys():
        variants = [bb.cache.variant2virtual(name, v) for v in infos[name].variants]
        if all(v in infos for v in variants):
            whole[name] = variants
    members = [name for variants in whole.values() for name in variants]
    used = [name for name in members if not infos[name].skipped]
    return {
        _INPUTS: {
            "inputs": inputs.record({name: infos[name] for name in whole}),
            "appends": {name: tuple(infos[name].appends) for name in whole},
            "watched": watched(infos[name] for name in used),
        },
        "": {
            "infos": {name: info.__dict__ for name, info in infos.items()},
            "whole": whole,
            "skipped": [name for name in members if infos[name].skipped],
            "indexes": indexes.build(
                ((index_name(name, mc), infos[name]) for name in used), mc or ""
            ),
        },
    }


def watched(infos: Iterable[CoreRecipeInfo]) -> dict[str, Any]:
    """The files that a resident server looks at before it trusts its parse."""
    return {path: stamp for info in infos for path, stamp in info.file_depends or ()}


def index_name(name: str, mc: str | None) -> str:
    """A recipe's name in the indexes, which have the multiconfig's name before it."""
    if mc is None:
        return name
    file, variant, _ = bb.cache.virtualfn2realfn(name)
    return bb.cache.realfn2virtual(file, variant, mc)


class Warm:
    """Regions in use by one `Cache`, for one parse."""

    def __init__(self, root: Any, inputs: Any) -> None:
        self.root = root
        self.infos = Infos(root["infos"])
        self.whole = root["whole"]
        self._inputs = inputs
        self._doubtful: set[str] | None = None

    def valid(self, name: str, appends: Iterable[str]) -> bool:
        """Whether a recipe is certainly valid. If not, BitBake's own check decides."""
        if self._doubtful is None:
            self._doubtful = inputs.doubtful(self._inputs["inputs"])
        if name in self._doubtful or name not in self.whole:
            return False
        return self._inputs["appends"].get(name) == tuple(appends)

    def records(self, names: Iterable[str], mc: str) -> dict[str, Any]:
        """Index name -> record of each variant of these recipes that the indexes have."""
        skipped = set(self.root["skipped"])
        variants = (v for name in names for v in self.whole[name] if v not in skipped)
        return {index_name(variant, mc): self.root["infos"][variant] for variant in variants}

    def skipped(self, names: set[str]) -> Iterator[tuple[str, CoreRecipeInfo]]:
        """The variants that BitBake was told to skip, of these recipes."""
        for variant in self.root["skipped"]:
            if bb.cache.virtualfn2realfn(variant)[0] in names:
                yield variant, plain(self.root["infos"][variant])

    def checked(self) -> None:
        """Frees what is only looked at before the parse."""
        self._inputs = {"appends": {}}

    def watched(self) -> dict[str, Any]:
        """The files to look at before the parse is trusted again, as far as they are unchanged."""
        stamp = bb.parse.cached_mtime_noerror
        return {path: was for path, was in self._inputs["watched"].items() if stamp(path) == was}
