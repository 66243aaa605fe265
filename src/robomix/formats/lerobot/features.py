"""From the features a LeRobot dataset declares to robomix's `Feature`, tolerant of how real files write them."""

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import FormatError
from robomix.features import BOOKKEEPING, Feature

_UNREAD = {
    "string": Feature("text", "str", ()),
    "language": Feature("text", "str", ()),
    "binary": Feature("binary", "bytes", ()),
}
_CHANNELS = ("channel", "channels", "c", "channel_first")
_MAX_SIDE = 1 << 16


def parse_features(declared: Mapping[str, Mapping[str, Any]], info: Path) -> tuple[dict[str, Feature], list[str]]:
    """The features of a dataset in declared order, without the bookkeeping columns, and warnings about those left out.

    `info` is the file they stand in, for errors. Shapes and dtypes are as declared; what the files hold is found later.
    """
    features, warnings = {}, []
    for key, spec in declared.items():
        where = f"{info}: feature {key!r}"
        dtype = str(spec.get("dtype")).removeprefix("torch.")
        if key in BOOKKEEPING:
            continue
        if dtype in ("video", "image") and is_depth(spec):
            warnings.append(f"left out {key!r}: depth cameras are not supported yet")
        elif dtype in ("video", "image"):
            features[key] = Feature("camera", "uint8", _camera_shape(spec, where), storage=dtype)
        elif dtype in _UNREAD:
            features[key] = _UNREAD[dtype]
        elif _is_number(dtype):
            features[key] = _numeric(key, dtype, spec, where)
        else:
            warnings.append(f"left out {key!r}: its dtype {dtype!r} is not one robomix knows")
    return features, warnings


def _numeric(key: str, dtype: str, spec: Mapping[str, Any], where: str) -> Feature:
    shape = _shape(spec, where)
    # LeRobot hands out one-entry values as scalars; what policies take as vectors keeps its axis.
    if shape == (1,) and not key.startswith(("observation", "action")):
        shape = ()
    return Feature("numeric", dtype, shape, names=entry_names(spec.get("names"), shape))


def _shape(spec: Mapping[str, Any], where: str) -> tuple[int, ...]:
    shape = spec.get("shape")
    if isinstance(shape, int) and not isinstance(shape, bool):
        shape = [shape]
    if not isinstance(shape, list) or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape):
        raise FormatError(f"{where} has shape {shape!r}, expected a list of positive integers.")
    return tuple(shape)


def entry_names(names: object, shape: tuple[int, ...]) -> tuple[str, ...] | None:
    """Names of a vector's entries, from a list, a list in a list, `{"motors": [...]}` or `{"x": 0, "y": 1}`."""
    if isinstance(names, dict) and all(isinstance(place, int) for place in names.values()):
        flat = [str(name) for name, _ in sorted(names.items(), key=itemgetter(1))]
    else:
        flat = _flat(names)
    return tuple(flat) if len(shape) == 1 and len(flat) == shape[0] else None


def _flat(names: object) -> list[str]:
    if isinstance(names, dict):
        names = list(names.values())
    if isinstance(names, list):
        return [name for inner in names for name in _flat(inner)]
    return [names] if isinstance(names, str) else []


def _camera_shape(spec: Mapping[str, Any], where: str) -> tuple[int, int, int]:
    """(channels, height, width) from a declared shape in either order; `names` decide where they are plausible."""
    shape, names = _shape(spec, where), spec.get("names")
    if len(shape) != 3 or max(shape) > _MAX_SIDE:
        raise FormatError(f"{where} has shape {list(shape)}, expected height, width and channels of a picture.")
    axes = [str(name).lower() for name in names] if isinstance(names, list) and len(names) == 3 else []
    told = [axis for axis, name in enumerate(axes) if name in _CHANNELS and shape[axis] in (1, 3, 4)]
    seen = [axis for axis in (2, 0) if shape[axis] in (1, 3, 4)]
    if not told and not seen:
        raise FormatError(f"{where} has shape {list(shape)}, where no axis has the 1, 3 or 4 channels of a picture.")
    channel = (told or seen)[0]
    sides = [axis for axis in range(3) if axis != channel]
    if [axes[axis] for axis in sides if axes] == ["width", "height"]:
        sides.reverse()
    channels = shape[channel] if spec["dtype"] == "image" else 3  # video is decoded to RGB whatever it is
    return channels, shape[sides[0]], shape[sides[1]]


def is_depth(spec: Mapping[str, Any]) -> bool:
    """Whether a camera's declaration says that it holds distances, by any of the marks in use."""
    blocks = [spec, *(spec[name] for name in ("info", "video_info") if isinstance(spec.get(name), dict))]
    return any(block.get(flag) is True for block in blocks for flag in ("is_depth_map", "video.is_depth_map"))


def _is_number(dtype: str) -> bool:
    try:
        return np.dtype(dtype).kind in "biuf"
    except TypeError:
        return False
