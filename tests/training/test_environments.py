"""Environments as LeRobot's types: made, stepped and evaluated in by LeRobot's own code."""

import json
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv
from lerobot.envs import close_envs, make_env
from lerobot.envs.configs import AlohaEnv, EnvConfig, PushtEnv
from lerobot.envs.utils import env_to_policy_features, preprocess_observation
from lerobot.policies import PreTrainedPolicy, make_pre_post_processors
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.scripts.lerobot_eval import eval_main, eval_policy_all

from robomix.errors import ConfigError
from robomix.sim import open_robot
from robomix.training.choices import build_block, choice_problems
from robomix.training.environments import (
    GymEnvConfig,
    RobosuiteEnvConfig,
    SimulatedRobotEnvConfig,
    check_environment,
    environment_of,
)
from robomix.training.lerobot import encode
from tests.training.small import act_config

FETCH = {"type": "robomix", "task": "fetch"}
KINDS = [
    FETCH,
    {"type": "gym", "task": "Pendulum-v1"},
    {"type": "robosuite", "task": "Lift", "env_kwargs": {"robots": "Panda"}},
]


def skip_without_robosuite() -> None:
    """Not by importing it: that would choose a graphics library for the whole process."""
    if find_spec("robosuite") is None:
        pytest.skip("robosuite is not installed")


@pytest.fixture
def made() -> Iterator[Callable[..., Any]]:
    """LeRobot's `make_env` of a block; what it makes is closed after the test."""
    envs: list[Any] = []

    def make(block: dict[str, Any], n: int = 1, use_async: bool = False) -> Any:
        if block["type"] == "robosuite":
            skip_without_robosuite()
        envs.append(make_env(build_block("env", block, None), n_envs=n, use_async_envs=use_async))
        return envs[-1]

    yield make
    for one in envs:
        close_envs(one)


class ExpertPolicy(PreTrainedPolicy):
    """The scripted experts of the robots in a SyncVectorEnv, as a policy; it ignores what it is shown."""

    config_class = type(act_config())
    name = "expert"

    def __init__(self, env: Any) -> None:
        super().__init__(act_config())
        self._robots = [one.unwrapped.robot for one in env.envs]
        self._experts: list[Iterator[np.ndarray]] = []

    def reset(self) -> None:
        self._experts = []

    def select_action(self, batch: dict[str, Any], **_: Any) -> torch.Tensor:
        self.seen = batch
        self._experts = self._experts or [robot.expert() for robot in self._robots]
        return torch.from_numpy(np.stack([next(expert) for expert in self._experts]))

    def forward(self, batch: Any, **_: Any) -> Any: ...

    def get_optim_params(self) -> Any: ...

    def predict_action_chunk(self, batch: Any, **_: Any) -> Any: ...


def evaluated(envs: Any, policy: Any, **settings: Any) -> Any:
    """LeRobot's evaluation, nothing between the environments and the policy."""

    def same(value: Any) -> Any:
        return value

    return eval_policy_all(envs, policy, same, same, same, same, start_seed=1000, **settings)


@pytest.mark.parametrize("block", KINDS, ids=lambda block: block["type"])
@pytest.mark.parametrize("n", [1, 2])
def test_lerobot_makes_each_type(block: dict[str, Any], n: int, made: Callable[..., Any]) -> None:
    (env,) = made(block, n)[block["type"]].values()
    seen, _ = env.reset(seed=list(range(n)))
    for key, value in preprocess_observation(seen).items():
        assert key.startswith("observation.")
        assert (value.dtype, value.shape[0]) == (torch.float32, n)
    assert env.call("_max_episode_steps") == (build_block("env", block, None).episode_length or 200,) * n
    assert len(set(env.call("task_description"))) == 1
    *_, info = env.step(env.action_space.sample())
    assert not info["is_success"].any()


