"""The tool `floe`: looks into frozen regions, and into the memory of processes that map them."""

import signal
import sys

from ._floe import _tool

if __name__ == "__main__":
    # It does not ask the interpreter whether it was interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_tool(["floe", *sys.argv[1:]]))
