"""A trained policy, loaded from its folder: its weights, its processors, and both as a function of observations."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robomix.errors import ConfigError, did_you_mean
from robomix.training.lerobot import PreTrainedConfig, get_policy_class, make_pre_post_processors
from robomix.training.normalization import ProcessorPair
from robomix.training.policy_cuts import masked_cameras
from robomix.training.robot_folder import given_inputs, read_robot

EMPTY_CAMERA = "observation.images.empty_camera_"
"""How the names of cameras begin that LeRobot's `empty_cameras` adds to a policy, and that no robot has."""


def load_policy(folder: Path, device: str) -> Any:
    """The LeRobot policy in `folder`, on `device`, in evaluation mode. Raises ConfigError where there is none."""
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} is no policy folder: config.json is missing")
    try:
        config = PreTrainedConfig.from_pretrained(folder)
        config.device = device
        with redirect_stdout(sys.stderr):  # LeRobot prints where it found the weights; stdout is for results
            policy = get_policy_class(config.type).from_pretrained(folder, config=config, strict=True)
    except Exception as error:  # files missing, damaged or of another version, packages missing: all are told
        raise ConfigError(f"the policy in {folder} cannot be loaded: {error}") from error
    policy.eval()
    return policy


def load_processors(policy: Any, folder: Path) -> ProcessorPair:
    """LeRobot's (preprocessor, postprocessor) saved in `folder`, for `policy`, on its device."""
    device = {"device_processor": {"device": str(policy.config.device)}}
    try:
        made: ProcessorPair = make_pre_post_processors(
            policy.config, pretrained_path=str(folder), preprocessor_overrides=device
        )
    except Exception as error:  # as above
        raise ConfigError(f"the processors in {folder} cannot be loaded: {error}") from error
    return made


@dataclass(frozen=True)
class Planning:
    """How often a policy looks at what it sees and plans anew."""

    steps: int | None
    """How many actions of a plan it executes; for a recurrent one, the length of the sequences it was trained on."""
    longest: int | None
    """How many it could execute; None where that cannot be set."""


def planning_of(config: Any) -> Planning:
    """The planning of a LeRobot policy, as far as its config is understood."""
    if getattr(config, "is_recurrent", False):
        return Planning(config.rnn_horizon, None)
    if hasattr(config, "action_chunk_size"):  # VQ-BeT executes all of it
        return Planning(config.action_chunk_size, None)
    steps = getattr(config, "n_action_steps", None)
    if hasattr(config, "chunk_size"):
        return Planning(steps, config.chunk_size)
    if hasattr(config, "horizon") and hasattr(config, "n_obs_steps"):  # a plan begins with the frames already seen
        return Planning(steps, config.horizon - config.n_obs_steps + 1)
    return Planning(steps, steps)


@contextmanager
def executing(policy: Any, n_action_steps: int | None) -> Iterator[int | None]:
    """Inside, `policy` executes `n_action_steps` of each plan (None: as it is configured); yields how many, if known.

    Raises ConfigError where its plans are shorter, or of one length.
    """
    own = planning_of(policy.config).steps
    set_executed(policy, n_action_steps)
    try:
        yield planning_of(policy.config).steps
    finally:
        set_executed(policy, None if n_action_steps is None else own)


def set_executed(policy: Any, n_action_steps: int | None) -> None:
    """Makes `policy` execute `n_action_steps` of each plan, from the start of an episode. None leaves it as it is."""
    planning = planning_of(policy.config)
    if n_action_steps is not None and n_action_steps != planning.steps:
        if planning.longest is None:
            fixed = (
                f"this policy plans every {planning.steps} steps" if planning.steps else "this policy has no such thing"
            )
            raise ConfigError(f"n_action_steps: found {n_action_steps}, but {fixed}. Leave it out.")
        if not 1 <= n_action_steps <= planning.longest:
            longest = f"1 to {planning.longest}, the length of the policy's plans"
            raise ConfigError(f"n_action_steps: found {n_action_steps}, expected {longest}.")
        policy.config.n_action_steps = n_action_steps
    policy.reset()


class PolicyRunner:
    """A policy folder as a function from one observation to one action, with the chunk queue inside.

    It is a plain LeRobot policy with its own processors. The folder of one robot among several takes and gives what
    that robot has. One that several robots share takes zeros for what a robot lacks, as in training: narrower vectors
    are padded at the end, and of the action, as wide as the policy's, the robot takes its own first entries. Cameras
    that a robot lacks are left out where the policy masks them by itself (SmolVLA, pi0, pi0.5).
    """

    def __init__(self, folder: str | Path, *, device: str = "cpu", n_action_steps: int | None = None) -> None:
        """Loads `folder`; `n_action_steps` replaces how much of each chunk is executed.

        Raises ConfigError where the folder holds no policy, or one that cannot execute so much.
        """
        self.policy = load_policy(Path(folder), device)
        set_executed(self.policy, n_action_steps)
        self._preprocess, self._postprocess = load_processors(self.policy, Path(folder))
        self._inputs = self.policy.config.input_features
        self._robot = read_robot(Path(folder))
        self._given = given_inputs(Path(folder))

    def reset(self) -> None:
        """To be called at the start of an episode."""
        self.policy.reset()

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The next action, (A,) float32, for an observation: vectors (D,), cameras (C, H, W) uint8, `task` text."""
        masked = self._masked(observation)
        batch: dict[str, Any] = {key: self._tensor(key, observation)[None] for key in self._inputs if key not in masked}
        batch["task"] = [observation.get("task", "")]
        with torch.inference_mode():
            action = self._postprocess(self.policy.select_action(self._preprocess(batch)))
        return action.squeeze(0).cpu().numpy()

    def _tensor(self, key: str, observation: dict[str, Any]) -> torch.Tensor:
        shape = tuple(self._inputs[key].shape)
        if key in self._given:
            return torch.tensor(self._given[key])
        if key not in observation:
            self._check_may_lack(key, observation)
            return torch.zeros(shape)
        value = torch.as_tensor(observation[key])
        if value.dtype == torch.uint8:
            value = value.float() / 255
        if value.ndim == 1 and value.shape[0] < shape[0]:
            value = torch.nn.functional.pad(value.float(), (0, shape[0] - value.shape[0]))
        if tuple(value.shape) != shape:
            raise ConfigError(f"the policy takes {key!r} of shape {shape}, the observation has {tuple(value.shape)}")
        return value.float()

    def _masked(self, observation: dict[str, Any]) -> set[str]:
        """Cameras that the policy masks by itself; of a robot with a policy of its own, only `empty_cameras`."""
        masked = masked_cameras(self.policy.config.type, self.policy.config.image_features, observation)
        return {key for key in masked if key.startswith(EMPTY_CAMERA) or not self._robot}

    def _check_may_lack(self, key: str, observation: dict[str, Any]) -> None:
        """A robot with a policy of its own has all inputs, but for those its policy was trained on zeros of."""
        if self._robot and key not in self._robot["zeros"]:
            raise ConfigError(
                f"the policy takes {key!r}, and the observation has {', '.join(observation)}."
                f"{did_you_mean(key, observation)}"
            )
