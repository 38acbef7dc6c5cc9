"""Seam F: what a task depends on, frozen once for a run.

BitBake sends each task the data of all tasks below it. Tasks share most of that. Here a message
has a handle on the data of all tasks, and the name of one; who asks for the data walks from there.
"""

import copy
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import bb
import floe
from bb.runqueue import RunQueue, RunQueueExecute, mc_from_tid

from floebb import say, wrap
from floebb.handle import Handle

_SEAM = "taskdeps"
# Changed unihashes go with each message. Past so many, all are frozen again.
_MOST_CHANGES = 256


class TaskDeps(MutableMapping):
    """Task -> `bb.TaskData`, for a task and all below it: a dict that is made when it is used."""

    def __init__(self, handle: Any, first: list[str], unihashes: Mapping[str, str]) -> None:
        self._handle = handle
        self._first = first
        self._unihashes = unihashes
        self._found: dict[str, Any] | None = None

    def _all(self) -> dict[str, Any]:
        if self._found is None:
            tasks = self._handle.value
            self._found = found = {}
            next_ones = self._first
            while next_ones:
                below: list[str] = []
                for task in next_ones:
                    if task not in found:
                        found[task] = data = self._data(task, tasks[task])
                        below += data.deps
                next_ones = below
        return self._found

    def _data(self, task: str, fields: Mapping[str, Any]) -> Any:
        plain = floe.thaw(fields)
        if task in self._unihashes:
            plain["unihash"] = self._unihashes[task]
        return bb.TaskData(**plain)

    def __getitem__(self, task: str) -> Any:
        return self._all()[task]

    def __setitem__(self, task: str, data: Any) -> None:
        self._all()[task] = data

    def __delitem__(self, task: str) -> None:
        del self._all()[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def copy(self) -> dict[str, Any]:
        """As of a dict."""
        return dict(self._all())

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy(self._all(), memo)

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskDeps, (self._handle, self._first, self._unihashes)


class _Frozen:
    """The data of all tasks of a run, and which unihashes have changed since."""

    def __init__(self, cache: Mapping[str, Any]) -> None:
        self.handle = Handle({task: data._asdict() for task, data in cache.items()}, "tasks")
        self.unihashes = {task: data.unihash for task, data in cache.items()}
        self.changed: dict[str, str] = {}

    def follow(self, entries: Mapping[str, Any]) -> None:
        """Looks at all unihashes."""
        was = self.unihashes
        self.changed = {t: e.unihash for t, e in entries.items() if e.unihash != was.get(t)}


def install() -> None:
    """Puts the seam in."""

    original_build = RunQueueExecute.build_taskdepdata_cache

    @wrap.method(RunQueueExecute, "build_taskdepdata_cache")
    def build(original: Any, self: RunQueueExecute) -> None:
        original(self)
        self._floe_tasks = None
        try:
            self._floe_tasks = _Frozen(self.taskdepdata_cache)
        except Exception as error:
            say.surprise(_SEAM, error)
        else:
            self.taskdepdata_cache = None

    original_give = RunQueueExecute.build_taskdepdata

    def give(self: RunQueueExecute, task: str) -> Any:
        frozen = getattr(self, "_floe_tasks", None)
        if frozen is None:
            if self.taskdepdata_cache is None:
                original_build(self)
            return original_give(self, task)
        mc = mc_from_tid(task)
        first = self.filtermcdeps(task, mc, {task, *self.rqdata.runtaskentries[task].depends})
        return TaskDeps(frozen.handle, sorted(first), frozen.changed)

    RunQueueExecute.build_taskdepdata = give

    @wrap.method(RunQueue, "teardown_workers")
    def teardown(original: Any, self: RunQueue) -> None:
        original(self)
        if self.rqexe is not None:
            self.rqexe._floe_tasks = None

    @wrap.method(RunQueueExecute, "process_possible_migrations")
    def migrate(original: Any, self: RunQueueExecute) -> Any:
        result = original(self)
        frozen = getattr(self, "_floe_tasks", None)
        if frozen is not None:
            frozen.follow(self.rqdata.runtaskentries)
            if len(frozen.changed) > _MOST_CHANGES:
                self.build_taskdepdata_cache()
        return result
