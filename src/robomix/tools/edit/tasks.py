"""What episodes' tasks are called."""

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from robomix.errors import ConfigError, did_you_mean
from robomix.tools.build.annotations import OfOneTask, annotations, describing, renumbered
from robomix.tools.build.content import Content, Episode
from robomix.tools.edit.episodes import check_episodes


def retask(content: Content, texts: Mapping[str, str]) -> Content:
    """Tasks by other texts; those that become equal become one. Raises ConfigError for a text there is not."""
    known = content.tasks
    for text in texts:
        if text not in known:
            here = ", ".join(map(repr, known[:10]))
            raise ConfigError(f"no episode has the task {text!r}.{did_you_mean(text, known)} There is: {here}")
    return _mapped(content, {text: texts.get(text, text) for text in known})


def set_task(content: Content, text: str, episodes: Collection[int] | None = None) -> Content:
    """One text for all frames of the episodes named by their `episode_index`, or of all.

    Raises ConfigError for an empty text, and for an episode there is not.
    """
    if not text.strip():
        raise ConfigError("the task would be an empty text. Say what the robot does.")
    check_episodes(content, episodes or ())
    chosen = {e.origin.episode for e in content.episodes} if episodes is None else set(episodes)
    made = tuple(replace(e, tasks=(text,), task_of=None) if e.origin.episode in chosen else e for e in content.episodes)
    used = {task for episode in made for task in episode.tasks}
    named = bool(annotations(content))  # which may name any
    known = tuple(task for task in content.known_tasks if named or task in used)
    return _described(replace(content, episodes=made, known_tasks=known), text, chosen)


def _described(content: Content, text: str, chosen: Collection[int]) -> Content:
    """`content` whose annotation of the task, if it has one, says the same of the episodes `chosen` as `tasks`."""
    key = describing(content)
    if key is None:
        return content
    number, dtype = content.tasks.index(text), str(content.features[key]["dtype"])
    made = (
        replace(e, rows=OfOneTask(e.rows, key, number, dtype)) if e.origin.episode in chosen else e
        for e in content.episodes
    )
    return replace(content, episodes=tuple(made))


def normalized(content: Content) -> Content:
    """Texts that differ only in case, spaces, form of letters or a last `.` or `!`, all as the first of them."""
    first: dict[str, str] = {}
    return _mapped(content, {text: first.setdefault(folded(text), text) for text in content.tasks})


def folded(text: str) -> str:
    """What is equal in texts that say the same."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(".! ")


def _mapped(content: Content, texts: Mapping[str, str]) -> Content:
    known = tuple(dict.fromkeys(texts[text] for text in content.known_tasks))
    made = replace(content, known_tasks=known, episodes=tuple(_of_episode(e, texts) for e in content.episodes))
    number = {text: i for i, text in enumerate(made.tasks)}
    return renumbered(made, {old: number[texts[text]] for old, text in enumerate(content.tasks)})


def _of_episode(episode: Episode, texts: Mapping[str, str]) -> Episode:
    mapped = [texts.get(text, text) for text in episode.tasks]
    made = tuple(dict.fromkeys(mapped))
    if episode.task_of is None or len(made) == 1:
        return replace(episode, tasks=made[:1] if episode.task_of is None else made, task_of=None)
    place = np.array([made.index(text) for text in mapped], np.int64)
    return replace(episode, tasks=made, task_of=place[episode.task_of])
