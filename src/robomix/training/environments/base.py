"""What robomix's types of environments share: how LeRobot gets several copies, and what can be told beforehand."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from robomix.errors import ConfigError
from robomix.sim.evaluation_env import EvaluationEnv
from robomix.sim.packages import import_package
from robomix.sim.render import drawing_with_gl
from robomix.training.lerobot import EnvConfig, freeze_after_episode_end


@dataclass
class SimulationConfig(EnvConfig):
    """An environment of one task. Raises ConfigError, when built, for values it cannot have."""

    episode_length: int | None = None
    """Steps after which an episode that is not solved has failed; default: the environment's own limit."""
    task_description: str | None = None
    """What a policy that reads instructions is told to do."""

    def __post_init__(self) -> None:
        if self.task is None:
            raise ConfigError(f"an environment of type {self.type!r} needs `task`: {self._task_is()}")
        for name in ("fps", "episode_length", "size", "render_size"):
            value = getattr(self, name, None)
            if value is not None and value < 1:
                raise ConfigError(f"{name}: found {value}, expected 1 or more")

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Nothing: LeRobot would give it to `gymnasium.make`, which makes none of these."""
        return {}

    @abstractmethod
    def factory(self) -> Callable[[], EvaluationEnv]:
        """What makes one copy of the environment, in this process or another."""

    @abstractmethod
    def check(self) -> None:
        """Raise ConfigError where the simulator is not installed or does not know the task; nothing is opened."""

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> dict[str, dict[int, VectorEnv]]:
        """`n_envs` copies as LeRobot's evaluation takes them, in processes of their own where asked for several.

        A copy whose episode has ended stands still until all have: LeRobot would let it run through episodes that
        count for nothing.
        """
        makers = [freeze_after_episode_end(self.factory())] * n_envs
        mode = AutoresetMode.NEXT_STEP  # a reset after the end, which the frozen copy answers with its last moment
        if use_async_envs and n_envs > 1:
            return {self.type: {0: AsyncVectorEnv(makers, context="forkserver", autoreset_mode=mode)}}
        return {self.type: {0: SyncVectorEnv(makers, autoreset_mode=mode)}}

    @classmethod
    @abstractmethod
    def _task_is(cls) -> str:
        """What `task` stands for, in an error."""


def check_environment(config: Any) -> None:
    """Raise ConfigError where the simulator of `config`, any of LeRobot's environments, is missing.

    The simulator is imported, not opened. Of LeRobot's own types, those it makes by their package are checked.
    """
    if isinstance(config, SimulationConfig):
        config.check()
    elif type(config).create_envs is EnvConfig.create_envs and config.gym_id not in gymnasium.registry:
        name = config.package_name
        with drawing_with_gl():
            import_package(
                name,
                needed_by=f"an environment of type {config.type!r}",
                advice=f"Install it with: pip install {name.replace('_', '-')}",
            )
