"""BitBake's indexes over all recipes (`CacheData`), from a region.

What a parse changes lands in overlays. A recipe that is parsed anew, or is no longer there, is
taken out first, so that BitBake's own code can put it in again.
"""

from collections import defaultdict
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any

import floe
from bb.cache import CacheData, CoreRecipeInfo

BY_RECIPE = (
    "task_deps pkg_fn pkg_pepvpr pkg_dp stamp stampclean stamp_extrainfo file_checksums "
    "fn_provides deps rundeps runrecs hashfn inherits fakerootenv fakerootnoenv fakerootdirs "
    "fakerootlogs extradepsfunc"
).split()
BY_NAME = ["pkg_pn", "packages", "providers", "rproviders", "packages_dynamic"]
OTHERS = ["pn_provides", "basetaskhash", "all_depends", "possible_world", "universe_target"]
ALL = (*BY_RECIPE, *BY_NAME, *OTHERS)

_LISTS = {*BY_NAME, "pn_provides", "deps"}
# These are changed in place after the parse: `providers` is sorted, `deps` is appended to.
_CHANGED_LATER = {"providers", "deps"}


class Lists(floe.Overlay):
    """Lists that BitBake changes in place: one that is asked for by its key becomes a plain one,
    and stays. A walk leaves them as they are."""

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, floe.FrozenList):
            value = self[key] = floe.thaw(value)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        """As of a `defaultdict`."""
        return self[key] if key in self else default  # noqa: SIM401 - it would call itself

    def items(self) -> ItemsView[Any, Any]:
        """As of a dict."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """As of a dict."""
        return _Values(self)


class _Items(ItemsView):
    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for key in self._mapping:
            yield key, floe.Overlay.get(self._mapping, key)


class _Values(ValuesView):
    def __iter__(self) -> Iterator[Any]:
        for key in self._mapping:
            yield floe.Overlay.get(self._mapping, key)


class TaskHashes(Mapping):
    """`basetaskhash` from the records of the recipes that the indexes have. Its keys would be a
    third of the region."""

    def __init__(self, recipes: Mapping[str, Any], records: Mapping[str, Any]) -> None:
        self._recipes = recipes
        self._records = records

    def _of(self, recipe: str) -> Mapping[str, str]:
        return self._records[recipe]["basetaskhashes"]

    def __getitem__(self, key: str) -> str:
        recipe, _, task = key.rpartition(":")
        if recipe not in self._recipes:
            raise KeyError(key)
        return self._of(recipe)[task]

    def __iter__(self) -> Iterator[str]:
        for recipe in self._recipes:
            for task in self._of(recipe):
                yield f"{recipe}:{task}"

    def __len__(self) -> int:
        return sum(len(self._of(recipe)) for recipe in self._recipes)


def _nested() -> defaultdict[Any, Any]:
    return defaultdict(list)


def _missing(name: str) -> Any:
    if name in _LISTS:
        return list
    return _nested if name in ("rundeps", "runrecs") else None


def familiar() -> bool:
    """Whether CacheData has these indexes and no others."""
    own = set(vars(CacheData([])))
    return set(vars(CacheData([CoreRecipeInfo]))) - own == set(ALL)


def build(infos: Iterable[tuple[str, CoreRecipeInfo]], mc: str = "") -> dict[str, Any]:
    """The indexes over these recipes, by BitBake's own code, as plain values. What the records
    tell by themselves is left out; in a multiconfig they have other names."""
    data = CacheData([CoreRecipeInfo])
    for name, info in infos:
        # BitBake extends this list in place, and pickles the info with the extended list.
        copy = CoreRecipeInfo.__new__(CoreRecipeInfo)
        copy.__dict__.update(info.__dict__, rprovides=list(info.rprovides))
        copy.add_cacheData(data, name)
    names = ALL if mc else [name for name in ALL if name != "basetaskhash"]
    return {name: _plain(getattr(data, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, defaultdict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def put(root: Mapping[str, Any], data: CacheData, parse_follows: bool) -> None:
    """Gives `data` the frozen indexes of a region."""
    frozen = root["indexes"]
    thawed = _LISTS if parse_follows else _CHANGED_LATER
    for name in ALL:
        index = frozen.get(name)
        if index is None:
            index = TaskHashes(frozen["pkg_fn"], root["infos"])
        if name.startswith(("all_", "possible_", "universe_")):
            setattr(data, name, list(index))
        else:
            overlay = Lists if name in thawed else floe.Overlay
            setattr(data, name, overlay(index, missing=_missing(name)))


def take_out(data: CacheData, gone: Mapping[str, Mapping[str, Any]]) -> None:
    """Removes recipes (index name -> record) from indexes that `put` has given."""
    for name, record in gone.items():
        _take_out_names(data, name, record)
        for index in BY_RECIPE:
            if name in getattr(data, index):
                del getattr(data, index)[name]
        for task in record["basetaskhashes"]:
            del data.basetaskhash[f"{name}:{task}"]
    for pn in {record["pn"] for record in gone.values()}:
        _provide_again(data, pn)
    data.possible_world = [name for name in data.possible_world if name not in gone]
    data.universe_target = list(data.pkg_fn.values())
    data.all_depends = list(dict.fromkeys(dep for deps in data.deps.values() for dep in deps))


def _take_out_names(data: CacheData, name: str, record: Mapping[str, Any]) -> None:
    pn = record["pn"]
    rprovides = {*record["rprovides"], *(p for ps in record["rprovides_pkg"].values() for p in ps)}
    for index, keys in (
        (data.pkg_pn, {pn}),
        (data.providers, {pn, *record["provides"]}),
        (data.packages, set(record["packages"])),
        (data.rproviders, rprovides),
        (data.packages_dynamic, set(record["packages_dynamic"])),
    ):
        for key in keys:
            if key in index:
                index[key] = left = [other for other in index[key] if other != name]
                if not left:
                    del index[key]


def _provide_again(data: CacheData, pn: str) -> None:
    del data.pn_provides[pn]
    if pn in data.pkg_pn:
        names = (p for fn in data.pkg_pn[pn] for p in data.fn_provides[fn])
        data.pn_provides[pn] = list(dict.fromkeys(names))
