"""What the values of a mixture file must satisfy beyond their types. Plain data in, problems out."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robomix import frame_rules, prompt_rules, weight_rules
from robomix.errors import did_you_mean
from robomix.features import BOOKKEEPING, STATE
from robomix.problems import KeyPath, Problem, show, wrong
from robomix.source_names import source_names

LEROBOT_KEYS: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "streaming": ((False,), "robomix reads datasets from disk; download them and leave the key out"),
    "repo_type": (("dataset",), "robomix reads datasets from disk, not from buckets"),
    "eval_split": ((0, 0.0), "LeRobot holds out the last episodes of each task; `val_fraction` chooses by content"),
    "return_uint8": ((True, False), ""),  # camera samples are uint8 either way, and the training loop converts them
    "depth_output_unit": (("mm",), "robomix reads no depth cameras"),
}
"""Keys of LeRobot's dataset block without a counterpart: the values that ask for nothing, and why others cannot be."""

_RESERVED = (*BOOKKEEPING, "dataset_index", "task")
_REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)


@dataclass(frozen=True)
class ImageTransform:
    """One entry of `image_transforms.tfs`, by LeRobot's names."""

    weight: float = 1.0
    type: str = "Identity"
    kwargs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ImageTransforms:
    """The `image_transforms` block, by LeRobot's names."""

    enable: bool = False
    max_num_transforms: int = 3
    random_order: bool = False
    tfs: Mapping[str, ImageTransform] | None = None


def repo_id(value: str | None, key: KeyPath) -> list[Problem]:
    """A name on the Hub, or of a folder below LeRobot's home: no path of the file system."""
    if value is None or (_REPO_ID.fullmatch(value) and not {".", ".."} & set(value.split("/"))):
        return []
    fix = "A folder is given with `root`." if value.startswith(("/", ".", "~")) or "\\" in value else ""
    return [wrong(key, value, "a name such as 'me/so100_pick', of letters, digits, '.', '_' and '-'", fix)]


def text(value: str | None, key: KeyPath) -> list[Problem]:
    """Names and paths: something one can read."""
    if value is None or (value.strip() and value.isprintable()):
        return []
    return [wrong(key, value, "a name or path of printable characters", "Leave the key out if there is none.")]


def positive(value: float | None, key: KeyPath, expected: str) -> list[Problem]:
    """A number above 0; null is none."""
    return [] if value is None or value > 0 else [wrong(key, value, expected, "Leave the key out if there is none.")]


def episodes(
    value: Sequence[int] | None,
    key: KeyPath,
    *,
    if_none: str = "Leave the key out to take all.",
    if_twice: str = "Each counts once; to draw some more often, list the dataset a second time with them.",
) -> list[Problem]:
    """Whole numbers from 0 on, each once, at least one; null is no list. The rest is advice."""
    if value is None:
        return []
    if not value:
        return [wrong(key, list(value), "at least one episode", if_none)]
    problems = [wrong((*key, i), e, "an episode's number, 0 or more") for i, e in enumerate(value) if e < 0]
    twice = [e for e, times in Counter(value).items() if times > 1]
    if twice:
        problems.append(Problem(key, f"lists {_some(twice)} more than once. {if_twice}"))
    return problems


def feature_map(value: Mapping[str, str | None], key: KeyPath) -> list[Problem]:
    """New names must be usable as sample keys, and no two features may get the same one."""
    problems = []
    for old, new in value.items():
        if new is None:
            continue
        if not new.strip() or "/" in new or not new.isprintable():
            expected = "a feature's name, not empty and without '/'"
            problems.append(wrong((*key, old), new, expected, "Map it to null to leave the feature out."))
        elif new in _RESERVED or new.endswith("_is_pad"):
            problems.append(wrong((*key, old), new, "a name that robomix does not fill itself"))
    for new, times in Counter(new for new in value.values() if new is not None).items():
        if times > 1:
            old = " and ".join(repr(old) for old, name in value.items() if name == new)
            problems.append(Problem(key, f"maps {old} to the same name {new!r}. Map one to another, or to null."))
    return problems


