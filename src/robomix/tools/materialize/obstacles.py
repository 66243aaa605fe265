"""Why a source of a mixture cannot be materialized, and what one should know of how it will be."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from robomix.errors import ConfigError
from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.write_meta import declare
from robomix.mixture.materialized import Storage, with_resize
from robomix.mixture.source import Source
from robomix.tools.materialize.small import CODEC, SmallDataset
from robomix.video.encode import find_encoder


def obstacles(source: Source, small: SmallDataset, storage: Storage) -> Iterator[str]:
    """Why a source cannot be stored so."""
    where = f"source {source.name!r}"
    try:
        with_resize(source.config, small.height, small.width)
    except ConfigError as error:
        yield str(error)
    if storage == "frames":
        return
    if small.cameras and (small.height % 2 or small.width % 2):
        yield f"{where}: video needs an even height and width, found {small.height}x{small.width}; or use --as frames."
    for key in small.cameras:
        if small.features[key].shape[0] != 3:
            channels = small.features[key].shape[0]
            yield f"{where}: camera {key!r} has {channels} channels, and video has 3. Use --as frames."
    for key, found in _changed_shapes(small).items():
        yield f"{where}: {key!r} of shape {small.features[key].shape} would be read back as {found}. Use --as frames."
    if source.config.eval and "type" not in (source.config.env or {}):
        yield (
            f"{where}: it is evaluated in the environment its dataset names, which a LeRobot dataset cannot name. Name "
            "it with the source (`env: {type: ...}`), leave `eval` out, or use --as frames."
        )


def _changed_shapes(small: SmallDataset) -> dict[str, tuple[int, ...]]:
    """Numeric features that a LeRobot dataset holds with another shape: one number, or a vector of one."""
    numeric = {key: feature for key, feature in small.features.items() if feature.kind == "numeric"}
    declared = {key: declare(feature, small.fps, find_encoder(CODEC)) for key, feature in numeric.items()}
    read, _ = parse_features(declared, Path())
    return {key: feature.shape for key, feature in read.items() if feature.shape != numeric[key].shape}


def notes_on(source: Source, small: SmallDataset) -> Iterator[str]:
    size = small.height, small.width
    for key in small.cameras:
        recorded = cast(tuple[int, int], small.original.features[key].shape[1:])
        if recorded < size and recorded[0] * recorded[1] < size[0] * size[1]:
            yield f"source {source.name!r}: camera {key!r} is only {recorded[0]}x{recorded[1]}; its frames get larger."
    own = [step.type for step in source.config.transforms if ":" in step.type]
    if own and small.cameras:
        yield f"source {source.name!r}: {', '.join(own)} will be given resized pictures, as after `resize_images`."
