"""Stands in for BitBake's PR server."""


class PRServiceConfigError(Exception):
    """What BitBake would catch."""


def auto_start(d):
    """None is asked for."""


def auto_shutdown():
    """None was started."""
