"""A few steps of a training, to see what one takes: policy, optimizer and loss of `training.learning`, nothing written.

Statistics stand in for those of the data, which would take a while to compute and change no speed.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from robomix.mixture.dataset import Batch, Mixture
from robomix.statistics.compute import feature_stats, num_entries
from robomix.summaries import EMPTY
from robomix.training.build import build_optimizer, build_policy, taken_keys
from robomix.training.config import TrainConfig
from robomix.training.device import on_device
from robomix.training.normalization import make_processors
from robomix.training.objectives import Learner, Objective
from robomix.training.ranks import build_accelerator
from robomix.training.robot_folder import robots_of_training


@dataclass(frozen=True)
class Trial:
    """What a step takes, without waiting for its batch."""

    device: str
    step_s: float
    """Seconds of a step: preprocessing, forward, backward, update; the median of those tried, without the first."""
    steps: int
    """How many were tried."""
    parameters: int
    weights_bytes: int
    """Of the policy's parameters and buffers."""
    optimizer_bytes: int
    """Of the optimizer's state, as it is after these steps."""
    checkpoint_bytes: int
    """Of a checkpoint: weights, once more for each of several normalization groups at most, and optimizer."""
    device_peak_bytes: int | None
    """Peak of torch's memory on a CUDA device; None elsewhere."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)


def try_policy(training: TrainConfig, mixture: Mixture, batches: Sequence[Batch], seconds: float) -> Trial:
    """Trains the policy of `training` on `batches` in turn, for `seconds` and at least two steps.

    Raises ConfigError, with LeRobot's reason, where the policy cannot be built.
    """
    accelerator = build_accelerator(training)
    device = accelerator.device
    groups = {source.name: source.group for source in mixture.sources}
    ordered = list(dict.fromkeys(groups.values()))
    policy = build_policy(training, mixture, weights=None)
    mixture = mixture.only(taken_keys(mixture, policy.config))
    robots = robots_of_training(mixture, groups, policy)
    neutral = _neutral(mixture, training.dataset.use_imagenet_stats)
    processors = make_processors(policy, dict.fromkeys(ordered, neutral), device.type, robots)
    optimizer, _, _ = build_optimizer(training, policy)
    of_groups = [robots[group] for group in ordered] if robots is not None else ()
    learner, optimizer = accelerator.prepare(Learner(policy, of_groups), optimizer)
    group_of_source = torch.tensor([ordered.index(group) for group in groups.values()])
    learner.train()
    took: list[float] = []
    while len(took) < 2 or sum(took) < seconds:
        batch = batches[len(took) % len(batches)]
        started = time.perf_counter()
        moved = on_device(batch, mixture.camera_keys, device)
        inputs = processors(moved, group_of_source[batch["dataset_index"]])
        with accelerator.autocast():
            loss = Objective(*learner(inputs, inputs.get("action_dim_is_pad"))).total()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for the device
        took.append(time.perf_counter() - started)
    weights = _bytes(policy.state_dict().values())
    state = _bytes(value for of_one in optimizer.state.values() for value in of_one.values())
    return Trial(
        device=str(device),
        step_s=sorted(took[1:])[len(took[1:]) // 2],
        steps=len(took),
        parameters=sum(p.numel() for p in policy.parameters()),
        weights_bytes=weights,
        optimizer_bytes=state,
        checkpoint_bytes=weights * (1 if len(ordered) == 1 else 1 + len(ordered)) + state,
        device_peak_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


def _neutral(mixture: Mixture, use_imagenet: bool) -> dict[str, Any]:
    """Statistics that leave numbers as they are."""
    features = mixture.schema.features
    return {
        key: feature_stats(feature, [EMPTY] * num_entries(feature), use_imagenet) for key, feature in features.items()
    }


def _bytes(values: Any) -> int:
    return sum(value.numel() * value.element_size() for value in values if torch.is_tensor(value))
