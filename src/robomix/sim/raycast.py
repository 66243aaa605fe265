"""Pictures of MuJoCo scenes from MuJoCo's own ray caster: no OpenGL, no graphics library, the same on every machine.

One ray per pixel asks the collision geometry what it meets first. The thing's colour (that of its material times the
mean of its texture) is shaded by how its surface lies to the viewer and to the sky. Spherical sites, which simulators
use to mark goals, are not geometry; they are met by solving the ray-sphere equation.
"""

import importlib
from typing import Any

import numpy as np

_AMBIENT, _HEADLIGHT, _SKYLIGHT = 0.45, 0.5, 0.3
"""Brightness everywhere, and added where a surface faces the camera or the sky; the sum is cut at 1."""
_ZENITH, _NADIR = np.array([0.55, 0.68, 0.80]), np.array([0.25, 0.28, 0.32])
"""Colours of the background straight up and straight down."""
_VISIBLE_GROUPS = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
"""MuJoCo shows groups 0 to 2 by default; models keep collision shapes in the others."""
_DEFAULT_COLOUR = np.array([0.5, 0.5, 0.5, 1.0], dtype=np.float32)
_RGB_TEXTURE = 1
"""Column of `mat_texid` that holds a material's colour texture (mjTEXROLE_RGB)."""


class RayCaster:
    """Draws one simulation by casting `size` times `size` rays; about 20 ms for 96 pixels."""

    def __init__(self, model: Any, data: Any, size: int) -> None:
        self._mujoco = importlib.import_module("mujoco")
        self._model, self._data, self._size = model, data, size
        self._geom_colours = geom_colours(model)
        self._geoms = np.empty(size * size, dtype=np.int32)
        self._distances = np.empty(size * size)
        self._normals = np.empty((size * size, 3))

    def render(self, camera: str) -> np.ndarray:
        """What the model's camera of that name sees now: (3, size, size) uint8."""
        index = self._model.camera(camera).id
        origin = self._data.cam_xpos[index]
        rays = camera_rays(self._model.cam_fovy[index], self._size) @ self._data.cam_xmat[index].reshape(3, 3).T
        self._cast(origin, rays)
        colours = self._surface_colours(rays)
        self._draw_sites(origin, rays, colours)
        pixels = (colours.clip(0, 1) * 255).round().astype(np.uint8)
        return np.ascontiguousarray(pixels.reshape(self._size, self._size, 3).transpose(2, 0, 1))

    def close(self) -> None:
        """Nothing to free."""

    def _cast(self, origin: np.ndarray, rays: np.ndarray) -> None:
        """Fill geoms (-1 where nothing is met), distances and normals, one entry a ray."""
        everything = {"flg_static": 1, "bodyexclude": -1, "cutoff": 1e10, "nray": len(rays)}
        self._mujoco.mj_multiRay(
            self._model, self._data, pnt=origin, vec=rays.reshape(-1), geomgroup=_VISIBLE_GROUPS,
            geomid=self._geoms, dist=self._distances, normal=self._normals.reshape(-1), **everything,
        )  # fmt: skip
        self._distances[self._geoms < 0] = np.inf

    def _surface_colours(self, rays: np.ndarray) -> np.ndarray:
        """(N, 3) colours in 0..1 of what each ray met, or of the background."""
        height = (rays[:, 2:] + 1) / 2
        colours = _NADIR + (_ZENITH - _NADIR) * height
        met = self._geoms >= 0
        shading = _shading(self._normals[met], rays[met])
        colours[met] = self._geom_colours[self._geoms[met]] * shading
        return colours

    def _draw_sites(self, origin: np.ndarray, rays: np.ndarray, colours: np.ndarray) -> None:
        """Paint the visible spherical sites over `colours` where nothing nearer was met."""
        model = self._model
        spheres = (model.site_type == self._mujoco.mjtGeom.mjGEOM_SPHERE) & (model.site_rgba[:, 3] > 0)
        for site in np.flatnonzero(spheres & _VISIBLE_GROUPS[model.site_group].astype(bool)):
            centre = self._data.site_xpos[site]
            distances = sphere_distances(origin, rays, centre, model.site_size[site, 0])
            seen = distances < self._distances
            normals = origin + rays[seen] * distances[seen, None] - centre
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
            colours[seen] = model.site_rgba[site, :3] * _shading(normals, rays[seen])
            self._distances[seen] = distances[seen]


def camera_rays(fovy: float, size: int) -> np.ndarray:
    """(size * size, 3) unit directions through the pixel centres, rows from the top; x right, y up, z backwards.

    `fovy` is the vertical field of view in degrees, as MuJoCo gives it.
    """
    half = np.tan(np.deg2rad(fovy) / 2)
    steps = ((np.arange(size) + 0.5) / size * 2 - 1) * half
    x, y = np.meshgrid(steps, -steps)
    rays = np.stack([x, y, -np.ones_like(x)], axis=-1).reshape(-1, 3)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def sphere_distances(origin: np.ndarray, rays: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """(N,) how far along each unit ray (N, 3) from `origin` the sphere begins; infinity where it is missed.

    The nearer root t of |origin + t ray - centre| = radius.
    """
    along = rays @ (centre - origin)
    miss_squared = (centre - origin) @ (centre - origin) - along**2
    inside_squared = radius**2 - miss_squared
    entry = along - np.sqrt(np.maximum(inside_squared, 0))
    return np.where((inside_squared > 0) & (entry > 0), entry, np.inf)


def geom_colours(model: Any) -> np.ndarray:
    """(ngeom, 3) colour of each geom: its own unless that is MuJoCo's default grey, else its material's."""
    colours = model.geom_rgba.copy()
    for geom in np.flatnonzero(model.geom_matid >= 0):
        material = model.geom_matid[geom]
        if np.array_equal(colours[geom], _DEFAULT_COLOUR):
            colours[geom] = model.mat_rgba[material]
        texture = model.mat_texid[material, _RGB_TEXTURE]
        if texture >= 0:
            colours[geom, :3] *= _mean_colour(model, texture)
    return colours[:, :3].astype(np.float64)


def _mean_colour(model: Any, texture: int) -> np.ndarray:
    channels = model.tex_nchannel[texture]
    begin = model.tex_adr[texture]
    count = model.tex_height[texture] * model.tex_width[texture] * channels
    texels = model.tex_data[begin : begin + count].reshape(-1, channels)
    mean: np.ndarray = texels[:, :3].mean(axis=0) / 255
    return mean


def _shading(normals: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """(N, 1) brightness of surfaces with unit `normals` (N, 3) seen along `rays` (N, 3)."""
    facing_camera = np.abs((normals * rays).sum(axis=1))
    facing_up = np.maximum(normals[:, 2], 0)
    return (_AMBIENT + _HEADLIGHT * facing_camera + _SKYLIGHT * facing_up)[:, None]
