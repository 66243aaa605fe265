"""Which episodes a dataset has, in which order, and which frames of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from robomix.errors import ConfigError
from robomix.tools.build.content import Content, Drawn, Episode, Rows
from robomix.tools.edit.splits import splits_of
from robomix.video.remux import Clip


def keep(content: Content, episodes: Sequence[int]) -> Content:
    """Only these episodes, by their `episode_index`, in the order given. Raises ConfigError for one there is not."""
    places = _places(content)
    check_episodes(content, episodes)
    return _of_these(content, [content.episodes[places[index]] for index in episodes])


def delete(content: Content, episodes: Iterable[int]) -> Content:
    """All but these episodes, by their `episode_index`."""
    gone = set(episodes)
    check_episodes(content, gone)
    return _of_these(content, [e for e in content.episodes if e.origin.episode not in gone])


def shuffle(content: Content, seed: int) -> Content:
    """The same episodes in a random order, which `seed` decides."""
    order = generator(seed).permutation(len(content.episodes))
    return _of_these(content, [content.episodes[i] for i in order])


def generator(seed: int) -> np.random.Generator:
    """What draws by `seed`. Raises ConfigError for one below 0."""
    if seed < 0:
        raise ConfigError(f"seed is {seed}, expected 0 or more.")
    return np.random.default_rng(seed)


def trim(content: Content, frames: Mapping[int, tuple[int, int]]) -> Content:
    """Of the episodes named, by their `episode_index`, only frames start to stop - 1; the others whole."""
    check_episodes(content, frames)
    return replace(content, episodes=tuple(_trimmed(e, frames.get(e.origin.episode)) for e in content.episodes))


@dataclass(frozen=True)
class Stretch:
    """Some neighbouring rows of others."""

    whole: Rows
    start: int
    stop: int
    length: int
    """Rows of the whole."""

    def table(self) -> pa.Table:
        return self.whole.table().slice(self.start, self.stop - self.start)

    @property
    def size(self) -> int:
        return self.whole.size * (self.stop - self.start) // max(1, self.length)


def _of_these(content: Content, episodes: Sequence[Episode]) -> Content:
    return replace(content, episodes=tuple(episodes), splits=splits_of(content, episodes))


def _trimmed(episode: Episode, frames: tuple[int, int] | None) -> Episode:
    if frames is None or frames == (0, episode.length):
        return episode
    start, stop = frames
    if not 0 <= start < stop <= episode.length:
        raise ConfigError(
            f"{episode.origin.dataset}, episode {episode.origin.episode}: frames {start}:{stop} are none of its "
            f"{episode.length}. Expected start below stop, and both from 0 to {episode.length}."
        )
    tasks, task_of = _tasks(episode, start, stop)
    return replace(
        episode,
        length=stop - start,
        rows=Stretch(episode.rows, start, stop, episode.length),
        tasks=tasks,
        videos={key: _part(part, start, stop) for key, part in episode.videos.items()},
        task_of=task_of,
        camera_stats={},  # they were measured on all its frames
    )


def _tasks(episode: Episode, start: int, stop: int) -> tuple[tuple[str, ...], np.ndarray | None]:
    if episode.task_of is None:
        return episode.tasks, None
    used, task_of = np.unique(episode.task_of[start:stop], return_inverse=True)
    return tuple(episode.tasks[i] for i in used), task_of if len(used) > 1 else None


def _part(part: Clip | Drawn, start: int, stop: int) -> Clip | Drawn:
    if isinstance(part, Drawn):
        return replace(part, rows=part.rows[start:stop])
    return Clip(part.path, part.start + start, part.start + stop)


def _places(content: Content) -> dict[int, int]:
    return {episode.origin.episode: place for place, episode in enumerate(content.episodes)}


def check_episodes(content: Content, episodes: Iterable[int]) -> None:
    """Raises ConfigError for an `episode_index` that no episode has."""
    known = _places(content)
    if missing := [index for index in episodes if index not in known]:
        name = content.episodes[0].origin.dataset if content.episodes else "the dataset"
        raise ConfigError(
            f"{name} has no episode {', '.join(map(str, missing[:10]))}: its {len(known)} episodes have the numbers "
            f"{min(known, default=0)} to {max(known, default=0)}."
        )
