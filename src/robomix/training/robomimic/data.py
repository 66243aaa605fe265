"""The data of a robomimic config: `train.data` with its weights, and which observations and actions are used.

What it means stands in robomimic's documentation, `docs/tutorials/multi_dataset_training.md`; defaults are those of
its `config/base_config.py` and `utils/dataset.py`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robomix.config import SourceConfig
from robomix.errors import RobomixError, did_you_mean
from robomix.formats import open_dataset
from robomix.formats.base import Dataset
from robomix.mixture.episodes import chosen_episodes
from robomix.mixture.frames import FrameTable
from robomix.mixture_block import ROBOMIMIC
from robomix.mixture_rules import source as value_problems
from robomix.problems import KeyPath, Problem
from robomix.training.robomimic.inputs import Inputs, take_inputs
from robomix.training.robomimic.keys import RobomimicKeys
from robomix.validation import fit, unknown_keys

DATA: KeyPath = ("train", "data")
FILTER: KeyPath = ("train", "hdf5_filter_key")
"""The selection of all entries that do not name their own."""

_ENTRY: Mapping[str, Any] = {
    "path": str,
    "demo_limit": int | None,
    "weight": float,
    "eval": bool,
    "lang": str | None,
    "key": str | None,
    "filter_key": str | None,
    "fps": float | None,
}
"""Keys of an entry of `train.data`. `fps` is robomix's own, for files that do not say; robomimic passes over it."""


@dataclass(frozen=True)
class Member:
    """One entry of `train.data`."""

    source: Mapping[str, Any]
    """As an entry of `dataset.datasets`, without its steps."""
    dataset: Dataset
    ordinals: np.ndarray
    """(E,) int64: positions of the demonstrations that `filter_key` and `demo_limit` leave."""


@dataclass(frozen=True)
class Experiment:
    """What a config says of its data. Without all of its members where the config has problems."""

    inputs: Inputs
    members: Sequence[Member]
    weights_are_shares: bool
    """Whether weights are those of datasets (`normalize_weights_by_ds_size`), not of each of their sequences."""

    def mixture(self) -> dict[str, Any]:
        """The `dataset` block. P(source) is proportional to weight * sequences^alpha in robomimic, too."""
        sources = [dict(member.source) | self.inputs.steps(member.dataset) for member in self.members]
        return {"alpha": 0.0 if self.weights_are_shares else 1.0, "datasets": sources}

    def count_sequences(self, dropped: int) -> int:
        """Frames that start a sequence: all but the last `dropped` of each demonstration."""
        tables = [FrameTable.of(member.dataset.episodes, member.ordinals, dropped) for member in self.members]
        return sum(table.num_drawable for table in tables)

    def beyond_unit(self) -> list[str]:
        """Names of the sources whose actions leave [-1, 1]."""
        columns = self.inputs.action_columns
        return [
            member.source["name"]
            for member in self.members
            if any(np.abs(member.dataset.column(key)).max(initial=0) > 1 + 1e-6 for key in columns)
        ]


def take_experiment(keys: RobomimicKeys, *, other_policy: bool = False) -> Experiment:
    """The data of the config, its datasets opened, for bc or one of LeRobot's policies.

    What is wrong with it is added to `keys.problems`.
    """
    inputs = take_inputs(keys, other_policy=other_policy)
    shares = keys.take("train.normalize_weights_by_ds_size", bool, False)
    evaluate = keys.is_on("experiment.rollout.enabled", True)
    horizon = keys.take("experiment.rollout.horizon", int, 400, least=1) if evaluate else 0
    sources = [source | _environment(source, horizon) for source in _take_sources(keys, evaluate)]
    members = [_opened(keys, i, source) for i, source in enumerate(sources)]
    opened = [member for member in members if member is not None]
    keys.problems += inputs.missing_in([member.dataset for member in opened])
    return Experiment(inputs, opened, shares)


