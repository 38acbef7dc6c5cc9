"""What is known of each recipe: BitBake's `depends_cache`, from a region."""

from collections.abc import Iterator, Mapping
from typing import Any

import floe
from bb.cache import CoreRecipeInfo


def plain(record: Mapping[str, Any]) -> CoreRecipeInfo:
    """A recipe's record as the object that BitBake's own file would have given."""
    info = CoreRecipeInfo.__new__(CoreRecipeInfo)
    info.__dict__.update(floe.thaw(record))
    return info


class Infos:
    """Virtual file name -> list with the info of one recipe; made anew at each call, until
    BitBake puts another in its place."""

    def __init__(self, records: Mapping[str, Any]) -> None:
        self._records = records
        self._own: dict[str, list[CoreRecipeInfo]] = {}
        self._gone: set[str] = set()

    def frozen(self) -> Mapping[str, Any]:
        """The records as the last run left them."""
        return self._records

    def __contains__(self, name: str) -> bool:
        return name in self._own or (name in self._records and name not in self._gone)

    def __getitem__(self, name: str) -> list[CoreRecipeInfo]:
        if name in self._own:
            return self._own[name]
        if name in self._gone:
            raise KeyError(name)
        return [plain(self._records[name])]

    def __setitem__(self, name: str, infos: list[CoreRecipeInfo]) -> None:
        self._own[name] = infos

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._own.pop(name, None)
        self._gone.add(name)

    def __iter__(self) -> Iterator[str]:
        for name in self._records:
            if name not in self._gone and name not in self._own:
                yield name
        yield from self._own

    def __len__(self) -> int:
        if self._own or self._gone:
            return sum(1 for _ in self)
        return len(self._records)

    def items(self) -> Iterator[tuple[str, list[CoreRecipeInfo]]]:
        """As of a dict; an info is made when its turn comes, and goes after it."""
        for name in self:
            yield name, self[name]
