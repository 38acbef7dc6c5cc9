"""What a worker does once, before its first fork, so that its children need not.

Each child puts the run's signature data in the place of the worker's, and loads what the lock of
its pipe needs. It would copy what it frees so, and have what it loads for itself.
"""

import ctypes
import gc
import importlib
import os

import bb.parse

from floebb import handle, say

_done = False


def install() -> None:
    """Waits for the first fork. By then all that a worker keeps has come."""
    os.register_at_fork(before=_before)


def _before() -> None:
    global _done
    if _done or not handle.any_received():
        return
    _done = True
    try:
        importlib.import_module("multiprocessing.synchronize")
        # Of its own it has all unihashes, which it loads at each start and never asks for.
        bb.parse.siggen.unitaskhashes = {}
        ctypes.CDLL(None).malloc_trim(0)
    except Exception as error:
        say.surprise("worker", error)
    # What is here is not for the collector, which would write to each object of it in every child.
    gc.freeze()