def test_observations_have_the_names_of_the_datasets(made: Callable[..., Any]) -> None:
    env = made(FETCH | {"cameras": ["external_camera_0"], "size": 32})["robomix"][0]
    seen = preprocess_observation(env.reset(seed=[4])[0])
    with open_robot("fetch", cameras=["external_camera_0"], size=32) as robot:
        expected, features = robot.reset(4), robot.features
    assert seen.keys() == expected.keys()
    for key, value in expected.items():
        scale = 255 if features[key].is_camera else 1
        np.testing.assert_allclose(seen[key][0].numpy() * scale, value, atol=1e-4)


def test_features_say_what_the_policy_gets(made: Callable[..., Any]) -> None:
    block = {"type": "robomix", "task": "aloha", "cameras": ["top"], "size": 24}
    features = env_to_policy_features(build_block("env", block, None))
    seen = preprocess_observation(made(block)["robomix"][0].reset(seed=[0])[0])
    assert {key: tuple(value.shape[1:]) for key, value in seen.items()} | {"action": (14,)} == {
        key: feature.shape for key, feature in features.items()
    }


@pytest.mark.parametrize("n", [1, 2])
def test_an_expert_succeeds_in_lerobots_evaluation(n: int, made: Callable[..., Any], tmp_path: Path) -> None:
    envs = made(FETCH | {"render_size": 64}, n)
    result = evaluated(
        envs, policy := ExpertPolicy(envs["robomix"][0]), n_episodes=3, max_episodes_rendered=2, videos_dir=tmp_path
    )
    assert result["overall"]["pc_success"] == 100
    assert result["overall"]["avg_sum_reward"] == 1  # a copy that stands still earns no more
    assert policy.seen["task"] == ["Move the block to the red target"] * n
    assert len(list(tmp_path.rglob("*.mp4"))) == 2


def test_the_same_seeds_are_the_same_episodes_one_by_one_or_together(made: Callable[..., Any]) -> None:
    def steps(n: int) -> list[np.ndarray]:
        env = made(FETCH, n)["robomix"][0]
        seen, _ = env.reset(seed=[7, 8][:n])
        return [seen["environment_state"][i] for i in range(n)]

    np.testing.assert_array_equal(steps(1)[0], steps(2)[0])


def test_a_copy_whose_episode_has_ended_stands_still(made: Callable[..., Any]) -> None:
    envs = made(FETCH | {"episode_length": 60}, 2)
    env = envs["robomix"][0]
    policy = ExpertPolicy(env)
    env.reset(seed=[3, 4], options={"lerobot_new_rollout": True})
    last: dict[int, np.ndarray] = {}
    for _ in range(60):
        seen, reward, terminated, _, _ = env.step(policy.select_action({}).numpy())
        for i in range(2):
            if i in last:
                np.testing.assert_array_equal(seen["agent_pos"][i], last[i])
                assert reward[i] == 0
            elif terminated[i]:
                last[i] = seen["agent_pos"][i]
    assert last.keys() == {0, 1}


def test_copies_run_in_processes_of_their_own(made: Callable[..., Any]) -> None:
    together, apart = made(FETCH, 2)["robomix"][0], made(FETCH, 2, use_async=True)["robomix"][0]
    assert isinstance(apart, AsyncVectorEnv)
    actions = np.full((2, 4), 0.5, dtype=np.float32)
    for env in (together, apart):
        env.reset(seed=[5, 6])
    expected, found = together.step(actions)[0], apart.step(actions)[0]
    for key in ("agent_pos", "environment_state"):
        np.testing.assert_array_equal(found[key], expected[key])
    assert [picture.shape for picture in apart.call("render")] == [(128, 128, 3)] * 2


@pytest.mark.parametrize("block", KINDS, ids=lambda block: block["type"])
def test_a_config_survives_a_file(block: dict[str, Any]) -> None:
    config = build_block("env", block, None)
    plain = json.loads(json.dumps(encode(config, EnvConfig)))
    assert choice_problems("env", plain, ("env",)) == []
    assert build_block("env", plain, None) == config


