"""What happens to observations before the policy and to actions after it: LeRobot's own normalization."""

from typing import Any

from lerobot.processor import PolicyAction, PolicyProcessorPipeline, make_default_pre_post_processors
from torch import Tensor

from lerobot_policy_bc.configuration_bc import BCConfig


def make_bc_pre_post_processors(
    config: BCConfig, dataset_stats: dict[str, dict[str, Tensor]] | None = None
) -> tuple[
    PolicyProcessorPipeline[dict[str, Any], dict[str, Any]], PolicyProcessorPipeline[PolicyAction, PolicyAction]
]:
    """LeRobot's default (preprocessor, postprocessor), normalizing by `dataset_stats` as the config's mapping says."""
    return make_default_pre_post_processors(config, dataset_stats, normalizer_device=config.device)
