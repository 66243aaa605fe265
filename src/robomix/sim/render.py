"""Headless pictures of MuJoCo scenes: through EGL or OSMesa where they work, else by casting rays.

Whether a machine can draw with OpenGL cannot be read off it: libraries may be missing, or present and broken, and a
failed attempt can abort the process or leave half-initialized bindings behind. So a process of its own tries, once,
and this one only follows its answer. `MUJOCO_GL` is heeded: `egl` or `osmesa` insists on that library, `disabled`
(or `off`, `false`, `0`) asks for the ray caster.
"""

import atexit
import functools
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np

from robomix.errors import ConfigError, RobomixError

_BACKENDS = ("egl", "osmesa")
_DISABLED = ("disabled", "disable", "off", "false", "0")
_ABOUT_GL = re.compile(r"OpenGL|gladLoadGL|MUJOCO_GL|GLFW|OSMesa|EGL|egl[A-Z]")
"""In what simulators, and the libraries they draw with, say when they cannot."""
_PROBE_SECONDS = 60
_PROBE = """
import os
import mujoco, numpy
from mujoco.{backend} import GLContext
context = GLContext(8, 8)
context.make_current()
scene_xml = '<mujoco><worldbody><light pos="0 0 3"/><geom size="1" rgba="1 1 1 1"/></worldbody></mujoco>'
model = mujoco.MjModel.from_xml_string(scene_xml)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
scene = mujoco.MjvScene(model, maxgeom=10)
camera, option = mujoco.MjvCamera(), mujoco.MjvOption()
mujoco.mjv_defaultFreeCamera(model, camera)
mujoco.mjv_updateScene(model, data, option, None, camera, mujoco.mjtCatBit.mjCAT_ALL, scene)
drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, drawing)
picture = numpy.zeros((8, 8, 3), numpy.uint8)
mujoco.mjr_render(mujoco.MjrRect(0, 0, 8, 8), scene, drawing)
mujoco.mjr_readPixels(picture, None, mujoco.MjrRect(0, 0, 8, 8), drawing)
os._exit(0 if picture.any() else 1)
"""


class Renderer(Protocol):
    """Draws one simulation, always at one size."""

    def render(self, camera: str) -> np.ndarray:
        """What the model's camera of that name sees now: (3, H, W) uint8."""

    def close(self) -> None:
        """Free what the renderer holds."""


def open_renderer(model: Any, data: Any, size: int) -> Renderer:
    """A renderer of `model` and `data` for pictures of `size` by `size` pixels, the best this machine has.

    Raises ConfigError where `MUJOCO_GL` insists on a library that does not work.
    """
    backend = gl_backend()
    if backend is None:
        from robomix.sim.raycast import RayCaster

        return RayCaster(model, data, size)
    return GlRenderer(model, data, size, backend)


def gl_backend() -> str | None:
    """`egl` or `osmesa`, whichever draws on this machine, or None where neither does or `MUJOCO_GL` disables both."""
    wish = os.environ.get("MUJOCO_GL", "").strip().lower()
    if wish in _DISABLED:
        return None
    if wish in _BACKENDS:
        if not _draws(wish):
            raise ConfigError(
                f"MUJOCO_GL={wish} asks for pictures through {wish}, which does not work on this machine. "
                "Unset it to use whatever works, or set MUJOCO_GL=disabled for robomix's own ray caster."
            )
        return wish
    return next((backend for backend in _BACKENDS if _draws(backend)), None)


