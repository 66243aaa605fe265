"""The ways to write a rotation, read and written by SciPy.

quaternion_wxyz, quaternion_xyzw    made with length 1 and w >= 0
euler_xyz, euler_ZYX, ...           three angles in radians; SciPy's axis order: small letters turn about fixed axes,
                                    capital ones about the body's own
axis_angle                          the axis, as long as the angle in radians (a rotation vector)
rot6d                               the first two columns of the matrix, one after the other (Zhou et al. 2019,
                                    https://arxiv.org/abs/1812.07035)
rot6d_rows                          the first two rows instead, as PyTorch3D has it
matrix                              3 x 3, row by row

What a policy gives is brought to the rotation it points at: a quaternion of any length but 0, a matrix by SciPy, rot6d
by Gram-Schmidt. What is recorded must be a rotation already, within `RECORDED`.
"""

import math
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np

from robomix.errors import ConfigError, did_you_mean

if TYPE_CHECKING:  # SciPy takes long to import, and most mixtures have no use for it
    from scipy.spatial.transform import Rotation

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
RECORDED = 0.1
"""How far lengths of recorded quaternions, and of the rows or columns of matrices, may be from 1, and the products of
two rows or columns from 0. Rounding and averaging stay well within; joint angles taken for a rotation do not."""


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


class NoRotationError(ValueError):
    """Numbers that are no rotation. The text has them and their form; who has read them knows where they are from."""

    def __init__(self, text: str, row: int) -> None:
        super().__init__(text)
        self.row = row


def read_rotations(rows: np.ndarray, form: str, within: float = math.inf) -> "Rotation":
    """The rotations (N) that `rows` (N, W) float64 write as `form`, up to an error of `within`, as of RECORDED.

    Raises NoRotationError for the first that is none: of length 0, a matrix of rank below 3 or a mirror image, NaN.
    """
    from scipy.spatial.transform import Rotation

    bad = np.flatnonzero(~are_rotations(rows, form, within))
    if len(bad):
        found = np.array2string(rows[bad[0]], precision=4)
        raise NoRotationError(f"{found} as {form}, {no_rotation(form, within)}", int(bad[0]))
    if form.startswith("quaternion"):
        return Rotation.from_quat(rows, scalar_first=form.endswith("wxyz"))
    if form.startswith("euler"):
        return Rotation.from_euler(form.removeprefix("euler_"), rows)
    if form == "axis_angle":
        return Rotation.from_rotvec(rows)
    return Rotation.from_matrix(_as_matrices(rows, form)[0])


def are_rotations(rows: np.ndarray, form: str, within: float = math.inf) -> np.ndarray:
    """(N,) bool: which of `rows` (N, W) are rotations written as `form`, up to an error of `within`."""
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = _as_matrices(rows, form)[1]
        is_near = _errors(rows, form) <= within if within < math.inf else True
    return (sizes > _TINY) & is_near & np.isfinite(rows).all(axis=1)


def no_rotation(form: str, within: float) -> str:
    """What is said of numbers that `are_rotations` refuses, to follow the numbers."""
    lengths = f"length {1 - within:g} to {1 + within:g}"
    if form.startswith("quaternion") and within < math.inf:
        return f"which is no rotation (expected {lengths})"
    if _vectors(form) and within < math.inf:
        return f"which is no rotation (expected {_vectors(form)} of {lengths}, at right angles)"
    return "which is no rotation"


def written(rotation: "Rotation", form: str) -> np.ndarray:
    """`rotation` (N) as rows (N, W) float64, written as `form`."""
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


def _vectors(form: str) -> str:
    """What the vectors are that `form` lists, for forms that are (part of) a matrix."""
    return {"rot6d": "columns", "rot6d_rows": "rows", "matrix": "rows"}.get(form, "")


def _errors(rows: np.ndarray, form: str) -> np.ndarray:
    """(N,): how far `rows` are from a rotation, as RECORDED has it; 0 for angles, which always are one."""
    if form.startswith("quaternion"):
        return np.abs(np.linalg.norm(rows, axis=1) - 1)
    if not _vectors(form):
        return np.zeros(len(rows))
    vectors = rows.reshape(len(rows), -1, 3)
    products = np.abs(np.einsum("nid,njd->nij", vectors, vectors))
    diagonal = np.arange(vectors.shape[1])
    products[:, diagonal, diagonal] = np.abs(np.linalg.norm(vectors, axis=2) - 1)
    return products.max(axis=(1, 2))


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
