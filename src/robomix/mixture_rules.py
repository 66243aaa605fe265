"""What the values of a mixture file must satisfy beyond their types. Plain data in, problems out."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robomix import frame_rules
from robomix.features import BOOKKEEPING
from robomix.problems import KeyPath, Problem, show, wrong

MAX_WEIGHT = 1e12
MAX_ALPHA = 10.0
"""Bounds under which weight * frames^alpha stays a number for any dataset that fits on a disk."""

LEROBOT_KEYS: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "streaming": ((False,), "robomix reads datasets from disk; download them and leave the key out"),
    "repo_type": (("dataset",), "robomix reads datasets from disk, not from buckets"),
    "eval_split": ((0, 0.0), "robomix holds out no episodes; list those to train on in `episodes`"),
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


def episodes(value: Sequence[int] | None, key: KeyPath) -> list[Problem]:
    """Whole numbers from 0 on, each once, at least one; null takes all."""
    if value is None:
        return []
    if not value:
        return [wrong(key, list(value), "at least one episode", "Leave the key out to take all.")]
    problems = [wrong((*key, i), e, "an episode's number, 0 or more") for i, e in enumerate(value) if e < 0]
    twice = [e for e, times in Counter(value).items() if times > 1]
    if twice:
        advice = "Each counts once; to draw some more often, list the dataset a second time with them."
        problems.append(Problem(key, f"lists {_some(twice)} more than once. {advice}"))
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
    problems += positive(block.get("demo_limit"), (*key, "demo_limit"), "a number of episodes, 1 or more")
    problems += positive(block.get("fps"), (*key, "fps"), "frames per second, more than 0")
    if not 0 <= block.get("weight", 1.0) <= MAX_WEIGHT:
        expected = f"a number from 0 to {MAX_WEIGHT:g}"
        problems.append(wrong((*key, "weight"), block["weight"], expected, "0 leaves the dataset out of the draws."))
    for i, step in enumerate(block.get("transforms", ())):
        problems += text(step["type"], (*key, "transforms", i, "type"))
    if block.get("env") is not None and block.get("eval") is False:
        problems.append(Problem((*key, "env"), "has no effect with `eval: false`. Remove one of them."))
    problems += frame_rules.resample(block.get("resample", {}), (*key, "resample"))
    if block.get("idle") is not None:
        problems += frame_rules.idle(block["idle"], (*key, "idle"))
    if block.get("repo_id") is None and block.get("root") is None:
        problems.append(Problem(key, "has neither `repo_id` nor `root`. Give the Hub id, the folder, or both."))
    return problems


def mixture(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """The whole block in its long form, whose types and sources are right."""
    sources = block["datasets"]
    problems = []
    if not 0 <= block.get("alpha", 0.0) <= MAX_ALPHA:
        fix = "0: weights are the shares; 1: weights times size."
        problems.append(wrong((*key, "alpha"), block["alpha"], f"a number from 0 to {MAX_ALPHA:g}", fix))
    problems += frame_rules.rate(block.get("rate", "native"), (*key, "rate"))
    if not sources:
        problems.append(wrong((*key, "datasets"), list(sources), "at least one dataset"))
    elif not any(source.get("weight", 1.0) > 0 for source in sources):
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
