#!/usr/bin/env python3
"""Seam A over a dump with BitBake's own classes: load, validity and indexes, then eight children
that read everything. Each side in processes of its own, in turns.

    bench_dumps.py [--rounds N] [--json FILE] [FOLDER of core_recipe_info.json]
"""

import argparse
import gc
import inspect
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "bed/lib"), str(HERE.parent / "lib")]

import bb.cooker  # noqa: E402,F401
import dumps  # noqa: E402
from bb.cache import Cache, CacheData, CoreRecipeInfo  # noqa: E402

SIDES = ("without", "with")
CHILDREN = 8


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(_side(*arguments.side, arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as saved:
        _save(saved, arguments.folder)
        found: dict[str, list[Any]] = {side: [] for side in SIDES}
        for number in range(arguments.rounds):
            for side in SIDES if number % 2 else reversed(SIDES):
                command = [sys.executable, __file__, "--side", side, saved]
                command += [str(arguments.folder)] if arguments.folder else []
                found[side].append(json.loads(subprocess.check_output(command)))
    best = {side: {k: min(run[k] for run in found[side]) for k in found[side][0]} for side in SIDES}
    for key in best["with"]:
        ratio = best["with"][key] / best["without"][key]
        print(f"{key:12} {best['without'][key]:9.1f} {best['with'][key]:9.1f} {ratio:7.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"load": os.getloadavg()[0], **best}, indent=1) + "\n")


def _save(saved: str, folder: Path | None) -> None:
    from floebb import store

    infos = dumps.read(folder)
    cache = dumps.cache(Path(saved))
    cache.depends_cache = arrays = {name: [info] for name, info in infos.items()}
    inspect.unwrap(Cache.sync)(cache)
    store.save(
        cache,
        arrays,
        {name for name in infos if not name.startswith("virtual:")},
        store.identity(cache),
    )


def _side(side: str, saved: str, folder: Path | None) -> dict[str, float]:
    """One side: milliseconds, then MiB. The stand-in for the disk is made in a child, so that
    what it is made of is no part of the measurement."""
    disk, appends = _made_aside(folder)
    if side == "with":
        import floebb  # noqa: F401
        from floebb import indexes
    cache = dumps.cache(Path(saved))
    gc.collect()
    clock = [time.perf_counter()]
    cache.load_cachefile(lambda done: None)
    clock.append(time.perf_counter())
    with disk:
        assert len(dumps.validate(cache, appends)) == len(appends)
    clock.append(time.perf_counter())
    if side == "with":
        data = CacheData([CoreRecipeInfo])
        indexes.put(cache._floe.root, data, parse_follows=False)
        cache._floe.checked()
    else:
        data = dumps.index(cache, set(appends))
    clock.append(time.perf_counter())
    steps = [1e3 * (after - before) for before, after in itertools.pairwise(clock)]
    times = {**dict(zip(("load", "validity", "indexes"), steps)), "sum": sum(steps)}
    del disk, appends
    from floebb.probe import records

    return {**times, **_read([vars(data), records(cache)])}


def _made_aside(folder: Path | None) -> tuple[dumps.Disk, dict[str, list[str]]]:
    import pickle

    reader, writer = os.pipe()
    if os.fork() == 0:
        infos = dumps.read(folder)
        appends = {n: i.appends for n, i in infos.items() if not n.startswith("virtual:")}
        with open(writer, "wb") as out:
            pickle.dump((vars(dumps.Disk(infos)), appends), out)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as made:
        fields, appends = pickle.load(made)
    os.wait()
    disk = dumps.Disk({})
    vars(disk).update(fields)
    return disk, appends


def _read(held: list[Any]) -> dict[str, float]:
    from floebb.probe import Child, memory, read_all

    children = [Child([lambda: [read_all(each) for each in held]]) for _ in range(CHILDREN)]
    for child in children:
        child.step()
    found = [memory(child.pid) for child in children]
    pss = sum(m["pss"] for m in found) + memory()["pss"]
    for child in children:
        child.end()
    return {"children_pss": pss / (1 << 20), "child_uss": max(m["uss"] for m in found) / (1 << 20)}


if __name__ == "__main__":
    main()
