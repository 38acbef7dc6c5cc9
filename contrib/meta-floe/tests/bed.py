"""BitBake from PyPI at work on the small layer, in a build directory of a test's own."""

import contextlib
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import layer as small

# Seconds that anything may take; on an idle machine nothing takes ten.
PATIENCE = 120
HERE = Path(__file__).parent
CACHES = ("tmp/cache", "cache")
LIB = HERE.parent / "lib"


@contextlib.contextmanager
def within(what: str) -> Iterator[None]:
    """Ends a wait that lasts too long, and tells what was waited for."""

    def late(*_: object) -> None:
        raise TimeoutError(f"waited {PATIENCE} s for {what}")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def bitbake_library() -> Path:
    """The folder of the package `bb`."""
    return Path(importlib.util.find_spec("bb").submodule_search_locations[0])


def install(top: Path) -> Path:
    """BitBake's own layout: it looks for its scripts from where its library is."""
    shutil.copytree(HERE / "bed", top)
    shutil.copytree(bitbake_library(), top / "lib/bb")
    return top


class Build:
    """One build directory."""

    def __init__(self, top: Path, bitbake: Path, recipes: int = small.COUNT) -> None:
        """Makes it below `top`, over the small layer and with meta-floe."""
        self.top = top
        self.bitbake = bitbake
        (top / "conf").mkdir(parents=True)
        self.layer = small.write(top, recipes)
        self.configure()
        self.use(layer=True)

    def configure(self, text: str = "") -> None:
        """Writes local.conf."""
        (self.top / "conf/local.conf").write_text(f'MACHINE = "none"\n{text}\n')

    def use(self, layer: bool = False, line: bool = False) -> None:
        """Hooks floebb in by the layer, by a line in bblayers.conf, or not at all."""
        layers = [self.layer] + [HERE.parent] * layer
        text = (
            f'BBPATH = "${{TOPDIR}}"\nBBFILES ?= ""\nBBLAYERS ?= "{" ".join(map(str, layers))}"\n'
        )
        text += f"addpylib {HERE / 'bed/spy'} floespy\n"
        (self.top / "conf/bblayers.conf").write_text(text + f"addpylib {LIB} floebb\n" * line)

    def run(self, *arguments: str, **options: object) -> str:
        """Runs bitbake, and returns what it printed."""
        return self._start([str(self.bitbake / "bin/bitbake"), *arguments], **options)

    def python(self, text: str, **options: object) -> str:
        """Runs a program over BitBake's library."""
        begin = f"import sys; sys.path.insert(0, {str(self.bitbake / 'lib')!r})\n"
        return self._start(["-c", begin + text], **options)

    def begin(self, *arguments: str) -> subprocess.Popen:
        """Starts bitbake and does not wait for it."""
        command = [sys.executable, str(self.bitbake / "bin/bitbake"), *arguments]
        null = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=self.top, env=self._environment(), stdin=null, stdout=null, stderr=2
        )

    def end(self, *clients: subprocess.Popen) -> list[int]:
        """Waits for clients that were begun, and for the server. Returns their exit codes."""
        with within(f"bitbake in {self.top}, whose server says:\n{self.log()}"):
            codes = [client.wait() for client in clients]
        self.wait()
        return codes

    def kill(self) -> None:
        """Ends all processes at work here: clients, servers, which are in other sessions, and
        their children."""
        with within(f"the end of what was killed in {self.top}"):
            while found := [pid for pid in _processes() if _folder(pid) == self.top]:
                for pid in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def _environment(self, off: bool = False, server: str = "0") -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.top),
            "LANG": "C.UTF-8",
            "BB_SERVER_TIMEOUT": server,
            **({"FLOE_BITBAKE": "off"} if off else {}),
            **{name: os.environ[name] for name in ("PYTHONHASHSEED",) if name in os.environ},
        }

    def _start(self, arguments: list[str], **options: object) -> str:
        with within(f"{' '.join(arguments)[:200]} in {self.top}"):
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=self.top,
                env=self._environment(**options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        assert done.returncode == 0, done.stdout
        if options.get("server", "0") == "0":
            self.wait()
        return done.stdout

    def wait(self) -> None:
        """Until the server has gone, which writes its caches after its client has left."""
        told = f"the lock of {self.top}, whose server says:\n{self.log()}"
        with open(self.top / "bitbake.lock", "a") as lock, within(told):
            fcntl.flock(lock, fcntl.LOCK_EX)

    def log(self) -> str:
        """The server's log."""
        path = self.top / "bitbake-cookerdaemon.log"
        return path.read_text() if path.exists() else ""

    def state(self, *arguments: str, **options: object) -> tuple[dict, int]:
        """Everything that a cooker holds after its parse, and how many recipes it parsed."""
        self.run(*(arguments or ("-p",)), **options)
        return self.last_state()

    def last_state(self) -> tuple[dict, int]:
        """The same, of the last run."""
        path = self.top / "state.json"
        found = json.loads(path.read_text())
        path.unlink()
        return found["state"], found["parsed"]

    def forget(self) -> None:
        """Removes BitBake's caches."""
        for name in CACHES:
            shutil.rmtree(self.top / name, ignore_errors=True)

    def fresh(self) -> dict:
        """What a cooker would hold without the layer and without any cache."""
        for name in CACHES:
            (self.top / name).rename(self.top / f"{name}.aside")
        try:
            return self.state(off=True)[0]
        finally:
            self.forget()
            for name in CACHES:
                (self.top / f"{name}.aside").rename(self.top / name)

    def tasks(self, *arguments: str, **options: object) -> dict[str, list[str]]:
        """Runs the tasks of some targets anew. Task -> hashes and dependencies as its child saw
        them, and what it put out."""
        for name in ("seen", "tmp/stamps", "tmp/work"):
            path = self.top / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self.run(*arguments, **options)
        lines = (self.top / "seen").read_text().splitlines()
        assert len({line.split()[0] for line in lines}) == len(lines)
        work = sorted((self.top / "tmp/work").rglob("installed"))
        results = {str(path.relative_to(self.top)): [path.read_text()] for path in work}
        return {line.split()[0]: line.split()[1:] for line in lines} | results

    def regions(self) -> list[Path]:
        """The region files beside BitBake's cache."""
        return sorted((self.top / "tmp/cache").glob("bb_cache.floe*"))

    def recipe(self, name: str) -> Path:
        """A recipe's file."""
        return next((self.layer / "recipes").glob(f"{name}_*.bb"))

    def edit(self, path: Path, text: str) -> None:
        """Appends a line to a file."""
        with path.open("a") as out:
            out.write(text + "\n")


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _folder(pid: int) -> Path | None:
    """Where a process is at work; None for one that has ended."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None
