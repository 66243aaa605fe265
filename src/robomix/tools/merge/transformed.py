"""Content with the features that the transforms of a source make; what they leave alone stays as it lies."""

from dataclasses import replace

import numpy as np

from robomix.errors import AlignmentError
from robomix.features import Feature
from robomix.formats.lerobot.write_meta import declare
from robomix.mixture.padding import DIM_IS_PAD
from robomix.mixture.source import Source
from robomix.tools.build.content import Content, Declared, Drawn, Episode, Rows
from robomix.tools.edit.filling import Filled
from robomix.tools.merge.member import Member
from robomix.tools.merge.samples import SampleFrames, SampleRows, is_untouched
from robomix.video.encode import find_encoder

_REASON = "the transforms of its dataset change it"


def transformed(content: Content, member: Member, codec: str) -> Content:
    """`content`, of the episodes of `member`, with the features that its transforms make.

    Raises AlignmentError for transforms that do not fit, or whose results no dataset can hold.
    """
    source = Source(member.dataset, member.entry, name=member.name, normalize_by="source").of_episodes(member.ordinals)
    if source.relative:
        raise AlignmentError(
            f"source {source.name!r}: {', '.join(sorted(source.relative))} depends on the sample a frame is in, which "
            "no dataset can hold. Leave that transform to the training."
        )
    own = {key for key in source.mapped_keys() if key in content.features}
    numeric = tuple(key for key, feature in source.features.items() if not feature.is_camera)
    cameras = [key for key, feature in source.features.items() if feature.is_camera]
    same = [key for key in cameras if is_untouched(source, key)]
    for key in set(cameras) - set(same):
        _check_encodable(source.features[key], f"source {source.name!r}: {key!r}")
    kept = {key: spec for key, spec in content.features.items() if key in same or key not in own}
    encoder, features = find_encoder(codec), dict[str, Declared]()
    for key, feature in source.features.items():
        shown = replace(feature, storage="video") if feature.is_camera else feature
        features[key] = kept[key] if key in kept else declare(shown, content.fps, encoder)
    features |= {key: spec for key, spec in kept.items() if key not in features}
    flags = _flags(source)
    masks = {name: dict(features[name.removesuffix(DIM_IS_PAD)]) | {"dtype": "bool"} for name in flags}
    columns = tuple(key for key, spec in kept.items() if spec["dtype"] != "video")

    def made(place: int, episode: Episode) -> Episode:
        first, end = (int(bound) for bound in source.frames.bounds[place : place + 2])
        rows: Rows = SampleRows(source, episode.rows, columns, numeric, first, end - first)
        drawn = {
            key: Drawn(SampleFrames(source, key), np.arange(first, end), _REASON) for key in cameras if key not in same
        }
        return replace(
            episode,
            rows=Filled(rows, features, {}, flags) if flags else rows,
            videos={key: part for key, part in episode.videos.items() if key in kept} | drawn,
            camera_stats={key: stats for key, stats in episode.camera_stats.items() if key in kept},
        )

    episodes = tuple(made(place, episode) for place, episode in enumerate(content.episodes))
    return replace(content, features=features | masks, episodes=episodes)


def _flags(source: Source) -> dict[str, np.ndarray]:
    """Of vectors that the transforms have padded, which entries are padding: column to (D,) bool."""
    return {
        f"{key}{DIM_IS_PAD}": np.arange(feature.shape[0]) >= feature.valid_dim
        for key, feature in source.features.items()
        if feature.is_vector and feature.valid_dim < feature.shape[0]
    }


def _check_encodable(camera: Feature, where: str) -> None:
    if camera.dtype != "uint8" or camera.shape[1] % 2 or camera.shape[2] % 2:
        raise AlignmentError(
            f"{where} is {camera.dtype} of shape {camera.shape} after the transforms. Only uint8 pictures of even "
            "height and width can be encoded as video."
        )
