"""What a column or a camera of a dataset is, apart from how any format stores it."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Kind = Literal["numeric", "camera", "text", "binary"]

ACTION = "action"
"""What a policy puts out, by LeRobot's name."""
STATE = "observation.state"
"""What a robot knows of itself, by LeRobot's name."""

BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""Columns every LeRobot dataset carries; robomix derives them and never treats them as features."""


@dataclass(frozen=True)
class Feature:
    """One named quantity of a frame. Shapes are those of a sample: cameras are (channels, height, width)."""

    kind: Kind
    """`numeric` columns and `camera` frames enter mixtures; `text` and `binary` are only listed."""
    dtype: str
    """numpy name of one value as stored, such as `float32`; `uint8` for cameras; `str` or `bytes` otherwise."""
    shape: tuple[int, ...]
    """Shape of the value of one frame; `()` for a scalar."""
    names: tuple[str, ...] | None = None
    """Names of the entries of a vector, where the dataset has them."""
    storage: str = "column"
    """How the format keeps it: `column`, `video`, `image` (encoded pictures in a table) or `array`."""
    real_dim: int | None = None
    """For a vector padded by a transform: how many leading entries carry data. `None`: all of them."""

    @property
    def is_camera(self) -> bool:
        return self.kind == "camera"

    @property
    def is_vector(self) -> bool:
        return self.kind == "numeric" and len(self.shape) == 1

    @property
    def valid_dim(self) -> int:
        """Leading entries of a vector that carry data; the rest is zero padding."""
        return self.shape[0] if self.real_dim is None else self.real_dim


def sample_feature(key: str, feature: Feature) -> Feature:
    """The feature as samples hold it: observations and actions that are floating point come as float32."""
    is_float = feature.kind == "numeric" and np.issubdtype(np.dtype(feature.dtype), np.floating)
    return replace(feature, dtype="float32") if is_float and key.startswith(("observation", "action")) else feature
