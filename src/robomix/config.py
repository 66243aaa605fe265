"""The mixture file: which datasets, how they are drawn from, and how they are made to fit each other.

A file holds the block under `dataset:`; every key can be given as a flag too (`--dataset.alpha=1`). The classes here
are its long form; `mixture_block` has the short one, `mixture_rules` what the values must satisfy.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from robomix import mixture_block
from robomix.documents import read_document as load_config_file
from robomix.errors import ConfigError
from robomix.files import expanded
from robomix.mixture_block import expand, labels
from robomix.mixture_rules import LEROBOT_KEYS
from robomix.problems import Problem, report
from robomix.remote.mirror import local_path
from robomix.remote.urls import as_url
from robomix.source_names import source_names
from robomix.validation import fields_of

__all__ = ["MixtureConfig", "SourceConfig", "TransformConfig", "load_config_file", "problems_of", "resolve_root"]

VideoBackend = Literal["pyav", "torchcodec", "video_reader"]


@dataclass(frozen=True)
class TransformConfig:
    """One step that makes a source's samples fit the others."""

    type: str
    """Name of the transform: built in, registered, or `your.module:its_name`, which imports the module first."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """What the step is built with, such as {target_dim: 12}."""


@dataclass(frozen=True)
class IdleConfig:
    """Which frames are idle: those of a stretch in which no entry of a feature moves."""

    key: str
    """A feature of the dataset, by its own name, such as action."""
    below: float
    """An entry moves where it changes by more than this from one frame to the next."""
    longer_than: int
    """Stretches of up to so many frames are no idling; at the mixture's rate."""


@dataclass(frozen=True)
class SuccessConfig:
    """Which episodes are a success, by a number or flag that the dataset records."""

    key: str
    """A feature of the dataset, by its own name, such as next.success."""
    at: Literal["last", "any"] = "last"
    """Where it counts: in the episode's last frame, or in any."""
    at_least: float = 0.5
    """What it must reach; a flag is 0 or 1."""


_FILTERS = {"idle": IdleConfig, "success": SuccessConfig}
_LISTS = ("episodes", "val_episodes", "prompt")


@dataclass(frozen=True)
class SourceConfig:
    """One dataset of a mixture. `repo_id` or `root` must be given."""

    repo_id: str | None = None
    """Hub id; without `root` the dataset is $HF_LEROBOT_HOME/repo_id, else what is needed of it is downloaded."""
    root: str | None = None
    """Folder or file of the dataset, `~` is the home folder; or a URL, as s3://bucket/set. Alone it is enough."""
    episodes: tuple[int, ...] | None = None
    """Only these episodes are used, by their episode_index; null takes all."""
    filter_key: str | None = None
    """Only episodes of this selection, which the dataset names (robomimic's `mask/...`), are used."""
    demo_limit: int | None = None
    """Only the first so many of the episodes that `episodes` and `filter_key` leave are used."""
    val_fraction: float | None = None
    """Share of these episodes that is held out for validation; default: the mixture's `val_fraction`."""
    val_episodes: tuple[int, ...] | None = None
    """These episodes, by their episode_index, are held out for validation, in place of a share."""
    fps: float | None = None
    """Frames per second, for datasets that do not say; one that does must agree."""
    lang: str | None = None
    """Task text of all its frames, in place of the dataset's own."""
    prompt: str | tuple[str, ...] | None = None
    """What the policy reads, such as "{task} with the {robot}"; of a list, each sample one. Also {source}, {group}."""
    paraphrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other wordings of a task, such as {pick the cube: [pick the cube, grab the cube]}; each sample has one."""
    revision: str | None = None
    """Version on the Hub, for the download; a folder that is there is read as it is."""
    video_backend: VideoBackend | None = None
    """Accepted because existing files have it; videos are always decoded with PyAV, whose frames are exact."""
    weight: float = 1.0
    """Share of this dataset relative to the others' weights; 0 draws nothing from it."""
    loss_weight: float = 1.0
    """What the loss of its samples is multiplied by, however many are drawn."""
    shuffle_window: int | None = None
    """Episodes of the windows within which it is shuffled; default: the mixture's `shuffle_window`."""
    feature_map: Mapping[str, str | None] = field(default_factory=dict)
    """The dataset's key to the mixture's key; null drops the feature; keys not listed keep their names."""
    transforms: tuple[TransformConfig, ...] = ()
    """Steps run on each sample after `feature_map`, in this order."""
    group: str | None = None
    """Sources of one named group share normalization statistics, whatever `normalize_by` says of the others."""
    name: str | None = None
    """How tables and logs call it; default: repo_id, else the folder's name, with #2 at its second listing."""
    eval: bool = False
    """Roll the policy out in this dataset's environment, during and after training."""
    env: Mapping[str, Any] | None = None
    """That environment by LeRobot's settings, as {type: pusht}; default: what the dataset names. Turns `eval` on."""
    resample: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """How features are brought to `rate` where their content does not tell, such as {action: {nearest: [gripper]}}."""
    idle: IdleConfig | None = None
    """Frames in which nothing moves start no sample, such as {key: action, below: 0.001, longer_than: 10}."""
    success: SuccessConfig | None = None
    """Only episodes that succeed are used, such as {key: next.success, at: last, at_least: 0.5}."""


