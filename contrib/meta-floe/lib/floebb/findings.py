"""What BitBake found out about pieces of code and about files, from a region.

BitBake's own caches of it are dicts that each process loads and nothing ever leaves. Here one
mapping stands for what was known and for what was found since.
"""

import os
import pickle
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import bb
import floe
from bb.cache import MultiProcessCache
from bb.checksum import FileChecksumCache
from bb.codeparser import CodeParserCache, pythonCacheLine, shellCacheLine

from floebb import files

FORMAT = 1
# An entry goes when so many generations in a row have not asked for it.
IDLE_GENERATIONS = 16


def _python(state: tuple[Any, ...]) -> pythonCacheLine:
    line = pythonCacheLine.__new__(pythonCacheLine)
    line.refs, line.execs, line.contains, line.extra = floe.thaw(state)
    return line


def _shell(execs: Any) -> shellCacheLine:
    line = shellCacheLine.__new__(shellCacheLine)
    line.execs = floe.thaw(execs)
    return line


def _same(value: Any) -> Any:
    return value


def _newer(was: tuple[int, str], found: tuple[int, str]) -> bool:
    return found[0] > was[0]


def _never(was: Any, found: Any) -> bool:
    return False


class Part:
    """One of the dicts of a cache: how its values are frozen and made again, and whether a later
    finding stands for an earlier one."""

    def __init__(
        self,
        name: str,
        plain: Callable[[Any], Any],
        make: Callable[[Any], Any],
        replaces: Callable[[Any, Any], bool],
    ) -> None:
        self.name = name
        self.plain = plain
        self.make = make
        self.replaces = replaces


PARTS = {
    CodeParserCache: (
        Part("python", pythonCacheLine.__getstate__, _python, _never),
        Part("shell", shellCacheLine.__getstate__, _shell, _never),
    ),
    FileChecksumCache: (Part("files", _same, _same, _newer),),
}


class Entries(MutableMapping):
    """What was known and what was found since. It remembers what it was asked for."""

    def __init__(self, part: Part, base: Mapping[str, Any], idle: Mapping[str, int]) -> None:
        self.part = part
        self.idle = idle
        self.overlay = floe.Overlay(base)
        self._asked: dict[str, Any] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._asked or key in self.overlay

    def __getitem__(self, key: str) -> Any:
        if key not in self._asked:
            self._asked[key] = self.part.make(self.overlay[key])
        return self._asked[key]

    def get(self, key: str, default: Any = None) -> Any:
        """As of a dict."""
        return self[key] if key in self else default  # noqa: SIM401 - it would call itself

    def __setitem__(self, key: str, value: Any) -> None:
        self.overlay[key] = self.part.plain(value)
        self._asked[key] = value

    def __delitem__(self, key: str) -> None:
        del self.overlay[key]
        self._asked.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.overlay)

    def __len__(self) -> int:
        return len(self.overlay)

    def found(self) -> dict[str, Any]:
        """What is here and not in the region, as BitBake has it."""
        return {key: self[key] for key in self.overlay.changes().set}

    def asked(self) -> set[str]:
        """The keys that were asked for."""
        return set(self._asked)

    def as_dict(self) -> dict[str, Any]:
        """All of it, as BitBake has it."""
        return {key: self.part.make(value) for key, value in self.overlay.items()}


def path(cache: MultiProcessCache) -> str:
    """The region's file, beside BitBake's."""
    return os.path.splitext(cache.cachefile)[0] + ".floe"


def load(cache: MultiProcessCache) -> list[Entries] | None:
    """Entries over the region, if it belongs to BitBake's file as it is now."""
    try:
        of = _identity(cache)
    except FileNotFoundError:
        return None
    root = files.load(path(cache), of)
    if root is None:
        return None
    parts = PARTS[type(cache)]
    return [Entries(part, root["entries"][part.name], root["idle"][part.name]) for part in parts]


def _identity(cache: MultiProcessCache) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "bitbake": (bb.__version__, type(cache).CACHE_VERSION),
        "file": files.stamp(cache.cachefile),
    }


def extras(cache: MultiProcessCache) -> list[str]:
    """The files in which processes have left what they found."""
    folder, name = os.path.split(cache.cachefile)
    return [os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.startswith(name + "-")]


def write_extras(cache: MultiProcessCache, out: Any) -> None:
    """Writes what was found, as BitBake does, and behind it what was asked for."""
    entries = cache.cachedata
    pickle.dump([[e.found() for e in entries], type(cache).CACHE_VERSION], out, -1)
    pickle.dump([e.asked() for e in entries], out, -1)


