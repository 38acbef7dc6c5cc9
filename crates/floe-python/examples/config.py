"""Large JSON configuration, parsed once and read by programs that are started anew.

A program that is started often parses the same configuration each time. Here the first one to come
parses and saves it; the others load it, and what they start inherits it. When a file changes, or
one appears, the next `refresh` builds it again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import floe


def configuration(folder: Path, cache: Path) -> floe.Cache:
    """Return the configuration in a folder of JSON files, file by file, fresh."""
    store = floe.Store(cache)
    parsed = store.keyed(
        "config",
        lambda inputs: inputs.glob(f"{folder}/*.json"),
        lambda path, inputs: json.loads(inputs.read(path) or b"null"),
        floe.Policy(inputs=True),
    )
    report = store.refresh()
    report.raise_failures()
    print(report)
    return parsed


def write(folder: Path) -> None:
    """Make a large configuration."""
    for part in range(20):
        rules: Any = {
            f"rule-{number}": {"enabled": True, "paths": ["src", "tests"], "level": number % 4}
            for number in range(2000)
        }
        (folder / f"part-{part:02d}.json").write_text(json.dumps(rules))


CHILD = """
import time, sys
start = time.perf_counter()
import floe
config = floe.Frozen.inherited("config").value
level = config[sys.argv[1]]["rule-7"]["level"]
print(f"started program: level {level}, {(time.perf_counter() - start) * 1e3:.1f} ms")
"""


def main() -> None:
    """Parse, load, change, and pass on."""
    with tempfile.TemporaryDirectory() as made:
        folder, cache = Path(made, "config"), Path(made, "cache")
        folder.mkdir()
        write(folder)
        for _ in range(2):
            start = time.perf_counter()
            config = configuration(folder, cache)
            print(f"  {(time.perf_counter() - start) * 1e3:.0f} ms")
        first = folder / "part-00.json"
        first.write_text(first.read_text().replace('"level": 3', '"level": 9'))
        config = configuration(folder, cache)
        command = [sys.executable, "-c", CHILD, str(first)]
        subprocess.run(command, check=True, **floe.passing(config.get()))


if __name__ == "__main__":
    main()
