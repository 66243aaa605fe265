"""Family E, first part: the list of episodes, and whether files and list are about the same ones."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.lerobot import INFO, RawLeRobot
from robomix.tools.check.raw.owners import owners
from robomix.tools.check.raw.places import by_episode, data_places, videos_of
from robomix.tools.check.raw.values import number, some, whole

DEFECTS = defects(
    Defect(
        "E01",
        "episode numbers doubled or with gaps",
        Verdict.FAIL,
        Depth.META,
        "LeRobot takes the number for the position in the list: later episodes get the data and videos of others.",
        Repair.CERTAIN,
    ),
    Defect(
        "E02",
        "listed episode without data",
        Verdict.FAIL,
        Depth.META,
        "A training that draws the episode stops; counts and weights of the dataset are too high.",
        Repair.CERTAIN,
    ),
    Defect(
        "E03",
        "data of an episode that is not listed",
        Verdict.FAIL,
        Depth.META,
        "The episode is never trained on, or shifts those behind it, depending on the reader.",
        Repair.CERTAIN,
    ),
    Defect(
        "E05",
        "dataset_from_index and dataset_to_index wrong",
        Verdict.FAIL,
        Depth.META,
        "LeRobot finds an episode's rows by them: windows of actions reach into other episodes.",
        Repair.CERTAIN,
    ),
    Defect(
        "E10",
        "empty episode, or one of a single frame",
        Verdict.WARN,
        Depth.META,
        "There is nothing to learn from it: every action chunk is padding, and some readers stop at it.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "E11",
        "info.json ahead of the list of episodes",
        Verdict.FAIL,
        Depth.META,
        "A recorder was killed: what it recorded last is lost, and episodes recorded later get the videos of others.",
        Repair.FLAG,
        "keep_verified_prefix",
    ),
)


def numbering(raw: RawLeRobot) -> Iterator[Finding]:
    """E01: the episodes are 0 to N - 1, once each; in v3.0, whose readers go by position, in this order."""
    indices = [index for row in raw.episodes if (index := whole(row.get("episode_index"))) is not None]
    doubled = tuple(sorted(index for index, count in Counter(indices).items() if count > 1))
    if doubled:
        found = f"{number(len(doubled), 'episode')} listed more than once: {some(doubled)}"
        rows = {index: [row for row in raw.episodes if row.get("episode_index") == index] for index in doubled}
        equal = all(row == copies[0] for copies in rows.values() for row in copies)
        yield Finding(DEFECTS["E01"], found, "each episode once", episodes=doubled, mendable=equal)
    present = set(indices)
    away = tuple(sorted(index for index in present if not 0 <= index < len(present)))
    if away:
        found = f"{number(len(present), 'episode')} with numbers up to {max(present)}; beyond the count: {some(away)}"
        yield Finding(DEFECTS["E01"], found, f"the numbers 0 to {len(present) - 1}", episodes=away)
    elif raw.layout == "v3" and not doubled and indices != sorted(indices):
        moved = tuple(index for position, index in enumerate(indices) if index != position)
        found = f"the list has the episodes in another order than their numbers: {some(indices, 8)}"
        yield Finding(DEFECTS["E01"], found, "rising order, without which position is not number", episodes=moved)


def listed_in_vain(raw: RawLeRobot) -> Iterator[Finding]:
    """E02 in v2.x: episodes of which there is no file."""
    if raw.layout == "v2" and raw.data_names:
        names = [*raw.data_names, *(name for key in raw.cameras for name in videos_of(raw, key))]
        there = by_episode(names)
        listed = [index for index, length in raw.lengths.items() if length != 0]
        yield from _in_vain([index for index in listed if index not in there], "has a file")


def listed_without_rows(raw: RawLeRobot) -> Iterator[Finding]:
    """E02 in v3.0: episodes of which the data file they name, which can be read, has no row, nor has any other."""
    if raw.layout == "v3":
        held = set(np.unique(owners(raw)).tolist())
        readable = {file.name for file in raw.data}
        lacking = {index for index, length in raw.lengths.items() if length != 0 and index not in held}
        named = {place.episode for place in data_places(raw) if place.named in readable}
        yield from _in_vain(sorted(lacking & named), "has a row")


def _in_vain(episodes: Sequence[int], what: str) -> Iterator[Finding]:
    if episodes:
        found = f"the list has {number(len(episodes), 'episode')} of which nothing {what}: {some(episodes, 8)}"
        yield Finding(DEFECTS["E02"], found, "only episodes that were recorded", episodes=tuple(episodes))


def unlisted_files(raw: RawLeRobot) -> Iterator[Finding]:
    """E03 in v2.x: data files named after episodes that the list does not have."""
    if raw.layout == "v2":
        listed = raw.episode_rows
        there = {index: names[0] for index, names in by_episode(raw.data_names).items() if index not in listed}
        if there:
            found = f"{number(len(there), 'data file')} of episodes that are not listed: {some(there.values())}"
            yield _unlisted(found, sorted(there), next(iter(there.values())))


def unlisted_rows(raw: RawLeRobot) -> Iterator[Finding]:
    """E03 in v3.0: rows of episodes that the list does not have."""
    if raw.layout == "v3":
        of, listed = owners(raw), raw.episode_rows
        strange = [index for index in np.unique(of).tolist() if index not in listed]
        if strange:
            rows = np.isin(of, strange)
            file = raw.frames.files[int(raw.frames.file_of[rows.argmax()])].name
            found = f"{number(int(rows.sum()), 'row')} of episodes that are not listed: {some(strange, 8)}"
            yield _unlisted(found, strange, file)


def _unlisted(found: str, episodes: Sequence[int], file: str) -> Finding:
    return Finding(DEFECTS["E03"], found, "a listed episode for all data", episodes=tuple(episodes), file=file)


def bounds(raw: RawLeRobot) -> Iterator[Finding]:
    """E05: v3.0's bounds of each episode follow each other from 0 to the last row.

    A length that contradicts bounds which fit the data is E04's.
    """
    if raw.layout == "v2" or not raw.episode_rows:
        return
    ids = np.array(list(raw.episode_rows))
    named = ("dataset_from_index", "dataset_to_index")
    found = [[whole(row.get(key)) for row in raw.episode_rows.values()] for key in named]
    first, last = (np.array([-1 if value is None else value for value in values]) for values in found)
    wrong = (first < 0) | (last < first)
    wrong[0] |= first[0] != 0
    wrong[1:] |= first[1:] != last[:-1]
    lengths = np.array(list(raw.lengths.values()))
    readable = {file.name for file in raw.data}
    whole_data = not raw.broken_data and all(place.named in readable for place in data_places(raw) if place.complete)
    rows = sum(file.num_rows for file in raw.data)
    if not whole_data or lengths.sum() == rows:
        wrong |= last - first != lengths
    elif not wrong.any():
        wrong[-1] |= last[-1] != rows
    if wrong.any():
        i = int(wrong.argmax())
        yield Finding(
            DEFECTS["E05"],
            f"bounds of {number(int(wrong.sum()), 'episode')} do not fit: episode {ids[i]} of length {lengths[i]} "
            f"has rows {found[0][i]} to {found[1][i]}",
            "bounds that begin at 0, follow each other, and are apart by the length",
            episodes=tuple(ids[wrong].tolist()),
            file=raw.episode_files[0],
        )


def short(raw: RawLeRobot) -> Iterator[Finding]:
    """E10: episodes of no frame, or of one."""
    for length, verdict in ((0, None), (1, Verdict.INFO)):
        episodes = tuple(index for index, found in raw.lengths.items() if found == length)
        if episodes:
            found = f"{number(len(episodes), 'episode')} of {number(length, 'frame')}: {some(episodes, 8)}"
            yield Finding(DEFECTS["E10"], found, "two frames or more", episodes=episodes, verdict=verdict)


def killed(raw: RawLeRobot) -> Iterator[Finding]:
    """E11: info.json counts more than is listed, and more than the files hold."""
    episodes, frames = (whole(raw.info.get(key)) for key in ("total_episodes", "total_frames"))
    lengths = [length for length in raw.lengths.values() if length > 0]
    held = sum(file.num_rows for file in raw.data)
    if episodes is None or frames is None or episodes <= len(raw.lengths) or frames <= max(sum(lengths), held):
        return
    found = (
        f"{INFO} counts {episodes:,} episodes of {frames:,} frames, the list has {len(raw.lengths):,} of "
        f"{sum(lengths):,}, and the data files hold {held:,} rows"
    )
    yield Finding(DEFECTS["E11"], found, "the same everywhere", file=INFO)


FAMILY = Family(
    "episodes",
    DEFECTS,
    (
        Check(("E01",), Depth.META, numbering),
        Check(("E02",), Depth.META, listed_in_vain),
        Check(("E02",), Depth.FILES, listed_without_rows),
        Check(("E03",), Depth.META, unlisted_files),
        Check(("E03",), Depth.FILES, unlisted_rows),
        Check(("E05",), Depth.META, bounds),
        Check(("E10",), Depth.META, short),
        Check(("E11",), Depth.META, killed),
    ),
)
