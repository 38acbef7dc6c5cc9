"""Which functions of BitBake the layer was written against.

A seam stands on the functions that it replaces, and on what others around it do. Each is known by
a digest of its text without comments and blank lines; the same in 2.18 and 2.19. One that reads
otherwise turns its seam off.
"""

import hashlib
import inspect
import linecache
import sys
from collections.abc import Callable, Iterator
from typing import Any

STANDS_ON = {
    "warm": {
        "bb.cache.Cache.prepare_cache": "41aa55057116",
        "bb.cache.Cache.load_cachefile": "e75635cddafc",
        "bb.cache.Cache.cacheValid": "48ae93fb5bc5",
        "bb.cache.Cache.cacheValidUpdate": "f335a2284c40",
        "bb.cache.Cache.loadCached": "3ee95e13c3c4",
        "bb.cache.Cache.sync": "cd65aae94af6",
        "bb.cache.Cache.add_info": "bce0fa8a4b73",
        "bb.cache.Cache.remove": "12c36c2e5d9f",
        "bb.cache.CoreRecipeInfo.init_cacheData": "4195d2e557ce",
        "bb.cache.CoreRecipeInfo.add_cacheData": "7c40a69d04db",
        "bb.cache.CoreRecipeInfo.__init__": "b00a389e99e5",
        "bb.cache.MulticonfigCache.__init__": "98d23ea6c480",
        "bb.cooker.CookerParser.__init__": "a2fd65f9eb04",
        "bb.cooker.CookerParser.start": "32ceb75b3ed2",
        "bb.cooker.CookerParser.load_cached": "106a75cfc13e",
        "bb.cooker.CookerParser.parse_next": "7be9e4cd264a",
        "bb.cooker.CookerParser.shutdown": "6abc7f89f304",
        "bb.cooker.CookerParser.final_cleanup": "ad011e1c72dc",
        "bb.cooker.BBCooker.updateCache": "54f2a88d3aa0",
        "bb.cooker.BBCooker.revalidateCaches": "bbc80d67c47c",
        "bb.cooker.BBCooker.add_filewatch": "5f2925184093",
        "bb.cooker.SkippedPackage.__init__": "12efb3d3b9b4",
        "bb.parse.cached_mtime_noerror": "2f6e3e264b62",
    },
    "signatures": {
        "bb.siggen.SignatureGenerator.get_taskdata": "4d83338eca38",
        "bb.siggen.SignatureGenerator.set_taskdata": "e95a9f48320c",
        "bb.siggen.SignatureGenerator.get_taskhashes": "6ff982916638",
        "bb.siggen.SignatureGenerator.set_taskhashes": "8ca967e9fb49",
        "bb.runqueue.RunQueue.teardown_workers": "be3b0621ca0d",
        "bb.runqueue.RunQueue.send_pickled_data": "1728e0815dc5",
        "bb.runqueue.RunQueue._start_worker": "23a609f79f4d",
    },
    "worker": {},  # What it does hurts nobody, and it waits for data of the others.
    "taskdeps": {
        "bb.runqueue.RunQueueExecute.build_taskdepdata_cache": "6368733805ef",
        "bb.runqueue.RunQueueExecute.build_taskdepdata": "bac11a9eef3d",
        "bb.runqueue.RunQueueExecute.process_possible_migrations": "f5ab1c574f1b",
        "bb.runqueue.RunQueueExecute.filtermcdeps": "092cf39ddb75",
    },
    "parsers": {
        "bb.cache.MultiProcessCache.init_cache": "11177ad50e6a",
        "bb.cache.MultiProcessCache.save_extras": "91acce055e05",
        "bb.cache.MultiProcessCache.save_merge": "ab300520c6bd",
        "bb.cache.MultiProcessCache.merge_data": "490133a650f4",
        "bb.codeparser.CodeParserCache.__init__": "7c1711d40e58",
        "bb.codeparser.CodeParserCache.init_cache": "c48c1aa3b3a8",
        "bb.codeparser.CodeParserCache.newPythonCacheLine": "c973cdd381bc",
        "bb.codeparser.CodeParserCache.newShellCacheLine": "fb647ed9a79f",
        "bb.checksum.FileChecksumCache.merge_data": "16360a9dc43b",
        "bb.checksum.FileChecksumCache.get_checksum": "b957e4e63495",
        "bb.cache.MultiProcessCache.__init__": "243ec471654b",
        "bb.codeparser.SetCache.internSet": "dcb5637271e0",
        "bb.codeparser.pythonCacheLine.__init__": "36d46613d5d5",
        "bb.codeparser.pythonCacheLine.__getstate__": "c0ef399ed176",
        "bb.codeparser.shellCacheLine.__init__": "e032d8735de6",
        "bb.codeparser.shellCacheLine.__getstate__": "799c4c746161",
        "bb.codeparser.PythonParser.parse_python": "116998c76601",
        "bb.codeparser.ShellParser.parse_shell": "b841f485b2fd",
        "bb.codeparser.add_module_functions": "e39e529d28c5",
        "bb.codeparser.parser_cache_save": "5f9745c6d277",
        "bb.codeparser.parser_cache_savemerge": "18b5145a70ee",
        "bb.fetch2.fetcher_init": "1083212e98ed",
        "bb.fetch2.fetcher_parse_save": "68d4af977b01",
        "bb.fetch2.fetcher_parse_done": "5f3ab01f05ad",
    },
}


def digest(function: Callable[..., Any]) -> str:
    """Twelve digits over the text of a function."""
    kept = [line for line in _text(function) if line.strip() and not line.lstrip().startswith("#")]
    return hashlib.sha256("".join(line.rstrip() + "\n" for line in kept).encode()).hexdigest()[:12]


def _text(function: Callable[..., Any]) -> Iterator[str]:
    """The lines of a function, as its indentation tells; `inspect.getsource` takes ten times as
    long, at each start of a cooker and a worker."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    indent = len(lines[0]) - len(lines[0].lstrip())
    begun = False
    for line in lines:
        deeper = len(line) - len(line.lstrip()) > indent
        if begun and line.strip() and not deeper:
            return
        yield line
        begun = begun or line.lstrip().startswith("def ")


def changed(seam: str) -> list[str]:
    """The functions that are not as they were."""
    try:
        return [path for path, text in STANDS_ON[seam].items() if _digest_of(path) != text]
    finally:
        linecache.clearcache()  # It would keep a megabyte.


def _digest_of(path: str) -> str | None:
    """None where there is no such function, or one without text."""
    try:
        return digest(inspect.unwrap(_find(path)))
    except (AttributeError, IndexError, KeyError):
        return None


def _find(path: str) -> Any:
    parts = path.split(".")
    found: Any = sys.modules[".".join(parts[:2])]
    for part in parts[2:]:
        found = getattr(found, part)
    return found
