"""robosuite's environments as robomimic shows them. What needs robosuite is skipped where it is not installed."""

import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from robomix.errors import ConfigError
from robomix.sim.render import gl_backend
from robomix.sim.robosuite_env import RobosuiteEnv, import_robosuite
from robomix.sim.robosuite_settings import settings_of

OSC_POSE = {
    "type": "OSC_POSE",
    "input_max": 1,
    "input_min": -1,
    "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
    "output_min": [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
    "kp": 150,
    "damping_ratio": 1,
    "impedance_mode": "fixed",
    "kp_limits": [0, 300],
    "damping_ratio_limits": [0, 10],
    "position_limits": None,
    "orientation_limits": None,
    "uncouple_pos_ori": True,
    "control_delta": True,
    "interpolation": None,
    "ramp_ratio": 0.2,
}
LIFT: dict[str, Any] = {
    "has_renderer": False,
    "has_offscreen_renderer": True,
    "ignore_done": True,
    "use_object_obs": True,
    "use_camera_obs": True,
    "control_freq": 20,
    "controller_configs": OSC_POSE,
    "robots": ["Panda"],
    "camera_depths": False,
    "camera_names": ["agentview", "robot0_eye_in_hand"],
    "camera_heights": [32, 40],
    "camera_widths": 48,
    "render_gpu_device_id": 0,
    "reward_shaping": False,
}
"""The env_kwargs of robomimic's Lift data, recorded with robosuite 1.4, but for the sizes of its pictures."""


@pytest.fixture(scope="module", autouse=True)
def imported_first() -> None:
    """robosuite, imported by whoever comes first, would choose a graphics library for the whole process."""
    if find_spec("robosuite"):
        import_robosuite()


def test_without_robosuite_the_error_has_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "robosuite", None)
    with pytest.raises(ConfigError, match=r"needs the package 'robosuite'.*pip install --no-deps robosuite==1.5.2"):
        RobosuiteEnv("Lift", LIFT)


def test_nothing_is_drawn_where_no_camera_is_asked_for() -> None:
    settings = settings_of(LIFT, ())
    assert (settings["has_offscreen_renderer"], settings["use_camera_obs"]) == (False, False)
    assert not settings.keys() & {"camera_names", "camera_heights", "camera_widths", "render_gpu_device_id"}
    assert (settings["ignore_done"], settings["robots"], settings["control_freq"]) == (True, ["Panda"], 20)


def test_cameras_have_the_sizes_of_the_file() -> None:
    settings = settings_of(LIFT, ["robot0_eye_in_hand"])
    assert (settings["use_camera_obs"], settings["camera_names"]) == (True, ["robot0_eye_in_hand"])
    assert (settings["camera_heights"], settings["camera_widths"]) == ([40], [48])
    with pytest.raises(
        ConfigError, match="camera_heights for agentview, robot0_eye_in_hand, but the camera 'frontview'"
    ):
        settings_of(LIFT, ["frontview"])


def test_a_files_settings_are_not_changed() -> None:
    kwargs = {"controller_configs": dict(OSC_POSE), "robots": "Panda"}
    settings_of(kwargs, ["agentview"])["robots"] = "Sawyer"
    assert kwargs == {"controller_configs": OSC_POSE, "robots": "Panda"}


@pytest.mark.parametrize(("control_delta", "input_type"), [(True, "delta"), (False, "absolute")])
def test_an_arms_controller_becomes_part_of_one_for_the_robot(control_delta: bool, input_type: str) -> None:
    """Up to 1.4 actions of OSC_POSE were along the axes of the world, and `control_delta` said how they were meant."""
    pytest.importorskip("robosuite", minversion="1.5")
    config = settings_of(LIFT | {"controller_configs": OSC_POSE | {"control_delta": control_delta}}, ())
    arm = config["controller_configs"]["body_parts"]["right"]
    assert (arm["input_type"], arm["input_ref_frame"], arm["kp"]) == (input_type, "world", 150)
    assert settings_of(config, ())["controller_configs"] == config["controller_configs"]
    baxter = settings_of({"robots": "Baxter", "controller_configs": OSC_POSE}, ())
    assert baxter["controller_configs"]["body_parts"].keys() >= {"right", "left"}


