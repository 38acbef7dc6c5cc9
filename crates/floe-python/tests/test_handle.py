"""Handles: what is told of a region, and its way into files and through pickles."""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import pickle
import re
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import floe
import pytest


def test_a_handle_tells_what_it_holds(recipes: floe.Frozen) -> None:
    assert recipes.name == "recipes"
    assert recipes.generation == 1
    assert 0 < recipes.size < 4096
    assert abs(recipes.created - time.time()) < 100
    assert re.fullmatch(r'<Frozen "recipes", generation 1, [\d.]+ (B|KiB)>', repr(recipes))
    assert os.readlink(f"/proc/self/fd/{recipes.fileno()}") == "/memfd:floe:recipes.1 (deleted)"
    assert recipes.fds == [recipes.fileno()]
    assert recipes.thaw() == recipes.value
    assert type(recipes.thaw()["curl"]["depends"]) is list


def test_files(recipes: floe.Frozen, tmp_path: Path) -> None:
    file = tmp_path / "recipes.floe"
    recipes.save(file)
    recipes.save(str(file))
    loaded = floe.load(file)
    assert loaded.value == recipes.value
    assert loaded.digest == recipes.digest
    file.unlink()
    assert loaded.value["zlib"]["version"] == "1.3.1"


def test_errors_are_those_of_python_with_the_text_of_the_library(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(FileNotFoundError, match=f"^cannot read {absent}: No such file") as raised:
        floe.load(absent)
    assert isinstance(raised.value, floe.Error)
    assert raised.value.errno == 2
    with pytest.raises(OSError, match="cannot save"):
        floe.freeze(1, "one").save(tmp_path / "no" / "folder")
    (tmp_path / "text").write_text("no region")
    with pytest.raises(ValueError, match=f"^cannot load {tmp_path}/text: "):
        floe.load(tmp_path / "text")
    with pytest.raises(KeyError, match="no handle 'other' was passed"):
        floe.Frozen.inherited("other")
    with pytest.raises(OSError):
        floe.Frozen.from_fds([9999])
    with pytest.raises(OSError):
        floe.Frozen.from_fds([-1])
    with pytest.raises(ValueError, match="not fully sealed"), open("/dev/null", "rb") as other:
        floe.Frozen.from_fds([other.fileno()])


def test_damaged_files_are_refused(recipes: floe.Frozen, tmp_path: Path) -> None:
    file = tmp_path / "recipes.floe"
    recipes.save(file)
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0x40
        file.write_bytes(damaged)
        with pytest.raises(floe.Error):
            floe.load(file)
    for length in range(0, len(whole), 61):
        file.write_bytes(whole[:length])
        with pytest.raises(floe.Error):
            floe.load(file)


def test_a_handle_is_pickled_as_a_handle(recipes: floe.Frozen) -> None:
    pickled = pickle.dumps(recipes)
    assert len(pickled) < 300
    assert pickle.loads(pickled).value == recipes.value


def test_what_has_another_file_by_now_is_refused(recipes: floe.Frozen) -> None:
    pickled = pickle.dumps(recipes)
    other = floe.freeze({"other": 1}, "other")
    fd = recipes.fileno()
    kept = os.dup(fd)
    os.dup2(other.fileno(), fd)
    with pytest.raises(ValueError, match="another file where cache 'recipes' was"):
        pickle.loads(pickled)
    os.dup2(kept, fd)
    os.close(kept)


def test_what_a_dead_process_sent_is_refused() -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, pickle.dumps(floe.freeze([1], "gone")))
        os._exit(0)
    os.waitpid(pid, 0)
    with pytest.raises(OSError, match="cannot open cache 'gone'"):
        pickle.loads(os.read(reader, 4096))
    os.close(reader)
    os.close(writer)


def test_a_proxy_is_pickled_by_content(recipes: floe.Frozen) -> None:
    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            assert not module.startswith("floe")
            return super().find_class(module, name)

    assert Plain(io.BytesIO(pickle.dumps(recipes.value))).load() == recipes.value
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(recipes.value.keys())


