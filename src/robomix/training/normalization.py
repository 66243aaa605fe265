"""Normalization of mixed batches: each sample by the statistics of its own group, in the mode the policy asks for.

With one group these are LeRobot's own processors. With several, the normalizer in the training pipeline looks up each
sample's group; every group also gets a plain LeRobot pair of processors, which is what its checkpoint is saved with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from robomix.errors import ConfigError
from robomix.statistics.compute import Stats
from robomix.training.compatibility import keep_actions_absolute
from robomix.training.lerobot import (
    NormalizerProcessorStep,
    Pi05PrepareStateTokenizerProcessorStep,
    make_pre_post_processors,
)
from robomix.training.robot_policy import ROBOT_INDEX, own_widths, robot_config, stats_of_robot
from robomix.training.robots import Robot
from robomix.training.state_prompts import OwnStatePrompt

ProcessorPair = tuple[Any, Any]
"""LeRobot's (preprocessor, postprocessor) of one normalization group."""

_NEEDED = {
    "MEAN_STD": ("mean", "std"),
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
}
"""LeRobot's normalization modes and the statistics they take; IDENTITY takes none."""


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
                name: torch.stack([torch.as_tensor(s[key][name], dtype=torch.float32) for s in stats])
                for name in first
                if all(name in s[key] for s in stats)  # those of given files may have fewer
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


def _up_to(values: Tensor, widths: Tensor) -> Tensor:
    """`values` (B, ..., D) with zeros beyond the first `widths` (B,) entries of each sample."""
    beyond = torch.arange(values.shape[-1], device=values.device) >= widths.unsqueeze(1)
    return values.masked_fill(_per_sample(beyond, values.ndim), 0)


@dataclass
class Processors:
    """The processors of a training with one or more normalization groups."""

    training: Any
    """Turns a batch of the loader into the policy's input."""
    by_group: dict[str, ProcessorPair]
    """By the group's name, for checkpoints and rollouts."""
    normalizer: GroupNormalizer | None
    """The step of `training` that must know the groups; None where there is only one."""
    shared: tuple[Any, Any]
    """LeRobot's (preprocessor, postprocessor) of the first group, as wide as the mixture: of the policy of all."""
    prompter: OwnStatePrompt | None = None
    """The step of `training` that writes states of several robots into prompts; None for policies that have no such."""
    widths: Mapping[str, Tensor] = field(default_factory=dict)
    """Of several robots, `own_widths`: what lies beyond reaches the policy as 0, which it is not after normalization by
    statistics that a narrower robot shares with wider ones."""

    def __call__(self, batch: dict[str, Any], groups: Tensor) -> dict[str, Any]:
        """`batch` as the policy wants it, on its device; `groups` (B,) names each sample's group by position."""
        if self.normalizer is not None:
            self.normalizer.groups = groups
        if self.prompter is not None:
            self.prompter.groups = groups
        made = dict(self.training(batch))
        if len(self.by_group) == 1:
            return made
        groups = groups.to(made["action"].device)
        padded = {key: _up_to(made[key], widths.to(groups.device)[groups]) for key, widths in self.widths.items()}
        return made | padded | {ROBOT_INDEX: groups}


def make_processors(
    policy: Any, stats: dict[str, Stats], device: str, robots: Mapping[str, Robot] | None = None
) -> Processors:
    """Processors for `policy` with `stats` per group, which should be safe (`safe_stats`).

    With `robots`, by group, a group's own pair is for the policy of its robot alone (`policy_of_robot`).
    Raises ConfigError where statistics lack what the policy's normalization modes take.
    """
    _check_modes(policy.config, stats)
    shared = {group: _pair(policy.config, of_group, device) for group, of_group in stats.items()}
    first = next(iter(shared.values()))
    if len(stats) == 1:
        return Processors(first[0], shared, None, first)
    training, _ = _pair(policy.config, next(iter(stats.values())), device)
    of_groups = list(stats.values())
    normalizer = _replaced(training, NormalizerProcessorStep, lambda step: GroupNormalizer.replacing(step, of_groups))
    if robots is None:
        return Processors(training, shared, normalizer, first)
    by_group = {group: robot_processors(policy, stats[group], device, robot) for group, robot in robots.items()}
    in_order = [robots[group] for group in stats]
    own = [robot_config(policy.config, robot, rename=False) for robot in in_order]
    prompter = _replaced(
        training,
        Pi05PrepareStateTokenizerProcessorStep,
        lambda step: OwnStatePrompt(step.max_state_dim, step.task_key, [c.robot_state_feature.shape[0] for c in own]),
    )
    return Processors(training, by_group, normalizer, first, prompter, own_widths(policy.config, in_order))


def _replaced(pipeline: Any, kind: type, replacement: Callable[[Any], Any]) -> Any:
    """Puts `replacement` of the step of class `kind` in its place, and returns it; None where there is no such step."""
    for i, step in enumerate(pipeline.steps):
        if isinstance(step, kind):
            made = replacement(step)
            pipeline.steps = [*pipeline.steps[:i], made, *pipeline.steps[i + 1 :]]
            return made
    return None  # a policy that normalizes nothing, or whose prompt is not made of its state


def robot_processors(policy: Any, stats: Stats, device: str, robot: Robot) -> tuple[Any, Any]:
    """LeRobot's (preprocessor, postprocessor) of the policy of `robot` alone; `stats` are as wide as `policy`."""
    return _pair(robot_config(policy.config, robot), stats_of_robot(stats, robot), device)


def _check_modes(config: Any, stats: dict[str, Stats]) -> None:
    for key, feature in {**config.input_features, **config.output_features}.items():
        mode = config.normalization_mapping.get(feature.type.name)
        for group, of_group in stats.items():
            lacking = [
                name for name in _NEEDED.get(mode and mode.name, ()) if key in of_group and name not in of_group[key]
            ]
            if lacking:
                raise ConfigError(
                    f"policy {config.type!r} normalizes {key!r} by {mode.name}, and the statistics given for {group!r} "
                    f"have no {' and no '.join(lacking)}, only {', '.join(of_group[key])}. `robomix stats mix.yaml "
                    "--out DIR` writes all of them into each stats.json; leave out `dataset.stats` to compute them."
                )


def _pair(config: Any, stats: Stats, device: str) -> tuple[Any, Any]:
    tensors = {key: {n: torch.as_tensor(v, dtype=torch.float32) for n, v in s.items()} for key, s in stats.items()}
    if not config.pretrained_path:
        return make_pre_post_processors(config, dataset_stats=tensors)
    normalize = {
        "stats": tensors,
        "features": {**config.input_features, **config.output_features},
        "norm_map": config.normalization_mapping,
    }
    unnormalize = normalize | {"features": config.output_features}
    made: tuple[Any, Any] = make_pre_post_processors(
        config,
        pretrained_path=str(config.pretrained_path),
        dataset_stats=tensors,
        preprocessor_overrides={"device_processor": {"device": device}, "normalizer_processor": normalize},
        postprocessor_overrides={"unnormalizer_processor": unnormalize},
    )
    keep_actions_absolute(made)
    return made
