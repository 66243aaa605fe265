"""What learns: the policy with its processors and its loss, the optimizer, and the statistics they are made with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robomix.mixture.dataset import Mixture
from robomix.statistics.compute import Stats
from robomix.statistics.fingerprints import stats_fingerprints
from robomix.statistics.given import config_stats, fingerprint_of_given
from robomix.statistics.safe import safe_stats
from robomix.training.black_pictures import warn_of_black_pictures
from robomix.training.build import build_optimizer, build_policy, taken_keys
from robomix.training.checkpoint import restore
from robomix.training.config import TrainConfig
from robomix.training.drawn import Drawn
from robomix.training.locking import check_locked
from robomix.training.loss_weights import LossWeights
from robomix.training.messages import size_of, warn_if_unmasked
from robomix.training.model_folders import weights_folder
from robomix.training.normalization import Processors, make_processors
from robomix.training.objectives import Learner
from robomix.training.resuming import check_same_statistics
from robomix.training.robot_folder import robots_of_training
from robomix.training.robots import Robot
from robomix.training.sharding import Whole, is_sharded


@dataclass(frozen=True)
class Measured:
    """The statistics of what is drawn."""

    stats: dict[str, Stats]
    """By normalization group."""
    lock: dict[str, Any]
    """What the training is made of (`mixture.lock`), with them."""


@dataclass(frozen=True)
class Shared:
    """A policy with its objective and its optimizer, as the ranks share them."""

    learner: Any
    """Wrapped by accelerate where there are several ranks."""
    bare: Learner
    """The same without."""
    optimizer: Any
    scheduler: Any
    """None where the learning rate stays."""
    clip: float
    """The gradient norm to clip at; 0: not at all."""
    whole: Whole
    """What is saved and evaluated."""


@dataclass(frozen=True)
class Learning:
    """A policy that is ready to be trained, and what belongs to it."""

    mixture: Mixture
    """With the features that the policy takes, and no others."""
    policy: Any
    size: str
    """How many parameters it has, for people."""
    processors: Processors
    robots: dict[str, Robot] | None
    """By policy folder; None where all have the policy of all."""
    group_of_source: Tensor
    """(D,) int64: by dataset_index, the position of the source's group in `processors`."""
    shared: Shared
    loss_weights: LossWeights
    given: str | None
    """Fingerprint of the statistics that were given; None of computed ones."""


def measure(config: TrainConfig, accelerator: Any, drawn: Drawn) -> Measured:
    """Computes the statistics, or reads those that are given. Raises ConfigError where others are locked."""
    with accelerator.local_main_process_first():  # the others find them in the cache
        stats = config_stats(drawn.mixture, config.dataset)
    lock = drawn.lock | {"statistics": stats_fingerprints(stats)}
    check_locked(config, lock)
    return Measured(stats, lock)


def prepare(config: TrainConfig, accelerator: Any, drawn: Drawn, measured: Measured) -> Learning:
    """Builds policy, processors and optimizer, in a resumed run as they were. Raises ConfigError for what cannot be."""
    resumed = config.checkpoint_path
    given = fingerprint_of_given(measured.stats, config.dataset)
    stats = {folder: measured.stats[drawn.groups[name]] for name, folder in drawn.folders.items()}
    drawn.mixture.meta.stats = next(iter(stats.values()))
    if resumed:
        check_same_statistics(resumed, given)
    torch.manual_seed(config.seed)
    policy = build_policy(config, drawn.mixture, weights=weights_folder(resumed) if resumed else None)
    size = size_of(policy)
    mixture = drawn.mixture.only(taken_keys(drawn.mixture, policy.config))
    safe = {folder: safe_stats(of_folder) for folder, of_folder in stats.items()}
    robots = robots_of_training(mixture, drawn.folders, policy)
    processors = make_processors(policy, safe, accelerator.device.type, robots)
    shared = _shared(config, accelerator, policy, () if robots is None else [robots[folder] for folder in stats])
    warn_if_unmasked(shared.bare, mixture)
    warn_of_black_pictures(policy.config.type, mixture, robots)
    loss_weights = LossWeights(mixture.sources, shared.bare, accelerator.device)
    group_of_source = torch.tensor([list(stats).index(folder) for folder in drawn.folders.values()])
    return Learning(mixture, policy, size, processors, robots, group_of_source, shared, loss_weights, given)


def _shared(config: TrainConfig, accelerator: Any, policy: Any, robots: Sequence[Robot]) -> Shared:
    """`policy` and its optimizer shared between the ranks; `robots` are those it tells apart, in their order."""
    resumed, sharded = config.checkpoint_path, is_sharded(accelerator)
    optimizer, scheduler, clip = build_optimizer(config, policy)
    if resumed:
        restore(resumed, None if sharded else optimizer, scheduler)
    policy.config.pretrained_path = None  # a checkpoint stands for itself, wherever its first weights came from
    whole = Whole(policy, accelerator)
    learner, optimizer = whole.prepare(Learner(policy, robots), optimizer, robots=len(robots))
    if resumed and sharded:
        whole.restore(resumed)
    return Shared(learner, accelerator.unwrap_model(learner), optimizer, scheduler, clip, whole)
