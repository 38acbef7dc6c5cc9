"""Private changes over a mapping that stays as it is, and their way back to its owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Generic, TypeVar

from ._floe import (
    Contribution,
    Delta,
    Frozen,
    FrozenDict,
    FrozenList,
    FrozenMap,
    FrozenSet,
    Inputs,
    Live,
    thaw,
)

K = TypeVar("K")
V = TypeVar("V")

#: How two values of one key become one: a name, or a function of key, earlier and later value.
Rule = str | Callable[[Any, Any, Any], Any]

_ABSENT: Any = object()


class MergeConflict(ValueError):  # noqa: N818 - what happened, not what class it is
    """Two sides have different values for one key, and the rule is ``"equal"``."""

    def __init__(self, key: object, earlier: object, later: object) -> None:
        """Take the key and both values; the later one is `_ABSENT` where it was removed."""
        told = "removed" if later is _ABSENT else repr(later)
        super().__init__(f"{key!r}: {earlier!r} there, {told} here; a rule says which one stays")
        self.key = key


class Changes(Generic[K, V]):
    """What an overlay has changed: values that were set, and keys that were removed.

    Small: it holds what differs and nothing of the base. Pickles by content.
    """

    __slots__ = ("name", "removed", "set")

    def __init__(self, name: str | None, values: Mapping[K, V], removed: Iterable[K]) -> None:
        """Take what was changed, over the base of this name."""
        self.name = name
        self.set = dict(values)
        self.removed = frozenset(removed)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, thaw(self.set), tuple(self.removed))

    def __len__(self) -> int:
        return len(self.set) + len(self.removed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Changes):
            return NotImplemented
        return (self.name, self.set, self.removed) == (other.name, other.set, other.removed)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        over = "" if self.name is None else f" over {self.name!r}"
        return f"<Changes{over}: {len(self.set)} set, {len(self.removed)} removed>"


class Overlay(MutableMapping[K, V]):
    """A mapping with changes of its own over a frozen one, which stays as it is.

    Keys keep their order: those of the base first, then the new ones. Reading a key that was not
    changed reads the base; nothing is copied. Over a `Live`, `advance` moves to the newest
    generation.

    What was changed goes back to its owner by `changes`, over any base; over a map that a builder
    or a store has made also by `delta` and `contribute`, with the inputs of what was built.

    :param base: any mapping; usually a `FrozenDict`, or a `Frozen` or `Live` whose value is one.
    :param missing: makes the value of a key that is read and not there, as in a `defaultdict`.
    :param thaw: gives containers of the base as ordinary ones, which may be changed in place. Each
        is copied once, when it is first read, and is a change if it differs from the base later.
    """

    __slots__ = (
        "__weakref__",
        "_added",
        "_base",
        "_gone",
        "_inputs",
        "_live",
        "_missing",
        "_name",
        "_own",
        "_pinned",
        "_read",
        "_thaw",
        "_told",
    )

    def __init__(
        self,
        base: Mapping[K, V] | Any,
        *,
        missing: Callable[[], V] | None = None,
        thaw: bool = False,
    ) -> None:
        """Lay an overlay without changes over a base."""
        self._name: str | None = getattr(base, "name", None)
        self._live = base if isinstance(base, Live) else None
        # What `advance` compares with.
        self._pinned: Frozen | None = None
        if self._live is not None:
            self._pinned = base = self._live.pin()
        base = _mapping(base)
        if missing is not None and not callable(missing):
            told = f"missing must be callable, not {type(missing).__name__}"
            raise TypeError(told)
        self._base: Mapping[K, V] = base
        self._missing = missing
        self._thaw = thaw
        # Values set here, and copies of values of the base that were read to be changed.
        self._own: dict[K, V] = {}
        # Keys of the base that were removed, and those of copies.
        self._gone: set[K] = set()
        self._read: set[K] = set()
        # How many keys of `_own` the base lacks.
        self._added = 0
        # What values of `_own` were built from, where that is known.
        self._inputs: dict[K, Inputs] = {}
        # What the last delta tells, with `_ABSENT` for what was removed. The owner may come to that
        # at any time: later deltas tell these keys again, also where the base has their value.
        self._told: dict[K, V] = {}

    @property
    def base(self) -> Mapping[K, V]:
        """The mapping below, without the changes."""
        return self._base

    def _below(self, key: K) -> V:
        """Return the value of the base, or `_ABSENT`."""
        if self._gone and key in self._gone:
            return _ABSENT  # type: ignore[no-any-return]
        found = self._base.get(key, _ABSENT)
        if self._thaw and isinstance(found, (FrozenDict, FrozenList, FrozenSet)):
            found = self._own[key] = thaw(found)
            self._read.add(key)
        return found  # type: ignore[no-any-return]

    def __getitem__(self, key: K) -> V:
        if key in self._own:
            return self._own[key]
        found = self._below(key)
        if found is not _ABSENT:
            return found
        if self._missing is None:
            raise KeyError(key)
        # The newest generation may have it by now.
        if self.advance() and key in self:
            return self[key]
        value = self._missing()
        self[key] = value
        return value

    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, or the default; the factory of missing values is not asked."""
        if key in self._own:
            return self._own[key]
        found = self._below(key)
        return default if found is _ABSENT else found

    def __contains__(self, key: object) -> bool:
        if key in self._own:
            return True
        return key in self._base and key not in self._gone

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self._own and key not in self._base:
            self._added += 1
        self._own[key] = value
        self._read.discard(key)
        self._gone.discard(key)
        self._inputs.pop(key, None)

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        below = key in self._base
        if key in self._own:
            del self._own[key]
            self._read.discard(key)
            self._added -= not below
        if below:
            self._gone.add(key)

    def pop(self, key: K, default: Any = _ABSENT) -> Any:
        """Remove a key and return its value, or the default; no missing value is made."""
        found = self.get(key, _ABSENT)
        if found is not _ABSENT:
            del self[key]
            return found
        if default is _ABSENT:
            raise KeyError(key)
        return default

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of a key; set it to the default first, if there is none."""
        found = self.get(key, _ABSENT)
        if found is _ABSENT and self.advance():
            found = self.get(key, _ABSENT)
        if found is _ABSENT:
            self[key] = found = default
        return found

    def get_or_build(self, key: K, build: Callable[[Inputs], V]) -> V:
        """Return the value of a key; build it first, if there is none, and record its inputs.

        What ``build(inputs)`` reads through its inputs goes along with a `delta`. A cache that it
        is merged into drops the entry when an input changes, and the rule ``"newest"`` compares
        them.
        """
        found = self.get(key, _ABSENT)
        if found is _ABSENT and self.advance():
            found = self.get(key, _ABSENT)
        if found is _ABSENT:
            inputs = Inputs()
            self[key] = found = build(inputs)
            self._inputs[key] = inputs
        return found  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[K]:
        if not self._gone and not self._added:
            return iter(self._base)
        return self._keys()

    def _keys(self) -> Iterator[K]:
        for key in self._base:
            if key not in self._gone:
                yield key
        if self._added:
            for key in list(self._own):
                if key not in self._base:
                    yield key

    def __reversed__(self) -> Iterator[K]:
        return reversed(list(self))

    def __len__(self) -> int:
        return len(self._base) - len(self._gone) + self._added

    def clear(self) -> None:
        """Remove every key."""
        self._own.clear()
        self._read.clear()
        self._added = 0
        self._gone.update(self._base)

    def popitem(self) -> tuple[K, V]:
        """Remove the last key, and return it with its value."""
        for key in reversed(self):
            return key, self.pop(key)
        told = "popitem(): overlay is empty"
        raise KeyError(told)

    def copy(self) -> dict[K, V]:
        """Return an ordinary dict with base and changes; its values are those of the overlay."""
        return dict(self.items())

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return {**self.copy(), **other}

    def __ror__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return {**other, **self.copy()}

    def __ior__(  # type: ignore[misc]
        self, other: Any
    ) -> Overlay[K, V]:
        self.update(other)
        return self

    def __repr__(self) -> str:
        changed = len(self._own) - len(self._read) + len(self._gone)
        over = "" if self._name is None else f" over {self._name!r}"
        return f"<Overlay{over}: {len(self)} keys, {changed} changed>"

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (thaw(self.copy()),)

    def changes(self) -> Changes[K, V]:
        """Return what differs from the base, to be sent to its owner.

        A value that is equal to that of the base is no change, whether it was set or is a copy that
        was read. Values are not copied: do not change them before the changes are pickled or
        merged.
        """
        values = {
            key: value
            for key, value in self._own.items()
            if not _equal(value, self._base.get(key, _ABSENT))
        }
        return Changes(self._name, values, self._gone)

    def delta(self) -> Delta:
        """Seal what differs from the base, to be sent to its owner.

        For `merge`, `Store.merge` and `contribute`. The overlay goes on with its changes.

        Deltas of one overlay are to be merged in the order in which they were made: a later one
        tells what was changed again since an earlier one, also where that is what the base has.

        :raises InvalidError: over anything but a map that a builder or a store has made.
        """
        delta, told = self._seal()
        self._note_told(told)
        return delta

    def _seal(self) -> tuple[Delta, dict[K, V]]:
        """Make a delta, of which it is open whether it goes anywhere; return what it tells, too."""
        if not isinstance(self._base, FrozenMap):
            from ._errors import InvalidError

            wrong = (
                "only overlays over maps that a builder or a store has made give deltas, not over "
                f"{type(self._base).__name__}; send changes() instead"
            )
            raise InvalidError(wrong)
        said, again = self._said()
        removed = [key for key, value in said.items() if value is _ABSENT]
        values = {key: value for key, value in said.items() if value is not _ABSENT}
        delta = Delta._over(self._base._handle, values, removed, self._inputs, again)
        # Values here may be changed in place.
        return delta, {key: _copied(value) for key, value in said.items()}

    def _said(self) -> tuple[dict[K, V], list[K]]:
        """Return the changes and what corrects a delta, and the keys of the latter.

        What is removed has `_ABSENT`.
        """
        changes = self.changes()
        said = {**changes.set, **dict.fromkeys(changes.removed, _ABSENT)}
        again = [key for key in self._told if key not in said]
        for key in again:
            said[key] = self._own[key] if key in self._own else self._base.get(key, _ABSENT)
        return said, again

    def _note_told(self, told: dict[K, V]) -> None:
        """Note that a delta is on its way that tells this."""
        self._told = told

    def contribute(self) -> Contribution:
        """Hand the changes over to the owner of the `Live` below, without waiting.

        The owner has to accept them: see `Store.accept`. The overlay keeps them until it advances
        to a generation that has them.

        :raises InvalidError: over anything else.
        """
        if self._live is None:
            from ._errors import InvalidError

            told = "only overlays over a Live contribute: nothing else knows an owner"
            raise InvalidError(told)
        return self._live.contribute(self)  # type: ignore[arg-type]

    def advance(self) -> bool:
        """Move to the newest generation of a `Live`; whether there was a newer one.

        Changes that it has with equal values are dropped, and so are removals of keys that it does
        not have; the others stay, and what corrects an earlier delta stays until a later one tells
        it. An overlay over anything else stays where it is. Copies that were read and not changed
        are read anew.
        """
        if self._live is None:
            return False
        newest = self._live.pin()
        if newest is self._pinned:
            return False
        base = _mapping(newest)
        said, _ = self._said()
        self._pinned, self._base = newest, base
        left = {
            key: value for key, value in said.items() if not _equal(value, base.get(key, _ABSENT))
        }
        self._told = {
            key: told
            for key, told in self._told.items()
            if key in left or not _equal(said[key], told)
        }
        self._own = {key: value for key, value in left.items() if value is not _ABSENT}
        self._read.clear()
        self._inputs = {key: self._inputs[key] for key in self._own if key in self._inputs}
        self._gone = {key for key, value in left.items() if value is _ABSENT}
        self._added = sum(key not in base for key in self._own)
        return True

    def merge(self, changes: Changes[K, V], rule: Rule = "equal") -> None:
        """Take over the changes of another overlay over the same base, key by key.

        The rule decides about keys that were changed here, too: ``"equal"`` raises
        `MergeConflict` unless both are equal, ``"first"`` keeps what is here, ``"last"`` takes
        what comes; a function of key, earlier and later value returns the one that stays.

        :raises ValueError: for changes over a base of another name. Nothing is merged then, and
            nothing after a conflict.
        """
        if changes.name is not None and self._name is not None and changes.name != self._name:
            told = f"changes over {changes.name!r} do not fit an overlay over {self._name!r}"
            raise ValueError(told)
        mine = self.changes()
        settled: dict[K, V] = {}
        removed: list[K] = []
        for key, value in changes.set.items():
            if key in mine.set:
                settled[key] = _settle(key, mine.set[key], value, rule)
            elif key not in mine.removed:
                settled[key] = value
            elif rule == "equal":
                raise MergeConflict(key, _ABSENT, value)
            elif rule != "first":
                settled[key] = value
        for key in changes.removed:
            if key not in mine.set:
                if key not in mine.removed:
                    removed.append(key)
            elif rule == "equal":
                raise MergeConflict(key, mine.set[key], _ABSENT)
            elif rule == "last":
                removed.append(key)
        self.update(settled)
        for key in removed:
            self.pop(key, None)


def _mapping(base: Any) -> Mapping[Any, Any]:
    """Return a mapping, or that which a handle holds."""
    if not isinstance(base, Mapping):
        base = base.value
    if not isinstance(base, Mapping):
        told = f"an overlay lies over a mapping, not over {type(base).__name__}"
        raise TypeError(told)
    return base


def _equal(value: Any, below: Any) -> bool:
    """Whether a value of an overlay is that of the base, also by its kind: 1 is not True."""
    if value is _ABSENT or below is _ABSENT:
        return value is below
    if value != below:
        return False
    plain = (bool, int, float, str, bytes, type(None))
    return type(value) is type(below) or not isinstance(value, plain)


def _copied(value: Any) -> Any:
    """Return a value that stays as it is when what can be frozen is changed in place."""
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(map(_copied, value))
    if kind is dict:
        return {key: _copied(item) for key, item in value.items()}
    return set(value) if kind is set else value


def _settle(key: Any, earlier: Any, later: Any, rule: Rule) -> Any:
    """Make one value of two by a rule."""
    if callable(rule):
        return rule(key, earlier, later)
    if rule == "first":
        return earlier
    if rule == "last":
        return later
    if rule != "equal":
        told = f'rule must be "equal", "first", "last" or a function, not {rule!r}'
        if rule == "newest":
            told += "; inputs go along with deltas, and Store.merge compares them"
        raise ValueError(told)
    if earlier != later:
        raise MergeConflict(key, earlier, later)
    return earlier


def conflict(key: object, earlier: object, later: object) -> None:
    """Decide nothing: the rule ``"equal"`` where deltas are merged."""
    raise MergeConflict(key, earlier, later)