def test_lift_is_seen_as_robomimic_sees_it() -> None:
    pytest.importorskip("robosuite")
    env = RobosuiteEnv("Lift", LIFT, episode_length=3)
    seen, _ = env.reset(seed=1)
    shapes = {key: value.shape for key, value in seen.items()}
    low_dim = {"robot0_eef_pos": (3,), "robot0_eef_quat": (4,), "robot0_gripper_qpos": (2,), "object": (10,)}
    assert low_dim.items() <= shapes.items()
    assert shapes["robot0_joint_pos"] == (7,)  # robosuite 1.4 leaves it out by itself
    assert not {key for key in shapes if "state" in key or "image" in key}
    cube = env._env.sim.data.get_body_xpos("cube_main")
    np.testing.assert_allclose(seen["object"][:3], cube, atol=1e-6)
    assert (env.metadata["render_fps"], env.action_space.shape) == (20, (7,))
    env.close()


def test_random_actions_lift_nothing_and_a_seed_is_an_episode() -> None:
    pytest.importorskip("robosuite")
    env = RobosuiteEnv("Lift", LIFT, episode_length=12)
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 7))
    ends = []
    for seed in (1, 1, 2):
        env.reset(seed=seed)
        for action in actions:
            seen, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated, info) == (0.0, False, True, {"is_success": False})
        ends.append(seen["object"])
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])
    env.close()


def test_a_lifted_cube_is_a_success() -> None:
    pytest.importorskip("robosuite")
    env = RobosuiteEnv("Lift", LIFT, episode_length=100)
    seen, _ = env.reset(seed=3)
    for step in range(100):
        action = np.zeros(7, dtype=np.float32)
        way = seen["object"][:3] - seen["robot0_eef_pos"]
        above = np.linalg.norm(way[:2]) > 0.01 and step < 40
        action[:3] = np.clip(10 * (way + (0, 0, 0.1 if above else 0)), -1, 1) if step < 50 else (0, 0, 1)
        action[6] = 1 if step >= 40 else -1
        seen, reward, terminated, _, info = env.step(action)
        if terminated:
            break
    assert (reward, info) == (1.0, {"is_success": True})
    env.close()


def test_numpys_global_generator_is_left_alone() -> None:
    pytest.importorskip("robosuite")
    env = RobosuiteEnv("Lift", LIFT)
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    env.reset(seed=1)
    np.testing.assert_array_equal(np.random.random(3), expected)
    env.close()


def test_pictures_are_upright_in_observations_and_videos() -> None:
    """The floor of the agent's view is darker than the table before it, which is at the bottom."""
    pytest.importorskip("robosuite")
    if gl_backend() is None:
        pytest.skip("robosuite draws with OpenGL, which does not work here")
    env = RobosuiteEnv("Lift", LIFT, ["agentview"], render_size=64)
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)
    for picture in (seen["pixels"]["agentview"], env.render()):
        assert picture[-6:].mean() > picture[:4].mean() + 50
    assert seen["pixels"]["agentview"].shape == (32, 48, 3)
    assert env.render().shape == (64, 64, 3)
    env.close()


def test_a_video_without_cameras_hides_what_only_collides() -> None:
    pytest.importorskip("robosuite")
    env = RobosuiteEnv("Lift", LIFT, render_size=64)
    pictures = []
    for seed in (1, 2):  # robosuite builds a new model for each
        env.reset(seed=seed)
        pictures.append(picture := env.render().astype(int))
        assert picture[-6:].mean() > picture[:4].mean() + 50
        green = (picture[..., 1] > 1.5 * picture[..., 0]) & (picture[..., 1] > 1.5 * picture[..., 2])
        assert not green.any()  # as robosuite paints collision shapes
    assert not np.array_equal(*pictures)
    env.close()


def test_what_robosuite_does_not_know_is_told() -> None:
    pytest.importorskip("robosuite")
    with pytest.raises(ConfigError, match=r"robosuite has no environment 'Lfit'.*Did you mean 'Lift'"):
        RobosuiteEnv("Lfit", LIFT)
    with pytest.raises(ConfigError, match=r"cannot make 'Lift'.*unexpected keyword argument 'gripper_visualization'"):
        RobosuiteEnv("Lift", LIFT | {"gripper_visualization": True})
    with pytest.raises(ConfigError, match=r"needs the package 'no_such_tasks'.*Correct `package`"):
        RobosuiteEnv("Lift", LIFT, package="no_such_tasks")
