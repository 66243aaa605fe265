"""`check`: all families over datasets, at one depth."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robomix.remote.mirror import local_path
from robomix.remote.places import shown
from robomix.tools.check.families import (
    across,
    agreement,
    cameras,
    clock,
    coding,
    declarations,
    duplicates,
    episodes,
    features,
    files,
    hdf5,
    meaning,
    pictures,
    rows,
    statistics,
    structure,
    tables,
    tasks,
    totals,
    values,
    videos,
    windows,
)
from robomix.tools.check.family import Check, Family
from robomix.tools.check.finding import Defect, Depth, Finding, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.other import RawOther, is_other
from robomix.tools.check.raw.videos import read_index
from robomix.tools.check.reports import Report, Reports

LEROBOT: tuple[Family, ...] = (
    structure.FAMILY,
    totals.FAMILY,
    files.FAMILY,
    episodes.FAMILY,
    rows.FAMILY,
    tables.FAMILY,
    features.FAMILY,
    declarations.FAMILY,
    tasks.FAMILY,
    statistics.FAMILY,
    agreement.FAMILY,
    clock.FAMILY,
    videos.FAMILY,
    windows.FAMILY,
    coding.FAMILY,
    pictures.FAMILY,
    cameras.FAMILY,
    values.FAMILY,
    duplicates.FAMILY,
    meaning.FAMILY,
)
"""The families that look at one LeRobot dataset, in the order of their findings."""

HDF5: tuple[Family, ...] = (hdf5.HDF5, hdf5.OTHER, values.FAMILY, duplicates.FAMILY, meaning.FAMILY)
"""Those that look at a recording of robomimic or ALOHA."""

OTHER: tuple[Family, ...] = HDF5[1:]
"""Those that look at a dataset of another format than LeRobot's."""

ACROSS: tuple[Family, ...] = (across.FAMILY, cameras.ACROSS)
"""The families that look at several datasets together; their checks are given a list of RawLeRobot and RawOther."""

DEFECTS: Mapping[str, Defect] = {
    id: defect for family in (*LEROBOT, *HDF5, *ACROSS) for id, defect in family.defects.items()
}
"""Every defect robomix knows, by id."""


def check(path: Path, depth: Depth = Depth.FILES) -> Report:
    """Looks for every known defect in the dataset at `path`. Nothing is written."""
    return check_all([path], depth).each[0]


def check_written(path: Path) -> Report:
    """As `check`, of a dataset whose files were read back when they were written: of videos only the index is read."""
    return _report(RawOther(path) if is_other(path) else RawLeRobot(path, read_index), Depth.FILES)


def check_all(paths: Sequence[Path], depth: Depth = Depth.FILES) -> Reports:
    """Looks for every known defect in each of the datasets, and for what shows only in several. Nothing is written."""
    places = [local_path(path) for path in paths]
    subjects = [RawOther(path) if is_other(path) else RawLeRobot(path) for path in places]
    reports = tuple(_report(subject, depth) for subject in subjects)
    together = [finding for one in _checks(ACROSS, depth) for finding in _run(one, subjects)] if len(paths) > 1 else []
    return Reports(reports, tuple(together))


def _report(subject: RawLeRobot | RawOther, depth: Depth) -> Report:
    families = LEROBOT if isinstance(subject, RawLeRobot) else HDF5 if subject.is_hdf5 else OTHER
    checks, name = _checks(families, depth), shown(subject.root)
    findings = [finding.of(name) for one in checks for finding in _run(one, subject)]
    return Report(name, depth, tuple(findings), tuple(dict.fromkeys(id for one in checks for id in one.ids)))


def _checks(families: Sequence[Family], depth: Depth) -> list[Check]:
    return [one for family in families for one in family.checks if one.depth <= depth]


def _run(one: Check, subject: Any) -> Iterator[Finding]:
    try:
        yield from one.run(subject)
    except UnverifiableError as reason:
        for id in one.ids:
            yield Finding(DEFECTS[id], found=str(reason), expected="to be readable", verdict=Verdict.UNVERIFIED)