@functools.cache
def _draws(backend: str) -> bool:
    """Whether another process could draw a ball with `backend`."""
    environment = {**os.environ, "MUJOCO_GL": "disabled"}
    environment.pop("PYOPENGL_PLATFORM", None)
    probe = [sys.executable, "-c", _PROBE.format(backend=backend)]
    try:
        finished = subprocess.run(probe, env=environment, capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return finished.returncode == 0


@contextmanager
def importing_without_gl() -> Iterator[None]:
    """Keep the simulators' packages from loading OpenGL when they are imported inside.

    MuJoCo and dm_control pick a library from `MUJOCO_GL` at their first import, and fail there where it is missing.
    Robots step without one, and renderers here name theirs explicitly.
    """
    with _mujoco_gl("disabled"):
        yield


@contextmanager
def with_working_gl() -> Iterator[None]:
    """Have `MUJOCO_GL` name what draws on this machine, for packages that choose their library by it.

    It is `disabled` where nothing does. Raises ConfigError where it insists on a library that does not work.
    """
    with _mujoco_gl(gl_backend() or "disabled"):
        yield


@contextmanager
def drawing_with_gl() -> Iterator[None]:
    """For simulators that draw with OpenGL alone, as those of LeRobot do, while they are made, reset and stepped.

    Has `MUJOCO_GL` name what draws on this machine, unless it is set. Raises ConfigError, with the remedy, in place of
    whatever error a simulator ends in that cannot draw.
    """
    backend = None if os.environ.get("MUJOCO_GL") else gl_backend()
    with _mujoco_gl(backend) if backend else nullcontext():
        try:
            yield
        except RobomixError:
            raise
        except Exception as error:
            if not _ABOUT_GL.search(str(error)):
                raise
            if gl_backend():
                advice = "It works on this machine: start a new process, with MUJOCO_GL unset."
            else:
                advice = "Install libegl1 or libosmesa6, and leave MUJOCO_GL unset."
            raise ConfigError(
                f"the simulator draws with OpenGL and cannot: {type(error).__name__}: {error}. {advice}"
            ) from error


@contextmanager
def _mujoco_gl(value: str) -> Iterator[None]:
    before = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("MUJOCO_GL", None)
        else:
            os.environ["MUJOCO_GL"] = before


class GlRenderer:
    """Draws with OpenGL, without shadows, reflections and multisampling: 8 to 15 times faster in software."""

    def __init__(self, model: Any, data: Any, size: int, backend: str) -> None:
        mujoco = self._mujoco = importlib.import_module("mujoco")  # an extra: this module loads without it
        _simplify(model, size)
        self._model, self._data, self._size = model, data, size
        self._context = importlib.import_module(f"mujoco.{backend}").GLContext(size, size)
        self._context.make_current()
        self._drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._drawing)
        self._scene = mujoco.MjvScene(model, maxgeom=2000)
        self._option = mujoco.MjvOption()
        self._area = mujoco.MjrRect(0, 0, size, size)
        # Freed before the library that made it shuts down; interpreter exit would come to it afterwards.
        atexit.register(self.close)

    def render(self, camera: str) -> np.ndarray:
        mujoco = self._mujoco
        viewpoint = mujoco.MjvCamera()
        viewpoint.type = mujoco.mjtCamera.mjCAMERA_FIXED
        viewpoint.fixedcamid = self._model.camera(camera).id
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, self._data, self._option, None, viewpoint, everything, self._scene)
        self._context.make_current()
        mujoco.mjr_render(self._area, self._scene, self._drawing)
        picture = np.empty((self._size, self._size, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(picture, None, self._area, self._drawing)
        bottom_up = picture.transpose(2, 0, 1)
        return np.ascontiguousarray(bottom_up[:, ::-1])

    def close(self) -> None:
        if self._context is None:
            return
        atexit.unregister(self.close)
        self._context.make_current()
        self._drawing.free()
        self._context.free()
        self._context = None


def _simplify(model: Any, size: int) -> None:
    """Switch off what makes software rendering slow, before a context reads the model."""
    model.light_castshadow[:] = 0
    model.mat_reflectance[:] = 0
    model.vis.quality.offsamples = 0
    model.vis.quality.shadowsize = 0
    model.vis.global_.offwidth = max(model.vis.global_.offwidth, size)
    model.vis.global_.offheight = max(model.vis.global_.offheight, size)
