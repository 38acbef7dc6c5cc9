"""Handles on their way to other processes."""

from __future__ import annotations

import os
import sys

from ._floe import Frozen, Publisher

# Reading starts sooner without the module `typing`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: ``NAME/DESCRIPTORS/`` for each handle that a program passes, the descriptors joined by commas.
VARIABLE = "FLOE_FROZEN"
#: The same for publishers, and for who may contribute to them, as the library has it.
LIVE_VARIABLES = ("FLOE_LIVE", "FLOE_ACCEPT")


class Descriptors(tuple[int, ...]):
    """Descriptors, and the handles that they belong to, which are kept as long as these."""

    handles: tuple[Frozen | Publisher, ...]


def passing(*handles: Frozen | Publisher, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the arguments of `subprocess.Popen` that pass handles to the program it starts.

    ``subprocess.run(command, **floe.passing(recipes))``: there, ``Frozen.inherited("recipes")``
    opens it, in no time and without a copy; and `Live.inherited` what a `Publisher` publishes.
    `env` is the environment of the program, by default that of this one.
    """
    environment = dict(os.environ if env is None else env)
    # What this program was passed itself is not passed on.
    rows: dict[str, list[str]] = {name: [] for name in (VARIABLE, *LIVE_VARIABLES)}
    descriptors: list[int] = []
    for handle in handles:
        if isinstance(handle, Frozen):
            passed = handle.fds
            rows[VARIABLE].append(f"{handle.name}/{','.join(map(str, passed))}")
        elif isinstance(handle, Publisher):
            variables, passed = handle._passing()
            for variable, row in variables:
                rows[variable].append(row)
        else:
            told = f"handles and publishers can be passed, not {type(handle).__name__}"
            raise TypeError(told)
        descriptors += passed
    for variable, told in rows.items():
        environment.pop(variable, None)
        if told:
            environment[variable] = "/".join(told)
    passed_fds = Descriptors(descriptors)
    passed_fds.handles = handles
    return {"env": environment, "pass_fds": passed_fds}


def inherited(name: str) -> list[int]:
    """Return the descriptors that the parent of this program has passed for a name."""
    value = os.environ.get(VARIABLE, "")
    fields = value.split("/") if value else []
    rows = dict(zip(fields[::2], fields[1::2], strict=False))
    if name not in rows:
        known = ", ".join(map(repr, rows)) or "none"
        told = f"no handle {name!r} was passed to this program; passed: {known}"
        from ._errors import UnknownNameError

        raise UnknownNameError(told)
    return [int(number) for number in rows[name].split(",")]


def reduce(frozen: Frozen) -> tuple[Any, ...]:
    """Pickle a handle as a handle.

    While `multiprocessing` starts a process by spawn or forkserver, the descriptors go along.
    Otherwise the receiver opens them in ``/proc``, so the sender must live until then.
    """
    context = sys.modules.get("multiprocessing.context")
    if context is not None and context.get_spawning_popen() is not None:
        from multiprocessing import reduction

        return receive, ([reduction.DupFd(fd) for fd in frozen.fds],)
    stats = [os.fstat(fd) for fd in frozen.fds]
    inodes = [(stat.st_dev, stat.st_ino) for stat in stats]
    return open_sent, (os.getpid(), list(frozen.fds), inodes, frozen.name, frozen.digest)


def receive(sent: list[Any]) -> Frozen:
    """Open the descriptors that came along with a new process."""
    fds = [descriptor.detach() for descriptor in sent]
    try:
        return Frozen.from_fds(fds, trust=True)
    finally:
        for fd in fds:
            os.close(fd)


def open_sent(
    pid: int, fds: list[int], inodes: list[tuple[int, int]], name: str, digest: bytes
) -> Frozen:
    """Open the descriptors of the process that has pickled a handle, if they are still its."""
    from ._errors import InvalidError, system_call_error

    opened = []
    try:
        for fd, inode in zip(fds, inodes, strict=True):
            try:
                opened.append(os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                told = (
                    f"cannot open cache {name!r} of process {pid}, which has sent it: "
                    f"{error.strerror}; a handle can be received as long as its sender lives "
                    "and belongs to this user"
                )
                raise system_call_error(error.errno or 0, told) from None
            stat = os.fstat(opened[-1])
            if (stat.st_dev, stat.st_ino) != inode:
                break
        else:
            frozen = Frozen.from_fds(opened, trust=True)
            if frozen.digest == digest:
                return frozen
        told = (
            f"process {pid} has another file where cache {name!r} was; a handle can be received "
            "as long as its sender holds it"
        )
        raise InvalidError(told)
    finally:
        for fd in opened:
            os.close(fd)
