"""BitBake's recipe cache as a dump, read from JSON or made up in the same shape."""

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import bb.cache
import bb.parse
from bb.cache import Cache, CacheData, CoreRecipeInfo

TASKS = [
    f"do_{n}"
    for n in ["fetch", "unpack", "patch", "configure", "compile", "install", "package", "build"]
]
SEPARATOR = re.compile(r"(?:(?<=:True)|(?<=:False))\s+")


def read(folder: Path | None) -> dict[str, CoreRecipeInfo]:
    """The dump in `folder` (core_recipe_info.json), or a small one."""
    if folder is None:
        return {name: _info(fields) for name, fields in made_up(200).items()}
    texts: dict[str, str] = {}
    dump = json.loads((folder / "core_recipe_info.json").read_text())
    infos = {}
    for name, dumped in dump.items():
        fields = _decode(dumped, texts)
        fields["timestamp"] = tuple(fields["timestamp"])
        pairs = fields.get("file_depends") or []
        fields["file_depends"] = [(p, tuple(s) if isinstance(s, list) else s) for p, s in pairs]
        infos[name] = _info(fields)
    return infos


def _decode(item: Any, texts: dict[str, str]) -> Any:
    if isinstance(item, str):
        return texts.setdefault(item, item)
    if isinstance(item, list):
        return [_decode(each, texts) for each in item]
    if not isinstance(item, dict):
        return item
    if "__set__" in item:
        return frozenset(_decode(each, texts) for each in item["__set__"])
    return {_decode(k, texts): _decode(v, texts) for k, v in item.items() if k != "__class__"}


def _info(fields: dict[str, Any]) -> CoreRecipeInfo:
    info = CoreRecipeInfo.__new__(CoreRecipeInfo)
    info.__dict__.update(fields)
    return info


def made_up(count: int) -> dict[str, dict[str, Any]]:
    """Fields of as many recipes, every fourth with a variant, every twentieth skipped."""
    found = {}
    for n in range(count):
        path = f"/layer/recipes-{n % 9}/part{n}/part{n}_1.{n % 5}.bb"
        variants = ["native", ""] if n % 4 == 0 else [""]
        for variant in variants:
            name = f"virtual:{variant}:{path}" if variant else path
            found[name] = _fields(n, path, f"part{n}-{variant}".rstrip("-"), variants)
            if n % 20 == 9:
                found[name] |= {"skipped": True, "skipreason": "unwanted"}
    return found


def _fields(n: int, path: str, pn: str, variants: list[str]) -> dict[str, Any]:
    stamp = (10**18 + n, 100 + n, 1000 + n)
    shared = [(f"/layer/classes/{c}.bbclass", (10**18, 1, c)) for c in range(n % 7)]
    absent = [(f"/build/classes/{c}.bbclass", 0) for c in range(n % 7)]
    files = [f"/layer/files/{n}/{k}:{k == 0}" for k in range(n % 3)]
    packages = [f"{pn}-{p}" for p in ("src", "dbg", "dev", "doc")] + [pn]
    return {
        "file_depends": [(path, stamp), *shared, *absent],
        "timestamp": stamp,
        "variants": variants,
        "appends": [f"/layer/appends/part{n}.bbappend"] if n % 13 == 0 else [],
        "nocache": "",
        "provides": [pn, f"virtual/{n % 11}"] if n % 11 else [pn],
        "rprovides": [f"role{n % 6}"],
        "pn": pn,
        "packages": packages,
        "packages_dynamic": [f"^{pn}-locale-.*"],
        "rprovides_pkg": {p: [f"{p}-too"] if n % 5 == 0 else [] for p in packages},
        "skipreason": "",
        "tasks": TASKS,
        "basetaskhashes": {t: f"{hash((pn, t)) & (1 << 256) - 1:064x}" for t in TASKS},
        "hashfilename": f"False sstate:{pn}::1.{n % 5}:r0:: sstate:{pn}::",
        "task_deps": {"tasks": TASKS, "parents": {t: TASKS[:k] for k, t in enumerate(TASKS)}},
        "skipped": False,
        "pe": "",
        "pv": f"1.{n % 5}",
        "pr": "r0",
        "defaultpref": -(n % 2),
        "not_world": "1" if n % 17 == 3 else "",
        "stamp": f"/build/tmp/stamps/{pn}",
        "stampclean": f"/build/tmp/stamps/{pn}/*",
        "stamp_extrainfo": dict.fromkeys(TASKS),
        "file_checksums": {"do_fetch": "  ".join(files)} if files else {},
        "depends": [f"part{n // 2}", f"part{n // 3}", f"part{n // 2}"] if n else [],
        "rdepends": [],
        "rrecommends": [f"part{n // 4}"] if n % 8 == 0 else [],
        "rdepends_pkg": {p: [pn] if p.endswith("-dev") else [] for p in packages},
        "rrecommends_pkg": {p: [] for p in packages},
        "inherits": [f"/layer/classes/{c}.bbclass" for c in range(n % 7)],
        "fakerootenv": f"PREFIX=/build/{pn}",
        "fakerootdirs": f"/build/{pn}/pseudo/",
        "fakerootlogs": f"/build/{pn}/pseudo/pseudo.log",
        "fakerootnoenv": "UNLOAD=1",
        "extradepsfunc": "",
    }


