"""Family S, first part: the files of metadata, and the version."""

import re
from collections.abc import Iterator
from pathlib import Path

from robomix.formats.lerobot.info import READABLE
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import INFO, RawLeRobot
from robomix.tools.check.raw.other import is_other
from robomix.tools.check.raw.values import some, whole

DEFECTS = defects(
    Defect(
        "S01",
        "metadata missing or unreadable",
        Verdict.FAIL,
        Depth.META,
        "No reader can open the dataset, or each fills the gap with a guess of its own.",
        Repair.CERTAIN,
    ),
    Defect(
        "S02",
        "version unknown or not that of the files",
        Verdict.FAIL,
        Depth.META,
        "Readers choose how to read by the version: they look for files that are not there, and stop.",
        Repair.CERTAIN,
    ),
    Defect(
        "S03",
        "version tag on the Hub missing or stale",
        Verdict.WARN,
        Depth.META,
        "LeRobot downloads by the tag of its version and gets nothing, or old files. Lies on the Hub and so is never "
        "found in a folder.",
    ),
)

_NEEDED_BY_V2 = ("chunks_size", "data_path", "video_path")


def metadata_files(raw: RawLeRobot) -> Iterator[Finding]:
    """S01: the files of metadata are there, can be read, and have what nothing can replace."""
    if problem := raw.problem_of(INFO):
        why = _instead(raw.root)
        found = f"{INFO} {_without_path(problem, raw)}{why}"
        yield _s01(INFO, found, "the file that makes a folder a LeRobot dataset", mendable=False)
        return
    yield from _keys_of_info(raw)
    for name in _tables(raw):
        if problem := raw.problem_of(name):
            found = f"{name} {_without_path(problem, raw)}"
            # What the rows tell can be listed again; a file that is there but cannot be read may hold more.
            derivable = name not in raw.files and bool(raw.data)
            remedy = None if "episodes" in name else "placeholder_tasks"
            expected = "a file that lists the episodes or tasks"
            yield _s01(name, found, expected, mendable=derivable, remedy=remedy)
    try:
        rows = raw.episodes
    except UnverifiableError:
        return
    for key in ("episode_index", "length"):
        lacking = sum(whole(row.get(key)) is None for row in rows)
        if lacking:
            what = f"{lacking} of {len(rows)} entries of the list of episodes have no whole number {key!r}"
            yield _s01(_tables(raw)[0], what, "both in each entry")


def _instead(root: Path) -> str:
    """What to look at instead of a folder that is no dataset."""
    entries = sorted(root.iterdir()) if root.is_dir() else []
    near = [entry.name for entry in entries if (entry / INFO).is_file() or is_other(entry)]
    return f", but {near[0]} in this folder is a dataset" if near else "" if entries else "; the folder is empty"


def _keys_of_info(raw: RawLeRobot) -> Iterator[Finding]:
    try:
        info = raw.info
    except UnverifiableError as reason:
        yield _s01(INFO, str(reason), "a JSON object", mendable=False)
        return
    features = info.get("features")
    if not isinstance(features, dict) or not features or not all(isinstance(spec, dict) for spec in features.values()):
        found = f"{INFO} declares no features"
        yield _s01(INFO, found, "an object `features` of keys with dtype and shape", mendable=False)
        return
    has_videos = any(spec.get("dtype") == "video" for spec in features.values())
    lacking = [key for key in _NEEDED_BY_V2 if info.get(key) is None and (key != "video_path" or has_videos)]
    if lacking:
        of_v3 = raw.version == "v3.0"
        yield _s01(
            INFO,
            f"{INFO} has no {some(lacking)}",
            "these keys" + (", for which LeRobot takes its own" if of_v3 else ", without which LeRobot stops"),
            Verdict.WARN if of_v3 else None,
        )


def _tables(raw: RawLeRobot) -> list[str]:
    """The files that list episodes and tasks; the first of each layout is about episodes."""
    try:
        layout = raw.layout
    except UnverifiableError:
        layout = "v3" if raw.version == "v3.0" else "v2"
    if layout == "v2":
        return ["meta/episodes.jsonl", "meta/tasks.jsonl"]
    try:
        episodes = raw.episode_files
    except UnverifiableError:
        episodes = ["meta/episodes/chunk-000/file-000.parquet"]
    return [*episodes, "meta/tasks.parquet"]


def _s01(
    file: str,
    found: str,
    expected: str,
    verdict: Verdict | None = None,
    mendable: bool = True,
    remedy: str | None = None,
) -> Finding:
    return Finding(DEFECTS["S01"], found, expected, file=file, verdict=verdict, mendable=mendable, remedy=remedy)


def _without_path(problem: str, raw: RawLeRobot) -> str:
    """Messages of readers begin with the path, which the finding has already."""
    return re.sub(rf"^{re.escape(str(raw.root))}/\S+ ", "", problem).rstrip(".")


def version(raw: RawLeRobot) -> Iterator[Finding]:
    """S02: a version that is known, and files of that version."""
    found, readable = raw.version, some(READABLE)
    if found is None:
        other = raw.info.get("format")
        calls = f"; it calls itself {other[:40]!r}" if isinstance(other, str) else ""
        yield _s02(f"{INFO} has no codebase_version{calls}", f"one of {readable}")
    elif found not in READABLE:
        yield _s02(f"codebase_version is {str(raw.info['codebase_version'])[:40]!r}", f"one of {readable}")
    elif found[:2] != raw.layout:
        named = {"v2": "one file per episode, as v2.x has", "v3": "many episodes per file, as v3.0 has"}
        yield _s02(f"codebase_version is {found}, but the files are those of {raw.layout}", named[found[:2]])


def _s02(found: str, expected: str) -> Finding:
    return Finding(DEFECTS["S02"], found, expected, file=INFO)


FAMILY = Family(
    "structure",
    DEFECTS,
    (
        Check(("S01",), Depth.META, metadata_files),
        Check(("S02",), Depth.META, version),
    ),
)
