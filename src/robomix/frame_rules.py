"""What `rate`, `resample` and `idle` of a mixture file must satisfy beyond their types. Plain data in, problems out."""

from collections.abc import Mapping
from typing import Any

from robomix.entries import check_entries
from robomix.errors import ConfigError
from robomix.formats.rate import MAX_FPS
from robomix.problems import KeyPath, Problem, wrong
from robomix.rotations import components
from robomix.validation import fit, unknown_keys

MIN_FPS = 0.001
_RESAMPLE = ("nearest", "rotations", "differences")
_ROTATION = ("entries", "as")


def rate(value: Any, key: KeyPath) -> list[Problem]:
    """`native`, or frames per second."""
    if value == "native" or MIN_FPS <= value <= MAX_FPS:
        return []
    return [wrong(key, value, f"'native', or frames per second from {MIN_FPS:g} to {MAX_FPS}")]


def resample(value: Mapping[str, Mapping[str, Any]], key: KeyPath) -> list[Problem]:
    """For each feature, entries by how they are resampled. Whether the dataset has them is not known yet."""
    problems = []
    for feature, rule in value.items():
        here = (*key, feature)
        problems += unknown_keys(rule, _RESAMPLE, here)
        for name in ("nearest", "differences"):
            if name in rule:
                problems += _entries(rule[name], (*here, name))
        if "rotations" in rule:
            problems += _rotations(rule["rotations"], (*here, "rotations"))
    return problems


def idle(value: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """The rule that leaves out frames in which nothing moves."""
    problems = []
    if value["below"] < 0:
        problems.append(wrong((*key, "below"), value["below"], "0 or more", "0: entries stay exactly what they are."))
    if value["longer_than"] < 1:
        problems.append(wrong((*key, "longer_than"), value["longer_than"], "a number of frames, 1 or more"))
    return problems


def _rotations(value: Any, key: KeyPath) -> list[Problem]:
    problems = fit(list[Mapping[str, Any]], value, key)
    for i, one in enumerate(value if not problems else ()):
        here = (*key, i)
        missing = [name for name in _ROTATION if name not in one]
        problems += unknown_keys(one, _ROTATION, here)
        problems += [Problem(here, f"lacks the key `{name}`.") for name in missing]
        if "as" in one:
            problems += fit(str, one["as"], (*here, "as")) or _said(components, one["as"], (*here, "as"))
        if "entries" in one:
            problems += _entries(one["entries"], (*here, "entries"))
    return problems


def _entries(value: Any, key: KeyPath) -> list[Problem]:
    if value is None:
        return [wrong(key, value, "a list of entries", "Leave the key out if there is none.")]
    return _said(lambda entries: check_entries(entries, "entries"), value, key)


def _said(check: Any, value: Any, key: KeyPath) -> list[Problem]:
    """What a check that raises has to say of `value`."""
    try:
        check(value)
    except ConfigError as error:
        return [Problem(key, f"{error}.")]
    return []
