"""A robomimic config as a tree whose keys are taken one by one; whatever nobody took is known at the end.

Keys are named by their path, `train.batch_size`. robomimic lays a config over defaults of its own, so a key that is
not there has the default that is given here with it.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from robomix.problems import KeyPath, Problem, dotted, show, wrong
from robomix.validation import fit

Place = str | KeyPath
"""Where a key is: `train.batch_size`, or the names one by one where they may hold dots themselves."""

_ABSENT = object()
_TYPO = 0.8
"""Likeness from which a name is taken for a mistyped one: robomimic's own names are all less like each other."""


class RobomimicKeys:
    """The keys of one config, in `problems` all that is wrong with them, in `notes` what the user should know."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._tree = tree
        self._used: set[KeyPath] = set()
        self._asked: set[KeyPath] = set()
        self._off: set[KeyPath] = set()

    def take(self, place: Place, hint: Any, default: Any, *, least: float | None = None) -> Any:
        """The value at `place`, which counts as used; `default` where there is none, or one that is no `hint`.

        A number must be at least `least`. What does not fit is added to `problems`.
        """
        path = _path(place)
        self._asked.add(path)
        value = self._find(path)
        if value is _ABSENT:
            return default
        self._used.add(path)
        problems = fit(hint, value, path)
        if not problems and least is not None and value is not None and value < least:
            problems = [wrong(path, value, f"{least} or more")]
        self.problems += problems
        return default if problems else value

    def is_on(self, place: Place, default: bool) -> bool:
        """The switch `place` of a block: the block is used when it is on; off, none of its other keys are."""
        path = _path(place)
        self._asked.add(path)
        value = self._find(path)
        if value is False:
            self._used.add(path)
            self._off.add(path[:-1])
            return False
        return bool(self.take(place, bool, default))

    def expect(self, place: Place, nothing: tuple[Any, ...], why: str) -> None:
        """The key asks for something there is not, unless its value is one of `nothing`: then it asks for nothing."""
        path = _path(place)
        self._asked.add(path)
        value = self._find(path)
        if value is _ABSENT:
            return
        self._used.add(path)
        if not any(type(value) is type(one) and value == one for one in nothing):
            self.wrong(path, value, " or ".join(map(show, nothing)), f"Not supported: {why.removesuffix('.')}.")

    def skip(self, place: Place, nothing: tuple[Any, ...]) -> None:
        """The key has no effect here; it need not be told where its value, one of `nothing`, asks for none."""
        path = _path(place)
        self._asked.add(path)
        value = self._find(path)
        if any(type(value) is type(one) and value == one for one in nothing):
            self._used.add(path)

    def names(self, place: Place) -> list[str]:
        """Names of the keys in the block at `place`."""
        block = self._find(_path(place))
        return list(block) if isinstance(block, Mapping) else []

    def wrong(self, place: Place, value: Any, expected: str, fix: str = "") -> None:
        """Adds a problem with the key at `place`."""
        self.problems.append(wrong(_path(place), value, expected, fix))

    def typos(self) -> list[Problem]:
        """Keys that nobody took, and that look like one which is missing beside them. robomimic knows no such keys."""
        return list(self._mistyped((), self._tree))

    def unused(self) -> list[str]:
        """What nobody took; `meta.*` where nothing in a block was taken, `algo.vae.* (off)` where it is off."""
        return [name for name, _ in self._left((), self._tree)]

    def _find(self, path: KeyPath) -> Any:
        """The value at `path`, or `_ABSENT`. A value that stands where a block is expected is a problem."""
        block: Any = self._tree
        for i, name in enumerate(path):
            if not isinstance(block, Mapping):
                self._used.add(path[:i])
                problem = wrong(path[:i], block, f"a mapping with the key {dotted(path[i:])}")
                if all(known.key != problem.key for known in self.problems):
                    self.problems.append(problem)
                return _ABSENT
            if name not in block:
                return _ABSENT
            block = block[name]
        return block

    def _left(self, path: KeyPath, value: Any) -> list[tuple[str, int]]:
        """Names of what is unused at and below `path`, each with the number of keys it stands for."""
        if path in self._used:
            return []
        if path in self._off:
            return [(f"{dotted(path)}.* (off)", len(value) - 1)] if len(value) > 1 else []
        if not isinstance(value, Mapping) or not value:
            return [(dotted(path), 1)] if path else []
        below = [left for name, inner in value.items() for left in self._left((*path, name), inner)]
        count = sum(number for _, number in below)
        if path and count > 1 and not any(used[: len(path)] == path for used in self._used):
            return [(f"{dotted(path)}.*", count)]
        return below

    def _mistyped(self, path: KeyPath, block: Mapping[str, Any]) -> Iterator[Problem]:
        expected = {known[len(path)] for known in self._asked if known[: len(path)] == path and len(known) > len(path)}
        for name, value in block.items():
            here = (*path, name)
            if here in self._used:
                continue
            if name in expected:
                if isinstance(value, Mapping):
                    yield from self._mistyped(here, value)
                continue
            close = get_close_matches(str(name), [str(n) for n in expected if n not in block], n=1, cutoff=_TYPO)
            if close:
                yield Problem(here, f"unknown key. Did you mean {close[0]!r}?")


def _path(place: Place) -> KeyPath:
    return tuple(place.split(".")) if isinstance(place, str) else place
