"""Other processes read in place, however they were born."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import floe
import pytest

CACHE: Any = None


def keep(frozen: floe.Frozen) -> None:
    """Keep what a pool's workers are given."""
    global CACHE  # noqa: PLW0603 - as workers do
    CACHE = frozen


def version(name: str) -> tuple[str, int, int]:
    """Read in a worker: a field, the anonymous memory of the region, and the process."""
    value = CACHE.value[name]["version"]
    (region,) = [it for it in floe.memory().rows[0].regions if it.name == "recipes"]
    return value, region.anonymous, os.getpid()


def version_of(sent: tuple[floe.Frozen, str]) -> str:
    """Read from a handle that was sent."""
    frozen, name = sent
    return str(frozen.value[name]["version"])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools(recipes: floe.Frozen, method: str) -> None:
    context = multiprocessing.get_context(method)
    with context.Pool(2, keep, (recipes,)) as pool:
        answers = pool.map(version, ["zlib", "curl"] * 5)
        assert [answer[0] for answer in answers] == ["1.3.1", "8.12"] * 5
        assert {answer[1] for answer in answers} == {0}
        assert os.getpid() not in {answer[2] for answer in answers}
        assert pool.map(version_of, [(recipes, "zlib")] * 3) == ["1.3.1"] * 3


def test_executors(recipes: floe.Frozen) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, keep, (recipes,)) as pool:
        assert pool.submit(version, "curl").result()[0] == "8.12"


def run(code: str, **passed: Any) -> str:
    """Run a program, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, **passed
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_programs_inherit(recipes: floe.Frozen) -> None:
    other = floe.freeze([1, 2], "other")
    code = (
        "import floe; print(floe.Frozen.inherited('recipes').value['zlib']['version'],"
        "list(floe.Frozen.inherited('other').value), floe.Frozen.inherited('recipes').name)"
    )
    assert run(code, **floe.passing(recipes, other)) == "1.3.1 [1, 2] recipes"


def test_what_is_passed_stays_until_it_was() -> None:
    code = (
        "import floe; print(floe.Frozen.inherited('one').value, floe.Live.inherited('two').value)"
    )
    passed = floe.passing(floe.freeze(1, "one"), floe.Publisher(floe.freeze(2, "two")))
    assert run(code, **passed) == "1 2"
    # A program that was passed something does not pass it on.
    inner = "import floe, os; print([name for name in os.environ if name.startswith('FLOE_')])"
    code = f"import floe, subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}]"
    assert run(f"{code}, check=True, **floe.passing())", **passed) == "[]"


def test_programs_follow(tmp_path: Path) -> None:
    publisher = floe.Publisher(floe.freeze({"n": 1}, "config"))
    code = (
        "import floe, sys; live = floe.Live.inherited('config');"
        "print(live.value['n'], flush=True); sys.stdin.readline();"
        "assert live.wait_newer(30); print(live.value['n'], live.generation)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **floe.passing(publisher),
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "1\n"
    publisher.publish({"n": 2})
    child.stdin.write("\n")
    child.stdin.close()
    assert child.stdout.read() == "2 2\n"
    assert child.wait() == 0
    child.stdout.close()


def test_unrelated_programs_ask_a_broker(tmp_path: Path) -> None:
    socket = tmp_path / "socket"
    publisher = floe.Publisher(floe.freeze({"n": 1}, "config"))
    code = (
        f"import floe; print(floe.connect({str(socket)!r}, 'config').value['n'],"
        f"floe.Live.connect({str(socket)!r}, 'config').generation)"
    )
    with publisher.serve(socket):
        assert run(code) == "1 1"
        with pytest.raises(KeyError, match="no cache"):
            floe.connect(socket, "other")
    with pytest.raises(OSError):
        floe.connect(socket, "config")


def test_a_value_that_is_kept_pins_its_generation() -> None:
    publisher = floe.Publisher(floe.freeze({"n": [1]}, "config"))
    live = publisher.live()
    first = live.value
    assert live.value == first
    assert live.pin() is live.pin()
    publisher.publish({"n": [2]})
    assert live.value == {"n": [2]}
    assert first == {"n": [1]}
    mapped = Path("/proc/self/maps").read_text()
    assert "floe:config.1" in mapped
    assert "floe:config.2" in mapped


def test_forked_parsers_build_parts() -> None:
    parts = [floe.Part("parsed") for _ in range(3)]
    pids = []
    for number, part in enumerate(parts):
        pid = os.fork()
        if pid == 0:
            builder = part.builder()
            for entry in range(5):
                builder.insert(f"{number}.{entry}", {"n": number, "of": [entry]})
            builder.finish()
            os._exit(0)
        pids.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
    builder = floe.Builder("parsed")
    builder.insert("own", None)
    for part in parts:
        builder.append(part)
    parsed = builder.finish()
    assert len(parsed.value) == 16
    assert parsed.value["2.4"] == {"n": 2, "of": [4]}
    assert parsed.value == dict(parsed.value.items())
    assert parsed.value["own"] is None
    with pytest.raises(ValueError, match="appended before"):
        floe.Builder("parsed").append(parts[0])
    with pytest.raises(ValueError, match="was finished"):
        builder.insert("late", 1)


def test_children_read_and_write_nothing() -> None:
    frozen = floe.freeze({f"key {n}": {"n": [n, str(n)]} for n in range(20_000)}, "large")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        total = sum(item["n"][0] for item in frozen.value.values())
        (region,) = [it for it in floe.memory().rows[0].regions if it.name == "large"]
        os.write(writer, f"{total} {region.anonymous}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 100).decode() == f"{sum(range(20_000))} 0"
    os.close(reader)
    os.close(writer)