def test_what_is_wrong_with_a_block_is_told() -> None:
    problems = choice_problems("env", FETCH | {"size": "96", "camera": []}, ("env",))
    assert sorted(".".join(map(str, problem.key)) for problem in problems) == ["env.camera", "env.size"]
    for block, text in (
        ({"type": "robomix"}, "type 'robomix' needs `task`: a robot, one of sawyer, aloha, fetch, pusht"),
        ({"type": "robomix", "task": "fetsch"}, "unknown robot 'fetsch'.*Did you mean 'fetch'"),
        (FETCH | {"cameras": ["top"]}, "'fetch' has no camera 'top'; it has external_camera_0"),
        (FETCH | {"size": 0}, "size: found 0, expected 1 or more"),
        ({"type": "gym", "task": "Pendulum-v1", "episode_length": -1}, "episode_length: found -1"),
        ({"type": "gym", "task": "Pendulum-v1", "fps": 0}, "fps: found 0, expected 1 or more"),
        (FETCH | {"fps": -1}, "fps: found -1, expected 1 or more"),
        (FETCH | {"fps": 30}, "fps: found 30, but robot 'fetch' runs at 25. Leave `fps` out"),
        (KINDS[2] | {"env_kwargs": {"control_freq": 0}}, "env_kwargs.control_freq: found 0, expected a rate"),
    ):
        with pytest.raises(ConfigError, match=text):
            build_block("env", block, None)


def test_a_missing_simulator_is_told_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    for present in (SimulatedRobotEnvConfig(task="pusht"), GymEnvConfig(task="Pendulum-v1"), PushtEnv()):
        check_environment(present)
    monkeypatch.setitem(sys.modules, "robosuite", None)
    monkeypatch.setitem(sys.modules, "gym_nowhere", None)
    monkeypatch.setattr(AlohaEnv, "package_name", "gym_nowhere")
    for missing, text in (
        (RobosuiteEnvConfig(task="Lift"), "needs the package 'robosuite'.*Install it with"),
        (GymEnvConfig(task="Pendulum-v99"), "no environment 'Pendulum-v99'"),
        (AlohaEnv(), "needs the package 'gym_nowhere'.*pip install gym-nowhere"),
    ):
        with pytest.raises(ConfigError, match=text):
            check_environment(missing)
    monkeypatch.setitem(sys.modules, "robomix.sim.fetch", None)
    with pytest.raises(ConfigError, match="robot 'fetch' needs the package"):
        SimulatedRobotEnvConfig(task="fetch")


def test_the_rate_of_a_robot_is_its_own() -> None:
    for given in ({}, {"fps": None}, {"fps": 25}):
        assert build_block("env", FETCH | given, None).fps == 25


def test_settings_a_simulator_cannot_have_are_told_before_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="render_mode is 'human', expected 'rgb_array'"):
        check_environment(GymEnvConfig(task="Pendulum-v1", env_kwargs={"render_mode": "human"}))
    with pytest.raises(ConfigError, match=r"needs the package '..x', which cannot be imported: TypeError"):
        check_environment(GymEnvConfig(task="Pendulum-v1", package="..x"))
    monkeypatch.setattr(AlohaEnv, "package_name", "..x")
    with pytest.raises(ConfigError, match=r"needs the package '..x', which cannot be imported: TypeError"):
        check_environment(AlohaEnv())


def test_a_file_of_robosuite_names_its_environment_and_its_cameras() -> None:
    kwargs = {"robots": ["Panda"], "control_freq": 20, "use_camera_obs": True, "camera_names": ["agentview", "side"]}
    args = {"env_name": "Lift", "env_version": "1.4.1", "type": 1, "env_kwargs": kwargs}
    expected = RobosuiteEnvConfig(task="Lift", env_kwargs=kwargs, cameras=["agentview", "side"])
    assert environment_of(args) == expected
    assert (expected.fps, expected.episode_length, expected.task_description) == (20, 400, "Lift")
    assert environment_of(args, cameras=["side"]).cameras == ["side"]
    state_only = environment_of(args | {"env_kwargs": kwargs | {"use_camera_obs": False}})
    assert state_only.cameras == []


