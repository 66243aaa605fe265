"""What may be given to a writer: checks of features and episodes that name the key, the episode and the remedy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robomix.errors import ConfigError, did_you_mean
from robomix.features import BOOKKEEPING, Feature

NUMERIC_DTYPES = (
    *("float32", "float64", "bool"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
MAX_DIMENSIONS = 5


@dataclass(frozen=True)
class EpisodeInput:
    """One episode, checked as far as it can be before its frames are read."""

    length: int
    numeric: dict[str, np.ndarray]
    """(T, *shape) each."""
    cameras: dict[str, Iterator[np.ndarray]]
    """T frames each, checked one by one as they are read."""
    tasks: list[str]
    """The text of every frame."""


def check_features(features: Mapping[str, Feature]) -> None:
    """Raise ConfigError for a feature that no format can hold."""
    if not features:
        raise ConfigError("No features given: a dataset needs at least one numeric column or camera.")
    for key, feature in features.items():
        if not key or key in (".", "..") or any(character in key for character in "/\\\0"):
            raise ConfigError(f"Feature name {key!r}: it names columns and folders, so it must not hold '/' or '\\'.")
        if key in (*BOOKKEEPING, "task"):
            raise ConfigError(f"Feature {key!r}: every dataset has this column, and robomix fills it in. Leave it out.")
        if feature.kind == "numeric":
            _check_numeric_feature(key, feature)
        elif feature.kind == "camera":
            _check_camera_feature(key, feature)
        else:
            raise ConfigError(f"Feature {key!r} is of kind {feature.kind!r}: the writer takes 'numeric' and 'camera'.")


def check_episode(
    features: Mapping[str, Feature],
    columns: Mapping[str, np.ndarray | Iterable[np.ndarray]],
    task: str | Sequence[str],
    episode: int,
) -> EpisodeInput:
    """The episode's parts, if they fit `features`; raises ConfigError naming key, found and expected."""
    for key in columns:
        if key not in features:
            raise ConfigError(
                f"Episode {episode}: unexpected column {key!r}; the dataset has {sorted(features)}."
                f"{did_you_mean(key, features)}"
            )
    missing = [key for key in features if key not in columns]
    if missing:
        raise ConfigError(f"Episode {episode}: no column {missing[0]!r}; every episode needs {sorted(features)}.")
    length = _length(features, columns, task, episode)
    numeric, cameras = {}, {}
    for key, feature in features.items():
        if feature.is_camera:
            cameras[key] = _camera_frames(key, feature, columns[key], length, episode)
        else:
            numeric[key] = _numeric_column(key, feature, columns[key], length, episode)
    return EpisodeInput(length, numeric, cameras, _frame_tasks(task, length, episode))


def _check_numeric_feature(key: str, feature: Feature) -> None:
    if feature.dtype not in NUMERIC_DTYPES:
        raise ConfigError(f"Feature {key!r} has dtype {feature.dtype!r}: expected one of {', '.join(NUMERIC_DTYPES)}.")
    if len(feature.shape) > MAX_DIMENSIONS or 0 in feature.shape:
        raise ConfigError(f"Feature {key!r} has shape {feature.shape}: expected up to 5 dimensions, none of them 0.")
    if feature.names is not None and (len(feature.shape) != 1 or len(feature.names) != feature.shape[0]):
        raise ConfigError(
            f"Feature {key!r} of shape {feature.shape} has {len(feature.names)} names: give one per entry."
        )


def _check_camera_feature(key: str, feature: Feature) -> None:
    if feature.dtype != "uint8" or len(feature.shape) != 3 or feature.shape[0] != 3 or 0 in feature.shape:
        raise ConfigError(
            f"Camera {key!r} has dtype {feature.dtype!r} and shape {feature.shape}: expected uint8 RGB of shape "
            "(3, height, width)."
        )


def _length(
    features: Mapping[str, Feature],
    columns: Mapping[str, np.ndarray | Iterable[np.ndarray]],
    task: str | Sequence[str],
    episode: int,
) -> int:
    """Frames of the episode: those of the first column whose length is known, else of the texts."""
    sized = {key: column for key, column in columns.items() if isinstance(column, np.ndarray) and column.ndim}
    if sized:
        key = min(sized, key=lambda name: features[name].is_camera)
        length = len(sized[key])
    elif not isinstance(task, str):
        length = len(task)
    else:
        raise ConfigError(
            f"Episode {episode}: its length is not known, because every camera is a stream and there is no numeric "
            "column. Give one text per frame as task, or one camera as an array."
        )
    if not length:
        raise ConfigError(f"Episode {episode} has no frames.")
    return length


def _numeric_column(key: str, feature: Feature, column: object, length: int, episode: int) -> np.ndarray:
    values, shape = np.asarray(column), (length, *feature.shape)
    if values.dtype != feature.dtype:
        raise ConfigError(
            f"Episode {episode}, column {key!r}: found dtype {values.dtype}, expected {feature.dtype}. "
            f"Convert it with .astype('{feature.dtype}')."
        )
    if values.shape != shape:
        raise ConfigError(f"Episode {episode}, column {key!r}: found shape {values.shape}, expected {shape}.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        entry = f", entry {place[1:]}" if place[1:] else ""
        raise ConfigError(
            f"Episode {episode}, column {key!r}, frame {place[0]}{entry}: found {values[place]}, expected a finite "
            "number."
        )
    return values


def _camera_frames(
    key: str, feature: Feature, frames: np.ndarray | Iterable[np.ndarray], length: int, episode: int
) -> Iterator[np.ndarray]:
    """The frames of a camera. An array is checked at once, a stream as it is read."""
    where, shape = f"Episode {episode}, camera {key!r}", (length, *feature.shape)
    if not isinstance(frames, np.ndarray):
        return _checked_stream(frames, feature.shape, length, where)
    if frames.dtype != np.uint8 or frames.shape != shape:
        raise ConfigError(f"{where}: found {frames.dtype} of shape {frames.shape}, expected uint8 of shape {shape}.")
    return iter(frames)


def _checked_stream(
    frames: Iterable[np.ndarray], shape: tuple[int, ...], length: int, where: str
) -> Iterator[np.ndarray]:
    count = 0
    for image in frames:
        if count == length:
            raise ConfigError(f"{where}: found more than {length} frames, expected {length} as in the other columns.")
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.shape != shape:
            raise ConfigError(
                f"{where}, frame {count}: found {image.dtype} of shape {image.shape}, expected uint8 of shape {shape}."
            )
        yield image
        count += 1
    if count < length:
        raise ConfigError(f"{where}: found {count} frames, expected {length} as in the other columns.")


def _frame_tasks(task: str | Sequence[str], length: int, episode: int) -> list[str]:
    tasks = [task] * length if isinstance(task, str) else list(task)
    if len(tasks) != length:
        raise ConfigError(
            f"Episode {episode}: found {len(tasks)} task texts, expected one, or one for each of {length} frames."
        )
    for i, text in enumerate(tasks):
        if not isinstance(text, str):
            raise ConfigError(f"Episode {episode}, frame {i}: the task is {text!r}, expected a text.")
    return tasks
