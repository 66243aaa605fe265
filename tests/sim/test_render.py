"""Pictures come out right with OpenGL and without, and state-only work never touches it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robomix.errors import ConfigError
from robomix.sim import open_robot
from robomix.sim.raycast import RayCaster, camera_rays, sphere_distances
from robomix.sim.render import GlRenderer, drawing_with_gl, gl_backend, importing_without_gl

with importing_without_gl():
    import mujoco

SCENE = """
<mujoco>
  <asset>
    <texture name="flat" type="2d" builtin="flat" rgb1="0 1 0" width="4" height="4"/>
    <material name="green" texture="flat"/>
  </asset>
  <worldbody>
    <camera name="front" pos="0 -4 0" xyaxes="1 0 0 0 0 1" fovy="60"/>
    <geom type="box" pos="-1 0 0" size="0.5 0.5 0.5" rgba="1 0 0 1"/>
    <geom type="box" pos="1 0 0" size="0.5 0.5 0.5" material="green"/>
    <geom type="box" pos="0 -2 0" size="9 0.1 9" rgba="1 1 1 1" group="4"/>
    <geom type="box" pos="0 -2 0" size="9 0.1 9" rgba="1 1 1 0"/>
    <site type="sphere" pos="0 0 1" size="0.3" rgba="0 0 1 1"/>
    <site type="sphere" pos="0 3 1.75" size="0.3" rgba="1 1 0 1"/>
    <site type="sphere" pos="-1 2 0" size="0.3" rgba="1 1 0 1"/>
  </worldbody>
</mujoco>
"""
"""Red box left, green box right, a blue goal above; hidden behind goal and red box a yellow one each; and two walls
that must not be seen."""


def scene_picture(size: int = 60) -> np.ndarray:
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return RayCaster(model, data, size).render("front")


def test_the_ray_caster_draws_things_where_they_are_in_their_colours() -> None:
    picture = scene_picture().astype(int)
    assert (picture.shape, scene_picture().dtype) == ((3, 60, 60), np.uint8)
    half = 4 * np.tan(np.deg2rad(30))  # half the height, and width, of what the camera sees at the middle of the boxes

    def pixel(x: float, z: float) -> np.ndarray:
        return picture[:, int((1 - z / half) * 30), int((1 + x / half) * 30)]

    red, green, blue = np.eye(3, dtype=bool)
    behind = -1 * 4 / 6  # where the goal behind the red box would be seen
    for colour, at in ((red, (-1.0, 0.0)), (red, (behind, 0.0)), (green, (1.0, 0.0)), (blue, (0.0, 1.0))):
        assert (pixel(*at)[colour] > 150).all()
        assert (pixel(*at)[~colour] < 60).all()
    background = pixel(0.0, -1.5)
    assert background.max() - background.min() < 60


def test_rays_span_the_field_of_view_and_hit_spheres_where_algebra_says() -> None:
    rays = camera_rays(90.0, 3)
    assert np.allclose(rays[4], [0, 0, -1])
    assert np.allclose(rays[1] / -rays[1, 2], [0, 2 / 3, -1])  # the middle of the top third
    straight = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    distances = sphere_distances(np.zeros(3), straight, np.array([0.0, 0.0, -5.0]), radius=2.0)
    assert distances.tolist() == [3.0, np.inf, np.inf]


@pytest.mark.parametrize("name", ["sawyer", "aloha", "fetch"])
def test_both_renderers_show_the_same_scene(name: str) -> None:
    backend = gl_backend()
    if backend is None:
        pytest.skip("neither EGL nor OSMesa works here")
    with open_robot(name) as robot:
        robot.reset(1)
        camera, model, data = robot.all_cameras[0], robot.model, robot.data
        cast = RayCaster(model, data, 64).render(camera)
        drawing = GlRenderer(model, data, 64, backend)
        drawn = drawing.render(camera)
        drawing.close()
        drawing.close()
    assert drawn.shape == cast.shape
    edges = [np.hypot(*np.gradient(picture.mean(axis=0))) for picture in (drawn, cast)]
    assert np.corrcoef(edges[0].ravel(), edges[1].ravel())[0, 1] > 0.5
    upside_down = np.corrcoef(edges[0][::-1].ravel(), edges[1].ravel())[0, 1]
    assert upside_down < 0.3


WITHOUT_GL = """
import json, sys
import numpy as np
from robomix.sim import open_robot
pictures = {}
for name in ("sawyer", "aloha", "fetch"):
    with open_robot(name) as robot:
        camera = robot.all_cameras[0]
        robot.reset(1)
        before = robot.picture(camera, 48)
        for action, _ in zip(robot.expert(), range(30)):
            robot.step(action)
        after = robot.picture(camera, 48)
        colours = len(np.unique(after.reshape(3, -1), axis=1).T)
        pictures[name] = [list(after.shape), colours, int((before != after).any(axis=0).sum())]
