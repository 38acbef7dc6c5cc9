"""BitBake's caches in shared memory: the module that `addpylib` imports.

BitBake empties `sys.modules` at each reset of its configuration and then imports this package
again. Its wrappers are in place by then, and a second copy of its classes would not be known to
them. So the first copy stays: it hangs on the module `bb`, and puts itself back.
"""

import sys

import bb


def _begin() -> None:
    pinned = getattr(bb, "_floebb", None)
    if pinned is not None:
        sys.modules.update(pinned)
        return
    # Should the next lines fail, they are not tried again.
    bb._floebb = {__name__: sys.modules[__name__]}
    import floe  # noqa: F401 - says at once what is wrong with it

    from floebb import hook

    hook.install()
    roots = {"floebb", "floe"}
    bb._floebb = {
        name: module for name, module in sys.modules.items() if name.partition(".")[0] in roots
    }


try:
    _begin()
except Exception as error:  # An error at import would end BitBake.
    import logging

    logging.getLogger("BitBake.Floe").info("floe: not in use: %s: %s", type(error).__name__, error)
