"""Fork children that read everything, and print what all of them cost."""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import pickle
import signal
import tempfile
from pathlib import Path
from typing import Any

import data

MIB = 1 << 20
IMMORTAL = 0xFFFF_FFFF


def parts(value: Any) -> list[Any]:
    """Return all objects in a value, each once."""
    seen: dict[int, Any] = {}
    pending = [value]
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item
        if isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set, frozenset)):
            pending += item
    return list(seen.values())


class Pickled:
    """The trick of data loaders: one pickle a record, in one run of bytes."""

    def __init__(self, value: dict[str, Any]) -> None:
        """Encode all records."""
        encoded = [pickle.dumps(item, -1) for item in value.items()]
        self.whole = memoryview(b"".join(encoded))
        self.lengths = [len(item) for item in encoded]

    def items(self) -> Any:
        """Decode one record after the other."""
        start = 0
        for length in self.lengths:
            yield pickle.loads(self.whole[start : start + length])
            start += length


def source(options: argparse.Namespace) -> dict[str, Any]:
    """Return the data."""
    if options.caches:
        return data.real(options.caches)[0]
    return data.generated(options.recipes)[0]


def prepared(kind: str, options: argparse.Namespace) -> tuple[Any, Any]:
    """Return what children read, and what keeps it."""
    if kind == "frozen":
        import floe

        # Made in a child, so that this process never had the dicts.
        with tempfile.NamedTemporaryFile(suffix=".floe") as file:
            pid = os.fork()
            if pid == 0:
                floe.freeze(source(options), "infos").save(file.name)
                os._exit(0)
            os.waitpid(pid, 0)
            handle = floe.load(file.name)
        return handle.value, handle
    value = source(options)
    gc.collect()
    if kind == "pickled list":
        return Pickled(value), None
    if kind == "gc.freeze":
        gc.freeze()
    if kind == "immortal":
        for item in parts(value):
            ctypes.c_ssize_t.from_address(id(item)).value = IMMORTAL
        gc.freeze()
    return value, None


def walked(value: Any, mappings: tuple[type, ...], sequences: tuple[type, ...]) -> int:
    """Visit everything in a value; count it."""
    if isinstance(value, mappings):
        pairs = value.items()
        return 1 + sum(
            walked(key, mappings, sequences) + walked(item, mappings, sequences)
            for key, item in pairs
        )
    if isinstance(value, sequences):
        return 1 + sum(walked(item, mappings, sequences) for item in value)
    return 1


def cost(pid: int | str) -> tuple[float, float]:
    """Return the memory of a process alone, and its share, in MiB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup if line.endswith("kB")}
    return (sizes["Private_Clean"] + sizes["Private_Dirty"]) / 1024, sizes["Pss"] / 1024


def anonymous(pid: int) -> int:
    """Return how many bytes of regions a process has copied."""
    total, inside = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = "memfd:floe:" in line
        elif inside and line.startswith("Anonymous:"):
            total += int(line.split()[1]) * 1024
    return total


def forked(workers: int, read: Any) -> list[tuple[int, int]]:
    """Fork children that run something and wait to be killed; return their numbers and pipes."""
    born = []
    for _ in range(workers):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            read()
            os.write(writer, b"x")
            signal.pause()
        os.close(writer)
        born.append((pid, reader))
    for _, done in born:
        os.read(done, 1)
    return born


def ended(born: list[tuple[int, int]]) -> None:
    """End children."""
    for pid, done in born:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(done)


def main() -> None:
    """Measure one way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind")
    parser.add_argument("workers", type=int)
    parser.add_argument("--caches", type=Path)
    parser.add_argument("--recipes", type=int, default=1000)
    options = parser.parse_args()
    value, keeper = prepared(options.kind, options)
    mappings: tuple[type, ...] = (dict, Pickled)
    sequences: tuple[type, ...] = (list, tuple, set, frozenset)
    if keeper is not None:
        import floe

        mappings, sequences = (floe.FrozenDict,), (tuple, floe.FrozenList, floe.FrozenSet)
        # Touched once by the parent, as a build that checks it does.
        walked(value, mappings, sequences)
    gc.collect()
    idle = forked(1, lambda: None)
    idle_uss = cost(idle[0][0])[0]
    ended(idle)
    born = forked(options.workers, lambda: walked(value, mappings, sequences))
    costs = [cost(pid) for pid, _ in born]
    told = {
        "sum_pss_mib": cost("self")[1] + sum(share for _, share in costs),
        "uss_mib": max(alone for alone, _ in costs),
        "idle_uss_mib": idle_uss,
        "anonymous": max(anonymous(pid) for pid, _ in born),
    }
    ended(born)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
