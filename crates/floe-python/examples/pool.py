"""A pool of workers that read one cache, started by spawn and by forkserver.

Neither gives workers what their parent had in globals. A handle goes along as a descriptor: workers
open it in half a millisecond, and no byte of the cache is pickled or copied.
"""

from __future__ import annotations

import multiprocessing

import floe

recipes: floe.FrozenDict[str, floe.FrozenDict[str, object]]


def start(handle: floe.Frozen) -> None:
    """Keep what the cache holds, once in each worker."""
    global recipes  # noqa: PLW0603 - a worker's own
    recipes = handle.value


def depends(name: str) -> int:
    """Count what a recipe depends on, all the way down."""
    seen: set[str] = set()
    pending = [name]
    while pending:
        for other in recipes[pending.pop()]["depends"]:  # type: ignore[attr-defined]
            if other not in seen:
                seen.add(other)
                pending.append(other)
    return len(seen)


def main() -> None:
    """Build a cache, and let pools of both kinds read it."""
    parsed = {
        f"recipe-{number}": {
            "version": f"1.{number % 9}",
            "depends": [f"recipe-{number // 2}"] if number else [],
        }
        for number in range(20_000)
    }
    handle = floe.freeze(parsed, "recipes")
    names = list(parsed)[-2000:]
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(4, start, (handle,)) as pool:
            counts = pool.map(depends, names)
            copied = pool.apply(anonymous)
        print(f"{method}: {max(counts)} at most, {copied} bytes of the cache copied")


def anonymous() -> int:
    """Return how many bytes of the cache this worker has copied: the kernel's own count."""
    (process,) = floe.memory().rows
    return sum(region.anonymous for region in process.regions)


if __name__ == "__main__":
    main()
