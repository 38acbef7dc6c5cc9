"""Work in a child of the cooker.

Pickling and freezing make hundreds of thousands of objects, whose holes would stay in the cooker.
A child's memory goes back at once.
"""

import logging
import os
import select
import signal
import threading
from collections.abc import Callable

# Two threads of the cooker save. What one does in native code must not be forked by the other.
forking = threading.Lock()
_PATIENCE = 300  # seconds; the work takes about one


def run(work: Callable[[], None]) -> None:
    """Does `work` in a forked child and waits for it. What went wrong there it raises as text, an
    error of the system as OSError."""
    reader, writer = os.pipe()
    with forking:
        pid = os.fork()
    if pid == 0:
        _child(work, writer)
    os.close(writer)
    try:
        text = _wait(pid, reader)
    finally:
        os.close(reader)
    if text != b"done":
        number, _, told = text.decode(errors="replace").partition(" ")
        if not told:
            raise RuntimeError("the child that saves was killed, or did not end")
        raise OSError(int(number), told) if number != "0" else RuntimeError(told)


def _child(work: Callable[[], None], writer: int) -> None:
    text = b""
    try:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        # Other threads of the cooker may have held the locks of its log handlers.
        logging.disable(logging.CRITICAL)
        os.dup2(writer, 3)
        # The lock of the build directory is among them: it must not outlive the cooker.
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        writer = 3
        work()
        text = b"done"
    except OSError as error:
        text = f"{error.errno or 0} {error.strerror or error}".encode()[:4000]
    except BaseException as error:
        text = f"0 {type(error).__name__}: {error}".encode()[:4000]
    finally:
        os.write(writer, text)
        os._exit(0)


def _wait(pid: int, reader: int) -> bytes:
    """The child's text; it has ended by then, whatever happens."""
    try:
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        return os.read(reader, 4096) if poll.poll(1000 * _PATIENCE) else b""
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
