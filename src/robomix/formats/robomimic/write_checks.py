"""What writing robomimic's HDF5 demands beyond what every writer does, and that what was written can be read."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import ConfigError, FormatError
from robomix.features import Feature
from robomix.formats.hdf5 import SIGNATURE
from robomix.formats.hdf5_episodes import frame_feature, is_reserved
from robomix.formats.hdf5_handles import handles
from robomix.formats.rate import as_rate
from robomix.formats.robomimic.content import read_content
from robomix.formats.robomimic.names import array_of, key_of
from robomix.formats.write_input import check_features


def check_storable(features: Mapping[str, Feature]) -> None:
    """Raise ConfigError for features that a robomimic file cannot hold, or that would be read back as others."""
    check_features(features)
    for key, feature in features.items():
        name, shape = array_of(key, feature.is_camera), feature.shape
        found = frame_feature((*shape[1:], 3) if feature.is_camera else shape, np.dtype(feature.dtype))
        if isinstance(found, str):
            raise ConfigError(f"Feature {key!r} cannot be written to robomimic HDF5: {found}.")
        back = None if is_reserved(key) or name.endswith(("/", "/.", "/..")) else key_of(name, found.is_camera)
        if (back, found.kind) != (key, feature.kind):
            raise ConfigError(
                f"Feature {key!r} ({feature.kind}) would be read back from robomimic HDF5 as "
                f"{f'{back!r} ({found.kind})' if back else 'nothing'}. Give it another name"
                + (", such as observation.images.NAME." if feature.is_camera else ".")
            )
    _check_distinct(features)
    if "action" not in features or not any(key.startswith("observation.") for key in features):
        raise ConfigError(
            f"robomimic HDF5 needs the feature 'action' and an observation (observation.NAME or "
            f"observation.images.NAME), found {', '.join(features)}."
        )


def check_target(target: Path, *, overwrite: bool) -> None:
    """Raise ConfigError if no dataset may be written to the file `target`."""
    if "\0" in str(target):
        raise ConfigError(f"{str(target)!r} cannot be written: no path holds the character '\\0'. Choose another.")
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise ConfigError(f"{target} exists already. Choose another file, or ask to overwrite it.")
    if not _is_hdf5(target):
        raise ConfigError(
            f"{target} exists and is not an HDF5 file, so it is not overwritten. Remove it yourself, or choose another "
            "file."
        )


def check_masks(masks: Collection[str]) -> None:
    """Raise ConfigError for what are no names of filter keys."""
    if isinstance(masks, str):
        raise ConfigError(f"masks is the text {masks!r}, expected a list of filter keys: [{masks!r}].")
    if not isinstance(masks, Collection):
        raise ConfigError(f"masks is {masks!r}, expected a list of filter keys, such as ['train'].")
    for name in masks:
        if not isinstance(name, str) or not name or name == "." or any(c in name for c in "/\0"):
            raise ConfigError(f"The filter key {name!r} names an array in the file: expected a text without '/'.")
        if any("\ud800" <= c <= "\udfff" for c in name):
            raise ConfigError(
                f"The filter key {name!r} cannot be written in UTF-8: expected a text with no half of a surrogate pair."
            )
    if len(set(masks)) < len(masks):
        raise ConfigError(f"masks is {list(masks)}: expected each filter key once.")


def env_args_text(env_args: Mapping[str, Any]) -> str:
    """`env_args` as robomimic keeps it. Raises ConfigError for what is not plain data, and for a rate that is none."""
    try:
        text = json.dumps(dict(env_args), indent=4, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"env_args cannot be written as JSON ({error}): expected plain data such as "
            '{"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}.'
        ) from error
    _check_rate(env_args.get("env_kwargs"))
    return text


def verify(path: Path, features: Mapping[str, Feature], lengths: Sequence[int], masks: Mapping[str, list[int]]) -> None:
    """Raise FormatError where a reader does not find in the file what was written to it."""
    content = read_content(path)
    handles.close()  # the file is about to get another name
    survey = content.survey
    wanted = {key: (feature.kind, feature.dtype, feature.shape) for key, feature in features.items()}
    found = {key: (feature.kind, feature.dtype, feature.shape) for key, feature in survey.features.items()}
    if found != wanted or survey.lengths != list(lengths) or content.subsets != masks or content.left_out:
        raise FormatError(
            f"{path} does not read back as it was written: found {survey.lengths} frames of {found}, expected "
            f"{list(lengths)} of {wanted}. The disk may be faulty; write it again."
        )


def _check_rate(env_kwargs: Any) -> None:
    rate = env_kwargs.get("control_freq") if isinstance(env_kwargs, dict) else None
    try:
        if rate is not None:
            as_rate(rate, "control_freq in env_args")
    except FormatError as error:
        raise ConfigError(str(error)) from error


def _check_distinct(features: Mapping[str, Feature]) -> None:
    taken: dict[str, str] = {}
    for key, feature in features.items():
        name = array_of(key, feature.is_camera)
        if name in taken:
            raise ConfigError(f"Features {taken[name]!r} and {key!r} would both be the array {name!r}. Rename one.")
        taken[name] = key


def _is_hdf5(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE
