"""The parts of a training, built from its config: its samples and their order, policy, optimizer, scheduler."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robomix.config import MixtureConfig
from robomix.errors import AlignmentError, ConfigError
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import make_mixture
from robomix.mixture.resolve import make_schedule
from robomix.mixture.schedule import Schedule
from robomix.training.config import TrainConfig
from robomix.training.lerobot import (
    DecodingError,
    DraccusException,
    ImageTransforms,
    ImageTransformsConfig,
    decode,
    make_policy,
)
from robomix.training.policy_cuts import PADDED_INSIDE, masked_cameras

REWARD = "next.reward"

log = logging.getLogger(__name__)


def build_data(dataset: MixtureConfig, policy: Any, *, seed: int, batch_size: int) -> tuple[Mixture, Schedule]:
    """What a training on `dataset` draws from, and when; `batch_size` is that over all ranks.

    `policy` is a LeRobot policy config, whose windows samples have and whose features they keep; None keeps all, of
    single frames. Raises RobomixError for what cannot be opened or does not fit.
    """
    mixture = make_mixture(dataset, policy=policy, image_transform=build_image_transform(dataset), seed=seed)
    schedule = make_schedule(mixture.sources, dataset, seed=seed, batch_size=batch_size)
    return (mixture if policy is None else mixture.only(policy_keys(mixture, policy))), schedule


def policy_keys(mixture: Mixture, policy: Any) -> list[str]:
    """The features a LeRobot policy can take from `mixture`: cameras and floating-point vectors among `observation.*`,
    `action`, and the reward where the config `policy` asks for it. The others stay out of the training.

    Raises AlignmentError where there is no `action`, or no reward for a policy that learns from it.
    """
    features = mixture.schema.features
    keys = [
        key
        for key, feature in features.items()
        if key == "action"
        or (key == REWARD and policy.reward_delta_indices is not None)
        or (key.startswith("observation.") and (feature.is_camera or np.dtype(feature.dtype).kind == "f"))
    ]
    if "action" not in keys:
        raise AlignmentError(
            f"the mixture has no 'action' to learn. It has: {', '.join(features)}. "
            "Name the feature that holds the actions with feature_map, for example {actions: action}."
        )
    if policy.reward_delta_indices is not None and REWARD not in keys:
        raise AlignmentError(
            f"policy {policy.type!r} learns from rewards, and the mixture has no {REWARD!r}. It has: "
            f"{', '.join(features)}. Name the feature that holds them with feature_map, or train another policy."
        )
    return keys


def taken_keys(mixture: Mixture, policy: Any) -> list[str]:
    """Of the features of `mixture`, those that the config of a built policy says it takes."""
    wanted = {*policy.input_features, *policy.output_features, REWARD}
    return [key for key in mixture.schema.features if key in wanted]


def build_policy(config: TrainConfig, mixture: Mixture, weights: Path | None) -> Any:
    """The policy of `config` for `mixture`'s features, on its device; with the weights of folder `weights` if given.

    Raises ConfigError, with LeRobot's reason, where the policy cannot take these features.
    """
    settings = config.policy
    settings.pretrained_path = weights or settings.pretrained_path
    meta = copy.copy(mixture.meta)
    meta.features = {key: meta.features[key] for key in policy_keys(mixture, settings)}
    try:
        policy = make_policy(settings, ds_meta=meta)
    except Exception as error:  # policies refuse features, and lack packages, in ways of their own: all are told
        start = f" with the weights in {settings.pretrained_path}" if settings.pretrained_path else ""
        listing = "\n".join(f"  {key}: {value['dtype']} {value['shape']}" for key, value in meta.features.items())
        raise ConfigError(
            f"policy {settings.type!r} cannot be built for this mixture{start}: {error}\nThe mixture offers:\n{listing}"
        ) from error
    cameras, needed = policy.config.image_features, policy.config.input_features
    masked = masked_cameras(settings.type, cameras, meta.features)
    if masked:
        log.info("no source has %s: the policy does without, its images are masked", ", ".join(sorted(masked)))
    elif settings.type in PADDED_INSIDE and not set(cameras).intersection(meta.features):
        raise ConfigError(
            f"policy {settings.type!r} needs at least one camera, and the mixture has {', '.join(meta.features)}. Name "
            "one observation.images.SOMETHING with feature_map."
        )
    lacking = [key for key in needed if key not in meta.features and key not in masked]
    if lacking:
        raise ConfigError(
            f"the policy expects {', '.join(lacking)}, which the mixture lacks. It has: {', '.join(meta.features)}. "
            "Give the features the policy's names with feature_map."
        )
    if not hasattr(policy.config, "max_state_dim"):  # those pad inside
        _check_widths(policy.config, mixture)
    return policy


def _check_widths(policy: Any, mixture: Mixture) -> None:
    """Weights of a policy trained before go on with vectors as wide as theirs. Raises ConfigError for others."""
    for key, feature in policy.input_features.items():
        shape = tuple(mixture.meta.features[key]["shape"])
        if feature.type.name != "VISUAL" and tuple(feature.shape) != shape:
            front = mixture.schema.in_front(key)
            told = f", of which `condition_on` puts {front} in front" if front else ""
            raise ConfigError(
                f"the policy in {policy.pretrained_path} takes {key!r} of shape {tuple(feature.shape)}, and the "
                f"mixture has it of shape {shape}{told}. Bring it to the policy's width with the datasets' "
                "transforms (such as pad_state), or train a new policy with --policy.type."
            )


def build_optimizer(config: TrainConfig, policy: Any) -> tuple[torch.optim.Optimizer, Any, float]:
    """Optimizer, learning-rate scheduler (or None), and the gradient norm to clip at."""
    parameters = policy.get_optim_params() if config.use_policy_training_preset else policy.parameters()
    optimizer = config.optimizer.build(parameters)
    scheduler = config.scheduler.build(optimizer, config.steps) if config.scheduler is not None else None
    return optimizer, scheduler, float(config.optimizer.grad_clip_norm)


def build_image_transform(dataset: MixtureConfig) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """LeRobot's random camera augmentation, where the mixture file enables it."""
    settings = dict(dataset.image_transforms)
    if not settings.get("enable"):
        return None
    try:
        return ImageTransforms(decode(ImageTransformsConfig, settings))
    except (DecodingError, DraccusException, ValueError, TypeError) as error:
        raise ConfigError(f"dataset.image_transforms: {error}") from error