def _take_sources(keys: RobomimicKeys, evaluate: bool) -> list[dict[str, Any]]:
    """The entries of `train.data`, which may be a single path, as sources; none where one of them is wrong."""
    value = keys.take(DATA, Any, None)
    filter_key = keys.take(FILTER, str | None, None)
    entries = [{"path": value}] if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        advice = 'Write the path of the HDF5 file there, or a list such as [{"path": "a.hdf5", "weight": 1.0}].'
        keys.wrong(DATA, value, "a path or a list of datasets", advice)
        return []
    problems = [problem for i, entry in enumerate(entries) for problem in _entry_problems(entry, (*DATA, i))]
    problems = problems or _repeated_keys(entries)
    sources = []
    if not problems:
        shared = {"filter_key": filter_key, "eval": True}
        sources = [
            _source(shared | entry, name, evaluate) for entry, name in zip(entries, _names(entries), strict=True)
        ]
        problems = [_in_words_of_robomimic(p) for i, s in enumerate(sources) for p in value_problems(s, (*DATA, i))]
    keys.problems += problems
    return [] if problems else sources


def _environment(source: Mapping[str, Any], horizon: int) -> dict[str, Any]:
    """Where the source is evaluated, the environment its file names: an episode there is `horizon` steps."""
    return {"env": {"episode_length": horizon}} if source["eval"] else {}


def _opened(keys: RobomimicKeys, i: int, source: Mapping[str, Any]) -> Member | None:
    """The entry with its dataset, or a problem with it."""
    chosen = SourceConfig(filter_key=source.get("filter_key"), demo_limit=source.get("demo_limit"))
    try:
        dataset = open_dataset(source["root"], fps=source.get("fps"))
        if problem := _unknown_selection(keys, i, chosen.filter_key, dataset):
            keys.problems.append(problem)
            return None
        ordinals = chosen_episodes(dataset, chosen, source["name"])
    except RobomixError as error:
        keys.problems.append(Problem((*DATA, i), str(error)))
        return None
    return Member(source, dataset, ordinals)


def _unknown_selection(keys: RobomimicKeys, i: int, filter_key: str | None, dataset: Dataset) -> Problem | None:
    """The file lacks the selection that its entry, or the key for all entries, asks for."""
    known = list(dataset.subsets)
    if filter_key is None or filter_key in known:
        return None
    shared = filter_key == keys.take(FILTER, str | None, None)
    there = f"It names {', '.join(known)}" if known else "It names none"
    fix = "Set it to null to take all, here or as the `filter_key` of an entry" if shared else "null takes all"
    text = f"{dataset.path} has no selection {filter_key!r}.{did_you_mean(filter_key, known)} {there}. {fix}."
    return Problem(FILTER if shared else (*DATA, i, "filter_key"), text)


def _entry_problems(entry: Any, key: KeyPath) -> list[Problem]:
    if not isinstance(entry, Mapping):
        return fit(Mapping, entry, key)
    problems = unknown_keys(entry, _ENTRY, key)
    problems += [p for name, hint in _ENTRY.items() if name in entry for p in fit(hint, entry[name], (*key, name))]
    return problems if "path" in entry else [*problems, Problem(key, "lacks the key `path`.")]


def _repeated_keys(entries: Sequence[Mapping[str, Any]]) -> list[Problem]:
    given = [entry.get("key") for entry in entries]
    return [
        Problem((*DATA, i, "key"), f"{key!r} is the key of train.data[{given.index(key)}] too. Keys name evaluations.")
        for i, key in enumerate(given)
        if key is not None and given.index(key) < i
    ]


def _names(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each entry's `key`, else its file's name without the suffix; the second of one name is `name#2`."""
    taken = {entry.get("key") for entry in entries}
    names = []
    for entry in entries:
        stem = os.path.splitext(os.path.basename(entry["path"]))[0] or entry["path"]
        name, count = entry.get("key") or stem, 1
        while not entry.get("key") and name in taken:
            count += 1
            name = f"{stem}#{count}"
        taken.add(name)
        names.append(name)
    return names


def _source(entry: Mapping[str, Any], name: str, evaluate: bool) -> dict[str, Any]:
    source = {"root": entry["path"], "name": name, "weight": entry.get("weight", 1.0)}
    source |= {key: entry[key] for key in ("demo_limit", "filter_key", "lang", "fps") if entry.get(key) is not None}
    return source | {"eval": evaluate and entry["eval"]}


def _in_words_of_robomimic(problem: Problem) -> Problem:
    own = {name: theirs for theirs, name in ROBOMIMIC.items()}
    return Problem(tuple(own.get(str(part), part) for part in problem.key), problem.text)
