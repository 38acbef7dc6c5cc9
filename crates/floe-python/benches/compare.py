"""Measure frozen dicts against plain ones and against the ways that people have today.

One command, one run, the same data for everybody: ``python benches/compare.py``. Ratios are below 1
where frozen is faster, but for those that say how many times. What is not installed is left out:
``pip install lmdb msgspec UltraDict`` for all.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chart
import data
import floe

MIB = 1 << 20
#: What is asked of each figure: at most, or with a minus at least.
ASKED = {
    "infos_mib": 15.5,
    "both_mib": 25,
    "getitem": 1.0,
    "get": 1.0,
    "three": 1.05,
    "ten": 1.0,
    "contains": 1.2,
    "walk": 1.15,
    "lmdb": -100,
    "pickled_list": -100,
    "thaw": 0.65,
    "exec_ms": 2,
    "exec_mib": 0.5,
    "load_gc_off": -5,
    "load_gc_on": -20,
    "freeze_infos": 1.2,
    "freeze_cachedata": 1.2,
    "freeze_both": 1.2,
    "freeze_floats": 2,
    "pss_children_mib": 60,
    "child_above_idle_mib": 1.0,
    "anonymous": 0,
    "import_ms": 5,
}


def best(run: Callable[[], Any], rounds: int = 3) -> float:
    """Return the least time of some rounds, in seconds."""
    least = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - start)
    return least


def in_turns(run: Callable[[Any], Any], one: Any, other: Any, rounds: int) -> tuple[float, float]:
    """Return the least times of both, measured in turns."""
    least = [float("inf"), float("inf")]
    for _ in range(rounds):
        for place, value in enumerate((one, other)):
            start = time.perf_counter()
            run(value)
            least[place] = min(least[place], time.perf_counter() - start)
    return least[0], least[1]


def walked(value: Any) -> int:
    """Visit everything in a value; count it."""
    if isinstance(value, (dict, floe.FrozenDict)):
        return 1 + sum(walked(key) + walked(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset, floe.FrozenList, floe.FrozenSet)):
        return 1 + sum(map(walked, value))
    return 1


def lookups(infos: dict[str, Any], frozen: Any, rounds: int) -> dict[str, Any]:
    """Measure reading by keys that are equal to those of the dict, but other objects."""
    keys = ["".join(list(key)) for key in infos]
    random.Random(1).shuffle(keys)
    kept = next(iter(infos.values()))
    texts = [
        name for name in kept if all(isinstance(info.get(name), str) for info in infos.values())
    ]
    first, second, third = (texts * 3)[:3]
    fields = list(kept)[:10]

    def contains(value: Any) -> None:
        for key in keys:
            key in value  # noqa: B015 - this is what is measured

    def getitem(value: Any) -> None:
        for key in keys:
            value[key]

    def get(value: Any) -> None:
        for key in keys:
            value.get(key)

    def three(value: Any) -> None:
        for key in keys:
            info = value[key]
            info[first]
            info[second]
            info[third]

    def ten(value: Any) -> None:
        for key in keys:
            info = value[key]
            for field in fields:
                info.get(field)

    figures = {}
    for run in (contains, getitem, get, three, ten):
        plain, ours = in_turns(run, infos, frozen, rounds)
        figures[run.__name__] = ours / plain
        figures[f"{run.__name__}_ns"] = [plain / len(keys) * 1e9, ours / len(keys) * 1e9]
    plain, ours = in_turns(walked, infos, frozen, 3)
    figures["walk"] = ours / plain
    return figures


def records(infos: dict[str, Any], frozen: Any) -> dict[str, Any]:
    """Measure a record and three of its fields against stores that hold encoded records."""
    keys = random.Random(2).sample(list(infos), min(500, len(infos)))
    fields = list(next(iter(infos.values())))[:3]

    def read(load: Callable[[str], Any]) -> float:
        def run() -> None:
            for key in keys:
                info = load(key)
                for field in fields:
                    info.get(field)

        return best(run, 5) / len(keys)

    ours = read(frozen.__getitem__)
    figures: dict[str, Any] = {"record_ns": ours * 1e9}
    pickled = [pickle.dumps(info, -1) for info in infos.values()]
    whole, ends = b"".join(pickled), []
    for part in pickled:
        ends.append((ends[-1] if ends else 0) + len(part))
    places = {key: place for place, key in enumerate(infos)}
    view = memoryview(whole)

    def from_list(key: str) -> Any:
        place = places[key]
        start = ends[place - 1] if place else 0
        return pickle.loads(view[start : ends[place]])

    figures["pickled_list"] = read(from_list) / ours
    thawed = best(lambda: [floe.thaw(frozen[key]) for key in infos], 5)
    figures["thaw"] = thawed / best(lambda: [from_list(key) for key in infos], 5)
    try:
        import lmdb
        import msgspec
    except ImportError:
        return figures
    with tempfile.TemporaryDirectory() as folder:
        store = lmdb.open(folder, map_size=1 << 30)
        encoder, decoder = msgspec.msgpack.Encoder(enc_hook=list), msgspec.msgpack.Decoder()
        with store.begin(write=True) as writing:
            for key, info in infos.items():
                writing.put(key.encode(), encoder.encode(info))
        with store.begin(buffers=True) as reading:
            figures["lmdb"] = read(lambda key: decoder.decode(reading.get(key.encode()))) / ours
    return figures


def others(infos: dict[str, Any], frozen: Any) -> dict[str, Any]:
    """Measure a record through a server process, and through pickles in shared memory."""
    figures: dict[str, Any] = {}
    keys = list(infos)[:200]
    with multiprocessing.Manager() as manager:
        shared = manager.dict({key: infos[key] for key in keys})
        figures["manager_us"] = best(lambda: [shared[key] for key in keys]) / len(keys) * 1e6
    try:
        from UltraDict import UltraDict
    except ImportError:
        return figures
    ultra = UltraDict({key: infos[key] for key in keys}, buffer_size=1 << 26)
    figures["ultradict_us"] = best(lambda: [ultra[key] for key in keys]) / len(keys) * 1e6
    ultra.unlink()
    return figures


OPENED = """
import gc, pickle, sys, time
import floe

