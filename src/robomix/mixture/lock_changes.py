"""What is otherwise than a lock says, told so that it can be found: which source, which setting, then and now."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robomix.errors import ConfigError
from robomix.mixture.lock import SECTIONS
from robomix.problems import KeyPath, dotted

_SHOWN = 20
"""Changes that are listed; the rest is counted."""
_LONG = 80
"""Characters of a value that are shown."""
_ABSENT = object()


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of a lock `then` is otherwise in the lock `now`, each as a line of text.

    Sections that one of them has not are left out, so that a lock can be looked at before its statistics are there.
    """
    changed = []
    for section in SECTIONS:
        if section not in then or section not in now:
            continue
        old, new = then[section], now[section]
        if section == "sources":
            changed += _changed_sources(old, new)
        elif section == "settings":
            changed += [f"dataset.{line}" for line in _changed(old, new, "the default")]
        elif section == "statistics":
            changed += [f"statistics of group {line}" for line in _changed(old, new, "none")]
        else:
            changed += _changed(old, new, "none")
    return changed


def check_lock(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises ConfigError where `now` is not what the lock `then`, read from `path`, says, naming all that changed."""
    changed = differences(then, now)
    if not changed:
        return
    here = now["versions"]
    listed = changed[:_SHOWN] + ([f"and {len(changed) - _SHOWN} more"] if len(changed) > _SHOWN else [])
    packages = [f"{name}=={old}" for name, old in then["versions"].items() if old not in (None, here.get(name))]
    install = f" Those packages: pip install {' '.join(packages)}." if packages else ""
    raise ConfigError(
        f"this training is not what {path} has locked:\n  "
        + "\n  ".join(listed)
        + f"\nRestore what was then; a dataset from the Hub by its `revision`.{install} If it is meant to be "
        "otherwise, the same command with --lock in place of --locked writes a new lock."
    )


def _changed_sources(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    gone, new = ([name for name in one if name not in other] for one, other in ((then, now), (now, then)))
    changed = [f"source {name!r}: locked, and not there now" for name in gone]
    changed += [f"source {name!r}: not locked, and there now" for name in new]
    if not changed and list(then) != list(now):
        changed.append(f"order of the sources: {', '.join(then)} then, {', '.join(now)} now")
    for name in then:
        if name in now:
            is_known = None not in (then[name].get("revision"), now[name].get("revision"))  # only of what the Hub gave
            one, other = (_of_one(source, with_revision=is_known) for source in (then[name], now[name]))
            changed += [f"source {name!r}: {line}" for line in _changed(one, other, "the default")]
    return changed


def _of_one(source: Mapping[str, Any], *, with_revision: bool) -> dict[str, Any]:
    """What a lock has of a source, with its settings among the rest."""
    own = {key: value for key, value in source.items() if key != "settings" and (key != "revision" or with_revision)}
    return own | dict(source.get("settings", {}))


def _changed(then: Mapping[str, Any], now: Mapping[str, Any], absent: str) -> list[str]:
    """A line for each value within `then` or `now` that is not the same in both; `absent` stands for none."""
    old, new = dict(_values(then)), dict(_values(now))
    changed = [key for key in dict.fromkeys((*old, *new)) if old.get(key, _ABSENT) != new.get(key, _ABSENT)]
    pairs = {key: _told_apart(old.get(key, _ABSENT), new.get(key, _ABSENT), absent) for key in changed}
    return [f"{dotted(key)}: {told[0]} then, {told[1]} now" for key, told in pairs.items()]


def _values(value: Any, key: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """The single values within nested mappings and lists, each with where it stands."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    if key and (not inner or not value):
        yield key, value
    for name, item in inner:
        yield from _values(item, (*key, name))


def _told_apart(old: Any, new: Any, absent: str) -> tuple[str, str]:
    """Both as text; of long texts what is around the first character in which they differ."""
    told = [absent if v is _ABSENT else v if isinstance(v, str) else json.dumps(v) for v in (old, new)]
    if max(map(len, told)) <= _LONG:
        return told[0], told[1]
    same = next((i for i, (a, b) in enumerate(zip(*told, strict=False)) if a != b), min(map(len, told)))
    start = max(0, same - _LONG // 4)
    front = "..." if start else ""
    cut = [front + text[start : start + _LONG] + ("..." if len(text) > start + _LONG else "") for text in told]
    return cut[0], cut[1]
