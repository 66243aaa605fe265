"""What writing LeRobot v3.0 demands beyond what every writer does: a rate, a storage for each camera, a free folder."""

import math
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.formats.write_input import check_features
from robomix.video.encode import Encoder, check_picture_size

_OF_A_DATASET = ("meta", "data", "videos", "images", "README.md", "LICENSE", ".gitattributes", ".cache")
"""What may lie in a dataset's folder, as recorded or as downloaded from the Hub."""


def exact_fps(fps: Fraction | float) -> Fraction:
    """`fps` as a fraction; floats such as 29.97 become the nearest one with a denominator up to 1001."""
    if not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"fps is {fps}: expected a number of frames per second above 0.")
    return Fraction(fps) if isinstance(fps, (int, Fraction)) else Fraction(fps).limit_denominator(1001)


def check_storable(features: Mapping[str, Feature], encoder: Encoder) -> None:
    """Raise ConfigError for a feature that LeRobot v3.0 cannot hold, or that `encoder` cannot encode."""
    check_features(features)
    for key, feature in features.items():
        if feature.is_camera and feature.storage not in ("video", "image"):
            raise ConfigError(f"Camera {key!r} has storage {feature.storage!r}: expected 'video' or 'image'.")
        if feature.storage == "video":
            check_picture_size(feature.shape[1], feature.shape[2], encoder, f"Camera {key!r}")


def check_target(target: Path, *, overwrite: bool) -> None:
    """Raise ConfigError if a dataset may not be written to the folder `target`, or would take other files with it."""
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise ConfigError(f"{target} exists already. Choose another folder, or ask to overwrite it.")
    is_folder = target.is_dir() and not target.is_symlink()
    if not is_folder or not ((target / "meta" / "info.json").is_file() or not any(target.iterdir())):
        raise ConfigError(
            f"{target} exists and is not a folder of a LeRobot dataset (meta/info.json), so it is not overwritten. "
            "Remove it yourself, or choose another folder."
        )
    if others := sorted(entry.name for entry in target.iterdir() if entry.name not in _OF_A_DATASET):
        raise ConfigError(
            f"{target} holds {', '.join(others[:8])}, which no LeRobot dataset has and which would be lost, so it is "
            "not overwritten. Move it away, or choose another folder."
        )
