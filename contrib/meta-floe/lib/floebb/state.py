"""Whether the layer is in use just now, in this process."""

import os
import sys
from typing import Any

_off = os.environ.get("FLOE_BITBAKE", "").lower() in ("off", "0", "no")
_cachedir: str | None = None


def active() -> bool:
    """In a resident server the wrappers outlive the layer. A reset of the configuration drops the
    modules that the last one had brought; this package is back if the new one asks for it.
    (BitBake's context of names is no sign: a reset does not empty it.)"""
    return not _off and "floebb" in sys.modules


def follow(cooker: Any) -> None:
    """Takes the switch from the environment of the client that gives the present command."""
    global _off, _cachedir
    _off = cooker.configuration.env.get("FLOE_BITBAKE", "").lower() in ("off", "0", "no")
    _cachedir = cooker.data.getVar("CACHE")


def cachedir() -> str | None:
    """BitBake's cache directory, once a command has run."""
    return _cachedir
