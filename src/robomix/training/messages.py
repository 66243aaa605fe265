"""What a training says to people before it starts and where it stops."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from robomix.mixture.dataset import Mixture
from robomix.mixture.horizons import chunk_durations
from robomix.mixture.resolve import as_table
from robomix.statistics.groups import folder_name
from robomix.training.config import TrainConfig
from robomix.training.model_folders import PRETRAINED
from robomix.training.objectives import Learner

log = logging.getLogger(__name__)


def print_mixture(mixture: Mixture, table: Any, stages: Any) -> None:
    """The shares, what a chunk lasts, and what the policy is to see: features with their shapes, and who lacks them."""
    console = Console()
    console.print(as_table(table))
    if stages is not None:
        console.print(stages)
    if lasting := chunk_durations(mixture.sources, mixture.horizons):
        console.print(lasting, highlight=False, soft_wrap=True)
    for key, feature in mixture.schema.features.items():
        lacking = mixture.schema.lacking.get(key)
        note = f", zeros marked as padding in {', '.join(lacking)}" if lacking else ""
        if mixture.schema.condition is not None and (front := mixture.schema.in_front(key)):
            note = f", of which the first {front} tell the {mixture.schema.condition.on}{note}"
        shape = " x ".join(map(str, feature.shape))
        console.print(f"{key}: {shape}{note}", highlight=False, soft_wrap=True)


def warn_if_unmasked(learner: Learner, mixture: Mixture) -> None:
    """Tells that padding counts as data, where the policy has no masked loss."""
    if learner.masks_padding:
        return
    widths = {source.features["action"].valid_dim for source in mixture.sources if "action" in source.features}
    dimensions = " and ".join(map(str, sorted(widths)))
    log.warning(
        "robomix has no masked loss for policy %r: the steps after an episode's end%s count as data, unless the policy "
        "masks them itself",
        learner.policy.config.type,
        f" and the zeros that pad actions of {dimensions} dimensions" if len(widths) > 1 else "",
    )


def tell_what_learns(config: TrainConfig, accelerator: Any, size: str) -> None:
    """Tells what is trained, where, and into which folder; `size` is how many parameters it has."""
    ranks = f" and {accelerator.num_processes - 1} more ranks" if accelerator.num_processes > 1 else ""
    where, output = f"{accelerator.device}{ranks}", Path(config.output_dir)
    log.info("%s of %s parameters on %s, into %s", config.policy.type, size, where, output)


def size_of(policy: Any) -> str:
    """How many parameters it has."""
    count = sum(p.numel() for p in policy.parameters())
    return f"{count / 1e6:.2f} million" if count >= 1e4 else f"{count:,}"


def policies_of(folders: Mapping[str, str]) -> str:
    """Which of a checkpoint's policy folders is for which source, where there are several."""
    if len(set(folders.values())) == 1:
        return ""
    places = [f"{name} in {PRETRAINED}/{folder_name(own)}" for name, own in folders.items()]
    return ", policies of " + ", ".join(places)


def how_to_go_on(config: TrainConfig) -> str:
    """The flags that resume a run from its last checkpoint; empty where there is none."""
    last = Path(config.output_dir) / "checkpoints" / "last"
    if not last.exists():
        return ""
    return f"; --resume=true --output_dir={config.output_dir} goes on from {last.resolve().name}"
