"""What a training normalizes with: statistics computed from its data, or those of files it is given.

`dataset.stats` names a stats.json, a norm_stats.json, or a folder: of one such file, or of a folder with one for each
normalization group, as `robomix stats` writes them.
"""

import hashlib
import logging
from pathlib import Path

import numpy as np

from robomix.config import MixtureConfig
from robomix.errors import ConfigError, did_you_mean
from robomix.features import Feature
from robomix.files import expanded
from robomix.mixture.dataset import Mixture
from robomix.mixture.resolve import resolve
from robomix.statistics.cameras import with_imagenet
from robomix.statistics.compute import Group, Stats, feature_stats, mixture_groups, mixture_stats, num_entries
from robomix.statistics.groups import folder_name
from robomix.statistics.stats_files import LEROBOT_FILE, OPENPI_FILE, OPENPI_KEYS, read_stats
from robomix.summaries import EMPTY

log = logging.getLogger(__name__)

_FILES = (LEROBOT_FILE, "stats.json", OPENPI_FILE)
"""Where a folder may have its statistics; the first found is taken."""


def config_stats(mixture: Mixture, config: MixtureConfig) -> dict[str, Stats]:
    """Statistics of `mixture` for each normalization group, as `config` asks for them: of `stats`, else computed.

    Cameras that given statistics lack are computed, and so is what openpi's files cannot hold; the log says so. Raises
    ConfigError where files are missing or do not fit the mixture, FormatError for data that is not finite.
    """
    imagenet, sampling = config.use_imagenet_stats, sampling_of(mixture, config)
    if config.stats is None:
        return mixture_stats(mixture, use_imagenet=imagenet, sampling=sampling)
    groups, path = mixture_groups(mixture, sampling=sampling), expanded(config.stats)
    files = {name: _file_of(path, name, groups) for name in groups}
    stats = {name: _fitted(files[name], group, mixture, imagenet) for name, group in groups.items()}
    features = mixture.schema.features
    lacking = [key for key in features if any(key not in of_group for of_group in stats.values())]
    if lacking:
        log.info("statistics of %s are computed: %s has none of them", ", ".join(lacking), path)
        computed = mixture_stats(mixture, use_imagenet=imagenet, sampling=sampling, keys=lacking)
        stats = {name: computed[name] | of_group for name, of_group in stats.items()}
    return {name: {key: of_group[key] for key in features} for name, of_group in stats.items()}


def fingerprint_of_given(stats: dict[str, Stats], config: MixtureConfig) -> str | None:
    """Hex key of statistics that came from files; None of computed ones, which are those of the same data again."""
    if config.stats is None:
        return None
    digest = hashlib.blake2b(digest_size=16)
    for group, of_group in stats.items():
        for key, of_key in of_group.items():
            for name, value in of_key.items():
                digest.update(f"{group}\0{key}\0{name}\0".encode() + value.astype("<f8").tobytes())
    return digest.hexdigest()


def sampling_of(mixture: Mixture, config: MixtureConfig) -> np.ndarray | None:
    """Probability of each source under `stats_weighting: sampling`; None where frames weigh the same."""
    return resolve(mixture.sources, config.alpha) if config.stats_weighting == "sampling" else None


def _file_of(path: Path, group: str, groups: dict[str, Group]) -> Path:
    """The file with the statistics of `group`."""
    how = f"`robomix stats mix.yaml --out {path}` computes them and writes such a folder."
    if not path.exists():
        raise ConfigError(f"dataset.stats: {path} does not exist. {how}")
    if path.is_file():
        if len(groups) > 1:
            raise ConfigError(
                f"dataset.stats: {path} is one file, but the mixture normalizes {len(groups)} groups apart "
                f"({', '.join(groups)}). Give a folder with one for each, or set normalize_by: global. {how}"
            )
        return path
    folders = [path / folder_name(group), *([path] if len(groups) == 1 else [])]
    found = next((folder / name for folder in folders for name in _FILES if (folder / name).is_file()), None)
    if found is None:
        there = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
        has = f"There is {', '.join(there[:20])}." if there else "It has no folders."
        hint = did_you_mean(folder_name(group), there)
        raise ConfigError(
            f"dataset.stats: {path} has no statistics for the normalization group {group!r}, expected "
            f"{folders[0] / LEROBOT_FILE} or {folders[0] / OPENPI_FILE}.{hint} {has} {how}"
        )
    return found


def _fitted(file: Path, group: Group, mixture: Mixture, use_imagenet: bool) -> Stats:
    """The statistics of `file` over the schema of `mixture`, without the features that must be computed."""
    given, fitted = read_stats(file), {}
    for key, feature in mixture.schema.features.items():
        if not any(key in source.features for source in group.sources):
            fitted[key] = feature_stats(feature, [EMPTY] * num_entries(feature), use_imagenet)
        elif key in given and feature.is_camera:
            of_camera = _shaped(given[key], (feature.shape[0], 1, 1), f"{file}: {key!r}")
            fitted[key] = with_imagenet(of_camera) if use_imagenet else of_camera
        elif key in given and feature.is_vector:
            front = mixture.schema.in_front(key)
            fitted[key] = _padded(given[key], group.width(key), feature, front, f"{file}: {key!r}")
        elif key in given:
            fitted[key] = _shaped(given[key], feature.shape or (1,), f"{file}: {key!r}")
        elif not feature.is_camera and (key in OPENPI_KEYS.values() or file.name != OPENPI_FILE):
            hint = did_you_mean(key, given)
            raise ConfigError(f"{file} has no statistics of {key!r}.{hint} It has: {', '.join(given)}.")
    return fitted


def _shaped(stats: dict[str, np.ndarray], shape: tuple[int, ...], where: str) -> dict[str, np.ndarray]:
    if stats["mean"].size != np.prod(shape):
        raise ConfigError(f"{where} has {stats['mean'].size} entries, the mixture's feature has {np.prod(shape)}.")
    return {name: value if name == "count" else value.reshape(shape) for name, value in stats.items()}


def _padded(
    stats: dict[str, np.ndarray], width: int, feature: Feature, front: int, where: str
) -> dict[str, np.ndarray]:
    """Statistics of a vector whose first `width` entries are this group's, brought to the schema's width.

    There they come after `front` entries that tell where a sample is from, of which files know nothing. A file may be
    as wide as the robot, or wider by entries of mean 0 that were padding when it was made.
    """
    mean = stats["mean"].reshape(-1)
    if len(mean) < width or mean[width:].any():
        raise ConfigError(
            f"{where} has {len(mean)} entries, and the data of this group {width}. Statistics belong to one robot and "
            "one set of transforms: make them with the mixture file as it is now."
        )
    neutral = feature_stats(feature, [EMPTY] * feature.shape[0], False)
    fixed = _shaped({n: v if n == "count" else v.reshape(-1)[:width] for n, v in stats.items()}, (width,), where)
    if not fixed["std"].all():
        zero = ", ".join(map(str, np.flatnonzero(fixed["std"] == 0)))
        log.warning("%s: std of entry %s is 0, which is taken for a constant", where, zero)
    before, after = slice(front), slice(front + width, None)
    return {
        n: v if n == "count" else np.concatenate([neutral[n][before], v, neutral[n][after]]) for n, v in fixed.items()
    }
