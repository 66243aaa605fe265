"""Running a trained policy: in a LeRobot environment during training, and as a function of observations anywhere."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robomix.errors import ConfigError
from robomix.training.config import TrainConfig
from robomix.training.lerobot import (
    PreTrainedConfig,
    close_envs,
    eval_policy_all,
    get_policy_class,
    make_env,
    make_env_pre_post_processors,
    make_pre_post_processors,
)


def evaluate_in_env(config: TrainConfig, policy: Any, processors: tuple[Any, Any], step: int) -> dict[str, Any]:
    """Rolls `policy` out in the LeRobot environment of `config.env`; returns a record of success and reward."""
    started = time.perf_counter()
    envs = make_env(config.env, n_envs=config.eval.batch_size, use_async_envs=config.eval.use_async_envs)
    env_preprocessor, env_postprocessor = make_env_pre_post_processors(env_cfg=config.env, policy_cfg=config.policy)
    try:
        with torch.no_grad():
            result = eval_policy_all(
                envs=envs,
                policy=policy,
                env_preprocessor=env_preprocessor,
                env_postprocessor=env_postprocessor,
                preprocessor=processors[0],
                postprocessor=processors[1],
                n_episodes=config.eval.n_episodes,
                videos_dir=Path(config.output_dir) / "eval" / f"videos_step_{step:06d}",
                max_episodes_rendered=4,
                start_seed=config.seed,
            )
    finally:
        close_envs(envs)
    overall = result["overall"]
    return {
        "step": step,
        "eval": {
            "success": overall["pc_success"] / 100,
            "reward": overall["avg_sum_reward"],
            "episodes": config.eval.n_episodes,
            "seconds": time.perf_counter() - started,
        },
    }


class PolicyRunner:
    """A policy folder as a function from one observation to one action, with the chunk queue inside.

    It is a plain LeRobot policy with its own processors. A vector narrower than the policy's input is padded with zeros
    at the end, as in training; the action comes as wide as the policy's, the robot takes its own first entries.
    """

    def __init__(self, folder: str | Path, *, device: str = "cpu", n_action_steps: int | None = None) -> None:
        """Loads `folder`; `n_action_steps` replaces how much of each chunk is executed.

        Raises ConfigError where the folder holds no policy.
        """
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise ConfigError(f"{folder} is no policy folder: config.json is missing")
        config = PreTrainedConfig.from_pretrained(folder)
        config.device = device
        if n_action_steps is not None:
            config.n_action_steps = n_action_steps
        self.policy = get_policy_class(config.type).from_pretrained(folder, config=config)
        self.policy.eval()
        self._preprocess, self._postprocess = make_pre_post_processors(
            config,
            pretrained_path=str(folder),
            preprocessor_overrides={"device_processor": {"device": device}},
        )
        self._inputs = config.input_features

    def reset(self) -> None:
        """To be called at the start of an episode."""
        self.policy.reset()

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The next action, (A,) float32, for an observation: vectors (D,), cameras (C, H, W) uint8, `task` text."""
        batch: dict[str, Any] = {key: self._tensor(key, observation) for key in self._inputs}
        batch["task"] = observation.get("task", "")
        with torch.inference_mode():
            action = self._postprocess(self.policy.select_action(self._preprocess(batch)))
        return action.squeeze(0).cpu().numpy()

    def _tensor(self, key: str, observation: dict[str, Any]) -> torch.Tensor:
        shape = tuple(self._inputs[key].shape)
        if key not in observation:
            return torch.zeros(shape)
        value = torch.as_tensor(observation[key])
        if value.dtype == torch.uint8:
            value = value.float() / 255
        if value.ndim == 1 and value.shape[0] < shape[0]:
            value = torch.nn.functional.pad(value.float(), (0, shape[0] - value.shape[0]))
        if tuple(value.shape) != shape:
            raise ConfigError(f"the policy takes {key!r} of shape {shape}, the observation has {tuple(value.shape)}")
        return value.float()
