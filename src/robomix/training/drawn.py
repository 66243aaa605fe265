"""What a training draws from, and everything that is checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robomix.mixture.dataset import Mixture
from robomix.mixture.lock import mixture_lock
from robomix.mixture.resolve import Share, shares, stages_table
from robomix.mixture.schedule import Schedule
from robomix.training.build import build_data
from robomix.training.checkpoint import load_schedule_state
from robomix.training.conditioning import check_condition, check_weights
from robomix.training.config import TrainConfig
from robomix.training.evaluator import Evaluator
from robomix.training.locking import check_locked
from robomix.training.messages import print_mixture
from robomix.training.model_folders import check_groups
from robomix.training.ranks import keep_global_batch
from robomix.training.resuming import check_same_condition, check_same_groups, check_same_texts
from robomix.training.robots import folder_groups
from robomix.training.unread_prompts import warn_of_unread_prompts


@dataclass(frozen=True)
class Drawn:
    """The samples of a training, their order, and what they are grouped by."""

    mixture: Mixture
    """With all features that the policy might take."""
    schedule: Schedule
    table: list[Share]
    """What each source has of the training."""
    groups: dict[str, str]
    """Source name to normalization group."""
    folders: dict[str, str]
    """Source name to what its policy folder is named by."""
    told: dict[str, Any] | None
    """What the policy is told of its samples (`Condition.record`)."""
    evaluator: Evaluator
    first: int
    """The first step: 0 in a new run, in a resumed one that of its checkpoint."""
    lock: dict[str, Any]
    """What it is made of (`mixture.lock`), as yet without statistics."""

    @property
    def names(self) -> list[str]:
        """Of the sources, by dataset_index."""
        return [source.name for source in self.mixture.sources]


def draw(config: TrainConfig, accelerator: Any) -> Drawn:
    """Opens the datasets of `config`, aligns and schedules them, and prints what comes of it.

    Raises RobomixError for all that is wrong with them, or with the checkpoint that a resumed run goes on from.
    """
    resumed = config.checkpoint_path  # None in a new run
    state = load_schedule_state(resumed) if resumed else None
    if state is not None:
        keep_global_batch(config, accelerator, state["batch_size"])
    batch_size = config.batch_size * accelerator.num_processes * accelerator.gradient_accumulation_steps
    with accelerator.local_main_process_first():  # the others find what it has read in the cache
        mixture, schedule = build_data(config.dataset, config.policy, seed=config.seed, batch_size=batch_size)
    table = shares(mixture.sources, schedule, config.steps)
    if accelerator.is_main_process:
        print_mixture(mixture, table, stages_table(schedule))
    groups = {source.name: source.group for source in mixture.sources}
    check_condition(mixture.schema, config.policy)
    folders = folder_groups(groups, mixture.schema.condition)
    told = None if mixture.schema.condition is None else mixture.schema.condition.record()
    check_groups(list(dict.fromkeys(folders.values())), told)
    evaluator = Evaluator(config, mixture.sources, folders)
    first = 0 if state is None else schedule.resume(state)
    _check_weights(config, mixture, groups, told)
    warn_of_unread_prompts(config.policy.type, mixture.sources)
    lock = mixture_lock(config.dataset, mixture, schedule)
    check_locked(config, lock)  # and again with the statistics, which take their time
    return Drawn(mixture, schedule, table, groups, folders, told, evaluator, first, lock)


def _check_weights(
    config: TrainConfig, mixture: Mixture, groups: Mapping[str, str], told: Mapping[str, Any] | None
) -> None:
    """Raises ConfigError where the weights that the run starts from were trained on what this mixture is not."""
    resumed = config.checkpoint_path
    if resumed:
        check_same_groups(resumed, groups)
        check_same_condition(resumed, told)
        check_same_texts(resumed, config.dataset)
    elif config.policy.pretrained_path:
        check_weights(mixture.schema, config.policy)
