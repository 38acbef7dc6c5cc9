"""Seams C and D: signature data goes to the workers as a handle, later changes as what differs.

BitBake pickles the whole of it, for each worker and again at each change of a unihash; every task
reads a little of it and writes less.
"""

from collections.abc import Mapping
from typing import Any

import floe
from bb.runqueue import RunQueue
from bb.siggen import SignatureGenerator

from floebb import say, state, wrap
from floebb.handle import Handle, Received

_SEAM = "signatures"
FIELDS = (
    "runtaskdeps taskhash unihash file_checksum_values taints basehash unitaskhashes tidtopn "
    "setscenetasks"
).split()
HASHES = ["taskhash", "unihash", "unitaskhashes", "tidtopn"]
_LARGE = 100
# A task's child reads these and writes none.
_READ_ONLY = {"runtaskdeps", "file_checksum_values", "setscenetasks"}


class Changes:
    """What the four maps of hashes have that the handle of the signature data has not."""

    def __init__(self, maps: list[dict[str, Any]]) -> None:
        self.maps = maps


class _Sent:
    """What the workers of the present run have been given."""

    def __init__(self) -> None:
        self.handle: Handle | None = None
        self.changed: list[set[str]] = [set() for _ in HASHES]
        # A handle can be received as long as it is here.
        self.kept: list[Any] = []

    def take(self, handle: Handle, hashes: tuple[dict[str, Any], ...]) -> None:
        """A worker that starts later gets newer data: what it has is no longer told by the first
        handle, but every key that differs from it is remembered."""
        self.compare(hashes)
        self.handle = self.handle or handle
        self.kept.append(handle)

    def compare(self, hashes: tuple[dict[str, Any], ...]) -> bool:
        """Notes the keys that differ. False if one has gone, which no difference tells."""
        if self.handle is None:
            return False
        for name, now, changed in zip(HASHES, hashes, self.changed):
            was = self.handle.value[name]
            fewer = len(was)
            for key, value in now.items():
                if key in was:
                    fewer -= 1
                    if was[key] != value:
                        changed.add(key)
                else:
                    changed.add(key)
            if fewer:
                return False
        return True


_sent = _Sent()


def forget() -> None:
    """The workers have gone, and with them what they were given."""
    global _sent
    _sent = _Sent()


def install() -> None:
    """Puts the seams in."""

    @wrap.method(SignatureGenerator, "get_taskdata")
    def give(original: Any, self: SignatureGenerator) -> Any:
        data = original(self)
        try:
            if len(data) != len(FIELDS):
                return data
            handle = Handle(dict(zip(FIELDS, data)), "signatures")
            _sent.take(handle, original_hashes(self))
        except Exception as error:
            say.surprise(_SEAM, error)
            return data
        # Subclasses put more in front of a tuple.
        return (handle,)

    original_send = RunQueue.send_pickled_data

    def send(worker: Any, data: Any, name: str) -> None:
        if name == "workerdata" and state.active():
            data = {**data, "sigdata": _share(data["sigdata"])}
        original_send(worker, data, name)

    RunQueue.send_pickled_data = staticmethod(send)

    original_take = SignatureGenerator.set_taskdata

    def take(self: SignatureGenerator, data: Any) -> None:
        # Whatever the switch says here: the cooker has sent a handle.
        if len(data) == 1 and isinstance(data[0], (Handle, Received)):
            data = [_open(name, data[0].value[name]) for name in FIELDS]
        original_take(self, data)

    SignatureGenerator.set_taskdata = take

    original_hashes = SignatureGenerator.get_taskhashes

    @wrap.method(SignatureGenerator, "get_taskhashes")
    def give_hashes(original: Any, self: SignatureGenerator) -> Any:
        hashes = original(self)
        try:
            if not _sent.compare(hashes):
                return hashes
            pairs = zip(hashes, _sent.changed)
            return Changes([{key: now[key] for key in changed} for now, changed in pairs])
        except Exception as error:
            say.surprise(_SEAM, error)
            return hashes

    @wrap.method(RunQueue, "teardown_workers")
    def teardown(original: Any, self: RunQueue) -> None:
        original(self)
        forget()

    original_take_hashes = SignatureGenerator.set_taskhashes

    def take_hashes(self: SignatureGenerator, hashes: Any) -> None:
        if isinstance(hashes, Changes):
            for name, changed in zip(HASHES, hashes.maps):
                getattr(self, name).update(changed)
        else:
            original_take_hashes(self, hashes)

    SignatureGenerator.set_taskhashes = take_hashes


class Shared:
    """A dict that a worker gets as an overlay."""

    def __init__(self, value: dict[Any, Any]) -> None:
        self._handle = Handle(value, "subclass")

    def __reduce__(self) -> tuple[Any, ...]:
        return _overlay, (self._handle,)


def _overlay(handle: Any) -> Any:
    return floe.Overlay(handle.value)


def _share(data: Any) -> Any:
    """What subclasses have put in front, without large dicts."""
    try:
        shared = tuple(
            Shared(item) if type(item) is dict and len(item) >= _LARGE else item for item in data
        )
        _sent.kept.append(shared)
        return shared
    except Exception as error:
        say.surprise(_SEAM, error)
        return data


def _open(name: str, value: Any) -> Any:
    if name in _READ_ONLY or not isinstance(value, Mapping):
        return value
    return floe.Overlay(value)
