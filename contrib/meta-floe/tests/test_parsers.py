"""What is known of code and of files: the same as BitBake's own, bounded, and never in the way."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bb.codeparser
import bed
import pytest
from bb.checksum import FileChecksumCache
from bb.codeparser import CodeParserCache, PythonParser, ShellParser
from floebb import child, findings, parsers, say

CODE = "d.getVar('ONE'); bb.utils.contains('TWO', 'x', d.getVar('THREE'), '', d); os.getcwd()"
SHELL = "first | second; third $(fourth)"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Opens BitBake's cache of parsed code anew, as a start of a cooker does."""
    monkeypatch.setattr(bb.codeparser, "codeparsercache", None)
    monkeypatch.setattr(parsers, "_all_parsed", False)

    def open_again() -> CodeParserCache:
        bb.codeparser.codeparsercache = cache = CodeParserCache()
        cache.init_cache(str(tmp_path))
        return cache

    yield open_again


def python(code: str) -> dict[str, Any]:
    """What the parser tells of code, all of it that BitBake keeps."""
    parser = PythonParser("test", bb.codeparser.logger)
    parser.parse_python(code)
    return {n: getattr(parser, n) for n in ("references", "execs", "contains", "extra")}


def shell(code: str) -> set[str]:
    """The same for a shell function."""
    return ShellParser("test", bb.codeparser.logger).parse_shell(code)


def parse(cache: Any, *codes: str) -> None:
    """Is a parser of the cooker."""

    def work() -> None:
        for code in codes:
            python(code)
        cache.save_extras()

    child.run(work)


def by_bitbake(file: Path) -> list[dict[str, Any]]:
    """What is in BitBake's own file."""
    data, _ = pickle.loads(file.read_bytes())
    return [{k: v if type(v) is tuple else v.__getstate__() for k, v in d.items()} for d in data]


def test_the_cookers_caches_are_the_same_with_and_without(build: bed.Build) -> None:
    file = build.top / "cache/bb_codeparser.dat"
    build.run("-p")
    with_layer, region = by_bitbake(file), findings.floe.load(file.with_suffix(".floe")).value
    assert dict(region["entries"]["python"]) == with_layer[0]
    assert dict(region["entries"]["shell"]) == with_layer[1]
    # A class is edited: most code is known, some is not.
    build.edit(build.layer / "classes/extra.bbclass", "do_package:append() {\n  added ${PN}\n}")
    build.run("-p")
    edited = by_bitbake(file)
    build.forget()
    build.run("-p", off=True)
    assert all(with_layer)
    assert len(edited[1]) > len(with_layer[1])
    assert [edited[n] | known for n, known in enumerate(by_bitbake(file))] == edited
    assert not file.with_suffix(".floe").exists()


def test_a_hit_equals_a_miss(opened: Any) -> None:
    cache = opened()
    missed = python(CODE), shell(SHELL)
    cache.save_extras()
    cache.save_merge()
    assert parsers.attached(cache)
    cache = opened()
    assert parsers.attached(cache)
    assert (python(CODE), shell(SHELL)) == missed
    assert missed[0]["contains"] == {"TWO": {"x"}}
    assert not cache.cachedata[0].found()