def test_a_file_of_gym_and_one_of_robomix_name_their_environments() -> None:
    gym = {"env_name": "Pendulum-v1", "type": 2, "env_kwargs": {"g": 9.0}}
    assert environment_of(gym) == GymEnvConfig(task="Pendulum-v1", env_kwargs={"g": 9.0})
    own = {"env_name": "fetch", "type": "robomix", "env_kwargs": {"control_freq": 25, "robots": ["fetch"]}}
    assert environment_of(own) == SimulatedRobotEnvConfig(task="fetch")
    seen = own | {"env_kwargs": {"cameras": ["external_camera_0"], "size": 64}}
    assert environment_of(seen) == SimulatedRobotEnvConfig(task="fetch", cameras=["external_camera_0"], size=64)
    assert environment_of(seen, cameras=[]).cameras == []


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (None, "no env_args"),
        ({"env_name": "momart", "type": 3}, r"type 3, iGibson \(MOMART\).*`env:` block"),
        ({"env_name": "x", "type": [1]}, r"'x' of type \[1\]"),
        ({"env_name": "x", "type": True}, "of type True"),
        ({"type": 1}, "env_name None, expected a text"),
        ({"env_name": "Lift", "type": 1, "env_kwargs": "Panda"}, "env_kwargs 'Panda', expected an object"),
        ({"env_name": "os:Lift-v0", "type": 2}, "'os:Lift-v0', which asks to import a module"),
        ({"env_name": "fetch", "type": "robomix", "env_kwargs": {"size": "big"}}, "env_args.size: found 'big'"),
        ({"env_name": "fetch", "type": "robomix", "env_kwargs": {"cameras": 3}}, "env_args.cameras: found 3"),
        (
            {"env_name": "Lift", "type": 1, "env_kwargs": {"use_camera_obs": True, "camera_names": {}}},
            "env_args.cameras: found",
        ),
    ],
)
def test_env_args_that_cannot_be_used_are_told(args: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        environment_of(args)


def test_the_real_recording_of_robosuite_makes_its_environment(real_data: Path) -> None:
    skip_without_robosuite()
    with h5py.File(real_data / "robosuite_raw_hdf5" / "demo.hdf5") as file:
        info = json.loads(file["data"].attrs["env_info"])
    args = {"env_name": info.pop("env_name"), "type": 1, "env_kwargs": info}
    config = environment_of(args)
    check_environment(config)
    env = config.factory()()
    seen, _ = env.reset(seed=0)
    assert (config.task, env.action_space.shape) == ("Wipe", (6,))
    assert seen["robot0_eef_pos"].shape == (3,)
    env.close()


def test_lerobots_own_command_evaluates_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    robot = SimulatedRobotEnvConfig(task="sawyer")
    features = env_to_policy_features(robot)
    policy = ACTPolicy(act_config(output_features={"action": features.pop("action")}, input_features=features))
    stats = {key: {"mean": torch.zeros(f.shape), "std": torch.ones(f.shape)} for key, f in features.items()}
    stats["action"] = {"mean": torch.zeros(4), "std": torch.ones(4)}
    checkpoint = tmp_path / "policy"
    policy.save_pretrained(checkpoint)
    for processor in make_pre_post_processors(policy.config, dataset_stats=stats):
        processor.save_pretrained(checkpoint)
    flags = [
        *[f"--policy.path={checkpoint}", "--policy.device=cpu"],
        *["--env.discover_packages_path=robomix.training.environments", "--env.type=robomix", "--env.task=sawyer"],
        *["--env.episode_length=5", "--eval.n_episodes=2", "--eval.batch_size=2", "--eval.use_async_envs=false"],
        f"--output_dir={tmp_path / 'eval'}",
    ]
    monkeypatch.setattr(sys, "argv", ["lerobot-eval", *flags])
    eval_main()
    overall = json.loads((tmp_path / "eval" / "eval_info.json").read_text())["overall"]
    assert (overall["n_episodes"], len(overall["video_paths"])) == (2, 2)
