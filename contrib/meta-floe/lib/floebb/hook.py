"""Puts each seam in, where BitBake is as the layer knows it."""

import functools
import importlib
import os
import sys
from typing import Any

from floebb import known, say, state

PROBE = "FLOE_BITBAKE_PROBE"


def install() -> None:
    """Once in each process."""
    # A worker has no cooker, and is to stay without what a cooker is made of.
    cooker = "bb.cooker" in sys.modules
    for seam in ("parsers", "signatures", "taskdeps", "warm" if cooker else "worker"):
        _put_in(seam)
    if cooker:
        _follow_commands()
    if PROBE in os.environ:
        _measure(os.environ[PROBE])


def _put_in(seam: str) -> None:
    changed = known.changed(seam)
    if changed:
        say.once(f"{seam}: not in use: {changed[0]} is not one that this layer knows")
        return
    try:
        importlib.import_module(f"floebb.{seam}").install()
    except Exception as error:
        say.surprise(seam, error)


def _measure(folder: str) -> bool:
    from floebb import probe  # Few runs are measured.

    return probe.install(folder)


def _follow_commands() -> None:
    """The environment of each command has the switch, and the folder of a measurement."""
    from bb.cooker import BBCooker

    original = BBCooker.updateCache

    @functools.wraps(original)
    def update_cache(self: BBCooker) -> Any:
        state.follow(self)
        folder = self.configuration.env.get(PROBE)
        if folder and _measure(folder):
            return BBCooker.updateCache(self)  # This call is to be measured too.
        return original(self)

    BBCooker.updateCache = update_cache
