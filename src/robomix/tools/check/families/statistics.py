"""Family A, first part: the statistics that a dataset carries, taken by themselves."""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import numpy as np

from robomix.features import BOOKKEEPING
from robomix.summaries import QUANTILES
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.carried import EACH, WHOLE, Table, each_table, stored
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.padding import padding_columns
from robomix.tools.check.raw.places import videos_of
from robomix.tools.check.raw.values import some, whole

DEFECTS = defects(
    Defect(
        "A01",
        "statistics missing, or of another size or count",
        Verdict.WARN,
        Depth.META,
        "Trainings that normalize by the stored statistics stop, or normalize with another feature's numbers. robomix "
        "computes its own.",
        Repair.CERTAIN,
    ),
    Defect(
        "A04",
        "quantiles missing, out of order or out of bounds",
        Verdict.WARN,
        Depth.META,
        "Policies that normalize by q01 and q99 squeeze or clip actions. Whether quantiles of the whole are those of "
        "all frames is not judged: LeRobot's own are averages over episodes.",
        Repair.CERTAIN,
    ),
    Defect(
        "A05",
        "picture statistics are not of values from 0 to 1",
        Verdict.WARN,
        Depth.META,
        "Pictures normalized with them come out almost black or far out of range.",
        Repair.CERTAIN,
    ),
    Defect(
        "A06",
        "statistics of relative actions missing",
        Verdict.INFO,
        Depth.META,
        "A policy of actions relative to the state needs statistics of these, which no LeRobot dataset stores: robomix "
        "computes them, and so this is never found.",
    ),
)


def _files(raw: RawLeRobot) -> dict[str, str]:
    """Where the version keeps the statistics of WHOLE and EACH; of those that it demands."""
    whole, each = {WHOLE: "meta/stats.json"}, {EACH: "meta/episodes_stats.jsonl"}
    if raw.layout == "v3" or raw.version == "v2.0":
        return whole
    # Of v2.x that does not say which, either will do.
    return each if raw.version == "v2.1" or each[EACH] in raw.files else whole


def presence(raw: RawLeRobot) -> Iterator[Finding]:
    """A01: the version's file is there and can be read, with an entry for each feature."""
    for of, file in _files(raw).items():
        try:
            _, tables = stored(raw, of)
        except UnverifiableError:
            yield _a01(f"{file} {raw.problem_of(file) or 'cannot be read'}", f"statistics of {of}", None, file)
            continue
        stored_keys = {key for file in raw.data for key in file.schema.names}
        there = [key for key in raw.features if key in stored_keys or (key in raw.cameras and videos_of(raw, key))]
        masks = {mask for names in padding_columns(raw).values() for mask in names}
        declared = {key: raw.features[key].get("dtype") for key in there if key not in masks.union(BOOKKEEPING)}
        lacking = [key for key in declared if not {"mean", "std", "min", "max"} <= set(tables.get(key, {}))]
        numbers = [key for key in lacking if declared[key] not in ("video", "image", "string", "language", "binary")]
        cameras = [key for key in lacking if declared[key] in ("video", "image")]
        for keys, verdict in ((numbers, None), (cameras, Verdict.INFO)):
            if keys:
                found = f"no mean, std, min and max of {some(keys, 8)} in {file}"
                yield _a01(found, "statistics of each feature", keys[0], file, verdict)


def sizes(raw: RawLeRobot) -> Iterator[Finding]:
    """A01: as many numbers as the feature has entries, all finite; count is the episode's length."""
    for of, ids, key, table in each_table(raw):
        spec = raw.features.get(key)
        if spec is None:
            continue
        widths, moments = _widths(spec), {name: value for name, value in table.items() if name != "count"}
        wrong = [name for name, value in moments.items() if widths and value.shape[1] not in widths]
        if wrong:
            found = f"{some(wrong)} of {key!r} for {of} have {moments[wrong[0]].shape[1]} numbers"
            yield _a01(found, " or ".join(map(str, widths)), key)
            continue
        for name, value in moments.items():
            bad = ~np.isfinite(value).all(axis=1)
            bad &= np.ones(len(bad), bool) if ids is None else np.array([raw.lengths.get(int(i), 1) != 0 for i in ids])
            if bad.any():
                found = f"{name} of {key!r} for {of} is missing, or no finite number"
                yield _a01(found, "finite numbers", key, episodes=_of(ids, bad))
        if table.get("count", np.zeros((0, 0))).shape[1] == 1 and spec.get("dtype") not in ("video", "image"):
            yield from _counts(raw, of, ids, key, table["count"])


def _counts(raw: RawLeRobot, of: str, ids: np.ndarray | None, key: str, count: np.ndarray) -> Iterator[Finding]:
    lengths, rows = raw.lengths, sum(file.num_rows for file in raw.data)
    if sum(lengths.values()) != rows:
        return  # the lengths are not to be trusted: E04, or files are missing
    if ids is None:
        right = np.array([[rows]], np.float64)
    else:
        right = np.array([[lengths.get(int(i), -1)] for i in ids], np.float64)
    few = (count >= 1) & (count < right) if key in padding_columns(raw) else np.zeros(count.shape, bool)
    wrong = ((right > 0) & (count != right) & ~few).any(axis=1)
    if wrong.any():
        i = int(wrong.argmax())
        found = f"count of {key!r} for {of} is {count[i, 0]:g}"
        yield _a01(found, f"{right[i, 0]:g}, the number of frames", key, episodes=_of(ids, wrong))


