"""What processes cost, as a table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from . import _floe


@dataclass(frozen=True)
class Usage:
    """Memory of a process, or of one region in it, in bytes.

    `pss` divides each page by the number of its mappers, so sums of it count each page once.
    `anonymous` of a region is the proof that nothing was copied, if it is 0; `uss` is none.
    """

    uss: int
    pss: int
    rss: int
    anonymous: int
    private_clean: int
    private_dirty: int
    shared_clean: int
    shared_dirty: int


@dataclass(frozen=True)
class RegionUsage(Usage):
    """What one generation of a cache costs in a process."""

    name: str
    generation: int


@dataclass(frozen=True)
class ProcessUsage(Usage):
    """What a process costs, and what of it are regions."""

    pid: int
    name: str
    regions: tuple[RegionUsage, ...]


class MemoryTable:
    """One row for each process; prints as an aligned table with a total."""

    __slots__ = ("_text", "rows")

    def __init__(self, rows: list[dict[str, Any]], text: str) -> None:
        """Take what the kernel counted, and how it prints."""
        self.rows = tuple(
            ProcessUsage(
                **{name: value for name, value in row.items() if name != "regions"},
                regions=tuple(RegionUsage(**region) for region in row["regions"]),
            )
            for row in rows
        )
        self._text = text

    @property
    def pss(self) -> int:
        """What the processes use together, in bytes: each page counts once."""
        return sum(row.pss for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return self._text


def memory(*pids: int) -> MemoryTable:
    """Return what processes cost, by default this one.

    The kernel visits every present page of each. Raises `OSError` for a process that is gone, or
    belongs to another user.
    """
    return MemoryTable(*_floe._memory(list(pids or (os.getpid(),))))
