"""Measures CPython children over the same caches, for `floe-rivals memory`.

usage: children.py inherit|pickle DIRECTORY WORKERS

The caches of DIRECTORY/*.json are pickled to a file, with every text that repeats itself once.
inherit: the parent unpickles that file and forks; the children read what they inherit.
pickle:  each child unpickles the file.

Prints a list of {"step", "uss_bytes", "pss_bytes", "seconds"}: the largest USS, the mean PSS and the
time of each child.
"""

import gc
import json
import os
import pickle
import sys
import tempfile
import time
import traceback
from pathlib import Path


def decode(item, texts):
    """Sets and objects as a BitBake holds them, from the way they are written in JSON."""
    if isinstance(item, str):
        return texts.setdefault(item, item)
    if isinstance(item, list):
        return [decode(element, texts) for element in item]
    if not isinstance(item, dict):
        return item
    if "__set__" in item:
        return frozenset(decode(element, texts) for element in item["__set__"])
    fields = {decode(key, texts): decode(value, texts) for key, value in item.items()}
    name = fields.pop("__class__", None)
    if not isinstance(name, str):
        return fields
    instance = class_named(name)()
    instance.__dict__.update(fields)
    return instance


def class_named(name):
    """A class that pickle finds by its name in this module."""
    if name not in globals():
        globals()[name] = type(name, (), {"__module__": __name__})
    return globals()[name]


def load(directory):
    files = sorted(Path(directory).glob("*.json"))
    if not files:
        sys.exit(f"no *.json in {directory}")
    texts = {}
    return {file.stem: decode(json.loads(file.read_text()), texts) for file in files}


def read(item):
    """Touches every reference; returns how many there are."""
    if isinstance(item, dict):
        return 1 + sum(read(key) + read(value) for key, value in item.items())
    if isinstance(item, (list, tuple, frozenset)):
        return 1 + sum(map(read, item))
    if hasattr(item, "__dict__"):
        return 1 + read(item.__dict__)
    return 1


def memory(pid):
    """USS and PSS of a process, in bytes."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if value.endswith("kB"):
            fields[name] = int(value.split()[0]) * 1024
    return fields["Private_Clean"] + fields["Private_Dirty"], fields["Pss"]


class Child:
    """A forked child that takes each step when it is told to, and waits after it."""

    def __init__(self, steps, held):
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.commands)
                for step in steps:
                    os.read(commands, 1)
                    start = time.monotonic()
                    step(held)
                    os.write(answers, f"{time.monotonic() - start}\n".encode())
                os.read(commands, 1)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(commands)
        os.close(answers)

    def take_step(self):
        os.write(self.commands, b"s")
        return float(os.read(self.answers, 64) or sys.exit("a child died"))

    def end(self):
        os.close(self.commands)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def measure(workers, steps, held):
    children = [Child([step for _, step in steps], held) for _ in range(workers)]
    rows = []
    for name, _ in steps:
        seconds = [child.take_step() for child in children]
        uss, pss = zip(*[memory(child.pid) for child in children])
        rows.append({
            "step": name,
            "uss_bytes": max(uss),
            "pss_bytes": sum(pss) // workers,
            "seconds": seconds,
        })
    for child in children:
        child.end()
    return rows


def write_pickle(directory, file):
    """In a child of its own, so that the parent's heap stays as it was."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with open(file, "wb") as out:
                pickle.dump(load(directory), out, pickle.HIGHEST_PROTOCOL)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit("the caches cannot be pickled")


class Unpickler(pickle.Unpickler):
    """Makes the classes that another process has made."""

    def find_class(self, module, name):
        return class_named(name) if module == __name__ else super().find_class(module, name)


def unpickle(file):
    with open(file, "rb") as pickled:
        return Unpickler(pickled).load()


def main(mode, directory, workers):
    fork = ("fork", lambda _: None)
    after = [
        ("read", read),
        ("clear", lambda held: held.clear()),
        ("gc", lambda _: gc.collect()),
    ]
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "caches.pickle"
        write_pickle(directory, file)
        if mode == "inherit":
            return measure(workers, [fork, *after], unpickle(file))
        load_step = ("load", lambda held: held.update(unpickle(file)))
        return measure(workers, [fork, load_step, *after], {})


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("inherit", "pickle"):
        sys.exit(__doc__)
    json.dump(main(sys.argv[1], sys.argv[2], int(sys.argv[3])), sys.stdout)
