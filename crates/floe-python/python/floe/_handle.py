"""Handles on their way to other processes."""

from __future__ import annotations

import os
import sys

# Reading starts sooner without the module `typing`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._floe import Frozen, Publisher

#: ``NAME/DESCRIPTORS/`` for each handle that a program passes, the descriptors joined by commas.
VARIABLE = "FLOE_FROZEN"
#: The same for publishers, as the library has it.
LIVE_VARIABLE = "FLOE_LIVE"


def passing(*handles: Frozen | Publisher, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the arguments of `subprocess.Popen` that pass handles to the program it starts.

    ``subprocess.run(command, **floe.passing(recipes))``: there, ``Frozen.inherited("recipes")``
    opens it, in no time and without a copy; and `Live.inherited` what a `Publisher` publishes.
    `env` is the environment of the program, by default that of this one.
    """
    environment = dict(os.environ if env is None else env)
    frozen: list[str] = []
    live: list[str] = []
    descriptors: list[int] = []
    for handle in handles:
        if hasattr(handle, "fds"):
            passed = handle.fds
            frozen.append(f"{handle.name}/{','.join(map(str, passed))}")
        else:
            row, passed = handle._passing()
            live.append(row)
        descriptors += passed
    environment[VARIABLE] = "/".join(frozen)
    environment[LIVE_VARIABLE] = "/".join(live)
    return {"env": environment, "pass_fds": tuple(descriptors)}


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
    from ._floe import Frozen

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
    from ._floe import Frozen

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
