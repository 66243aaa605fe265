"""Family E, third part: the Parquet files of the rows, as files."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import pyarrow as pa

from robomix.formats.parquet import numpy_type
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.places import data_places, episode_of
from robomix.tools.check.raw.tables import DataFile
from robomix.tools.check.raw.values import mapping, number, some

DEFECTS = defects(
    Defect(
        "E12",
        "data file cannot be read",
        Verdict.FAIL,
        Depth.META,
        "A recorder was killed before it closed the file, or a copy is cut short: no reader can open it.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "E13",
        "row groups are not one per episode",
        Verdict.INFO,
        Depth.META,
        "Reading one episode reads its neighbours too, up to the whole file: readers that load by episode are slow.",
        Repair.CERTAIN,
    ),
    Defect(
        "E14",
        "columns differ between data files",
        Verdict.FAIL,
        Depth.META,
        "The files cannot be joined to one table, or columns are taken for one another by their position.",
        Repair.CERTAIN,
    ),
)


def broken(raw: RawLeRobot) -> Iterator[Finding]:
    """E12: one finding for each kind of reason, without the path that the reader's sentence begins with."""
    kinds: dict[str, dict[str, str]] = defaultdict(dict)
    for name, why in raw.broken_data.items():
        said = why.replace(str(raw.root / name), "").strip().rstrip(".")
        kinds[re.sub(r"\d+", "", said)][name] = said
    for reasons in kinds.values():
        names = list(reasons)
        found = f"{number(len(names), 'data file')} cannot be read ({some(names)}): {reasons[names[0]]}"
        yield Finding(DEFECTS["E12"], found, "Parquet files", episodes=_episodes(raw, set(names)), file=names[0])


def _episodes(raw: RawLeRobot, names: set[str]) -> tuple[int, ...]:
    """The episodes whose rows lie in these files, as far as file names or the list say."""
    by_name = {episode for name in names if (episode := episode_of(name)) is not None}
    try:
        return tuple(sorted(by_name | {place.episode for place in data_places(raw) if place.named in names}))
    except UnverifiableError:
        return tuple(sorted(by_name))


def groups(raw: RawLeRobot) -> Iterator[Finding]:
    """E13: v3.0's files whose row groups are other than the lengths of the episodes they are said to hold."""
    if raw.layout == "v2":
        return
    lengths: dict[str | None, list[int]] = defaultdict(list)
    for place in data_places(raw):
        if raw.lengths[place.episode]:
            lengths[place.named].append(raw.lengths[place.episode])
    files = [file for file in raw.data if lengths[file.name] and sum(lengths[file.name]) == file.num_rows]
    merged = [file for file in files if Counter(file.group_rows) != Counter(lengths[file.name])]
    if merged:
        one = merged[0]
        found = (
            f"{number(len(merged), 'file')} with other row groups than episodes: {one.name} has "
            f"{number(len(one.group_rows), 'row group')} for {number(len(lengths[one.name]), 'episode')}"
        )
        yield Finding(DEFECTS["E13"], found, "a row group for each episode", file=one.name)


def schemas(raw: RawLeRobot) -> Iterator[Finding]:
    """E14: each file against what most files have, and index columns that pandas left behind."""
    if not raw.data:
        return
    shapes = Counter(_columns(file) for file in raw.data)
    usual = dict(shapes.most_common(1)[0][0])
    odd = [file for file in raw.data if _columns(file) != tuple(usual.items())]
    lacking = {key: [f.name for f in odd if key not in f.schema.names] for key in usual}
    for key, names in lacking.items():
        if names:
            found = f"{number(len(names), 'file')} without the column {key!r}, which others have: {some(names)}"
            yield _differs(raw, found, "the same columns in all files", key, names, remedy="drop_episodes")
    types: dict[str, list[str]] = defaultdict(list)
    for file in odd:
        for key, kind in _columns(file):
            if usual.get(key) != kind:
                types[key].append(file.name)
    for key, names in types.items():
        found = f"{number(len(names), 'file')} with {key!r} in another type than most, or alone: {some(names)}"
        yield _differs(raw, found, str(usual.get(key, "no such column")), key, names)
    mixed = [file.name for file in odd if dict(_columns(file)) == usual]
    if mixed:
        found = f"{number(len(mixed), 'file')} with the columns in another order: {some(mixed)}"
        yield _differs(raw, found, some(usual, 20), None, mixed, Verdict.WARN)
    pandas = [file.name for file in raw.data if any(name.startswith("__index_level_") for name in file.schema.names)]
    if pandas:
        found = f"{number(len(pandas), 'file')} with an index column of pandas: {some(pandas)}"
        yield _differs(raw, found, "only the columns of the features", "__index_level_0__", pandas, Verdict.WARN)
    yield from _huggingface(raw)


def _columns(file: DataFile) -> tuple[tuple[str, str], ...]:
    """Names, and what readers make of the types: numbers by their numpy type, whatever kind of list they are in."""
    return tuple((field.name, _kind(field.type)) for field in file.schema)


def _kind(kind: pa.DataType) -> str:
    found = numpy_type(kind)
    return str(kind) if found is None else found.name


def _huggingface(raw: RawLeRobot) -> Iterator[Finding]:
    """E14: files whose columns Hugging Face datasets would read as different types (List and Sequence, above all)."""
    described = {file.name: huggingface_features(file) for file in raw.data}
    seen = Counter(json.dumps(_types(found), sort_keys=True) for found in described.values())
    if len(seen) > 1:
        usual = seen.most_common(1)[0][0]
        odd = [name for name, found in described.items() if json.dumps(_types(found), sort_keys=True) != usual]
        found = f"{number(len(odd), 'file')} described to Hugging Face datasets otherwise than most: {some(odd)}"
        yield _differs(raw, found, "one description, such as Sequence in all files", None, odd, Verdict.WARN)


def huggingface_features(file: DataFile) -> Mapping[str, object]:
    """The types of the columns as the file tells them to Hugging Face datasets; empty where it does not."""
    text = (file.schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return mapping(mapping(mapping(found).get("info")).get("features"))


def _types(features: Mapping[str, object]) -> dict[str, object]:
    return {key: mapping(kind).get("_type") for key, kind in features.items()}


def _differs(
    raw: RawLeRobot,
    found: str,
    expected: str,
    key: str | None,
    names: list[str],
    verdict: Verdict | None = None,
    remedy: str | None = None,
) -> Finding:
    episodes = _episodes(raw, set(names))
    return Finding(DEFECTS["E14"], found, expected, key, episodes, names[0], verdict, remedy=remedy)


FAMILY = Family(
    "tables",
    DEFECTS,
    (
        Check(("E12",), Depth.META, broken),
        Check(("E13",), Depth.META, groups),
        Check(("E14",), Depth.META, schemas),
    ),
)
