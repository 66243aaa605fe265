"""Family E, second part: the rows of the data files against the list of episodes."""

from collections.abc import Iterator

import numpy as np

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.owners import owners, pairs
from robomix.tools.check.raw.places import astray, data_places
from robomix.tools.check.raw.values import number, some

DEFECTS = defects(
    Defect(
        "E04",
        "length is not the number of rows",
        Verdict.FAIL,
        Depth.FILES,
        "All episodes behind it are found at the wrong rows, or windows reach into the next episode.",
        Repair.CERTAIN,
    ),
    Defect(
        "E06",
        "data/file_index stale",
        Verdict.FAIL,
        Depth.FILES,
        "Tools that load an episode by its file, such as downloads of a few episodes, get another or none.",
        Repair.CERTAIN,
    ),
    Defect(
        "E07",
        "episode_index wrong within an episode",
        Verdict.FAIL,
        Depth.FILES,
        "Rows are trained on as part of another episode: chunks of actions mix two recordings.",
        Repair.CERTAIN,
    ),
    Defect(
        "E08",
        "frame_index or index wrong",
        Verdict.FAIL,
        Depth.FILES,
        "Readers that count by these columns pair a row with the video frame or the actions of another.",
        Repair.CERTAIN,
    ),
    Defect(
        "E09",
        "rows of an episode apart or out of order",
        Verdict.FAIL,
        Depth.FILES,
        "Readers that take an episode for a range of rows, as LeRobot does, learn from jumps in time.",
        Repair.FLAG,
        "repack",
    ),
)
_SHOWN = 8


def _tuple(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in np.unique(values))


def lengths(raw: RawLeRobot) -> Iterator[Finding]:
    """E04: of episodes that are listed and have rows."""
    ids, counts = np.unique(owners(raw), return_counts=True)
    listed = raw.lengths
    there = [(i, n, listed[i]) for i, n in zip(ids.tolist(), counts.tolist(), strict=True) if i in listed]
    wrong = [(index, rows, length) for index, rows, length in there if rows != length]
    if wrong:
        index, rows, length = wrong[0]
        said = "none" if length < 0 else f"{length:,}"
        yield Finding(
            DEFECTS["E04"],
            f"{number(len(wrong), 'episode')} with another length than rows: episode {index} has {number(rows, 'row')} "
            f"and length {said}",
            "equal ones",
            episodes=tuple(index for index, _, _ in wrong),
        )


def files(raw: RawLeRobot) -> Iterator[Finding]:
    """E06: v3.0's episodes whose rows lie in another file than the list says."""
    if raw.layout == "v2":
        return
    names = [file.name for file in raw.frames.files]
    lies: dict[int, set[str]] = {}
    for index, file in pairs(owners(raw), raw.frames.file_of):
        lies.setdefault(index, set()).add(names[file])
    every = data_places(raw)
    if astray(raw, "data_path", every, raw.data_names):
        return  # the template is to blame: S08
    places = [place for place in every if place.complete and place.episode in lies]
    stale = [place for place in places if place.named is not None and place.named not in lies[place.episode]]
    if stale:
        one = stale[0]
        yield Finding(
            DEFECTS["E06"],
            f"the rows of {number(len(stale), 'episode')} are not in the file that the list names: episode "
            f"{one.episode} lies in {some(sorted(lies[one.episode]))}, not in {one.named}",
            "the file in which the rows lie",
            episodes=tuple(place.episode for place in stale),
            file=raw.episode_files[0],
        )


def ownership(raw: RawLeRobot) -> Iterator[Finding]:
    """E07: rows whose episode_index is not that of the episode they lie in."""
    of, stored = owners(raw), raw.frames["episode_index"]
    wrong = of != stored
    if wrong.any():
        i = int(wrong.argmax())
        yield Finding(
            DEFECTS["E07"],
            f"{number(int(wrong.sum()), 'row')} with the episode_index of another episode: one of episode {of[i]} "
            f"has {stored[i]}",
            "the number of the episode the rows lie in",
            episodes=_tuple(of[wrong]),
            file=raw.frames.files[int(raw.frames.file_of[i])].name,
        )


def counters(raw: RawLeRobot) -> Iterator[Finding]:
    """E08: within each episode frame_index has 0 to n - 1, and over the dataset index has 0 to N - 1, once each."""
    of, columns = owners(raw), raw.frames.columns
    if "frame_index" in columns:
        owner, found = _sorted(of, columns["frame_index"])
        first = np.concatenate([[True], owner[1:] != owner[:-1]]) if len(owner) else np.zeros(0, bool)
        starts = np.flatnonzero(first)
        counted = np.arange(len(owner)) - np.repeat(starts, np.diff([*starts, len(owner)]))
        wrong = found != counted
        if wrong.any():
            i = int(wrong.argmax())
            said = f"where {counted[i]} is expected, episode {owner[i]} has {found[i]}"
            yield _counter("frame_index", said, "each of 0 to n - 1 once in an episode of n rows", owner[wrong])
    if "index" in columns:
        order = np.argsort(columns["index"], kind="stable")
        found = columns["index"][order]
        whole_data = sum(raw.lengths.values()) == len(found)
        # Where rows are missing, gaps are no fault of this column.
        wrong = found != np.arange(len(found)) if whole_data else np.diff(found, prepend=-1) <= 0
        if wrong.any():
            i = int(wrong.argmax())
            said = f"where {i} is expected, there is {found[i]}" if whole_data else f"{found[i]} stands twice"
            yield _counter("index", said, f"each of 0 to {len(order) - 1} once", of[order][wrong])


def _sorted(of: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both columns, by `of` and within it by `values`; as they are where they are so already, which is far faster."""
    if ((of[1:] > of[:-1]) | ((of[1:] == of[:-1]) & (values[1:] >= values[:-1]))).all():
        return of, values
    order = np.lexsort((values, of))
    return of[order], values[order]


def _counter(key: str, said: str, expected: str, episodes: np.ndarray) -> Finding:
    found = f"{key} is wrong in {number(len(episodes), 'row')}: {said}"
    return Finding(DEFECTS["E08"], found, expected, key, _tuple(episodes))


def order(raw: RawLeRobot) -> Iterator[Finding]:
    """E09: the rows of each episode lie together, in one file, in the order of frame_index."""
    of, frames = owners(raw), raw.frames
    if not len(of):
        return
    cut = (of[1:] != of[:-1]) | (frames.file_of[1:] != frames.file_of[:-1])
    begins = of[np.concatenate([[True], cut])]
    ids, runs = np.unique(begins, return_counts=True)
    if (runs > 1).any():
        apart = ids[runs > 1]
        found = f"rows of {number(len(apart), 'episode')} lie in several places: {some(apart.tolist(), _SHOWN)}"
        yield Finding(DEFECTS["E09"], found, "one stretch of rows in one file", episodes=_tuple(apart))
    if "frame_index" in frames.columns:
        back = ~cut & (np.diff(frames["frame_index"]) < 0)
        if back.any():
            episodes = _tuple(of[1:][back])
            found = f"frame_index goes back within {number(len(episodes), 'episode')}: {some(episodes, _SHOWN)}"
            yield Finding(DEFECTS["E09"], found, "rows in the order of frame_index", "frame_index", episodes)


FAMILY = Family(
    "rows",
    DEFECTS,
    (
        Check(("E04",), Depth.FILES, lengths),
        Check(("E06",), Depth.FILES, files),
        Check(("E07",), Depth.FILES, ownership),
        Check(("E08",), Depth.FILES, counters),
        Check(("E09",), Depth.FILES, order),
    ),
)
