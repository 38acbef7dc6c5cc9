"""Measures one run of BitBake, with the layer or without it.

On when the environment names a directory. Each process appends what it sees there, a JSON object a
line: the phases of a warm start, memory, and the bytes that go to the workers.
"""

import functools
import gc
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from floebb import hook

CHILDREN = 8

_folder: str | None = None


def install(folder: str) -> bool:
    """Once in each process; a worker inherits the variable from the cooker. False if it is on."""
    global _folder
    if _folder is not None:
        return False
    _folder = os.environ[hook.PROBE] = folder
    cooker = sys.modules.get("bb.cooker")
    if cooker is not None:
        _phases(cooker, sys.modules["bb.cache"])
        _pipe(sys.modules["bb.runqueue"])
    _children(sys.modules["bb.siggen"])
    return True


def note(kind: str, **facts: Any) -> None:
    """Appends one line; writes this short do not mix."""
    line = json.dumps({"kind": kind, "pid": os.getpid(), **facts}) + "\n"
    with open(f"{_folder}/notes", "a", encoding="utf-8") as out:
        out.write(line)


def memory(pid: int | str = "self") -> dict[str, int]:
    """USS, PSS and RSS of a process, and its anonymous memory, in bytes. Of the last, what children
    share until they write is part, as it is not of the first."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, _ = line.split()
        found[name.rstrip(":")] = int(value) << 10
    uss = found["Private_Clean"] + found["Private_Dirty"]
    return {"uss": uss, "pss": found["Pss"], "rss": found["Rss"], "own": found["Anonymous"]}


def _replace(owner: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    original = getattr(owner, name)

    def put(function: Callable[..., Any]) -> None:
        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(original, *args, **kwargs)

        setattr(owner, name, wrapper)

    return put


def _phases(cooker: Any, cache: Any) -> None:
    """Times of load, validity and indexes; memory of the cooker after the parse."""
    clock: dict[str, float] = {}

    @_replace(cooker.BBCooker, "parseConfiguration")
    def configuration(original: Any, self: Any) -> Any:
        clock["begin"] = time.perf_counter()
        return original(self)

    @_replace(cache.MulticonfigCache, "__init__")
    def load(original: Any, self: Any, *args: Any) -> None:
        clock["load"] = time.perf_counter()
        original(self, *args)
        clock["loaded"] = time.perf_counter()

    @_replace(cooker.CookerParser, "start")
    def start(original: Any, self: Any) -> None:
        clock["valid"] = time.perf_counter()
        original(self)

    @_replace(cooker.BBCooker, "updateCache")
    def update(original: Any, self: Any) -> Any:
        more = original(self)
        if more is None and "valid" in clock:
            end = time.perf_counter()
            note(
                "phase",
                whole=end - clock["begin"],
                find=clock["load"] - clock["begin"],
                load=clock["loaded"] - clock["load"],
                validity=clock["valid"] - clock["loaded"],
                indexes=end - clock["valid"],
                parsed=self.parser.parsed,
                memory=memory(),
            )
            clock.clear()
            if os.path.exists(f"{_folder}/children"):
                _fork_read_clear_collect(self)
        return more


def _pipe(runqueue: Any) -> None:
    """Bytes of each message to a worker, by kind."""
    name: list[str] = []

    class Counting:
        def __getattr__(self, attribute: str) -> Any:
            return getattr(pickle, attribute)

        @staticmethod
        def dumps(value: Any, *args: Any, **kwargs: Any) -> bytes:
            begin = time.perf_counter()
            text = pickle.dumps(value, *args, **kwargs)
            if name:
                note("message", name=name[-1], bytes=len(text), s=time.perf_counter() - begin)
            return text

    runqueue.pickle = Counting()

    original = runqueue.RunQueue.send_pickled_data

    @functools.wraps(original)
    def send(worker: Any, data: Any, kind: str) -> None:
        name.append(kind)
        try:
            original(worker, data, kind)
        finally:
            name.pop()

    runqueue.RunQueue.send_pickled_data = staticmethod(send)


def _children(siggen: Any) -> None:
    """Memory of each task's child once its recipe is parsed, and of the worker that forked it."""
    seen: list[int] = []

    @_replace(siggen.SignatureGenerator, "setup_datacache_from_datastore")
    def setup(original: Any, self: Any, *args: Any) -> Any:
        result = original(self, *args)
        if os.getpid() not in seen:
            seen.append(os.getpid())
            note("task", memory=memory(), worker=memory(os.getppid()))
        return result


def read_all(value: Any) -> int:
    """Touches every value below."""
    if isinstance(value, str):
        return 1
    if hasattr(value, "items"):
        return 1 + sum(read_all(k) + read_all(v) for k, v in value.items())
    if isinstance(value, Iterable):
        return 1 + sum(map(read_all, value))
    return 1 + (read_all(vars(value)) if hasattr(value, "basetaskhashes") else 0)


def _caches(cooker: Any) -> list[Any]:
    caches = cooker.parser.bb_caches.values()
    return [*map(vars, cooker.recipecaches.values()), *(records(cache) for cache in caches)]


def records(cache: Any) -> Any:
    """What a `Cache` knows of its recipes, as it lies in memory."""
    infos = getattr(cache, "depends_cache", {})
    return infos.frozen() if hasattr(infos, "frozen") else infos


def _fork_read_clear_collect(cooker: Any) -> None:
    """The experiment of 2012: what a worker costs that reads the caches it has inherited, frees
    them, and collects. All children do each step, then all are measured."""
    caches = _caches(cooker)

    def read() -> None:
        for cache in caches:
            read_all(cache)

    def clear() -> None:
        for data in cooker.recipecaches.values():
            vars(data).clear()
        for cache in cooker.parser.bb_caches.values():
            vars(cache).clear()
        caches.clear()

    steps: list[tuple[str, Callable[[], Any]]] = [
        ("forked", lambda: None),
        ("read", read),
        ("cleared", clear),
        ("collected", gc.collect),
    ]
    children = [Child([step for _, step in steps]) for _ in range(CHILDREN)]
    for name, _ in steps:
        for child in children:
            child.step()
        found = [memory(child.pid) for child in children]
        note(
            "children",
            step=name,
            uss=max(m["uss"] for m in found),
            pss=sum(m["pss"] for m in found) + memory()["pss"],
        )
    for child in children:
        child.end()


class Child:
    """A forked child that does one step each time it is told to."""

    def __init__(self, steps: list[Callable[[], Any]]) -> None:
        told, self._tell = os.pipe()
        self._done, done = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for step in steps:
                    os.read(told, 1)
                    step()
                    os.write(done, b".")
                os.read(told, 1)
            except BaseException as error:
                print(error, file=sys.stderr)
            os._exit(0)
        os.close(told)
        os.close(done)

    def step(self) -> None:
        """Has the child do its next step, and waits for it."""
        os.write(self._tell, b".")
        os.read(self._done, 1)

    def end(self) -> None:
        """Ends the child."""
        os.write(self._tell, b".")
        os.waitpid(self.pid, 0)
        os.close(self._tell)
        os.close(self._done)
