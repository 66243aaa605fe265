"""Family K: the task texts, and which frames have which."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.owners import owners, pairs
from robomix.tools.check.raw.values import number, some, whole
from robomix.tools.edit.tasks import folded

DEFECTS = defects(
    Defect(
        "K01",
        "task_index without a text",
        Verdict.FAIL,
        Depth.META,
        "Frames have no task: a language-conditioned policy cannot be trained on them, and readers stop.",
        Repair.FLAG,
        "placeholder_tasks",
    ),
    Defect(
        "K02",
        "task table out of order, or numbers with gaps or twice",
        Verdict.FAIL,
        Depth.META,
        "LeRobot takes task_index for the position in the table: frames get the text of another task.",
        Repair.CERTAIN,
    ),
    Defect(
        "K03",
        "task texts that are equal, or nearly so",
        Verdict.INFO,
        Depth.META,
        "One task counts as several: task-balanced sampling and per-task results are off.",
        Repair.FLAG,
        "normalize_tasks",
    ),
    Defect(
        "K04",
        "tasks listed for an episode are not those of its frames",
        Verdict.WARN,
        Depth.FILES,
        "Tools that filter by the list and trainings that read the frames disagree on what an episode shows.",
        Repair.CERTAIN,
    ),
    Defect(
        "K05",
        "tasks that no frame has",
        Verdict.INFO,
        Depth.FILES,
        "Labels may have been collapsed into one, or belong to episodes that are not here.",
    ),
    Defect(
        "K06",
        "subtask or annotation files lost",
        Verdict.WARN,
        Depth.META,
        "Columns of numbers point into a table that is not here: what they mean is lost.",
    ),
)

_PLACEHOLDERS = ("null", "none", "nan", "n/a", "todo", "tbd", "task", "dummy", "placeholder", "unknown", "default")


def texts(raw: RawLeRobot) -> Iterator[Finding]:
    """K01, the table: texts that say something."""
    empty = [index for index, text in raw.tasks if not isinstance(text, str) or not text.strip()]
    vague = [text for _, text in raw.tasks if isinstance(text, str) and text.strip().lower() in _PLACEHOLDERS]
    expected = "a sentence that says what is done"
    if not raw.tasks:
        yield Finding(DEFECTS["K01"], "the task table is empty", expected, mendable=False)
    if empty:
        found = f"{number(len(empty), 'task')} without a text: task_index {some(empty, 8)}"
        yield Finding(DEFECTS["K01"], found, expected)
    if vague:
        found = f"{number(len(vague), 'task')} with a placeholder for a text: {some(map(repr, vague))}"
        yield Finding(DEFECTS["K01"], found, expected, verdict=Verdict.WARN, mendable=False)


def unknown_tasks(raw: RawLeRobot) -> Iterator[Finding]:
    """K01, the frames: each task_index is in the table."""
    used, known = raw.frames["task_index"], sorted(_texts(raw))
    unknown = ~np.isin(used, np.array(known, np.int64))
    if unknown.any():
        episodes, numbers = np.unique(owners(raw)[unknown]), np.unique(used[unknown])
        yield Finding(
            DEFECTS["K01"],
            f"{number(int(unknown.sum()), 'frame')} with a task_index that the task table does not have: "
            f"{some(numbers.tolist(), 8)}",
            f"one of {some(known, 8)}",
            "task_index",
            tuple(episodes.tolist()),
        )


def _texts(raw: RawLeRobot) -> dict[int, object]:
    """Text by task_index, whatever it is; of a number that stands twice, the first."""
    made: dict[int, object] = {}
    for index, text in raw.tasks:
        if (place := whole(index)) is not None:
            made.setdefault(place, text)
    return made


def table(raw: RawLeRobot) -> Iterator[Finding]:
    """K02: the table holds 0 to N - 1, once each; in v3.0, where readers go by position, in this order."""
    indices = [whole(index) for index, _ in raw.tasks]
    found = f"task_index of the table is {some(indices, 8)}"
    if len(set(indices)) < len(indices):
        yield Finding(DEFECTS["K02"], found, "each number once", mendable=False)
    elif raw.layout == "v3" and indices != list(range(len(indices))):
        yield Finding(DEFECTS["K02"], found, f"0 to {len(indices) - 1}, in this order")
    elif None in indices or set(indices) != set(range(len(indices))):
        yield Finding(DEFECTS["K02"], found, f"0 to {len(indices) - 1}", verdict=Verdict.WARN)


def likeness(raw: RawLeRobot) -> Iterator[Finding]:
    """K03: texts that are equal (WARN), or differ only in case, spaces, the final dot or the form of letters."""
    alike: dict[str, list[str]] = defaultdict(list)
    for _, text in raw.tasks:
        if isinstance(text, str) and text.strip():
            alike[folded(text)].append(text)
    for group in alike.values():
        if len(group) > 1:
            equal = len(set(group)) < len(group)
            found = f"{number(len(group), 'task')} say the same: {some(map(repr, group))}"
            yield Finding(DEFECTS["K03"], found, "one number for each task", verdict=Verdict.WARN if equal else None)


def lists(raw: RawLeRobot) -> Iterator[Finding]:
    """K04: the list of each episode against the texts of its frames."""
    known, of, used = _texts(raw), owners(raw), raw.frames["task_index"]
    seen: dict[int, set[object]] = defaultdict(set)
    for episode, task in pairs(of, used):
        if isinstance(known.get(task), str) and str(known[task]).strip():
            seen[episode].add(known[task])
    lacking, beyond = {}, {}
    for episode in sorted(seen.keys() & raw.episode_rows.keys()):
        used_texts, listed = seen[episode], raw.episode_rows[episode].get("tasks")
        said = {text for text in listed if isinstance(text, str)} if isinstance(listed, list) else set()
        if not used_texts <= said:
            have = some(map(repr, used_texts))
            lacking[episode] = f"lists {some(map(repr, sorted(said)))}, and its frames have {have}"
        elif said - used_texts:
            beyond[episode] = f"lists {some(map(repr, sorted(said - used_texts)))} too, which no frame of it has"
    for wrong, verdict in ((lacking, None), (beyond, Verdict.INFO)):
        if wrong and (of_list := number(len(wrong), "episode")):
            episode, what = next(iter(wrong.items()))
            found = f"{of_list} with other tasks in the list than in the frames: episode {episode} {what}"
            yield Finding(DEFECTS["K04"], found, "the texts of its frames", "task_index", tuple(wrong), verdict=verdict)


def unused(raw: RawLeRobot) -> Iterator[Finding]:
    """K05: texts of the table that no frame has."""
    used = set(np.unique(raw.frames["task_index"]).tolist())
    idle = [(index, text) for index, text in _texts(raw).items() if index not in used]
    # Of data that is not all here, nothing of the kind can be said.
    if idle and sum(raw.lengths.values()) == len(raw.frames):
        named = some(f"{index} ({str(text)[:40]!r})" for index, text in idle)
        found = f"no frame has {len(idle)} of {number(len(_texts(raw)), 'task')}: {named}"
        yield Finding(DEFECTS["K05"], found, "tasks that are done", "task_index")


def subtasks(raw: RawLeRobot) -> Iterator[Finding]:
    """K06, as far as one dataset shows it: a column of LeRobot's subtasks without their table."""
    stored = {key for file in raw.data for key in file.schema.names}
    if "subtask_index" in stored and "meta/subtasks.parquet" not in raw.files:
        found = "there is a column 'subtask_index', and no meta/subtasks.parquet"
        yield Finding(DEFECTS["K06"], found, "the table of subtasks", "subtask_index")


FAMILY = Family(
    "tasks",
    DEFECTS,
    (
        Check(("K01",), Depth.META, texts),
        Check(("K01",), Depth.FILES, unknown_tasks),
        Check(("K02",), Depth.META, table),
        Check(("K03",), Depth.META, likeness),
        Check(("K04",), Depth.FILES, lists),
        Check(("K05",), Depth.FILES, unused),
        Check(("K06",), Depth.META, subtasks),
    ),
)
