"""The tool, as `python -m floe`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import floe
import pytest


def tool(*words: object, code: int = 0) -> tuple[str, str]:
    """Run a verb, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "floe", *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def saved(recipes: floe.Frozen, tmp_path: Path) -> Path:
    """A file with a small cache."""
    builder = floe.Builder("recipes")
    for name, recipe in recipes.value.items():
        builder.insert(name, recipe)
    path = tmp_path / "recipes.floe"
    builder.finish().save(path)
    return path


def test_verbs_look_into_files(saved: Path) -> None:
    told, _ = tool("inspect", saved)
    assert "cache       recipes, generation 1" in told
    assert json.loads(tool("inspect", "--json", saved)[0])["name"] == "recipes"
    assert json.loads(tool("dump", saved)[0]) == floe.load(saved).thaw()
    assert json.loads(tool("dump", saved, "zlib")[0]) == {"version": "1.3.1", "depends": []}
    assert "ok" in tool("verify", saved)[0]
    assert "str" in tool("census", saved)[0].lower()


def test_what_is_wrong_is_told(saved: Path) -> None:
    assert 'no key "zlip"; the nearest keys: "zlib"' in tool("dump", saved, "zlip", code=3)[1]
    assert "Usage: floe" in tool(code=2)[1]
    assert tool("--help")[0].startswith("Look into frozen regions")
    bytes_ = bytearray(saved.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    saved.write_bytes(bytes_)
    assert "bad" in tool("verify", saved, code=1)[0]
    assert "cannot read" in tool("inspect", "absent", code=1)[1]


def test_memory_of_processes_is_told(recipes: floe.Frozen) -> None:
    told = json.loads(tool("mem", "--format", "json", os.getpid())[0])
    assert "recipes" in json.dumps(told)


def test_it_prints_what_the_tool_prints(saved: Path) -> None:
    program = os.environ.get("FLOE_TOOL")
    if program is None:
        pytest.skip("FLOE_TOOL names no tool")
    for words in (["inspect", saved], ["census", saved], ["verify", saved], ["--help"]):
        done = subprocess.run([program, *words], capture_output=True, text=True, check=True)
        assert tool(*words) == (done.stdout, done.stderr)


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    publisher = floe.Publisher(floe.freeze(1, "one"))
    with publisher.serve(tmp_path / "socket"):
        watching = subprocess.Popen(
            [sys.executable, "-m", "floe", "watch", str(tmp_path / "socket")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert watching.stdout is not None
            assert b"NAME" in watching.stdout.readline()
            watching.send_signal(signal.SIGINT)
            assert watching.wait(60) == -signal.SIGINT
        finally:
            watching.kill()
            watching.communicate()
