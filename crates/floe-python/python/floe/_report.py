"""What a refresh did, as objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class CacheReport:
    """What a refresh did with one cache."""

    name: str
    #: ``fresh``, ``unchanged``, ``published``, ``loaded``, ``busy``, ``waiting`` or ``failed``.
    outcome: str
    generation: int
    why: str | None
    entries: int
    kept: int
    carried: int
    rebuilt: int
    dropped: int
    evicted: int
    bytes: int
    garbage: int
    seconds: float
    error: str | None
    #: What a build function raised, with its traceback.
    exception: BaseException | None = field(default=None, compare=False)
    line: str = field(default="", compare=False)

    def __repr__(self) -> str:
        return f"<{self.line}>"


@dataclass(frozen=True)
class Report:
    """What a refresh did: prints one line for each cache."""

    caches: tuple[CacheReport, ...]
    seconds: float

    @property
    def has_failures(self) -> bool:
        """Whether a build failed, now or in an earlier refresh after which the cache waits."""
        return any(cache.outcome in {"failed", "waiting"} for cache in self.caches)

    def raise_failures(self) -> None:
        """Raise what the first build that failed has raised, if one did."""
        for cache in self.caches:
            if cache.exception is not None:
                raise cache.exception

    def __getitem__(self, name: str) -> CacheReport:
        for cache in self.caches:
            if cache.name == name:
                return cache
        raise KeyError(name)

    def __iter__(self) -> Iterator[CacheReport]:
        return iter(self.caches)

    def __len__(self) -> int:
        return len(self.caches)

    def __repr__(self) -> str:
        return "\n".join(cache.line for cache in self.caches)


def _known(class_: type, read: dict[str, Any]) -> dict[str, Any]:
    """Return what a class has fields for: the library may tell more."""
    return {field.name: read[field.name] for field in fields(class_) if field.name in read}


def report(text: str, lines: list[str], raised: dict[str, BaseException]) -> Report:
    """Make a report of its JSON, of how its caches print, and of what builds have raised."""
    read = json.loads(text)
    caches = (
        CacheReport(**_known(CacheReport, cache), exception=raised.get(cache["name"]), line=line)
        for cache, line in zip(read["caches"], lines, strict=True)
    )
    return Report(tuple(caches), read["seconds"])


@dataclass(frozen=True)
class Status:
    """How a cache stands. Times are seconds."""

    name: str
    generation: int
    age: float | None
    entries: int
    bytes: int
    garbage: int
    due_in: float | None
    last_error: str | None
    directory: str | None
    refreshes: int
    published: int
    unchanged: int
    failures: int
    reasons: dict[str, int]
    lookups: int | None
    misses: int | None
    #: How many contributions of workers were taken, refused and the like, if the cache takes any.
    contributions: dict[str, Any] | None = None


def statuses(text: str) -> tuple[Status, ...]:
    """Make statuses of their JSON."""

    def seconds(time: dict[str, int] | None) -> float | None:
        return None if time is None else time["secs"] + time["nanos"] / 1e9

    return tuple(
        Status(
            **{
                **_known(Status, read),
                "age": seconds(read["age"]),
                "due_in": seconds(read["due_in"]),
            }
        )
        for read in json.loads(text)
    )
