"""Regions that go to a worker, which was started by exec, as a few bytes in a message.

The worker opens the cooker's descriptor in `/proc`. Where that fails it reads a file that the
cooker has put beside its caches, and that goes with the cooker.
"""

import atexit
import contextlib
import itertools
import os
import pickle
from pathlib import Path
from typing import Any

import floe

from floebb import files, state

_PREFIX = "floe-sent"
_numbers = itertools.count()
_opened: dict[tuple[int, int], Any] = {}


class Handle:
    """One region: here for the cooker, which keeps it; there for a worker and its children."""

    def __init__(self, value: Any, name: str) -> None:
        """Freezes a value. Raises OSError unless both ways to a worker are open."""
        self.frozen = floe.freeze(value, name)
        self._key = os.getpid(), next(_numbers)
        self._file = _file(*self._key)
        files.keep(self.frozen, self._file)
        self._sent = pickle.dumps(self.frozen)

    @property
    def value(self) -> Any:
        """The root."""
        return self.frozen.value

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, (self._key, self._sent, self._file)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            if self._key[0] == os.getpid():
                os.unlink(self._file)


class Received:
    """What a handle is in a worker."""

    def __init__(self, frozen: Any) -> None:
        self.value = frozen.value


def _receive(key: tuple[int, int], sent: bytes, file: str) -> Received:
    if key not in _opened:
        try:
            frozen = pickle.loads(sent)
        except Exception:
            frozen = floe.load(file)
        _opened[key] = Received(frozen)
    return _opened[key]


def any_received() -> bool:
    """Whether this is a worker, or a child of one, that has data from a cooker with the layer."""
    return bool(_opened)


def _file(pid: int, number: int) -> str:
    folder = state.cachedir()
    if folder is None:
        raise OSError("BitBake's cache directory is not known yet")
    if number == 0:
        _remove_of_the_dead(folder)
        atexit.register(_remove, folder, pid)
    return os.path.join(folder, f"{_PREFIX}.{pid}.{number}")


def _remove_of_the_dead(folder: str) -> None:
    for path in Path(folder).glob(f"{_PREFIX}.*"):
        pid = path.name.split(".")[1]
        if not os.path.exists(f"/proc/{pid}"):
            path.unlink(missing_ok=True)


def _remove(folder: str, pid: int) -> None:
    if os.getpid() == pid:
        for path in Path(folder).glob(f"{_PREFIX}.{pid}.*"):
            path.unlink(missing_ok=True)
