"""The `dataset` block as plain data: its short form, and everything wrong with it.

The long form lists sources under `datasets`. The short form, LeRobot's, is `repo_id: X` or `repo_id: [A, B]` with
`root`, `episodes` and `revision` for all; it stands for sources of weight 1, alpha 1 and the intersection of features.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robomix import mixture_rules as rules
from robomix.problems import KeyPath, Problem, wrong
from robomix.validation import fit, unknown_keys

SHORT: Mapping[str, Any] = {
    "repo_id": str | list[str] | None,
    "root": str | None,
    "episodes": list[int] | None,
    "revision": str | None,
}
"""Keys of the short form and their types."""

ROBOMIMIC: Mapping[str, str] = {"path": "root", "key": "name"}
"""What robomimic's lists of datasets call keys of a source. Its other keys have the same names here."""

Fields = Mapping[str, Any]
"""Names and types of the fields of a dataclass."""


def expand(data: Mapping[str, Any]) -> dict[str, Any]:
    """The block in its long form. Its types must be right."""
    block = {name: value for name, value in data.items() if name not in SHORT}
    if "datasets" in data:
        return block | {"datasets": [in_own_words(entry) for entry in data["datasets"]]}
    many = isinstance(data.get("repo_id"), list | tuple)
    shared = {name: data[name] for name in ("episodes", "revision") if data.get(name) is not None}
    sources = [shared | {"repo_id": repo_id} for repo_id in (data["repo_id"] if many else [data.get("repo_id")])]
    for source in sources:
        if data.get("root") is not None:
            source["root"] = str(Path(data["root"]) / source["repo_id"]) if many else data["root"]
    return {"alpha": 1.0, "features": "intersection"} | block | {"datasets": sources}


def problems_of(data: Any, mixture: Fields, source: Fields, key: KeyPath) -> list[Problem]:
    """Everything wrong with a block, long or short, as far as it can be told without opening the datasets.

    `mixture` and `source` are the fields of the dataclasses it is meant for; `key` is where it stands.
    """
    if not isinstance(data, Mapping):
        return fit(Mapping, data, key)
    block = {name: value for name, value in data.items() if name not in rules.LEROBOT_KEYS}
    misplaced = _elsewhere(source, "It belongs to an entry of `datasets`.")
    problems = rules.lerobot_keys(data, key) + unknown_keys(block, [*mixture, *SHORT], key, misplaced)
    for name, hint in mixture.items():
        if name in block and name != "datasets":
            problems += fit(rules.ImageTransforms if name == "image_transforms" else hint, block[name], (*key, name))
    found = _short_problems(block, key)
    if not found and "datasets" in block:
        misplaced = _elsewhere(mixture, "It belongs to `dataset`, not to one of its datasets.")
        found = _source_problems(block["datasets"], source, (*key, "datasets"), misplaced)
    problems += found
    return problems or rules.mixture(expand(block), key)


def labels(data: Any) -> Callable[[KeyPath], str]:
    """A function from a key's path to the repo_id, root or name of the source it belongs to, for `report`."""

    def label(key: KeyPath) -> str:
        match key:
            case ("dataset", "datasets", int(i), *_) if isinstance(data["datasets"][i], Mapping):
                entry = in_own_words(data["datasets"][i])
                known = [entry.get(name) for name in ("name", "repo_id", "root")]
                return next((str(value) for value in known if isinstance(value, str)), "")
        return ""

    return label


def in_own_words(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of `datasets` by this house's keys, an `env` as a wish to evaluate in it.

    Existing files write `transforms: null` and `feature_map: null` for none.
    """
    named = {ROBOMIMIC.get(name, name): value for name, value in entry.items()}
    given = {k: v for k, v in named.items() if v is not None or k not in ("transforms", "feature_map")}
    return {"eval": True} | given if given.get("env") is not None else given


def _short_problems(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """What is wrong with the keys of the short form, or with a block that is in neither form or in both."""
    given = [name for name in SHORT if block.get(name) is not None]
    if "datasets" in block:
        advice = "Give it to the entries of `datasets`, or list the repo_ids without `datasets`."
        return [Problem((*key, name), f"cannot stand beside `datasets`. {advice}") for name in given]
    if not {"repo_id", "root"} & set(given):
        advice = "Give `datasets` (a list of sources), `repo_id` (an id or a list of ids) or `root` (a folder)."
        return [Problem(key, f"names no dataset. {advice}")]
    problems = [p for name in given for p in fit(SHORT[name], block[name], (*key, name))]
    if problems:
        return problems
    repo_ids = block.get("repo_id")
    if isinstance(repo_ids, str | None):
        problems += rules.repo_id(repo_ids, (*key, "repo_id"))
    else:
        problems += [p for i, name in enumerate(repo_ids) for p in rules.repo_id(name, (*key, "repo_id", i))]
        if not repo_ids:
            problems.append(Problem((*key, "repo_id"), "found an empty list, expected at least one dataset."))
    problems += rules.episodes(block.get("episodes"), (*key, "episodes"))
    return problems + [p for name in ("root", "revision") for p in rules.text(block.get(name), (*key, name))]


def _source_problems(sources: Any, known: Fields, key: KeyPath, misplaced: Callable[[str], str]) -> list[Problem]:
    if not isinstance(sources, list | tuple):
        return fit(list[Mapping[str, Any]], sources, key)
    problems = []
    for i, entry in enumerate(sources):
        if not isinstance(entry, Mapping):
            problems.append(wrong((*key, i), entry, "a mapping with `repo_id` or `root`"))
            continue
        twice = [(name, own) for name, own in ROBOMIMIC.items() if name in entry and own in entry]
        problems += [Problem((*key, i, name), f"is `{own}`, which is given too. Remove one.") for name, own in twice]
        entry = in_own_words(entry)
        found = unknown_keys(entry, known, (*key, i), misplaced)
        for name, hint in known.items():
            if name in entry:
                found += fit(hint, entry[name], (*key, i, name))
        problems += found or rules.source(entry, (*key, i))
    return problems


def _elsewhere(known: Fields, advice: str) -> Callable[[str], str]:
    """Advice for a key that is unknown here but known in another place."""
    return lambda name: f" {advice}" if name in known else ""
