"""What the parse of the recipes read, and whether it is as it was.

BitBake asks for each recipe and each file that it depends on. Recipes share most of them, and most
of those that it asks for are absent. Here each distinct path is asked for once, and names the
recipes that it makes doubtful when it changed.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bb.parse
from bb.cache import CoreRecipeInfo

_SEPARATOR = re.compile(r"(?:(?<=:True)|(?<=:False))\s+")


def _exists(path: str) -> bool:
    """`os.path.exists`, without the price of an exception."""
    return os.access(path, os.F_OK)


def _looked_for(info: CoreRecipeInfo) -> Iterator[tuple[str, bool]]:
    for files in getattr(info, "file_checksums", {}).values():
        for entry in _SEPARATOR.split(files.strip()):
            if entry:
                path, _, there = entry.rpartition(":")
                if there in ("True", "False"):
                    yield path, there == "True"


class _Table:
    """Path -> what it was, and the recipes that read it."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.readers: dict[str, list[int]] = {}

    def add(self, path: str, what: Any, reader: int) -> bool:
        """False if another recipe found something else there."""
        if self.found.setdefault(path, what) != what:
            return False
        readers = self.readers.setdefault(path, [])
        if not readers or readers[-1] != reader:
            readers.append(reader)
        return True

    def columns(self) -> dict[str, list[Any]]:
        return {
            "paths": list(self.found),
            "found": list(self.found.values()),
            "readers": list(self.readers.values()),
        }


def record(recipes: Mapping[str, CoreRecipeInfo]) -> dict[str, Any]:
    """Columns over distinct paths. A recipe that found something else at a path than another did
    cannot be valid together with it: it goes to `odd`, and is asked for by itself."""
    stamps, existence = _Table(), _Table()
    odd = []
    for number, (name, info) in enumerate(recipes.items()):
        whole = stamps.add(name, info.timestamp, number)
        for path, stamp in info.file_depends or ():
            whole &= stamps.add(path, stamp, number)
        for path, there in _looked_for(info):
            whole &= existence.add(path, there, number)
        if not whole:
            odd.append(number)
    return {
        "recipes": list(recipes),
        "odd": odd,
        "stamps": stamps.columns(),
        "existence": existence.columns(),
    }


def doubtful(
    inputs: Mapping[str, Any],
    stamp: Callable[[str], Any] | None = None,
    exists: Callable[[str], bool] = _exists,
) -> set[str]:
    """The recipes of which an input is not as it was. BitBake's own check has the last word."""
    stamp = stamp or bb.parse.cached_mtime_noerror
    readers = set(inputs["odd"])
    for ask, table in ((stamp, inputs["stamps"]), (exists, inputs["existence"])):
        changed = [
            n
            for n, (path, found) in enumerate(zip(table["paths"], table["found"]))
            if ask(path) != found
        ]
        for n in changed:
            readers.update(table["readers"][n])
    names = inputs["recipes"]
    return {names[n] for n in readers}
