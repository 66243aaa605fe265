"""Family A, second part: the statistics that a dataset carries against each other, and against its numbers.

Tolerances: minimum and maximum are exact but for the rounding of float32; mean and deviation may be 2 % of the
deviation off, and deviations a thousandth of the largest value, which is what sums in float32 lose.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from robomix.features import BOOKKEEPING
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.carried import EACH, WHOLE, Table, stored
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.moments import Moments, moments, pool
from robomix.tools.check.raw.values import number, some

DEFECTS = defects(
    Defect(
        "A02",
        "statistics are not those of the data",
        Verdict.WARN,
        Depth.FILES,
        "Trainings that normalize by them see values that are off or clipped. robomix computes its own.",
        Repair.CERTAIN,
    ),
    Defect(
        "A03",
        "statistics of the whole do not follow from those of the episodes",
        Verdict.WARN,
        Depth.META,
        "Tools that pool the episodes' statistics after an edit bring back numbers that had been mended.",
        Repair.CERTAIN,
    ),
)
SLACK = 0.02
_NAMES = ("min", "max", "mean", "std")


def against_data(raw: RawLeRobot) -> Iterator[Finding]:
    """A02: of each column of numbers, for the whole and for each episode."""
    tables = {}
    for of in (WHOLE, EACH):
        try:
            tables[of] = stored(raw, of)
        except UnverifiableError:
            continue
    keys = [key for key in raw.features if any(key in found for _, found in tables.values())]
    real = moments(raw, [key for key in keys if raw.features[key].get("dtype") not in ("video", "image")])
    rows = sum(raw.lengths.values())
    for of, (ids, found) in tables.items():
        wrong: dict[str, tuple[str, np.ndarray]] = {}
        for key, data in real.items():
            if key in found and ids is not None:
                at, data = _matched(ids, data)
                verdict = disagreement({name: value[at] for name, value in found[key].items()}, data)
                if verdict is not None:
                    wrong[key] = verdict[0], ids[at][verdict[1]]
            elif key in found and data.count.sum() == rows:
                verdict = disagreement(found[key], data.total)
                if verdict is not None:
                    wrong[key] = verdict[0], np.zeros(0, np.int64)
        yield from _findings("A02", of, wrong, "those of the data")


def _matched(ids: np.ndarray, data: Moments) -> tuple[np.ndarray, Moments]:
    """The rows of statistics whose episodes have data, and the data's moments in their order."""
    rows = np.flatnonzero(np.isin(ids, data.ids))
    at = np.searchsorted(data.ids, ids[rows])
    return rows, Moments(*(getattr(data, name)[at] for name in Moments.__dataclass_fields__))


def disagreement(table: Table, data: Moments) -> tuple[str, np.ndarray] | None:
    """What of a feature's statistics (R, D) is not so in `data`, and in which rows (R,); None: all is.

    Statistics of another width are not compared: A01 tells of them, or LeRobot has put rows of a matrix together.
    """
    real = dict(zip(_NAMES, (data.low, data.high, data.mean, data.std), strict=True))
    sound = np.isfinite(data.low) & np.isfinite(data.high)
    size = np.maximum(np.abs(data.low), np.abs(data.high))
    # A deviation over n - 1 instead of n is as good.
    sample = data.std * np.sqrt(data.count / np.maximum(data.count - 1, 1))
    slack = {
        "min": 1e-5 * size + 1e-6,
        "max": 1e-5 * size + 1e-6,
        "mean": SLACK * data.std + 1e-3 * size + 1e-6,
        "std": SLACK * data.std + (sample - data.std) + 1e-3 * size + 1e-6,
    }
    for name in _NAMES:
        if name in table and table[name].shape == real[name].shape and np.isfinite(table[name]).any():
            wrong = sound & (np.abs(table[name] - real[name]) > slack[name])
            if wrong.any():
                r, d = np.argwhere(wrong)[0]
                return f"{name} of entry {d} is {table[name][r, d]:g}, not {real[name][r, d]:g}", wrong.any(axis=1)
    return None


def against_each_other(raw: RawLeRobot) -> Iterator[Finding]:
    """A03: the episodes' statistics, pooled, are those of the whole. Where only one of them is there, nothing is."""
    try:
        (_, of_whole), (ids, of_each) = stored(raw, WHOLE), stored(raw, EACH)
    except UnverifiableError:
        return
    assert ids is not None
    lengths = np.array([[raw.lengths.get(int(i), 0)] for i in ids], np.float64)
    if not len(ids) or sorted(ids.tolist()) != sorted(raw.lengths) or (lengths <= 0).any():
        return  # those of other episodes do not add up to the whole
    distrusted = lengths.sum() != sum(file.num_rows for file in raw.data)
    wrong = {}
    for key, table in of_whole.items():
        each = of_each.get(key, {})
        if raw.features.get(key, {}).get("dtype") in ("video", "image") or not set(_NAMES) <= set(each):
            continue
        if len({each[name].shape for name in _NAMES}) == 1:
            low, high, mean, std = (each[name] for name in _NAMES)
            counted = each.get("count", lengths)
            count = counted if distrusted and counted.shape == lengths.shape else lengths
            verdict = disagreement(table, pool(Moments(ids, count, low, high, mean, std)))
            if verdict is not None:
                wrong[key] = verdict[0], np.zeros(0, np.int64)
    yield from _findings("A03", WHOLE, wrong, "those that follow from the statistics of the episodes")


def _findings(id: str, of: str, wrong: dict[str, tuple[str, np.ndarray]], expected: str) -> Iterator[Finding]:
    """One finding for features, and one, that no training minds, for the columns of bookkeeping."""
    groups: dict[bool, list[str]] = defaultdict(list)
    for key in wrong:
        groups[key in BOOKKEEPING].append(key)
    for bookkeeping, keys in groups.items():
        episodes = sorted({int(episode) for key in keys for episode in wrong[key][1]})
        found = f"the statistics of {number(len(keys), 'feature')} for {of} are off ({some(keys)}): {keys[0]!r}, "
        found += wrong[keys[0]][0]
        verdict = Verdict.INFO if bookkeeping else None
        yield Finding(DEFECTS[id], found, expected, keys[0], tuple(episodes), verdict=verdict)


FAMILY = Family(
    "agreement",
    DEFECTS,
    (
        Check(("A02",), Depth.FILES, against_data),
        Check(("A03",), Depth.META, against_each_other),
    ),
)
