"""One way to write a rotation made another, by SciPy.

quaternion_wxyz, quaternion_xyzw    of any length but 0; made with length 1 and w >= 0
euler_xyz, euler_ZYX, ...           three angles in radians; SciPy's axis order: small letters turn about fixed axes,
                                    capital ones about the body's own
axis_angle                          the axis, as long as the angle in radians (a rotation vector)
rot6d                               the first two columns of the matrix, one after the other (Zhou et al. 2019,
                                    https://arxiv.org/abs/1812.07035)
rot6d_rows                          the first two rows instead, as PyTorch3D has it
matrix                              3 x 3, row by row
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robomix.errors import AlignmentError, ConfigError, did_you_mean
from robomix.features import Feature
from robomix.mixture.transforms.base import DatasetTransformStep, Sample, SampleError, register_dataset_transform
from robomix.mixture.transforms.entries import check_entries, check_key, resolve, vector_named
from robomix.mixture.transforms.values import floating, floating_feature

COMPONENTS = {
    "quaternion_wxyz": ("qw", "qx", "qy", "qz"),
    "quaternion_xyzw": ("qx", "qy", "qz", "qw"),
    "axis_angle": ("rx", "ry", "rz"),
    "rot6d": tuple(f"rot6d_{i}" for i in range(6)),
    "rot6d_rows": tuple(f"rot6d_{i}" for i in range(6)),
    "matrix": tuple(f"matrix_{row}{column}" for row in range(3) for column in range(3)),
}
"""Format to the names of its entries; Euler angles besides."""
_AXES = re.compile(r"(?!.*(.)\1)([xyz]{3}|[XYZ]{3})")
_TINY = 1e-6


def components(form: str) -> tuple[str, ...]:
    """Names of the entries of a rotation written as `form`. Raises ConfigError for a form there is not."""
    if form in COMPONENTS:
        return COMPONENTS[form]
    kind, _, axes = str(form).partition("_")
    if kind == "euler" and _AXES.fullmatch(axes):
        return tuple(f"euler_{axis}{i}" for i, axis in enumerate(axes))
    known = [*COMPONENTS, "euler_xyz", "euler_XYZ"]
    raise ConfigError(
        f"{form!r} is no way to write a rotation.{did_you_mean(str(form), known)} Known: {', '.join(known)} and other "
        "orders of axes, no axis twice in a row"
    )


@register_dataset_transform("rotation")
class ConvertRotation(DatasetTransformStep):
    """Rewrites the rotation in neighbouring `entries` (default: all) of the vector `key`, from one form to another."""

    batched = True

    def __init__(self, key: str, from_: str, to: str, entries: Sequence[int | str] | None = None) -> None:
        self.key = check_key(key)
        self.old, self.new = from_, to
        self._widths = len(components(from_)), len(components(to))
        self.entries = check_entries(entries, "entries")
        self._start = 0
        if self.entries is not None and all(type(one) is int for one in self.entries):
            self._start = self._first(self.entries)

    def __call__(self, sample: Sample) -> Sample:
        if self.key not in sample:
            return sample
        value = floating(sample[self.key])
        stop = self._start + self._widths[0]
        made = converted(value[..., self._start : stop], self.old, self.new, self.key)
        return sample | {self.key: torch.cat([value[..., : self._start], made, value[..., stop:]], dim=-1)}

    def needs(self, keys: frozenset[str]) -> frozenset[str]:
        return keys

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        feature = vector_named(features, self.key, "rotate")
        if not feature.is_vector:
            raise AlignmentError(f"{self.key!r} is a single number, and a rotation as {self.old} is {self._widths[0]}")
        self._start = self._first(resolve(self.entries, self.key, feature))
        more = self._widths[1] - self._widths[0]
        made = replace(
            floating_feature(feature),
            shape=(feature.shape[0] + more,),
            names=self._names(feature.names),
            real_dim=None if feature.real_dim is None else feature.real_dim + more,
        )
        return dict(features) | {self.key: made}

    def inverse(self) -> "ConvertRotation":
        return ConvertRotation(self.key, self.new, self.old, list(range(self._start, self._start + self._widths[1])))

    def _first(self, where: Sequence[Any]) -> int:
        """Index of the first of the entries, which must be as many as the rotation has, next to each other."""
        start = int(where[0])
        if list(where) != list(range(start, start + self._widths[0])):
            raise AlignmentError(
                f"a rotation as {self.old} is {self._widths[0]} neighbouring entries of {self.key!r} in order, found "
                f"{list(where)}. Name them in `entries`; bring them into order with select."
            )
        return start

    def _names(self, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """The names with those of the rotation replaced; `left_qw`, ... leave their `left_` to the new ones."""
        if names is None:
            return None
        stop = self._start + self._widths[0]
        prefix = re.sub(r"[^_./ -]*$", "", names[self._start])
        if not all(name.startswith(prefix) for name in names[self._start : stop]):
            prefix = ""
        return (*names[: self._start], *(prefix + name for name in components(self.new)), *names[stop:])


def converted(value: Tensor, old: str, new: str, key: str = "a rotation") -> Tensor:
    """Rotations (n, ..., W) written as `old`, written as `new` (n, ..., W2), in their own float type.

    Raises SampleError where one is no rotation: of length 0, a matrix of rank below 3 or a mirror image, NaN.
    """
    # SciPy takes long to import, and most mixtures have no use for it.
    from scipy.spatial.transform import Rotation

    rows = value.reshape(-1, value.shape[-1]).to(torch.float64).numpy()
    if not len(rows):
        return value.new_zeros((*value.shape[:-1], len(components(new))))
    with np.errstate(invalid="ignore"):
        matrices, sizes = _as_matrices(rows, old)
    bad = np.flatnonzero(~(sizes > _TINY) | ~np.isfinite(rows).all(axis=1))
    if len(bad):
        at = np.unravel_index(bad[0], value.shape[:-1])
        found = np.array2string(rows[bad[0]], precision=4)
        step = int(at[1]) if len(at) > 1 else 0
        raise SampleError(f"{key!r} holds {found} as {old}, which is no rotation", key, int(at[0]), step)
    if old.startswith("quaternion"):
        rotation = Rotation.from_quat(rows, scalar_first=old.endswith("wxyz"))
    elif old.startswith("euler"):
        rotation = Rotation.from_euler(old.removeprefix("euler_"), rows)
    elif old == "axis_angle":
        rotation = Rotation.from_rotvec(rows)
    else:
        rotation = Rotation.from_matrix(matrices)
    return torch.from_numpy(_written(rotation, new)).to(value.dtype).reshape(*value.shape[:-1], -1)


def _as_matrices(rows: np.ndarray, form: str) -> tuple[np.ndarray, np.ndarray]:
    """For forms that are (part of) a matrix: (N, 3, 3); and for every form a size (N,) that is 0 for no rotation."""
    if form == "matrix":
        matrices = rows.reshape(-1, 3, 3)
        return matrices, np.linalg.det(matrices)
    if form.startswith("rot6d"):
        first, second = (rows[:, :3], rows[:, 3:])
        third = np.cross(first, second)
        # Gram-Schmidt, as rot6d is defined: the first column keeps its direction, the second its plane.
        columns = _unit(first), _unit(np.cross(third, first)), _unit(third)
        return np.stack(columns, axis=1 if form == "rot6d_rows" else 2), np.linalg.norm(third, axis=1)
    sizes = np.linalg.norm(rows, axis=1) if form.startswith("quaternion") else np.ones(len(rows))
    return np.empty((0, 3, 3)), sizes


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)


def _written(rotation: Any, form: str) -> np.ndarray:
    """SciPy rotations (N) as rows (N, W)."""
    if form.startswith("quaternion"):
        return np.asarray(rotation.as_quat(canonical=True, scalar_first=form.endswith("wxyz")))
    if form.startswith("euler"):
        with warnings.catch_warnings():  # at gimbal lock SciPy sets one angle to 0 and says so: the rotation is right
            warnings.filterwarnings("ignore", "Gimbal lock", UserWarning)
            return np.asarray(rotation.as_euler(form.removeprefix("euler_")))
    if form == "axis_angle":
        return np.asarray(rotation.as_rotvec())
    matrices = rotation.as_matrix()
    if form == "rot6d":
        return np.asarray(matrices[:, :, :2].transpose(0, 2, 1).reshape(-1, 6))
    return np.asarray(matrices.reshape(-1, 9)[:, : len(components(form))])
