"""One dataset as several by rules: each episode goes to the first part whose rule it meets. The rules are

    task:TEXT          a task of the episode is TEXT, where * stands for any letters (pick*)
    length:FROM:BELOW  the episode has at least FROM and fewer than BELOW frames; either may be left out
    success:KEY        the feature KEY ends at 0.5 or more, as a flag that the dataset records
    failure:KEY        the feature KEY ends below 0.5
    rest               any episode

A success is told by the last frame, as in a mixture file.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from robomix.config import SuccessConfig
from robomix.errors import ConfigError, did_you_mean
from robomix.tools.build.content import Content, Episode
from robomix.tools.edit.splits import splits_of
from robomix.tools.edit.values import numbers_of

Rule = Callable[[Content, Episode], bool]


def by_rules(content: Content, rules: Mapping[str, str]) -> dict[str, Content]:
    """Each part with its episodes, in their order; those that meet no rule are in none.

    Raises ConfigError for a rule that is none, and for a part that would be empty.
    """
    parsed = {name: parse(rule) for name, rule in rules.items()}
    parts: dict[str, list[Episode]] = {name: [] for name in parsed}
    for episode in content.episodes:
        name = next((name for name, holds in parsed.items() if holds(content, episode)), None)
        if name is not None:
            parts[name].append(episode)
    if empty := [name for name, episodes in parts.items() if not episodes]:
        texts = ", ".join(map(repr, content.tasks[:10]))
        raise ConfigError(f"part {empty[0]!r}: no episode meets {rules[empty[0]]!r} first. The tasks are {texts}.")
    return {
        name: replace(content, episodes=tuple(episodes), splits=splits_of(content, episodes))
        for name, episodes in parts.items()
    }


def parse(rule: str) -> Rule:
    """A rule from its text."""
    kind, _, value = rule.partition(":")
    if kind not in _KINDS:
        raise ConfigError(f"{rule!r} is no rule.{did_you_mean(kind, _KINDS)} There is: {', '.join(_KINDS)}")
    return _KINDS[kind](value, rule)


def _task(pattern: str, rule: str) -> Rule:
    if not pattern:
        raise ConfigError(f"{rule!r} names no task, expected task:TEXT.")
    return lambda _, episode: any(fnmatchcase(text, pattern) for text in episode.tasks)


def _length(value: str, rule: str) -> Rule:
    start, colon, stop = value.partition(":")
    if not colon or not all(text.isdecimal() for text in (start, stop) if text) or not (start or stop):
        raise ConfigError(f"{rule!r} is no range of lengths, expected length:FROM:BELOW, such as length:50:500.")
    low, high = int(start or 0), int(stop) if stop else None
    return lambda _, episode: low <= episode.length and (high is None or episode.length < high)


def _success(key: str, rule: str) -> Rule:
    if not key:
        raise ConfigError(f"{rule!r} names no feature, expected success:KEY, such as success:next.success.")
    return lambda content, episode: _ends_well(content, episode, key)


def _failure(key: str, rule: str) -> Rule:
    succeeds = _success(key, rule)
    return lambda content, episode: not succeeds(content, episode)


def _rest(value: str, rule: str) -> Rule:
    if value:
        raise ConfigError(f"{rule!r} is no rule, expected rest alone.")
    return lambda content, episode: True


_KINDS: dict[str, Callable[[str, str], Rule]] = {
    "task": _task,
    "length": _length,
    "success": _success,
    "failure": _failure,
    "rest": _rest,
}


def _ends_well(content: Content, episode: Episode, key: str) -> bool:
    values = numbers_of(content, episode, key)
    if values[0].size != 1:
        raise ConfigError(f"{key!r} has shape {values.shape[1:]}, expected a single number for each frame.")
    return bool(values[-1].reshape(()) >= SuccessConfig.at_least)
