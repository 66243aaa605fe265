"""The task texts of a damaged dataset: its table, and what its episodes list where the table has a gap."""

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from robomix.tools.check.finding import UnverifiableError
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.values import number, some, whole
from robomix.tools.repair.consent import Consent
from robomix.tools.repair.rows import EpisodeRows


def find_texts(raw: RawLeRobot, rows: Mapping[int, EpisodeRows], consent: Consent) -> dict[int, str]:
    """Text by task_index, rising: of all numbers that the table has or frames use."""
    table = _table(raw, consent)
    used = set(np.unique(np.concatenate([own.tasks for own in rows.values()])).tolist()) if rows else set()
    nameless = sorted(index for index in {*table, *used} if not table.get(index, "").strip())
    if nameless:
        found = f"{number(len(nameless), 'task')} without a text: task_index {some(nameless, 8)}"
        consent.ask("placeholder_tasks", found)
        listed = _listed(raw, rows, {text for text in table.values() if text.strip()})
        table |= {index: listed.get(index, f"unnamed task {index}") for index in nameless}
    texts = dict(sorted(table.items()))
    twice = sorted(text for text, count in Counter(texts.values()).items() if count > 1)
    if twice:
        consent.ask("normalize_tasks", f"the task table has {some(map(repr, twice))} more than once")
    return texts


def _table(raw: RawLeRobot, consent: Consent) -> dict[int, str]:
    """Text by number, empty where it is none."""
    try:
        entries = raw.tasks
    except UnverifiableError as reason:
        if any(name.startswith("meta/tasks.") for name in raw.files):
            consent.impossible.append(f"the task table cannot be read: {str(reason).rstrip('.')}.")
        return {}
    table: dict[int, str] = {}
    for index, text in entries:
        place, said = whole(index), text if isinstance(text, str) else ""
        if place is None:
            continue
        if table.setdefault(place, said) != said:
            consent.impossible.append(f"task_index {place} stands for two texts, {table[place]!r} and {said!r}.")
    return table


def _listed(raw: RawLeRobot, rows: Mapping[int, EpisodeRows], known: set[str]) -> dict[int, str]:
    """Text by number, where all episodes of frames of one number list one text, and no other number has it."""
    said: dict[int, set[str]] = defaultdict(set)
    for episode, own in rows.items():
        texts = raw.episode_rows.get(episode, {}).get("tasks")
        numbers = np.unique(own.tasks).tolist()
        if isinstance(texts, list) and len(numbers) == len(texts) == 1 and isinstance(texts[0], str):
            said[numbers[0]].add(texts[0])
    single = {index: texts.pop() for index, texts in said.items() if len(texts) == 1}
    counts = Counter(single.values())
    return {i: text for i, text in single.items() if text.strip() and counts[text] == 1 and text not in known}
