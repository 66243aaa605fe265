"""Environments that gymnasium knows by name, with their observations by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.utils.env_checker import check_env

from robomix.errors import ConfigError
from robomix.sim.registered_env import RegisteredEnv, registered

PICTURE = Box(0, 255, (8, 6, 3), np.uint8)


class Shown(gymnasium.Env):
    """Shows a sample of `space`, counts its steps, and reports `info` at each."""

    def __init__(self, space: gymnasium.Space, info: dict[str, Any], ends: int = 100, render_mode: str = "") -> None:
        self.observation_space, self.action_space, self.info, self.ends = space, Box(-1, 1, (2,)), info, ends

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        self.observation_space.seed(seed)
        self.seen = self.observation_space.sample()
        return self.seen, {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self.seen, float(action.sum()), self.steps == self.ends, False, self.info


@pytest.fixture(autouse=True)
def shown() -> Iterator[None]:
    """`Shown-v0`, known to gymnasium during a test."""
    gymnasium.register("Shown-v0", Shown, max_episode_steps=4)
    yield
    del gymnasium.registry["Shown-v0"]


def shown_env(space: gymnasium.Space, info: dict[str, Any] | None = None, **settings: Any) -> RegisteredEnv:
    return RegisteredEnv("Shown-v0", {"space": space, "info": info or {}}, **settings)


@pytest.mark.filterwarnings("ignore:.*WARN")  # recommendations for learning by reward
def test_gymnasium_finds_nothing_wrong_with_it() -> None:
    env = RegisteredEnv("Pendulum-v1")
    check_env(env, skip_render_check=True)
    env.close()


def test_a_vector_alone_is_called_flat_as_robomimic_calls_it() -> None:
    env, reference = RegisteredEnv("Pendulum-v1"), gymnasium.make("Pendulum-v1")
    seen, expected = env.reset(seed=4)[0], reference.reset(seed=4)[0]
    assert seen.keys() == {"flat"}
    np.testing.assert_array_equal(seen["flat"], expected)
    action = np.array([1.5], dtype=np.float32)
    np.testing.assert_array_equal(env.step(action)[0]["flat"], reference.step(action)[0])


def test_several_things_keep_their_names_and_pictures_become_pixels() -> None:
    space = Dict({"arm": Dict({"pos": Box(-1, 1, (3,), np.float64)}), "grip": Box(0, 1, ()), "wrist": PICTURE})
    env = shown_env(space)
    seen, _ = env.reset(seed=1)
    inner = env._env.unwrapped.seen
    assert seen.keys() == {"arm.pos", "grip", "pixels"}
    np.testing.assert_array_equal(seen["arm.pos"], inner["arm"]["pos"].astype(np.float32))
    assert seen["grip"].shape == (1,)
    np.testing.assert_array_equal(seen["pixels"]["wrist"], inner["wrist"])
    assert env.observation_space.contains(seen)


def test_pixels_by_camera_and_alone_are_as_lerobot_has_them() -> None:
    cameras, _ = shown_env(Dict({"pixels": Dict({"top": PICTURE, "side": PICTURE})})).reset(seed=1)
    assert cameras["pixels"].keys() == {"top", "side"}
    for space in (Dict({"pixels": PICTURE}), PICTURE):
        alone, _ = shown_env(space).reset(seed=1)
        assert alone.keys() == {"pixels"}
        assert alone["pixels"].shape == (8, 6, 3)


@pytest.mark.parametrize("key", ["is_success", "success"])
def test_success_is_what_info_says_and_ends_the_episode(key: str) -> None:
    env = shown_env(Box(-1, 1, (2,)), {key: np.float64(1)})
    env.reset(seed=1)
    assert env.step(np.array([0.5, 0.25]))[1:] == (0.75, True, False, {"is_success": True})


@pytest.mark.parametrize(
    ("value", "success"),
    [
        (True, True),
        (np.bool_(True), True),
        (np.array([1]), True),
        (0.5, True),
        (0, False),
        (float("nan"), False),
        ("false", False),
        ("true", False),
        (None, False),
        (np.array([True, True]), False),
    ],
)
def test_only_flags_and_numbers_are_a_success(value: Any, success: bool) -> None:
    env = shown_env(Box(-1, 1, (2,)), {"success": value})
    env.reset(seed=1)
    assert env.step(np.zeros(2))[4] == {"is_success": success}


@pytest.mark.parametrize(
    ("declared", "fps"), [(25, 25), (29.97, 29.97), *[(odd, 30) for odd in (None, 0, -5, np.nan, np.inf, "25")]]
)
def test_a_rate_that_is_none_is_lerobots(declared: Any, fps: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shown, "metadata", {"render_fps": declared})
    assert shown_env(Box(-1, 1, (2,))).metadata["render_fps"] == fps


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (None, "None"),
        ("a picture", "'a picture'"),
        (np.zeros((4, 4), np.uint8), r"uint8 of shape \(4, 4\)"),
        (np.zeros((4, 4, 3)), r"float64 of shape \(4, 4, 3\)"),
    ],
)
def test_what_is_no_picture_is_refused(picture: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shown, "render", lambda _: picture)
    env = shown_env(Box(-1, 1, (2,)))
    env.reset(seed=1)
    with pytest.raises(ConfigError, match=rf"render\(\) gives {said}, expected uint8 .*without videos"):
        env.render()


def test_another_way_of_drawing_is_refused() -> None:
    for mode in ("human", None, "rgb_array_list"):
        with pytest.raises(ConfigError, match=f"env_kwargs.render_mode is {mode!r}, expected 'rgb_array'"):
            RegisteredEnv("Pendulum-v1", {"render_mode": mode})
    assert RegisteredEnv("Pendulum-v1", {"render_mode": "rgb_array"}).metadata["render_fps"] == 30


@pytest.mark.parametrize("statement", ["1 / 0", "raise SystemExit(3)", "raise ImportError('libfoo')"])
def test_a_package_that_cannot_be_imported_is_told_whatever_it_raises(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_simulator.py").write_text(statement)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"needs the package 'broken_simulator', .* Correct `package`"):
        registered("Walk-v0", "broken_simulator")
    with pytest.raises(ConfigError, match=r"needs the package '..x', which cannot be imported: TypeError"):
        registered("Walk-v0", "..x")


def test_the_limit_is_the_registered_one_or_the_one_asked_for() -> None:
    for settings, limit in (({}, 4), ({"episode_length": 7}, 7)):
        env = shown_env(Box(-1, 1, (2,)), **settings)
        env.reset(seed=1)
        ends = [env.step(np.zeros(2))[2:] for _ in range(limit)]
        assert ends == [(False, False, {"is_success": False})] * (limit - 1) + [(False, True, {"is_success": False})]


def test_an_environment_that_ends_by_itself_has_ended() -> None:
    env = RegisteredEnv("Shown-v0", {"space": Box(-1, 1, (2,)), "info": {}, "ends": 2})
    env.reset(seed=1)
    assert [env.step(np.zeros(2))[2:4] for _ in range(2)] == [(False, False), (True, False)]


def test_fetch_is_found_without_naming_its_package_and_seeds_are_episodes() -> None:
    env = RegisteredEnv("FetchPickAndPlace-v4")
    first, again, other = (env.reset(seed=seed)[0] for seed in (5, 5, 6))
    assert {key: value.shape for key, value in first.items()} == {
        "observation": (25,),
        "achieved_goal": (3,),
        "desired_goal": (3,),
    }
    np.testing.assert_array_equal(first["desired_goal"], again["desired_goal"])
    assert not np.array_equal(first["desired_goal"], other["desired_goal"])
    assert (env._max_episode_steps, env.metadata["render_fps"], env.task_description) == (50, 25, env.task)
    env.close()


def test_what_cannot_be_made_is_told() -> None:
    with pytest.raises(ConfigError, match=r"no environment 'FetchPickAndPlace-v9'.*Did you mean 'FetchPickAndPlace-v"):
        RegisteredEnv("FetchPickAndPlace-v9")
    with pytest.raises(ConfigError, match=r"'Walk-v0' needs the package 'no_such_simulator'.*cannot be imported"):
        RegisteredEnv("Walk-v0", package="no_such_simulator")
    with pytest.raises(ConfigError, match=r"'Pendulum-v1' cannot be made with .*unexpected keyword argument 'gravity'"):
        RegisteredEnv("Pendulum-v1", {"gravity": 3})
    with pytest.raises(ConfigError, match="takes actions Discrete"):
        RegisteredEnv("CartPole-v1")
    with pytest.raises(ConfigError, match=r"shows Discrete\(3\) under 'mode'"):
        shown_env(Dict({"mode": Discrete(3)}))
    gymnasium.registry["Shown-v0"].max_episode_steps = None
    with pytest.raises(ConfigError, match=r"no limit of its own.*episode_length"):
        shown_env(Box(-1, 1, (2,)))
    with pytest.raises(ConfigError, match="cannot be drawn for a video"):
        shown_env(Box(-1, 1, (2,)), episode_length=3).render()
