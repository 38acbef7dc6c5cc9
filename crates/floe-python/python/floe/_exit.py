"""Threads that must end before the interpreter does."""

from __future__ import annotations

import atexit
from weakref import WeakSet

# Reading starts sooner without the module `typing`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._floe import Background

_running: WeakSet[Background] = WeakSet()


def stop_at_exit(background: Background) -> None:
    """Stop it when the program ends, unless it is gone by then."""
    _running.add(background)


@atexit.register
def _stop() -> None:
    for background in list(_running):
        background.stop()
