"""What goes to a worker: the same data, in few bytes, in a process that was started by exec."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bb
import bb.runqueue
import pytest
from bb.runqueue import RunQueueExecute
from bb.siggen import SignatureGenerator
from floebb import handle, signatures, state, taskdeps

TASKS = [f"/layer/part{n}.bb:do_{task}" for n in range(300) for task in ("compile", "install")]


@pytest.fixture(autouse=True)
def cachedir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "_cachedir", str(tmp_path))
    signatures.forget()
    return tmp_path


def generator() -> SignatureGenerator:
    """One with data as a run has it."""
    made = SignatureGenerator(None)
    for n, tid in enumerate(TASKS):
        made.basehash[tid] = f"{n:064x}"
        made.taskhash[tid] = f"{n + 1:064x}"
        made.unihash[tid] = None if n % 5 == 0 else f"{n + 2:064x}"
        made.runtaskdeps[tid] = [(f"part{k}:do_install", TASKS[k]) for k in range(n % 4)]
        made.file_checksum_values[tid] = [(f"/layer/{n}", "5" * 32)] if n % 3 == 0 else []
        made.unitaskhashes[f":part{n}"] = (made.taskhash[tid], f"{n:064x}")
        made.tidtopn[tid] = f"part{n // 2}"
    made.taints[TASKS[0]] = "nostamp:some"
    made.setscenetasks = set(TASKS[::2])
    return made


def fields(of: SignatureGenerator) -> dict[str, Any]:
    """Its data as plain values."""
    return {
        name: dict(value) if hasattr(value, "items") else set(value)
        for name in signatures.FIELDS
        for value in [getattr(of, name)]
    }


IN_A_WORKER = """
import pickle, sys
sys.path[:0] = sys.argv[1:]
import bb.siggen, floebb
from test_workers import fields
made = bb.siggen.SignatureGenerator(None)
data, hashes, tid = pickle.load(sys.stdin.buffer)
made.set_taskdata(data)
if hashes:
    made.set_taskhashes(hashes)
made.basehash[tid] = "written by the task"
sys.stdout.buffer.write(pickle.dumps(fields(made)))
"""


def in_a_worker(data: Any, hashes: Any = None) -> dict[str, Any]:
    """What a worker makes of messages, once a task has written."""
    message = pickle.dumps((data, hashes, TASKS[7]))
    command = [sys.executable, "-W", "ignore", "-c", IN_A_WORKER, *sys.path[:3]]
    command.append(str(Path(bb.__file__).parent.parent))
    done = subprocess.run(command, input=message, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


def test_signature_data_by_a_handle() -> None:
    made = generator()
    data = made.get_taskdata()
    assert len(data) == 1
    assert len(pickle.dumps(data)) < 1000
    want = fields(made)
    want["basehash"][TASKS[7]] = "written by the task"
    assert in_a_worker(data) == want


BEFORE_A_FORK = """
import gc, os, pickle, sys
sys.path[:0] = sys.argv[1:]
import bb.siggen, bb.parse
bb.parse.siggen = made = bb.siggen.SignatureGenerator(None)
made.unitaskhashes = {"all": "unihashes"}
import floebb
def seen():
    return len(made.unitaskhashes), bool(gc.get_freeze_count()), (
        "multiprocessing.synchronize" in sys.modules)
def in_a_child():
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, pickle.dumps(seen()))
        os._exit(0)
    os.wait()
    return pickle.loads(os.read(reader, 999))
before = seen(), in_a_child()
data = pickle.load(sys.stdin.buffer)
first = in_a_child()
made.set_taskdata(data)
assert in_a_child() == (len(made.unitaskhashes), True, True)
print(before, first, seen())
"""


def test_what_a_worker_does_before_its_first_fork() -> None:
    message = pickle.dumps(generator().get_taskdata())
    command = [sys.executable, "-W", "ignore", "-c", BEFORE_A_FORK, *sys.path[:3]]
    command.append(str(Path(bb.__file__).parent.parent))
    done = subprocess.run(command, input=message, capture_output=True, timeout=60)
    as_it_was, ready, with_data = (1, False, False), (0, True, True), (len(TASKS), True, True)
    assert done.stdout.decode().strip() == f"{(as_it_was,) * 2} {ready} {with_data}", done.stderr


def test_signature_data_by_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor cannot be opened."""
    made = generator()
    data = made.get_taskdata()
    monkeypatch.setattr(data[0], "_sent", b"nothing to load")
    assert in_a_worker(data)["taskhash"] == made.taskhash