@dataclass(frozen=True)
class WeightStageConfig:
    """What weights are from a step of the training on."""

    step: int
    """Optimizer step, counted from 0."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights by the names of the sources; those not named have their `weight`."""
    alpha: float | None = None
    """Default: the mixture's `alpha`."""
    interpolate: Literal["hold", "linear", "cosine"] = "hold"
    """How shares get here from the stage before: hold them until the step and jump, or move to it in between."""


@dataclass(frozen=True)
class MixtureConfig:
    """All sources and how they are drawn from. Checked when built; raises ConfigError with everything wrong in it."""

    datasets: tuple[SourceConfig, ...]
    """The sources. Their order sets `dataset_index`."""
    type: Literal["multi", "single"] | None = None
    """Accepted because existing files have it; changes nothing."""
    features: Literal["union", "intersection"] = "union"
    """union: a feature some source lacks is zero-filled and masked there; intersection: such features are dropped."""
    alpha: float = 0.0
    """P(source) is proportional to weight * frames^alpha: 0 makes weights the shares, 1 multiplies them by size."""
    weight_schedule: tuple[WeightStageConfig, ...] = ()
    """Weights that change, such as [{step: 5000, weights: {b: 2}, interpolate: linear}]; before, `weight` holds."""
    batching: Literal["mixed", "per_source", "per_camera_set"] = "mixed"
    """mixed: every batch holds all sources in their shares; per_source: every batch comes from one source;
    per_camera_set: every batch comes from sources with the same cameras."""
    shuffle_window: int | None = None
    """Each source is shuffled within windows of so many of its episodes, in random order; null: as a whole."""
    normalize_by: Literal["global", "source", "embodiment"] = "global"
    """Which sources share normalization statistics: all, each its own, or those of one robot type."""
    stats_weighting: Literal["frames", "sampling"] = "frames"
    """frames: all frames weigh the same in statistics; sampling: a source's frames together weigh its probability."""
    stats: str | None = None
    """Statistics to take: a stats.json, a norm_stats.json, or a folder as `robomix stats --out` writes it."""
    rate: float | Literal["native"] = "native"
    """Frames per second that every source is resampled to; native leaves each at its own."""
    materialized: str | None = None
    """Folder of `robomix materialize`: camera frames are read from there, all else from the sources as ever."""
    decode_device: Literal["cpu", "cuda"] = "cpu"
    """cuda: the video unit of an NVIDIA GPU decodes videos, to the frames that the processor decodes them to."""
    val_fraction: float = 0.0
    """Share of each source's episodes that is held out for validation; which ones, their content decides."""
    condition_on: Literal["source", "group"] | None = None
    """Tells the policy which source, or which normalization group, a sample is of; null tells it nothing."""
    condition_as: Literal["one_hot", "index"] = "one_hot"
    """one_hot: an entry for each source or group, 1 for the sample's; index: one entry, its number."""
    condition_key: str = "observation.state"
    """The vector these entries stand in front of; another name, such as observation.embodiment, is one of their own."""
    use_imagenet_stats: bool = True
    """Cameras are normalized with ImageNet's mean and std; false measures them on a sample of frames."""
    image_transforms: Mapping[str, Any] = field(default_factory=lambda: {"enable": False})
    """Random camera augmentation by LeRobot's names (enable, max_num_transforms, random_order, tfs); off by default."""
    video_backend: VideoBackend | None = None
    """Accepted because existing files have it; videos are always decoded with PyAV, whose frames are exact."""

    def __post_init__(self) -> None:
        problems = problems_of(self.to_dict())
        if problems:
            raise report(problems, label=labels(self.to_dict()))
        object.__setattr__(self, "datasets", _with_names(self.datasets))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, origin: str | None = None) -> "MixtureConfig":
        """The config of a `dataset` block, long or short. `origin`, the file's name, goes into the error."""
        problems = problems_of(data)
        if problems:
            raise report(problems, origin=origin, label=labels(data))
        block = expand(data)
        block = {name: value for name, value in block.items() if name not in LEROBOT_KEYS}
        if "image_transforms" in block:
            block["image_transforms"] = {"enable": False} | dict(block["image_transforms"])
        stages = tuple(WeightStageConfig(**stage) for stage in block.get("weight_schedule", ()))
        sources = tuple(_source(entry) for entry in block["datasets"])
        return cls(**block | {"datasets": sources, "weight_schedule": stages})

    def drawn(self) -> set[str]:
        """Names of the sources that are drawn from at some step of the training."""
        weights = {str(source.name): source.weight for source in self.datasets}
        stages = [weights | dict(stage.weights) for stage in self.weight_schedule]
        if not self.weight_schedule or self.weight_schedule[0].step > 0:
            stages.append(weights)
        return {name for stage in stages for name, weight in stage.items() if weight > 0}

    def to_dict(self) -> dict[str, Any]:
        """Plain data in the long form; `from_dict` of it gives an equal config."""
        block = {f.name: getattr(self, f.name) for f in fields(self)}
        block["datasets"] = [_plain_source(source) for source in self.datasets]
        block["weight_schedule"] = [asdict(stage) | {"weights": dict(stage.weights)} for stage in self.weight_schedule]
        return block | {"image_transforms": dict(self.image_transforms)}