def unpickle():
    found = {}
    with open(sys.argv[1], "rb") as file:
        unpickler = pickle.Unpickler(file)
        while True:
            try:
                key, value = unpickler.load()
            except EOFError:
                return found
            found[key] = value

def took(run):
    start = time.perf_counter()
    kept = run()
    return time.perf_counter() - start

print(min(took(lambda: floe.load(sys.argv[2])) for _ in range(3)))
print(min(took(unpickle) for _ in range(3)))
gc.disable()
print(min(took(unpickle) for _ in range(3)))
"""


def opening(infos: dict[str, Any], handle: floe.Frozen, folder: Path) -> dict[str, Any]:
    """Measure loading with all checks against unpickling, key by key as build tools do.

    In a fresh interpreter, as in a tool that starts: what else is on the heap decides how often the
    collector looks at all of it.
    """
    paths = [str(folder / name) for name in ("infos.pickle", "infos.floe")]
    handle.save(paths[1])
    with open(paths[0], "wb") as file:
        pickler = pickle.Pickler(file, -1)
        for item in infos.items():
            pickler.dump(item)
    told = []
    for _ in range(3):
        command = [sys.executable, "-c", OPENED, *paths]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told.append([float(line) for line in done.stdout.split()])
    ours, collected, uncollected = (min(row[place] for row in told) for place in range(3))
    return {
        "load_ms": ours * 1e3,
        "load_gc_on": collected / ours,
        "load_gc_off": uncollected / ours,
    }


def freezing(values: dict[str, Any]) -> dict[str, Any]:
    """Measure freezing against pickling."""
    figures = {}
    for name, value in values.items():
        pickled = best(lambda value=value: pickle.dumps(value, -1))
        frozen = best(lambda value=value: floe.freeze(value, "bench"))
        figures[f"freeze_{name}"] = frozen / pickled
    return figures


STARTED = """
import sys, time
from pathlib import Path
def own():
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup if line.endswith("kB")}
    return sizes["Private_Clean"] + sizes["Private_Dirty"]
