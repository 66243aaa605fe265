"""Behaviour cloning as robomimic trains it, as a LeRobot policy: `--policy.type=bc`.

A plain LeRobot plug-in, which LeRobot's own commands find with `--policy.discover_packages_path=lerobot_policy_bc`.
"""

from lerobot_policy_bc.configuration_bc import BCConfig
from lerobot_policy_bc.modeling_bc import BCPolicy
from lerobot_policy_bc.processor_bc import make_bc_pre_post_processors

__all__ = ["BCConfig", "BCPolicy", "make_bc_pre_post_processors"]