def problems_of(data: Any) -> list[Problem]:
    """Everything wrong with a `dataset` block, long or short, as far as it can be told without opening the datasets."""
    return mixture_block.problems_of(data, fields_of(MixtureConfig), fields_of(SourceConfig), ("dataset",))


def resolve_root(source: SourceConfig) -> Path:
    """Folder or file of a source: `root`, else $HF_LEROBOT_HOME/repo_id. Raises ConfigError where there is none.

    A `root` that is a URL is brought to this machine, but for its videos (`remote.mirror`); raises RemoteError.
    """
    if source.root is not None and as_url(source.root):
        return local_path(source.root)
    folder = _expanded(source.root) if source.root is not None else lerobot_home() / str(source.repo_id)
    if os.path.exists(folder):
        return folder
    kind, advice = "folder", "Correct `root`."
    if source.repo_id is None and folder.suffix in (".hdf5", ".h5"):
        kind = "file"
        advice = "Correct `root`; or make the file first, where the mixture file says with which command."
    if source.repo_id is not None:
        is_on_hub = "/" in source.repo_id
        advice = f"Opening the mixture {'downloads it' if is_on_hub else 'would download NAMESPACE/NAME from the Hub'}."
    name = source.name or source.repo_id or source.root
    raise ConfigError(f"source {name!r}: the {kind} {folder.absolute()} does not exist. {advice}")


def _source(entry: Mapping[str, Any]) -> SourceConfig:
    transforms = tuple(TransformConfig(**step) for step in entry.get("transforms", ()))
    lists = {name: tuple(entry[name]) for name in _LISTS if isinstance(entry.get(name), list | tuple)}
    filters = {name: cls(**entry[name]) for name, cls in _FILTERS.items() if entry.get(name) is not None}
    paraphrases = {task: tuple(wordings) for task, wordings in entry.get("paraphrases", {}).items()}
    made = filters | lists | {"transforms": transforms, "paraphrases": paraphrases}
    return SourceConfig(**dict(entry) | made)


def _plain_source(source: SourceConfig) -> dict[str, Any]:
    entry = {f.name: getattr(source, f.name) for f in fields(source)}
    entry |= {name: list(entry[name]) for name in _LISTS if isinstance(entry[name], list | tuple)}
    entry["paraphrases"] = {task: list(wordings) for task, wordings in source.paraphrases.items()}
    entry["transforms"] = [{"type": step.type, "kwargs": dict(step.kwargs)} for step in source.transforms]
    entry["env"] = None if source.env is None else dict(source.env)
    entry |= {name: asdict(entry[name]) for name in _FILTERS if entry[name] is not None}
    entry["resample"] = {key: dict(rule) for key, rule in source.resample.items()}
    return entry | {"feature_map": dict(source.feature_map)}


def _with_names(sources: Sequence[SourceConfig]) -> tuple[SourceConfig, ...]:
    names = source_names([{"name": s.name, "repo_id": s.repo_id, "root": s.root} for s in sources])
    return tuple(replace(source, name=name) for source, name in zip(sources, names, strict=True))


def lerobot_home() -> Path:
    """Where LeRobot keeps local datasets: $HF_LEROBOT_HOME, else `lerobot` in $HF_HOME, else in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    huggingface = os.environ.get("HF_HOME", os.path.join(cache, "huggingface"))
    return _expanded(os.environ.get("HF_LEROBOT_HOME", os.path.join(huggingface, "lerobot")))


def _expanded(path: str) -> Path:
    return expanded(path)
