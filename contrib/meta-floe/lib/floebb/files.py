"""Regions in files: written whole or not at all, and never trusted."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import floe

from floebb import child

Stamp = tuple[int, int, int]


def stamp(path: str) -> Stamp:
    """What tells one file at `path` from another, as BitBake tells recipes apart."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def save(value: Mapping[str, Any], name: str, path: str) -> None:
    """Freezes `value` and puts it at `path` with one rename: who opens `path` finds the old
    region or the new one. A failure leaves the old one."""
    keep(floe.freeze(value, name), path)


def keep(frozen: Any, path: str) -> None:
    """Puts a region at `path`, in the same way."""
    with replacing(path) as part:
        frozen.save(part)


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """The name of a file to write, which then takes the place of `path` or goes."""
    folder, name = os.path.split(path)
    handle, part = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    os.close(handle)
    try:
        yield part
        os.chmod(part, 0o644)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise


def load(path: str, of: Mapping[str, Any]) -> Any | None:
    """The root of the region at `path`, checked whole. None where there is no file, or where it
    was made of something else than `of` tells."""
    try:
        with child.forking:
            root = floe.load(path).value
    except FileNotFoundError:
        return None
    return root if root.get("of") == of else None
