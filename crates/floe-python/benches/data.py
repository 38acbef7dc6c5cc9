"""The data that is measured: caches of a build tool, real or generated."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any


def decoded(item: Any, texts: dict[str, str]) -> Any:
    """Return JSON as the Python it was dumped from: sets are marked, equal texts are one object."""
    if isinstance(item, str):
        return texts.setdefault(item, item)
    if isinstance(item, list):
        return [decoded(part, texts) for part in item]
    if not isinstance(item, dict):
        return item
    if "__set__" in item:
        return frozenset(decoded(part, texts) for part in item["__set__"])
    return {
        decoded(key, texts): decoded(value, texts)
        for key, value in item.items()
        if key != "__class__"
    }


def real(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Load the dumps of a real build: its recipes, and what is computed from all of them."""
    texts: dict[str, str] = {}

    def dump(name: str) -> dict[str, Any]:
        return decoded(json.loads((folder / f"{name}.json").read_text()), texts)  # type: ignore[no-any-return]

    infos, indexes = dump("core_recipe_info"), dump("cachedata")
    for info in infos.values():
        info["timestamp"] = tuple(info["timestamp"])
        if info.get("file_depends"):
            info["file_depends"] = [
                (path, tuple(stamp) if isinstance(stamp, list) else stamp)
                for path, stamp in info["file_depends"]
            ]
    return infos, indexes


def generated(recipes: int, seed: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make caches of that shape: many fields, shared lists of files, tasks with hashes."""
    chance = random.Random(seed)
    tasks = [
        "do_" + task
        for task in ["fetch", "unpack", "patch", "configure", "compile", "install", "package"]
    ]
    files = [f"/layers/meta/classes/class-{number}.bbclass" for number in range(120)]
    names = [f"recipe-{number}" for number in range(recipes)]
    infos = {}
    for name in names:
        key = f"/layers/meta/recipes/{name}/{name}_1.{chance.randrange(9)}.bb"
        depends = chance.sample(names, min(6, recipes))
        shared = files[: 100 + chance.randrange(4)]
        infos[key] = {
            "pn": name,
            "pv": f"1.{chance.randrange(90)}",
            "pe": "",
            "pr": "r0",
            "packages": [name, f"{name}-dev", f"{name}-doc", f"{name}-staticdev"],
            "provides": [name, f"virtual/{name}"],
            "depends": depends,
            "rdepends": [],
            "timestamp": (chance.randrange(2**31), chance.randrange(2**31), 4096),
            "task_deps": {
                "tasks": tasks,
                "parents": {task: tasks[:place] for place, task in enumerate(tasks)},
            },
            "basetaskhashes": {
                f"{key}:{task}": f"{chance.getrandbits(256):064x}" for task in tasks
            },
            "file_depends": [(path, (1_700_000_000, 4096, 7)) for path in shared],
            "stamp": f"/build/tmp/stamps/{name}/1.0",
            "inherits": shared[:40],
            "file_checksums": dict.fromkeys(tasks, ""),
            "skipped": False,
            "appends": [],
        }
    indexes: dict[str, Any] = {
        "pkg_fn": {key: info["pn"] for key, info in infos.items()},
        "pkg_pn": {info["pn"]: [key] for key, info in infos.items()},
        "providers": {name: [key] for key, info in infos.items() for name in info["provides"]},
        "task_deps": {key: info["task_deps"] for key, info in infos.items()},
        "inherits": {key: info["inherits"] for key, info in infos.items()},
        "basetaskhash": {
            task: value for info in infos.values() for task, value in info["basetaskhashes"].items()
        },
    }
    return infos, indexes


def samples(number: int, seed: int = 1) -> list[dict[str, Any]]:
    """Make samples as a data loader has them: boxes of floats, labels, a path."""
    chance = random.Random(seed)
    return [
        {
            "file_name": f"train2017/{place:012d}.jpg",
            "image_id": place,
            "height": 480,
            "width": 640,
            "annotations": [
                {
                    "bbox": [chance.uniform(0, 640) for _ in range(4)],
                    "category_id": chance.randrange(80),
                    "iscrowd": 0,
                }
                for _ in range(3)
            ],
        }
        for place in range(number)
    ]