def _read_extras(file: str, version: int) -> tuple[list[Any], list[Any]]:
    """What was found, and what was asked for; nothing from a file that another version wrote, or
    that is cut."""
    try:
        with open(file, "rb") as read:
            found, written_by = pickle.load(read)
            if written_by != version:
                return [], []
            try:
                return found, pickle.load(read)
            except EOFError:  # BitBake wrote it without the layer.
                return found, []
    except Exception:
        return [], []


def merge(cache: MultiProcessCache, generation: bool) -> None:
    """Writes BitBake's file and the region anew, with what all processes have found, and without
    what was idle for too long. `generation` tells whether idleness counts this time."""
    paths = extras(cache)
    read = [_read_extras(file, type(cache).CACHE_VERSION) for file in paths]
    merged, idle = {}, {}
    known = _on_disk(cache)
    for number, part in enumerate(PARTS[type(cache)]):
        now, (overlay, was_idle) = cache.cachedata[number], known[number]
        asked = now.asked() if isinstance(now, Entries) else set()
        own = now.overlay.changes().set if isinstance(now, Entries) else {}
        for key, value in own.items():
            put(overlay, key, value, part.replaces)
        for found, keys in read:
            for key, value in found[number].items() if found else ():
                put(overlay, key, part.plain(value), part.replaces)
                asked.add(key)
            asked |= keys[number] if keys else set()
        idle[part.name] = age(overlay, asked, was_idle, generation)
        merged[part.name] = overlay.copy()
    if paths:
        _write(cache, [merged[part.name] for part in PARTS[type(cache)]])
        for file in paths:
            os.unlink(file)
    root = {"of": _identity(cache), "entries": merged, "idle": idle}
    files.save(root, os.path.basename(path(cache)), path(cache))


def _on_disk(cache: MultiProcessCache) -> list[tuple[Any, Mapping[str, int]]]:
    """What is known of each part, and for how long some of it was idle: from the files as they are
    now. Another cooker, with a build directory of its own, may have written them since they were
    opened here."""
    try:
        entries = load(cache)
        if entries is not None:
            return [(e.overlay, e.idle) for e in entries]
    except Exception:
        pass  # It was told when the cache was opened, or will be.
    found = _read_extras(cache.cachefile, type(cache).CACHE_VERSION)[0] or cache.cachedata
    return [
        (floe.Overlay({k: part.plain(v) for k, v in values.items()}), {})
        for part, values in zip(PARTS[type(cache)], found)
    ]


def put(
    entries: MutableMapping[str, Any], key: str, value: Any, replaces: Callable[[Any, Any], bool]
) -> None:
    """Takes one finding over, by the rule of its part."""
    if key not in entries or replaces(entries[key], value):
        entries[key] = value


def age(
    entries: MutableMapping[str, Any], asked: set[str], idle: Mapping[str, int], generation: bool
) -> dict[str, int]:
    """Takes out what was idle for too long. Returns for how many generations the others were."""
    stands = _Stands()
    now = {}
    for key in list(entries):
        if key in asked:
            continue
        count = idle.get(key, 0) + (generation and not stands(key))
        if count >= IDLE_GENERATIONS:
            del entries[key]
        elif count:
            now[key] = count
    return now


class _Stands:
    """Whether a key is of a function in a module that is as it was (`FILE:SIZE:MTIMEFUNCTION`).
    BitBake asks for those before this layer is there, and each is of use as long as its file is."""

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}

    def __call__(self, key: str) -> bool:
        file, colon, rest = key.partition(":")
        if not colon:
            return False
        if file not in self._known:
            try:
                found = os.stat(file)
                self._known[file] = f"{found.st_size}:{found.st_mtime}"
            except OSError:
                self._known[file] = None
        known = self._known[file]
        return known is not None and rest.startswith(known)


def _write(cache: MultiProcessCache, values: list[dict[str, Any]]) -> None:
    """BitBake's own file, whole or not at all."""
    data = [
        {key: bitbakes(part, value) for key, value in found.items()}
        for part, found in zip(PARTS[type(cache)], values)
    ]
    with files.replacing(cache.cachefile) as name, open(name, "wb") as out:
        pickle.dump([data, type(cache).CACHE_VERSION], out, -1)


def bitbakes(part: Part, value: Any) -> Any:
    """A value through BitBake's own constructor, which shares equal sets."""
    made = part.make(value)
    if isinstance(made, pythonCacheLine):
        return pythonCacheLine(*made.__getstate__())
    return shellCacheLine(made.execs) if isinstance(made, shellCacheLine) else made
