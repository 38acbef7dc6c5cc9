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
class DeltaReport:
    """What became of the entries of a delta."""

    #: Values that were taken, under keys that the cache did not have.
    added: int
    #: Values that were taken, or made by the rule, in the place of others.
    replaced: int
    #: Keys that were removed.
    removed: int
    #: Values that the cache has already, and removed keys that it does not have.
    equal: int
    #: Values, and removals, that the rule gave up for what was there.
    kept: int
    #: Values that were not taken, as a recorded input has changed since.
    outdated: int = 0
    #: Why nothing of the delta was taken.
    refused: str | None = None


@dataclass(frozen=True)
class MergeReport:
    """What a merge did: prints one line, and one for each delta."""

    name: str
    generation: int
    #: Whether that is a new one.
    changed: bool
    #: Whether the directory of the store has it.
    saved: bool
    entries: int
    evicted: int
    deltas: tuple[DeltaReport, ...]
    seconds: float
    #: What is wrong with the directory, or with the channel; the merge counts all the same.
    trouble: str | None
    #: What the rule has raised, of deltas that were refused for that.
    exception: BaseException | None = field(default=None, compare=False)
    text: str = field(default="", compare=False)

    @property
    def has_refusals(self) -> bool:
        """Whether nothing was taken of some delta."""
        return any(delta.refused is not None for delta in self.deltas)

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Outcome:
    """What became of a contribution."""

    #: The generation that has what was taken; none, if nothing was.
    generation: int | None = None
    #: Whether the store has saved it.
    saved: bool = False
    #: Values and removals that were taken; for which the cache kept what it has; that it had.
    taken: int = 0
    kept: int = 0
    equal: int = 0
    #: Values that were not taken, as a recorded input has changed since.
    outdated: int = 0
    #: Why nothing was taken.
    refused: str | None = None


@dataclass(frozen=True)
class Report:
    """What a refresh did: prints one line for each cache."""

    caches: tuple[CacheReport, ...]
    seconds: float
    #: What was made of contributions.
    merges: tuple[MergeReport, ...] = ()

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
        lines = [cache.line for cache in self.caches]
        return "\n".join(lines + [merge.text for merge in self.merges])


def _known(class_: type, read: dict[str, Any]) -> dict[str, Any]:
    """Return what a class has fields for: the library may tell more."""
    return {field.name: read[field.name] for field in fields(class_) if field.name in read}


def report(
    text: str,
    lines: list[str],
    raised: dict[str, BaseException],
    merges: tuple[MergeReport, ...] = (),
) -> Report:
    """Make a report of its JSON, of how its caches print, and of what builds have raised."""
    read = json.loads(text)
    caches = (
        CacheReport(**_known(CacheReport, cache), exception=raised.get(cache["name"]), line=line)
        for cache, line in zip(read["caches"], lines, strict=True)
    )
    return Report(tuple(caches), read["seconds"], merges)


def merge_report(
    text: str, shown: str, refused: list[str | None], raised: BaseException | None
) -> MergeReport:
    """Make a report of its JSON, of how it prints, and of what the rule has raised."""
    read = json.loads(text)
    deltas = tuple(
        DeltaReport(**{**_known(DeltaReport, delta), "refused": why})
        for delta, why in zip(read["deltas"], refused, strict=True)
    )
    known = {**_known(MergeReport, read), "deltas": deltas}
    return MergeReport(**known, exception=raised, text=shown)


def outcome(text: str, refused: str | None) -> Outcome:
    """Make an outcome of its JSON, and of why nothing was taken."""
    return Outcome(**_known(Outcome, json.loads(text)), refused=refused)


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