def cache(folder: Path) -> Cache:
    """BitBake's class over a folder, without a cooker around it."""
    made = Cache.__new__(Cache)
    made.caches_array = [CoreRecipeInfo]
    made.clean, made.checked, made.depends_cache = set(), set(), {}
    made.mc, made.cachedir, made.data_hash = "", str(folder), "hash"
    made.logger = logging.getLogger("BitBake.Cache")
    made.cacheclean = False
    made.filelist_regex = SEPARATOR
    return made


class Disk:
    """Stands in for the files that the recipes were parsed from."""

    def __init__(self, infos: dict[str, CoreRecipeInfo]) -> None:
        self.stamps: dict[str, Any] = {}
        self.there: set[str] = set()
        for name, info in infos.items():
            self.stamps[bb.cache.virtualfn2realfn(name)[0]] = info.timestamp
            self.stamps.update(info.file_depends or ())
            for entries in getattr(info, "file_checksums", {}).values():
                for entry in SEPARATOR.split(entries.strip()):
                    if entry.endswith(":True"):
                        self.there.add(entry.removesuffix(":True"))

    def stamp(self, path: str) -> Any:
        """As bb.parse.cached_mtime_noerror."""
        return self.stamps.get(path, 0)

    def exists(self, path: str, mode: int = 0) -> bool:
        """As os.path.exists and os.access."""
        return path in self.there

    def __enter__(self) -> "Disk":
        self._real = bb.parse.cached_mtime_noerror, os.path.exists, os.access
        bb.parse.cached_mtime_noerror = self.stamp
        os.path.exists, os.access = self.exists, self.exists
        return self

    def __exit__(self, *error: object) -> None:
        bb.parse.cached_mtime_noerror, os.path.exists, os.access = self._real


def validate(made: Cache, appends: dict[str, list[str]]) -> set[str]:
    """Asks for each recipe file; returns those that are valid."""
    return {name for name, with_these in appends.items() if made.cacheValid(name, with_these)}


def index(made: Cache, names: set[str]) -> CacheData:
    """The indexes by BitBake's own code."""
    data = CacheData([CoreRecipeInfo])
    for name in names:
        for variant, infos in made.loadCached(name, ()):
            made.add_info(variant, infos, data)
    return data


def plain(value: Any, ordered: bool = False) -> Any:
    """Without proxies and overlays; lists sorted, where their order hangs on that of recipes."""
    if hasattr(value, "items"):
        return {key: plain(each, ordered) for key, each in value.items()}
    if isinstance(value, (str, int, type(None))):
        return value
    values = [plain(each, ordered) for each in value]
    return values if ordered or isinstance(value, tuple) else sorted(values, key=repr)
