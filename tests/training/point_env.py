"""A point on a line that has to get to a goal: the smallest task a policy can be seen to solve, in two dialects.

The two cars do the same in different words. `Cart` shows its place and the goal and takes moves; `Crane` shows the goal
first, in centimetres, and takes absolute places, also in centimetres.
"""

from typing import Any, ClassVar

import gymnasium
import numpy as np

MAX_MOVE = 0.1
NEAR = 0.02
CM = 100.0


class Cart(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Dict({"agent_pos": gymnasium.spaces.Box(-CM, CM, (2,), np.float32)})
        self.action_space = gymnasium.spaces.Box(-CM, CM, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.place, self.goal = self.np_random.uniform(-1, 1, 2)
        return self.seen(), {}

    def step(self, action: np.ndarray) -> Any:
        self.place += float(np.clip(self.move(float(action[0])), -MAX_MOVE, MAX_MOVE))
        solved = abs(self.place - self.goal) < NEAR
        return self.seen(), float(solved), False, False, {"is_success": solved}

    def seen(self) -> dict[str, np.ndarray]:
        return {"agent_pos": np.array([self.place, self.goal], np.float32)}

    def move(self, action: float) -> float:
        return action

    def render(self) -> np.ndarray:
        picture = np.zeros((33, 65, 3), np.uint8)
        picture[:, round(32 + 30 * np.clip(self.place, -1, 1))] = 255
        return picture


class Broken(Cart):
    """Fails in the way it is told to."""

    def __init__(self, how: str, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.how = how
        self.steps = 0

    def step(self, action: np.ndarray) -> Any:
        self.steps += 1
        if self.how == "step" and self.steps == 2:
            raise RuntimeError("the motor is hot")
        seen, reward, *ended, info = super().step(action)
        if self.how == "nan":
            seen["agent_pos"][0] = np.nan
        return seen, reward, *ended, {"is_success": "no"} if self.how == "text" else info

    def render(self) -> np.ndarray:
        if self.how == "render":
            raise RuntimeError("the lamp is out")
        return super().render()


class Crane(Cart):
    def seen(self) -> dict[str, np.ndarray]:
        return {"agent_pos": np.array([self.goal, self.place], np.float32) * CM}

    def move(self, action: float) -> float:
        return action / CM - self.place


gymnasium.register("Cart-v0", Cart, max_episode_steps=60)
gymnasium.register("Broken-v0", Broken, max_episode_steps=60)
gymnasium.register("Crane-v0", Crane, max_episode_steps=60)


def demonstration(env: Cart, seed: int) -> dict[str, np.ndarray]:
    """An episode that goes straight to the goal: `observation.state` (T, 2) and `action` (T, 1), in its own words."""
    state, action = [], []
    seen, _ = env.reset(seed=seed)
    solved = False
    while not solved:
        move = float(np.clip(env.goal - env.place, -MAX_MOVE, MAX_MOVE))
        told = move if type(env) is Cart else (env.place + move) * CM
        state.append(seen["agent_pos"])
        action.append([told])
        seen, _, _, _, info = env.step(np.array([told]))
        solved = info["is_success"]
    return {"observation.state": np.array(state), "action": np.array(action, np.float32)}