def _widths(spec: Mapping[str, object]) -> tuple[int, ...]:
    """How many numbers a statistic of the feature may have; none where the declaration does not tell.

    Of a feature of two dimensions or more LeRobot counts all but the last together: (3, 4) has 4 numbers.
    """
    shape = spec.get("shape")
    if not isinstance(shape, list) or not all(whole(n) is not None for n in shape):
        return ()
    if spec.get("dtype") in ("video", "image"):
        return (3,) if len(shape) == 3 and 3 in (shape[0], shape[2]) else ()
    return tuple(dict.fromkeys((math.prod(shape), *shape[1:][-1:])))


def _of(ids: np.ndarray | None, rows: np.ndarray) -> tuple[int, ...]:
    return () if ids is None else tuple(ids[rows].tolist())


def _a01(
    found: str,
    expected: str,
    key: str | None,
    file: str | None = None,
    verdict: Verdict | None = None,
    episodes: tuple[int, ...] = (),
) -> Finding:
    return Finding(DEFECTS["A01"], found, expected, key, episodes, file, verdict)


def quantiles(raw: RawLeRobot) -> Iterator[Finding]:
    """A04: all features have them or none, rising, within minimum and maximum; and no envelopes of a merge."""
    have: dict[str, dict[str, set[str]]] = {WHOLE: {}, EACH: {}}
    for of, ids, key, table in each_table(raw):
        if key not in raw.features or raw.features[key].get("dtype") in ("video", "image"):
            continue
        names = [name for name in QUANTILES if name in table]
        if key not in BOOKKEEPING:
            have[of][key] = set(names)
        yield from _disorder(of, ids, key, table, [name for name in ("min", *names, "max") if name in table])
    for of, by_key in have.items():
        every = set().union(*by_key.values())
        keys = [key for key, names in by_key.items() if names != every]
        if keys:
            found = f"{some(sorted(every), 9)} for {of} are missing for {some(keys, 8)}"
            yield Finding(DEFECTS["A04"], found, "quantiles of all features, or of none", keys[0])
    yield from _envelopes(raw)


def _disorder(of: str, ids: np.ndarray | None, key: str, table: Table, names: list[str]) -> Iterator[Finding]:
    """Between minimum and maximum, which a histogram may miss by a little."""
    if len(names) < 3 or len({table[name].shape for name in names}) > 1:
        return
    span = np.abs(table[names[-1]] - table[names[0]]) + 1
    for low, high in pairwise(names):
        wrong = (table[low] > table[high] + 1e-6 * span).any(axis=1)
        if wrong.any():
            found = f"{low} of {key!r} for {of} is above its {high}"
            yield Finding(DEFECTS["A04"], found, f"{some(names, 9)} in rising order", key, _of(ids, wrong))
            return


def _envelopes(raw: RawLeRobot) -> Iterator[Finding]:
    """Medians that are the smallest of the episodes' medians: the mark of merges that pool quantiles by min and max."""
    try:
        (_, tables), (_, of_each) = stored(raw, WHOLE), stored(raw, EACH)
    except UnverifiableError:
        return
    for key, table in tables.items():
        own, each = table.get("q50"), of_each.get(key, {}).get("q50")
        if own is None or each is None or key in BOOKKEEPING or own.shape[1] != each.shape[1] or not len(each):
            continue
        varies = each.max(axis=0) > each.min(axis=0)
        if varies.any() and np.array_equal(own[0][varies], each.min(axis=0)[varies]):
            found = f"the median of {key!r} for {WHOLE} is the smallest median of its episodes"
            yield Finding(DEFECTS["A04"], found, "the median of all frames", key, verdict=Verdict.INFO)


def pictures(raw: RawLeRobot) -> Iterator[Finding]:
    """A05: of pixels from 0 to 1, where std is at most 0.5 and mean lies between minimum and maximum."""
    tests: tuple[tuple[str, Callable[[Table], np.ndarray]], ...] = (
        ("values beyond 1, as of pixels from 0 to 255", lambda table: table["max"] > 1.001),
        ("a deviation above 0.5, which values from 0 to 1 cannot have", lambda table: table["std"] > 0.501),
        ("a mean below its minimum or above its maximum",
         lambda table: (table["mean"] < table["min"] - 1e-3) | (table["mean"] > table["max"] + 1e-3)),
    )  # fmt: skip
    for of, ids, key, table in each_table(raw):
        spec = raw.features.get(key, {})
        if spec.get("dtype") not in ("video", "image") or not {"min", "max", "mean", "std"} <= set(table):
            continue
        if len({table[name].shape for name in ("min", "max", "mean", "std")}) > 1:
            continue
        for what, test in tests:
            wrong = np.any(test(table), axis=1)
            if wrong.any():
                found = f"the statistics of {key!r} for {of} have {what}"
                yield Finding(DEFECTS["A05"], found, "pixels from 0 to 1", key, _of(ids, wrong))
                break


FAMILY = Family(
    "statistics",
    DEFECTS,
    (
        Check(("A01",), Depth.META, presence),
        Check(("A01",), Depth.META, sizes),
        Check(("A04",), Depth.META, quantiles),
        Check(("A05",), Depth.META, pictures),
    ),
)
