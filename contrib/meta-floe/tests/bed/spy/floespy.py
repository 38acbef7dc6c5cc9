"""Writes down what a cooker holds after each parse: every index, and what it would look at again.

BitBake imports it by a line in bblayers.conf, with meta-floe and without.
"""

import functools

import bb


def plain(value):
    """Without proxies; lists whose order hangs on the order of the recipes are sorted."""
    if hasattr(value, "items"):
        pairs = ((str(k), plain(v)) for k, v in value.items())
        return dict(sorted(pairs))
    if isinstance(value, (str, int, type(None))):
        return value
    values = [plain(v) for v in value]
    return values if isinstance(value, tuple) else sorted(values, key=repr)


def indexes(data):
    return {name: plain(index) for name, index in vars(data).items() if name != "caches_array"}


def skipped(by_mc):
    return {mc: {fn: plain(vars(s)) for fn, s in found.items()} for mc, found in by_mc.items()}


def install():
    import json

    import bb.cooker

    original = bb.cooker.BBCooker.updateCache

    @functools.wraps(original)
    def update_cache(self):
        more = original(self)
        if more is None:
            state = {
                "indexes": {mc: indexes(data) for mc, data in self.recipecaches.items()},
                "skipped": skipped(self.skiplist_by_mc),
                "watched": plain(self.parsewatched),
                "counts": [self.parser.skipped, self.parser.virtuals, self.parser.current],
            }
            with open(self.data.getVar("TOPDIR") + "/state.json", "w") as out:
                json.dump({"state": state, "parsed": self.parser.parsed}, out)
        return more

    bb.cooker.BBCooker.updateCache = update_cache


if not hasattr(bb, "_floespy"):
    bb._floespy = True
    install()
