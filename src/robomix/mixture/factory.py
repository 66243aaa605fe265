"""From a mixture file's config to the mixture itself."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig, SourceConfig
from robomix.formats import Dataset
from robomix.mixture.alignment import Schema, align
from robomix.mixture.condition import condition_of
from robomix.mixture.dataset import ImageTransform, Mixture
from robomix.mixture.materialized import materialized, read_index
from robomix.mixture.opening import open_each
from robomix.mixture.source import Horizons, Source
from robomix.mixture.split import split

log = logging.getLogger(__name__)


def make_dataset(cfg: Any) -> Mixture:
    """The mixture a training config asks for, with the windows of its policy: LeRobot's `make_dataset` for many.

    `cfg` is a MixtureConfig, or has one as `cfg.dataset` and perhaps a LeRobot policy config as `cfg.policy`.
    """
    if isinstance(cfg, MixtureConfig):
        return make_mixture(cfg)
    return make_mixture(cfg.dataset, policy=getattr(cfg, "policy", None), seed=getattr(cfg, "seed", None) or 0)


def make_mixture(
    config: MixtureConfig,
    *,
    policy: Any = None,
    delta_indices: Mapping[str, Sequence[int]] | None = None,
    delta_timestamps: Mapping[str, Sequence[float]] | None = None,
    image_transform: ImageTransform | None = None,
    seed: int = 0,
) -> Mixture:
    """The mixture of `config`, its datasets opened and aligned.

    Windows come from a LeRobot `policy` config (`*_delta_indices`) or from `delta_indices`, by key, in frames: each
    source steps at its own rate. In `delta_timestamps` they are in seconds, and each source has the frames nearest to
    them. `policy.drop_n_last_frames` frames at the end of each episode start no sample.
    Features that `intersection` leaves out are named in a warning, with the datasets they came from. Episodes that are
    held out for validation are not in it; `held_out()` of the mixture has them.

    Raises ConfigError, FormatError or AlignmentError, naming the source, for what cannot be opened or does not fit.
    """
    drop = getattr(policy, "drop_n_last_frames", 0)
    sources = split(open_sources(config, drop_n_last_frames=drop), config.val_fraction)
    schema = align(sources, config.features, condition_of(config, sources))
    _warn_of_dropped(schema)
    horizons = delta_indices or {}
    if policy is not None:
        horizons = dict(horizons) | dict(policy_horizons(policy, schema))
    return Mixture(
        sources,
        schema,
        horizons=horizons,
        delta_timestamps=delta_timestamps,
        image_transform=image_transform,
        seed=seed,
    )


def open_sources(config: MixtureConfig, *, drop_n_last_frames: int = 0) -> list[Source]:
    """The sources of `config`, opened. Raises what is wrong with one of them, or one ConfigError for several."""
    drawn = config.drawn()
    folders = None if config.materialized is None else read_index(Path(config.materialized))

    def made(dataset: Dataset, entry: SourceConfig) -> Source:
        if folders is not None:
            dataset, entry = materialized(dataset, entry, folders)
        name, by, drop = str(entry.name), config.normalize_by, drop_n_last_frames
        source = Source(dataset, entry, name=name, normalize_by=by, drop_n_last_frames=drop)
        source.is_drawn = entry.name in drawn
        return source

    return open_each(config, made)


def policy_horizons(policy: Any, schema: Schema) -> Horizons:
    """Window of each key under a LeRobot policy config: its `action`, `observation` and `reward` `_delta_indices`."""
    horizons: dict[str, Sequence[int]] = {}
    for key in schema.features:
        if key == "action" and policy.action_delta_indices is not None:
            horizons[key] = policy.action_delta_indices
        elif key.startswith("observation.") and policy.observation_delta_indices is not None:
            horizons[key] = policy.observation_delta_indices
        elif key == "next.reward" and policy.reward_delta_indices is not None:
            horizons[key] = policy.reward_delta_indices
    return horizons


def _warn_of_dropped(schema: Schema) -> None:
    for key, owners in schema.dropped.items():
        log.warning("feature %r is left out: it is only in %s (features: intersection)", key, ", ".join(owners))
