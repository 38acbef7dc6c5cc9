"""The examples run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pool", "forkserver: 15 at most, 0 bytes of the cache copied"),
        ("web", "0 bytes of the catalogue copied"),
        ("loader", "frozen: "),
        ("config", "started program: level 9"),
    ],
)
def test_example(name: str, told: str) -> None:
    if name == "web" and importlib.util.find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