print(json.dumps([pictures, "OpenGL" in sys.modules]))
"""


def test_pictures_need_no_opengl() -> None:
    pictures, loaded_opengl = json.loads(run(WITHOUT_GL, MUJOCO_GL="disabled"))
    assert not loaded_opengl
    for shape, colours, changed in pictures.values():
        assert shape == [3, 48, 48]
        assert colours > 50
        assert 10 < changed < 48 * 48 * 0.7  # the robot has moved, the room has not


def test_state_only_work_loads_no_opengl(tmp_path: Path) -> None:
    code = f"""
import os, sys
from robomix.sim import open_robot, record
for name in ("sawyer", "aloha", "fetch"):
    with open_robot(name) as robot:
        record(robot, {str(tmp_path)!r} + "/" + name, episodes=1)
print("OpenGL" in sys.modules, os.environ.get("MUJOCO_GL"))
"""
    assert run(code, MUJOCO_GL=None).split() == ["False", "None"]


NO_DRIVERS = {"__EGL_VENDOR_LIBRARY_DIRS": "/nowhere"}
"""Leaves EGL without a driver, as on a machine that has none."""


def test_a_machine_without_egl_falls_back() -> None:
    code = "from robomix.sim.render import gl_backend; print(gl_backend())"
    assert run(code, MUJOCO_GL=None, **NO_DRIVERS).strip() in ("osmesa", "None")


def test_insisting_on_a_library_that_does_not_work_is_an_error_with_the_remedy() -> None:
    code = """
from robomix.errors import ConfigError
from robomix.sim import open_robot
with open_robot("fetch", cameras=["external_camera_0"]) as robot:
    try: robot.reset(0)
    except ConfigError as error: print(error)
"""
    printed = run(code, MUJOCO_GL="egl", **NO_DRIVERS)
    assert "MUJOCO_GL=egl" in printed
    assert "MUJOCO_GL=disabled" in printed


LEROBOTS_ALOHA = """
from lerobot.envs import make_env
from lerobot.envs.configs import AlohaEnv
from robomix.errors import ConfigError
from robomix.sim.render import drawing_with_gl
try:
    with drawing_with_gl():
        env = make_env(AlohaEnv(), n_envs=1)["aloha"][0]
        seen, _ = env.reset(seed=[0])
        print(seen["pixels"]["top"].any(), env.envs[0].render().any())
except ConfigError as error:
    print(error)
"""


def test_simulators_that_need_opengl_have_what_works() -> None:
    if gl_backend() is None:
        pytest.skip("neither EGL nor OSMesa works here")
    assert run(LEROBOTS_ALOHA, MUJOCO_GL=None).endswith("True True\n")


@pytest.mark.parametrize("wish", ["egl", "disabled"])
def test_simulators_that_need_opengl_say_what_to_install_where_there_is_none(wish: str) -> None:
    printed = run(LEROBOTS_ALOHA, MUJOCO_GL=wish, **NO_DRIVERS)
    assert "MUJOCO_GL=egl" in printed if wish == "egl" else "Install libegl1 or libosmesa6" in printed


def test_other_errors_pass_by_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    with pytest.raises(ZeroDivisionError), drawing_with_gl():
        raise ZeroDivisionError
    with pytest.raises(ConfigError, match=r"cannot: RuntimeError: no OpenGL.*libegl1"), drawing_with_gl():
        raise RuntimeError("no OpenGL")


def run(code: str, **variables: str | None) -> str:
    """What a new process prints; a variable that is None is not set in it."""
    environment = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
    finished = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