def test_what_subclasses_put_in_front(cachedir: Path) -> None:
    front = ({str(n): "x" * n for n in range(200)}, {"few": 1}, "text")
    shared = pickle.loads(pickle.dumps(signatures._share(front)))
    assert dict(shared[0]) == front[0]
    assert shared[1:] == front[1:]
    assert not isinstance(shared[0], dict)


def test_no_room_for_the_file_sends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_cachedir", "/nowhere")
    made = generator()
    assert made.get_taskdata()[1] is made.taskhash


def test_changed_hashes_send_what_differs() -> None:
    made = generator()
    first = made.get_taskdata()
    made.taskhash[TASKS[3]] = "a" * 64
    made.unihash[TASKS[5]] = "b" * 64
    made.unitaskhashes["new"] = ("c" * 64, "d" * 64)
    hashes = made.get_taskhashes()
    assert len(pickle.dumps(hashes)) < 1000
    want = fields(made)
    want["basehash"][TASKS[7]] = "written by the task"
    assert in_a_worker(first, hashes) == want


def test_a_hash_that_changes_back_is_told_to_a_worker_that_began_in_between() -> None:
    made = generator()
    first, was = made.get_taskdata(), made.taskhash[TASKS[3]]
    made.taskhash[TASKS[3]] = "a" * 64
    later = made.get_taskdata()
    made.taskhash[TASKS[3]] = was
    hashes = made.get_taskhashes()
    for data in (first, later):
        assert in_a_worker(data, hashes)["taskhash"] == made.taskhash


def test_a_key_that_goes_sends_all() -> None:
    made = generator()
    made.get_taskdata()
    del made.unihash[TASKS[1]]
    assert made.get_taskhashes()[1] is made.unihash


class Execute(RunQueueExecute):
    """One with a graph and nothing else."""

    def __init__(self) -> None:
        entries = {
            tid: SimpleNamespace(
                depends={TASKS[n // 2], TASKS[n // 3]} - {tid},
                hash=f"{n:064x}",
                unihash=f"{n + 1:064x}",
                taskhash_deps={TASKS[n // 2]} - {tid},
            )
            for n, tid in enumerate(TASKS)
        }
        names = {tid.rpartition(":")[0] for tid in TASKS}
        cache = SimpleNamespace(
            pkg_fn={fn: fn[7:-3] for fn in names},
            fn_provides={fn: [fn[7:-3], "virtual/x"] for fn in names},
            hashfn={fn: "hash of " + fn for fn in names},
        )
        self.rqdata = SimpleNamespace(runtaskentries=entries, dataCaches={"": cache})
        self.rq = SimpleNamespace(worker={}, fakeworker={})
        self.updated_taskhash_queue, self.pending_migrations = [], set()


def both(execute: Execute, tid: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict]:
    """A task's dependencies with the layer, as they come out of a message, and without."""
    ours = pickle.loads(pickle.dumps(execute.build_taskdepdata(tid)))
    with monkeypatch.context() as patch:
        patch.setattr(state, "_off", True)
        theirs = Execute()
        theirs.rqdata = execute.rqdata
        theirs.build_taskdepdata_cache()
        return ours, theirs.build_taskdepdata(tid)


def test_dependencies_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    execute = Execute()
    execute.build_taskdepdata_cache()
    for tid in (TASKS[0], TASKS[17], TASKS[-1]):
        ours, theirs = both(execute, tid, monkeypatch)
        assert isinstance(ours, taskdeps.TaskDeps)
        assert ours == theirs
        assert all(type(ours[task]) is bb.TaskData for task in ours)
        assert copy.deepcopy(ours) == theirs
        assert next(iter(ours.values())).deps == theirs[next(iter(ours))].deps
    assert len(pickle.dumps(execute.build_taskdepdata(TASKS[-1]))) < 1000


def test_a_copy_of_dependencies_may_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    execute = Execute()
    execute.build_taskdepdata_cache()
    ours, theirs = both(execute, TASKS[9], monkeypatch)
    changed = copy.deepcopy(ours)
    del changed[TASKS[9]]
    changed[TASKS[4]].deps.clear()
    assert ours == theirs


def test_a_unihash_that_changed_during_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    execute = Execute()
    execute.build_taskdepdata_cache()
    execute.rqdata.runtaskentries[TASKS[4]].unihash = "e" * 64
    execute._floe_tasks.follow(execute.rqdata.runtaskentries)
    ours, theirs = both(execute, TASKS[9], monkeypatch)
    assert ours[TASKS[4]].unihash == "e" * 64
    assert ours == theirs


def test_files_go_with_their_handles(cachedir: Path) -> None:
    sent = handle.Handle({"x": 1}, "some")
    assert len(list(cachedir.glob("floe-sent.*"))) == 1
    del sent
    assert not list(cachedir.glob("floe-sent.*"))