def regions() -> int:
    """How many regions this process maps."""
    return Path("/proc/self/maps").read_text().count("memfd:floe:")


def test_memory_goes_with_the_last_that_reads_it() -> None:
    gc.collect()
    before, descriptors = regions(), len(os.listdir("/proc/self/fd"))
    frozen = floe.freeze({"a": {"b": [1, (2, [3])]}}, "gone")
    inner = frozen.value["a"]["b"][1][1]
    iterator = iter(frozen.value["a"].items())
    del frozen
    assert regions() == before + 1
    assert inner == [3]
    del inner
    assert next(iterator)[0] == "b"
    assert regions() == before + 1
    del iterator
    assert regions() == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_references_are_counted() -> None:
    frozen = floe.freeze({"a": [1, "text", (1, [2])], "b": {1, 2}}, "counted")
    value = frozen.value
    key, before = "a", sys.getrefcount(frozen)

    def use() -> None:
        for _ in range(100):
            value[key], value.get("b"), value.get("c"), list(value.items()), value == {"a": 1}
            value["a"][1], value["a"][2][1][0], 1 in value["b"], repr(value), hash(value)
            list(value["a"]), value["a"][::2], value.keys() & {"a"}, reversed(value)
            value | {}, value["b"] | {3}, floe.thaw(value), value.copy()
            for failing in (lambda: value["c"], lambda: value[[]], lambda: value["a"][9]):
                try:
                    failing()
                except (KeyError, TypeError, IndexError):
                    pass

    use()
    gc.collect()
    blocks, keys = sys.getallocatedblocks(), sys.getrefcount(key)
    use()
    gc.collect()
    assert abs(sys.getallocatedblocks() - blocks) < 50
    assert sys.getrefcount(frozen) == before
    assert sys.getrefcount(key) == keys


def test_a_handle_can_be_referred_to_weakly(recipes: floe.Frozen) -> None:
    assert weakref.ref(recipes)() is recipes


def test_importing_starts_no_thread() -> None:
    code = (
        "import sys, threading; before = set(sys.modules); import floe, os;"
        "print(len(os.listdir('/proc/self/task')), 'multiprocessing' in sys.modules)"
    )
    import subprocess

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1", "False"]


def test_interpreters_end_with_values_at_hand() -> None:
    import subprocess

    code = (
        "import floe, sys; kept = floe.freeze({'a': [1, {'b': 2}]}, 'kept').value;"
        "sys.kept = [kept, kept['a'], iter(kept), kept.items()];"
        "cycle = [kept]; cycle.append(cycle)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_module_can_be_imported_again() -> None:
    import subprocess

    code = (
        "import sys, floe; old = floe.freeze({'a': 1}, 'old').value;"
        "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('floe')];"
        "import floe as again; new = again.freeze({'a': 1}, 'new').value;"
        "assert type(old) is type(new) and old == new == {'a': 1};"
        "assert again.thaw(old) == {'a': 1}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_threads_read_at_the_same_time() -> None:
    value = {f"key {number}": [number, {"n": str(number)}] for number in range(200)}
    read, failures = floe.freeze(value, "threads").value, []

    def use() -> None:
        try:
            for _ in range(20):
                assert all(read[key] == item for key, item in value.items())
                assert floe.thaw(read) == value
        except AssertionError as failed:
            failures.append(failed)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_memory_is_told() -> None:
    measured = floe.freeze({"zlib": 1}, "measured")
    assert measured.value["zlib"]
    table = floe.memory()
    (row,) = table.rows
    assert row.pid == os.getpid()
    assert row.uss <= row.rss
    assert table.pss == row.pss > 0
    (region,) = [region for region in row.regions if region.name == "measured"]
    assert region.anonymous == 0
    assert "USS" in repr(table)
    with pytest.raises(OSError, match="cannot read"):
        floe.memory(2**22 - 3)


def test_spawning_is_noticed_only_where_it_happens(recipes: floe.Frozen) -> None:
    assert multiprocessing.get_context("spawn")
    assert pickle.loads(pickle.dumps(recipes)).value == recipes.value
