"""Normalization of mixed batches: each sample by the statistics of its own group, in the mode the policy asks for.

With one group these are LeRobot's own processors. With several, the normalizer in the training pipeline looks up each
sample's group; every group also gets a plain LeRobot pair of processors, which is what its checkpoint is saved with.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robomix.statistics.compute import Stats
from robomix.training.lerobot import NormalizerProcessorStep, make_pre_post_processors

ProcessorPair = tuple[Any, Any]
"""LeRobot's (preprocessor, postprocessor) of one normalization group."""

TINY_BESIDE_OTHERS = 1e-4
"""An entry whose deviation is below this share of its vector's largest one is noise on a constant."""


def safe_stats(stats: Stats) -> Stats:
    """`stats` with entries that hardly vary made harmless: they map to about 0 in every mode, and back to their value.

    LeRobot divides by std + 1e-8, or by max - min: a simulated joint that trembles by 1e-7 becomes noise of size 10.
    Such an entry gets std 1, and bounds one below and one above its mean.
    """
    return {key: _safe(of_key) for key, of_key in stats.items()}


def _safe(stats: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    std, mean = stats["std"], stats["mean"]
    padding = (mean == 0) & (std == 1) & (stats["min"] == -1) & (stats["max"] == 1)  # neutral, says nothing of scale
    largest = std[~padding].max(initial=0.0)
    magnitude = np.maximum(np.abs(stats["min"]), np.abs(stats["max"]))
    constant = ~padding & ((std <= TINY_BESIDE_OTHERS * largest) | (std <= 1e-6 * magnitude))
    safe = stats | {"std": np.where(constant, 1.0, std)}
    for low, high in (("min", "max"), ("q01", "q99"), ("q10", "q90")):
        flat = constant | (stats[high] - stats[low] <= 1e-6 * std)
        safe |= {low: np.where(flat, mean - 1, stats[low]), high: np.where(flat, mean + 1, stats[high])}
    return safe


@dataclass
class GroupNormalizer(NormalizerProcessorStep):
    """LeRobot's normalizer with statistics per sample. Set `groups` before each batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stacked: dict[str, dict[str, Tensor]] = {}
        self.groups = torch.zeros(0, dtype=torch.long)

    @classmethod
    def replacing(cls, step: NormalizerProcessorStep, stats: list[Stats]) -> "GroupNormalizer":
        """A normalizer like `step`, with the statistics of each group in turn."""
        made = cls(features=step.features, norm_map=step.norm_map, stats=stats[0], device=step.device, eps=step.eps)
        made.stacked = {
            key: {
                name: torch.stack([torch.as_tensor(s[key][name], dtype=torch.float32) for s in stats]) for name in first
            }
            for key, first in stats[0].items()
        }
        return made

    def _apply_transform(self, tensor: Tensor, key: str, feature_type: Any, *, inverse: bool = False) -> Tensor:
        if key not in self.stacked:
            return super()._apply_transform(tensor, key, feature_type, inverse=inverse)
        groups = self.groups.to(tensor.device)
        self._tensor_stats[key] = {
            name: _per_sample(stacked.to(tensor.device, tensor.dtype)[groups], tensor.ndim)
            for name, stacked in self.stacked[key].items()
        }
        return super()._apply_transform(tensor, key, feature_type, inverse=inverse)


def _per_sample(stats: Tensor, ndim: int) -> Tensor:
    """(B, *shape) to (B, 1, ..., *shape) with `ndim` axes, to fit values with a time axis."""
    return stats.reshape(len(stats), *[1] * (ndim - stats.ndim), *stats.shape[1:])


@dataclass
class Processors:
    """The processors of a training with one or more normalization groups."""

    training: Any
    """Turns a batch of the loader into the policy's input."""
    by_group: dict[str, ProcessorPair]
    """By the group's name, for checkpoints and rollouts."""
    normalizer: GroupNormalizer | None
    """The step of `training` that must know the groups; None where there is only one."""

    def __call__(self, batch: dict[str, Any], groups: Tensor) -> dict[str, Any]:
        """`batch` as the policy wants it, on its device; `groups` (B,) names each sample's group by position."""
        if self.normalizer is not None:
            self.normalizer.groups = groups
        return dict(self.training(batch))


def make_processors(policy: Any, stats: dict[str, Stats], device: str) -> Processors:
    """Processors for `policy` with `stats` per group, which should be safe (`safe_stats`)."""
    by_group = {group: _pair(policy, of_group, device) for group, of_group in stats.items()}
    if len(stats) == 1:
        return Processors(next(iter(by_group.values()))[0], by_group, None)
    training, _ = _pair(policy, next(iter(stats.values())), device)
    for i, step in enumerate(training.steps):
        if isinstance(step, NormalizerProcessorStep):
            normalizer = GroupNormalizer.replacing(step, list(stats.values()))
            training.steps = [*training.steps[:i], normalizer, *training.steps[i + 1 :]]
            return Processors(training, by_group, normalizer)
    return Processors(training, by_group, None)  # a policy that normalizes nothing has nothing to tell apart


def _pair(policy: Any, stats: Stats, device: str) -> tuple[Any, Any]:
    config = policy.config
    tensors = {key: {n: torch.as_tensor(v, dtype=torch.float32) for n, v in s.items()} for key, s in stats.items()}
    if not config.pretrained_path:
        return make_pre_post_processors(config, dataset_stats=tensors)
    normalize = {
        "stats": tensors,
        "features": {**config.input_features, **config.output_features},
        "norm_map": config.normalization_mapping,
    }
    unnormalize = normalize | {"features": config.output_features}
    return make_pre_post_processors(
        config,
        pretrained_path=str(config.pretrained_path),
        dataset_stats=tensors,
        preprocessor_overrides={"device_processor": {"device": device}, "normalizer_processor": normalize},
        postprocessor_overrides={"unnormalizer_processor": unnormalize},
    )
