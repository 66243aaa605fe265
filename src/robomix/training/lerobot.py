"""All that robomix takes from LeRobot. When LeRobot moves or renames something, this file changes and no other.

Written against lerobot 0.6.1. The names are LeRobot's own.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from robomix.errors import ConfigError

try:
    import lerobot.policies  # registers the policies' configs
    from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
    from accelerate.utils import DistributedType, GradientAccumulationPlugin
    from draccus import decode, encode
    from draccus.utils import DecodingError, DraccusException
    from draccus.wrappers.docstring import get_attribute_docstring
    from lerobot.common.train_utils import load_training_state, save_training_state
    from lerobot.configs import FeatureType, PolicyFeature
    from lerobot.configs.default import EvalConfig, WandBConfig
    from lerobot.configs.parser import PluginLoadError, load_plugin
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.envs import close_envs, make_env, make_env_pre_post_processors
    from lerobot.envs.configs import EnvConfig
    from lerobot.envs.utils import NEW_ROLLOUT_OPTION, freeze_after_episode_end, preprocess_observation
    from lerobot.lerobot_types import TransitionKey
    from lerobot.optim import LRSchedulerConfig, OptimizerConfig
    from lerobot.optim.optimizers import load_optimizer_state_dict
    from lerobot.policies import get_policy_class, make_policy, make_pre_post_processors
    from lerobot.policies.pi05.processor_pi05 import Pi05PrepareStateTokenizerProcessorStep
    from lerobot.processor import (
        AbsoluteActionsProcessorStep,
        NormalizerProcessorStep,
        RelativeActionsProcessorStep,
    )
    from lerobot.transforms import ImageTransforms, ImageTransformsConfig
    from lerobot.utils.constants import (
        CHECKPOINTS_DIR,
        LAST_CHECKPOINT_LINK,
        PRETRAINED_MODEL_DIR,
        TRAINING_STATE_DIR,
    )
    from lerobot.utils.device_utils import is_torch_device_available
    from lerobot.utils.import_utils import register_third_party_plugins

    import lerobot_policy_bc  # registers `bc`, robomix's own
except ImportError as error:
    try:
        found = f"lerobot {version('lerobot')} is installed"
    except PackageNotFoundError:
        found = "lerobot is not installed"
    raise ConfigError(
        f"training needs lerobot 0.6.1 or later within 0.6; {found}, and importing it failed: {error}. "
        "`pip install 'robomix[train]'` installs what is missing."
    ) from error

__all__ = [
    "save_training_state",
    "make_policy",
    "make_env_pre_post_processors",
    "make_env",
    "load_training_state",
    "load_optimizer_state_dict",
    "get_attribute_docstring",
    "get_policy_class",
    "close_envs",
    "ImageTransformsConfig",
    "ImageTransforms",
    "DistributedDataParallelKwargs",
    "DistributedType",
    "GradientAccumulationPlugin",
    "InitProcessGroupKwargs",
    "AbsoluteActionsProcessorStep",
    "Accelerator",
    "CHECKPOINTS_DIR",
    "EnvConfig",
    "EvalConfig",
    "FeatureType",
    "LAST_CHECKPOINT_LINK",
    "LRSchedulerConfig",
    "NEW_ROLLOUT_OPTION",
    "NormalizerProcessorStep",
    "OptimizerConfig",
    "PRETRAINED_MODEL_DIR",
    "Pi05PrepareStateTokenizerProcessorStep",
    "PluginLoadError",
    "PolicyFeature",
    "PreTrainedConfig",
    "RelativeActionsProcessorStep",
    "TRAINING_STATE_DIR",
    "TransitionKey",
    "WandBConfig",
    "decode_config",
    "encode",
    "freeze_after_episode_end",
    "is_torch_device_available",
    "lerobot",
    "lerobot_policy_bc",
    "load_plugin",
    "make_pre_post_processors",
    "preprocess_observation",
    "register_third_party_plugins",
]


def decode_config(cls: Any, data: Mapping[str, Any], where: str) -> Any:
    """LeRobot's config object `cls` of `data`. Raises ConfigError, speaking of `where`, for what LeRobot refuses."""
    try:
        return decode(cls, dict(data))
    except DecodingError as error:
        raise ConfigError(f"{where}: {'.'.join(error.key_path)}: {error.message}") from error
    except DraccusException as error:
        raise ConfigError(f"{where}: {error.__cause__ or error}") from error
    except Exception as error:  # a config class refuses its values with any kind of exception; all of them are told
        raise ConfigError(f"{where}: {error}") from error