def test_without_the_layer_nothing_is_lost(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened()
    missed = python(CODE)
    cache.save_extras()
    cache.save_merge()
    parse(cache, CODE + "; found()")
    monkeypatch.setattr("floebb.state._off", True)
    cache.save_merge()  # in a server that goes on
    cache = opened()
    assert type(cache.pythoncache) is dict
    assert len(cache.pythoncache) == 2
    assert python(CODE) == missed
    assert not cache.pythoncacheextras


def test_two_parsers_findings_are_merged(opened: Any, tmp_path: Path) -> None:
    cache = opened()
    python(CODE)
    cache.save_extras()
    cache.save_merge()
    known = dict(cache.cachedata[0].overlay)
    key = bb.codeparser.bbhash("both()")
    parse(cache, CODE, "both()", "one()")
    with_name = tmp_path / "bb_codeparser.dat-z"  # after the first in order
    parse(cache, "both()", "two()")
    last = max(tmp_path.glob("bb_codeparser.dat-*"))
    (found, version), _ = _pickles(last)
    found[0][key].execs = frozenset({"second writer"})
    with_name.write_bytes(pickle.dumps([found, version]))  # as BitBake writes it
    last.unlink()
    cache.save_merge()
    merged = cache.cachedata[0]
    assert len(merged) == 4
    assert merged[key].execs == {"both"}
    assert {k: merged.overlay[k] for k in known} == known
    assert by_bitbake(tmp_path / "bb_codeparser.dat")[0] == dict(merged.overlay)
    assert not list(tmp_path.glob("bb_codeparser.dat-*"))


def _pickles(file: Path) -> tuple[Any, Any]:
    with file.open("rb") as read:
        return pickle.load(read), pickle.load(read)


def test_of_checksums_the_newest_stays(tmp_path: Path) -> None:
    cache = FileChecksumCache()
    cache.init_cache(str(tmp_path))
    file = tmp_path / "file"

    def see(text: str, when: int) -> None:
        def work() -> None:
            file.write_text(text)
            os.utime(file, (when, when))
            cache.get_checksum(str(file))
            cache.save_extras()

        child.run(work)

    for text, when in (("new", 2000), ("old", 1000)):
        see(text, when)
        cache.save_merge()
        assert cache.cachedata[0][str(file)][0] == 2000
    see("newest", 3000)
    cache.save_merge()
    assert by_bitbake(tmp_path / "local_file_checksum_cache.dat")[0][str(file)][0] == 3000


def test_idle_entries_go(opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "IDLE_GENERATIONS", 3)
    module = tmp_path / "module.py"
    module.write_text("def f(): pass\n")
    stat = module.stat()
    stands = f"{module}:{stat.st_size}:{stat.st_mtime}f"
    cache = opened()
    for code in (CODE, "used()"):
        python(code)
    cache.pythoncacheextras[stands] = cache.pythoncacheextras[bb.codeparser.bbhash(CODE)]
    cache.save_extras()
    cache.save_merge()
    idle, used = map(bb.codeparser.bbhash, (CODE, "used()"))

    def generation(whole: bool) -> set[str]:
        monkeypatch.setattr(parsers, "_all_parsed", whole)
        again = opened()
        parse(again, "used()")
        again.save_merge()
        return set(again.pythoncache)

    # A parse of some recipes tells nothing of the code of others.
    for whole in (True, False, False, False, True):
        assert generation(whole) == {idle, used, stands}
    assert generation(whole=True) == {used, stands}
    assert set(by_bitbake(tmp_path / "bb_codeparser.dat")[0]) == {used, stands}
    module.unlink()
    assert [len(generation(whole=True)) for _ in range(3)] == [2, 2, 1]


def test_an_idle_entry_that_is_asked_for_is_new_again() -> None:
    entries, idle = {"a": 1}, {"a": findings.IDLE_GENERATIONS - 1}
    assert findings.age(entries, {"a"}, idle, True) == {}
    assert entries == {"a": 1}
    assert findings.age(entries, set(), idle, True) == {}
    assert entries == {}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_region_is_not_used_and_is_made_again(
    opened: Any, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = opened()
    missed = python(CODE)
    cache.save_extras()
    cache.save_merge()
    region = tmp_path / "bb_codeparser.floe"
    data = bytearray(region.read_bytes())
    data[len(data) // 2] ^= 0x55
    region.write_bytes({"cut": data[:999], "flip": bytes(data), "empty": b""}[damage])
    say._said.clear()
    with caplog.at_level("INFO", logger="BitBake.Floe"):
        cache = opened()
        opened()
    assert len([r for r in caplog.records if "parsers: BitBake's own way" in r.getMessage()]) == 1
    assert type(cache.pythoncache) is dict
    bb.codeparser.codeparsercache = cache
    assert python(CODE) == missed
    cache.save_merge()
    assert parsers.attached(cache)
    assert parsers.attached(opened())


def test_a_cut_file_of_a_parser_is_dropped(opened: Any, tmp_path: Path) -> None:
    cache = opened()
    parse(cache, CODE)
    (left,) = tmp_path.glob("bb_codeparser.dat-*")
    (tmp_path / "bb_codeparser.dat-1").write_bytes(left.read_bytes()[:40])
    cache.save_merge()
    assert len(cache.pythoncache) == 1
    assert not list(tmp_path.glob("bb_codeparser.dat-*"))


ON_A_FULL_DISK = """
import os, pickle, subprocess, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(disk)], check=True)
import bb.cooker, floebb, bb.codeparser
from floebb import parsers
from test_parsers import CODE, by_bitbake, parse, python
bb.codeparser.codeparsercache = cache = bb.codeparser.CodeParserCache()
cache.init_cache(str(disk))
file, region = disk / "bb_codeparser.dat", disk / "bb_codeparser.floe"
python(CODE)
cache.save_extras()
cache.save_merge()
assert parsers.attached(cache)
before = file.read_bytes(), region.read_bytes()
parse(cache, *(f"found{n}()" for n in range(100)))
left = [path.read_bytes() for path in disk.glob("*.dat-*")]
assert len(left) == 1
fill = open(disk / "fill", "wb", buffering=0)
try:
    while True:
        fill.write(bytes(4096))
except OSError:
    fill.close()
cache.save_merge()
assert (file.read_bytes(), region.read_bytes()) == before
assert [path.read_bytes() for path in disk.glob("*.dat-*")] == left
python("more()")
cache.save_extras()
assert [path.read_bytes() for path in disk.glob("*.dat-*")] == left
assert not list(disk.glob(".bb*"))
os.unlink(disk / "fill")
cache.save_extras()
cache.save_merge()
assert parsers.attached(cache)
assert len(by_bitbake(file)[0]) == 102, len(by_bitbake(file)[0])
print("as it should be")
"""


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    own_mounts = ["unshare", "--mount"]
    tried = [*own_mounts, "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if (
        shutil.which("unshare") is None
        or subprocess.run(tried, capture_output=True, timeout=60).returncode
    ):
        pytest.skip("needs a mount namespace of its own")
    library = str(Path(bb.__file__).parent.parent)
    command = [*own_mounts, sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path), *sys.path[:3]]
    done = subprocess.run([*command, library], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("as it should be\n"), done.stdout + done.stderr