def source(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """One entry of `datasets`, whose types are right."""
    problems = repo_id(block.get("repo_id"), (*key, "repo_id"))
    problems += episodes(block.get("episodes"), (*key, "episodes"))
    problems += feature_map(block.get("feature_map", {}), (*key, "feature_map"))
    for name in ("root", "revision", "group", "name", "filter_key", "lang"):
        problems += text(block.get(name), (*key, name))
    problems += _held_out(block, key)
    problems += positive(block.get("demo_limit"), (*key, "demo_limit"), "a number of episodes, 1 or more")
    problems += positive(block.get("fps"), (*key, "fps"), "frames per second, more than 0")
    problems += weight_rules.weight(block.get("weight", 1.0), (*key, "weight"))
    problems += weight_rules.loss_weight(block.get("loss_weight", 1.0), (*key, "loss_weight"))
    problems += _shuffle_window(block.get("shuffle_window"), (*key, "shuffle_window"))
    for i, step in enumerate(block.get("transforms", ())):
        problems += text(step["type"], (*key, "transforms", i, "type"))
    if block.get("env") is not None and block.get("eval") is False:
        problems.append(Problem((*key, "env"), "has no effect with `eval: false`. Remove one of them."))
    wrong_texts = prompt_rules.prompt(block.get("prompt"), (*key, "prompt"))
    wrong_texts += prompt_rules.paraphrases(block.get("paraphrases", {}), (*key, "paraphrases"))
    problems += wrong_texts or prompt_rules.both(block, key)
    problems += frame_rules.resample(block.get("resample", {}), (*key, "resample"))
    if block.get("idle") is not None:
        problems += frame_rules.idle(block["idle"], (*key, "idle"))
    if block.get("repo_id") is None and block.get("root") is None:
        problems.append(Problem(key, "has neither `repo_id` nor `root`. Give the Hub id, the folder, or both."))
    return problems


def mixture(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """The whole block in its long form, whose types and sources are right."""
    sources = block["datasets"]
    stages = block.get("weight_schedule", ())
    weights = [source.get("weight", 1.0) for source in sources]
    problems = weight_rules.alpha(block.get("alpha", 0.0), (*key, "alpha"))
    problems += weight_rules.weight_schedule(stages, source_names(sources), weights, (*key, "weight_schedule"))
    if stages and block.get("stats_weighting") == "sampling":
        advice = "has no meaning beside `weight_schedule`: shares move, and normalization stays. Leave it out."
        problems.append(Problem((*key, "stats_weighting"), advice))
    problems += frame_rules.rate(block.get("rate", "native"), (*key, "rate"))
    for name in ("stats", "materialized"):
        problems += text(block.get(name), (*key, name))
    problems += _fraction(block.get("val_fraction"), (*key, "val_fraction"))
    problems += _shuffle_window(block.get("shuffle_window"), (*key, "shuffle_window"))
    problems += _condition(block, key)
    if not sources:
        problems.append(wrong((*key, "datasets"), list(sources), "at least one dataset"))
    elif not any(weights) and not (stages and stages[0]["step"] == 0):
        problems.append(Problem((*key, "datasets"), "every weight is 0, so nothing can be drawn. Raise at least one."))
    if block.get("type") == "single" and len(sources) > 1:
        problems.append(wrong((*key, "type"), "single", f"'multi' for {len(sources)} datasets", "Or remove the key."))
    names = Counter(source["name"] for source in sources if source.get("name") is not None)
    for i, entry in enumerate(sources):
        if names[entry.get("name")] > 1:
            problems.append(
                Problem(
                    (*key, "datasets", i, "name"), f"{entry['name']!r} is another dataset's name (`name` or `key`) too."
                )
            )
    return problems + _image_transforms(block.get("image_transforms", {}), (*key, "image_transforms"))


def lerobot_keys(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """Keys of `LEROBOT_KEYS` with a value that asks for something."""
    return [
        wrong((*key, name), block[name], " or ".join(map(show, dict.fromkeys(nothing))), f"Not supported: {why}.")
        for name, (nothing, why) in LEROBOT_KEYS.items()
        if name in block and not any(type(block[name]) is type(v) and block[name] == v for v in nothing)
    ]


def _held_out(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """A source's share of episodes for validation, or a list of them."""
    listed, none = block.get("val_episodes"), "`val_fraction: 0` holds out none."
    problems = episodes(listed, (*key, "val_episodes"), if_none=none, if_twice="Each counts once.")
    problems += _fraction(block.get("val_fraction"), (*key, "val_fraction"))
    if listed is not None and block.get("val_fraction") is not None:
        problems.append(Problem((*key, "val_fraction"), "cannot stand beside `val_episodes`. Keep one of them."))
    return problems


def _condition(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """How a policy is told where samples are from."""
    name, here = block.get("condition_key", STATE), (*key, "condition_key")
    if block.get("condition_on") is None:
        idle = {"condition_as": "one_hot", "condition_key": STATE}
        advice = "has no effect without `condition_on`: source or group."
        return [Problem((*key, k), advice) for k, default in idle.items() if block.get(k, default) != default]
    if not name.startswith("observation.") or name.endswith("_is_pad") or "/" in name or not name.isprintable():
        fix = did_you_mean(name, [STATE, "observation.embodiment"]).strip()
        return [wrong(here, name, f"{STATE!r}, or a name of its own such as 'observation.embodiment'", fix)]
    return []


def _fraction(value: float | None, key: KeyPath) -> list[Problem]:
    if value is None or 0 <= value < 1:
        return []
    return [wrong(key, value, "a share of the episodes, from 0 to below 1", "0 holds out none.")]


def _shuffle_window(value: int | None, key: KeyPath) -> list[Problem]:
    if value is None or value >= 2:
        return []
    return [wrong(key, value, "a number of episodes, 2 or more", "Leave the key out to shuffle sources as a whole.")]


def _image_transforms(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    problems = []
    if block.get("max_num_transforms", 1) < 1:
        problems.append(wrong((*key, "max_num_transforms"), block["max_num_transforms"], "1 or more"))
    for name, step in (block.get("tfs") or {}).items():
        if step.get("weight", 1.0) < 0:
            problems.append(wrong((*key, "tfs", name, "weight"), step["weight"], "0 or more"))
    return problems


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (" and others" if len(numbers) > 10 else "")
