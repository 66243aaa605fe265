"""What a policy is trained on, for the eye: samples as it sees them, and whole episodes, in one Rerun recording."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.mixture.dataset import Batch, Mixture
from robomix.mixture.loader import ScheduledBatches
from robomix.mixture.schedule import Schedule
from robomix.mixture.source import Source
from robomix.tools.new_file import new_file
from robomix.tools.view.recording import ABOUT, Recording, entity_of, import_rerun, recording

SAMPLES, EPISODES = "samples", "episodes"
_FRAMES = 32
"""Frames of an episode that are read at once."""

Place = tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What has been put into a recording."""

    samples: int
    episodes: int
    frames: int
    """Of the episodes."""
    bytes: int
    """Of the file."""


def write_recording(
    mixture: Mixture, schedule: Schedule, rrd: Path, *, samples: int = 50, episodes: int = 1, jpeg_quality: int = 85
) -> Written:
    """Writes the first `samples` of `schedule`, and the first `episodes` of each source, to the new file `rrd`.

    Samples lie below `samples`, on the timeline `sample`: after all transforms, with the zeros that stand for what a
    dataset lacks, such cameras labelled, and the masks as curves of zeros and ones. Episodes lie below
    `episodes/SOURCE/EPISODE`, on `frame_index` and `timestamp`, with what their dataset has alone.

    Raises ConfigError where rerun is not installed, or `rrd` exists or has another suffix.
    """
    import_rerun()  # before anything is read
    if rrd.suffix != ".rrd":
        raise ConfigError(
            f"--rrd: found {str(rrd)!r}, expected a name that ends in .rrd, by which the viewer knows it."
        )
    chosen = [place for i in range(len(mixture.sources)) for place in _episodes(mixture, i, episodes)]
    tabs: dict[Place, Mapping[str, Feature]] = {(SAMPLES,): mixture.schema.features} if samples else {}
    tabs |= {episode.place: episode.features for episode in chosen}
    frames = sum(len(episode.index) for episode in chosen)
    progress = tqdm(total=samples + frames, desc="view", unit="frame", delay=2, leave=False, disable=None)
    with new_file(rrd, "--rrd") as staging, progress:
        with recording(staging, tabs, jpeg_quality) as made:
            if samples:
                _write_samples(made, mixture, schedule, samples, progress)
            for episode in chosen:
                _write_episode(made, mixture, episode, progress)
        size = staging.stat().st_size
    return Written(samples, len(chosen), frames, size)


@dataclass(frozen=True)
class _Episode:
    place: Place
    source: Source
    index: np.ndarray
    """Sample indices of its frames."""
    features: Mapping[str, Feature]


def _episodes(mixture: Mixture, source: int, count: int) -> list[_Episode]:
    """The first `count` episodes of a source that are trained on."""
    one, table = mixture.sources[source], mixture.meta.episodes
    features = {key: one.features[key] for key in mixture.schema.features if key in one.features}
    own = [e for e, owner in enumerate(table["dataset_source"]) if owner == source]
    return [
        _Episode(
            place=(EPISODES, one.name, str(episode)),
            source=one,
            index=np.arange(table["dataset_from_index"][e], table["dataset_to_index"][e]),
            features=features,
        )
        for e, episode in zip(own[:count], one.frames.ids[:count].tolist(), strict=True)
    ]


def _write_samples(made: Recording, mixture: Mixture, schedule: Schedule, count: int, progress: Any) -> None:
    features = mixture.schema.features
    place = (SAMPLES,)
    _name_curves(made, place, features)
    for number, sample in enumerate(_drawn(mixture, schedule, count)):
        made.at(sample=number)
        source = mixture.sources[int(sample["dataset_index"])]
        _write_values(made, place, features, sample)
        padding = _padding(features, sample)
        for key in mixture.schema.lacking:
            if features[key].is_camera:
                label = f"padding: {source.name} has no such camera" if key in padding else None
                made.frame_label([*place, entity_of(key)], features[key].shape, label)
        for key, mask in sample.items():
            if key.endswith("_is_pad"):
                made.numbers([*place, key], mask.numpy())
        episode = source.frames.ids[
            int(sample["episode_index"]) - _first_episode(mixture, int(sample["dataset_index"]))
        ]
        where = f"{source.name}, episode {episode}, frame {int(sample['frame_index'])}"
        made.text(
            [*place, ABOUT], "\n".join([where, sample["task"], *(f"padding: {text}" for text in padding.values())])
        )
        progress.update()
    made.leave_timelines()


def _drawn(mixture: Mixture, schedule: Schedule, count: int) -> Iterator[dict[str, Any]]:
    """The first `count` samples of the schedule."""
    stop = -(-count // schedule.batch_size)
    for request in ScheduledBatches(mixture, schedule, stop=stop):
        batch = mixture.__getitems__(request)
        for i in range(min(count, schedule.batch_size)):
            yield _one(batch, i)
        count -= schedule.batch_size


def _padding(features: Mapping[str, Feature], sample: Mapping[str, Any]) -> dict[str, str]:
    """In words, which features of a sample are padding, and which entries of those that are not."""
    said = {}
    for key, feature in features.items():
        if f"{key}_is_pad" in sample and bool(sample[f"{key}_is_pad"].all()):
            said[key] = key
        elif feature.is_vector and bool((mask := sample[f"{key}_dim_is_pad"]).any()):
            first = int(mask.int().argmax())
            said[key] = f"{key} from entry {first} on"
    return said


def _write_episode(made: Recording, mixture: Mixture, episode: _Episode, progress: Any) -> None:
    features = episode.features
    _name_curves(made, episode.place, features)
    task = None
    for start in range(0, len(episode.index), _FRAMES):
        batch = mixture.__getitems__(episode.index[start : start + _FRAMES].tolist())
        for i in range(len(batch["task"])):
            frame = _one(batch, i)
            number = int(frame["frame_index"])
            made.at(frame_index=number, timestamp=float(number / episode.source.dataset.fps))
            _write_values(made, episode.place, features, frame)
            if frame["task"] != task:
                task = frame["task"]
                made.text([*episode.place, ABOUT], task)
            progress.update()
    made.leave_timelines()


def _one(batch: Batch, i: int) -> dict[str, Any]:
    return {key: values[i] for key, values in batch.items()}


def _write_values(made: Recording, place: Place, features: Mapping[str, Feature], sample: Mapping[str, Any]) -> None:
    """Pictures and numbers of one frame, of a vector as many entries as its feature has."""
    for key, feature in features.items():
        at, value = [*place, entity_of(key)], sample[key].numpy()
        if feature.is_camera:
            made.picture(at, value)
        else:
            made.numbers(at, value[: feature.valid_dim] if feature.is_vector else value)


def _name_curves(made: Recording, place: Place, features: Mapping[str, Feature]) -> None:
    for key, feature in features.items():
        if feature.is_vector:
            made.curve_names([*place, entity_of(key)], _curve_names(key, feature))


def _curve_names(key: str, feature: Feature) -> Sequence[str]:
    """Names of a vector's entries, else its key with numbers, as LeRobot's visualizer has them."""
    width = feature.valid_dim
    if feature.names is not None and len(feature.names) >= width:
        return feature.names[:width]
    return [f"{key}_{i}" for i in range(width)]


def _first_episode(mixture: Mixture, source: int) -> int:
    return sum(len(one.frames.ids) for one in mixture.sources[:source])