own(); before = own(); start = time.perf_counter()
import floe
imported = time.perf_counter()
info = floe.Frozen.inherited("infos").value
info[next(iter(info))].get("pn")
ready = time.perf_counter()
print((ready - start) * 1e3, (imported - start) * 1e3, own() - before)
"""


def starting(handle: floe.Frozen, rounds: int) -> dict[str, Any]:
    """Measure how soon a program that was started by exec reads, with the import."""
    told = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", STARTED],
            capture_output=True,
            text=True,
            check=True,
            **floe.passing(handle),
        )
        told.append([float(part) for part in done.stdout.split()])
    least = [min(row[place] for row in told) for place in range(3)]
    return {"exec_ms": least[0], "import_ms": least[1], "exec_mib": least[2] / 1024}


def memory_of(kind: str, workers: int, source: list[str]) -> dict[str, Any]:
    """Measure, in a fresh interpreter, children that read everything."""
    command = [sys.executable, str(Path(__file__).with_name("children.py"))]
    done = subprocess.run(
        [*command, kind, str(workers), *source], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def children(workers: int, source: list[str]) -> dict[str, Any]:
    """Measure the memory of children of each way."""
    kinds = ["frozen", "dict", "gc.freeze", "pickled list"]
    if sys.version_info >= (3, 12):
        kinds.append("immortal")
    told = {kind: memory_of(kind, workers, source) for kind in kinds}
    ours = told["frozen"]
    return {
        "children": told,
        "pss_children_mib": ours["sum_pss_mib"],
        "child_above_idle_mib": ours["uss_mib"] - ours["idle_uss_mib"],
        "anonymous": ours["anonymous"],
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything."""
    if options.caches:
        infos, indexes = data.real(options.caches)
        source = ["--caches", str(options.caches)]
    else:
        infos, indexes = data.generated(options.recipes)
        source = ["--recipes", str(options.recipes)]
    both = {"infos": infos, "cachedata": indexes}
    handle = floe.freeze(infos, "infos")
    figures: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
        "recipes": len(infos),
        "infos_mib": handle.size / MIB,
        "both_mib": floe.freeze(both, "both").size / MIB,
    }
    figures |= lookups(infos, handle.value, options.rounds)
    figures |= records(infos, handle.value)
    figures |= others(infos, handle.value)
    values = {"infos": infos, "cachedata": indexes, "both": both}
    figures |= freezing({**values, "floats": data.samples(options.samples)})
    with tempfile.TemporaryDirectory() as folder:
        figures |= opening(infos, handle, Path(folder))
    figures |= starting(handle, 15)
    figures |= children(options.workers, source)
    return figures


def shown(figures: dict[str, Any]) -> str:
    """Return the figures beside what is asked of them."""
    rows = []
    for name, asked in ASKED.items():
        if name in figures:
            got = figures[name]
            met = got >= -asked if asked < 0 else got <= asked
            bound = f">= {-asked}" if asked < 0 else f"<= {asked}"
            rows.append(f"{name:22}{got:10.2f}  {bound:9} {'' if met else '  MISSED'}")
    return "\n".join(rows)


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--caches", type=Path, help="a folder with dumps of a real build")
    parser.add_argument("--recipes", type=int, default=1000, help="of generated data")
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=200, help="of each lookup")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--svg", type=Path, help="where to draw the memory of children")
    options = parser.parse_args()
    figures = measure(options)
    print(shown(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    if options.svg:
        options.svg.write_text(chart.draw(figures))


if __name__ == "__main__":
    main()
