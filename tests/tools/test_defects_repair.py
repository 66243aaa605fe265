"""`repair` against the corpus of defects: what is certain is mended to the clean dataset; the rest needs its flag.

Each way to damage a dataset is tried in one of the versions that it applies to, each version in turn.
"""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from robomix.errors import ConfigError
from robomix.tools.build.content import Content
from robomix.tools.build.source import read_content
from robomix.tools.check.finding import Verdict
from robomix.tools.repair.consent import Flags
from robomix.tools.repair.plan import Outcome, RepairPlan
from robomix.tools.repair.run import carry_out, plan_repair
from tests.defects import clock, episodes, features, hdf5, statistics, structure, tasks, values, videos
from tests.defects.corpus import LOUD, Injection, case_name, video_files, write_clean
from tests.fixtures import decode_video

FAMILIES = (structure, episodes, features, tasks, statistics, clock, values, videos, hdf5)
ALL = [one for family in FAMILIES for one in family.INJECTIONS]
CASES = [(one, one.versions[i % len(one.versions)]) for i, one in enumerate(ALL)]
GIVEN = {"fps": 10, "robot_type": "so100"}
"""Flags that take a value; the others are just given."""
UNWRITABLE = {
    "info json is missing",
    "info json is cut off",
    "no features are declared",
    "the list of episodes is a pointer",
    "all data files are missing",
    "all data files are pointers",
    "a number stands for two texts",
    "no hdf5 file",
    "file cut off",
    "raw recording without observations",
    "link to another file",
}
"""Damage that leaves nothing to go by."""
NO_EPISODE_LEFT = {"no video in the file", "empty video"}
"""In v3.0, where one file holds all episodes."""
DROPPED_COLUMNS = {"rows differ in size": "observation.state", "numbers are stored as text": "action"}
KEPT_COLUMNS = {"a column is not declared": "force", "the table of subtasks is lost": "subtask_index"}


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def damaged(one: Injection, version: str, folder: Path) -> tuple[Path, Path, Path]:
    """(the clean dataset, the damaged one, where the mended one goes)."""
    clean, wrong = (write_clean(folder / name, version, one.spec) for name in ("clean", "wrong"))
    one.inject(wrong)
    return clean, wrong, folder / ("new.hdf5" if version == "hdf5" else "new")


def of_defect(one: Injection, plan: RepairPlan) -> set[Outcome]:
    return {treatment.outcome for treatment in plan.treatments if treatment.finding.defect.id == one.id}


def asked_for(plan: RepairPlan) -> set[str]:
    """The flags that the plan names."""
    of_findings = {one.finding.flag for one in plan.treatments if one.outcome is Outcome.ASKED}
    return {str(flag) for flag in of_findings} | {need.flag for need in plan.consent.needs}


def granted(one: Injection, wrong: Path, new: Path, plan: RepairPlan) -> RepairPlan:
    """The plan with the flags that it names; and with those that come to light when these are given."""
    flags: set[str] = set()
    while more := asked_for(plan) - flags:
        flags |= more
        plan = plan_repair(wrong, new, Flags(**{flag: GIVEN.get(flag, True) for flag in flags}), one.depth)
    return plan


@pytest.mark.parametrize(("one", "version"), CASES, ids=case_name)
def test_what_is_certain_is_mended_and_the_rest_needs_its_flag(one: Injection, version: str, tmp_path: Path) -> None:
    clean, wrong, new = damaged(one, version, tmp_path)
    before = digests(tmp_path)
    plan = plan_repair(wrong, new, depth=one.depth)
    outcomes = of_defect(one, plan)
    assert outcomes, f"{one.id} is not in the plan"
    if plan.refusals:
        with pytest.raises(ConfigError, match="is not written"):
            carry_out(plan)
        assert not new.exists()
    if one.name in UNWRITABLE or (one.name in NO_EPISODE_LEFT and version == "v3.0"):
        assert granted(one, wrong, new, plan).refusals
        return
    if flags := sorted(asked_for(plan)):
        assert not plan.refusals or any(f"--{flag}" in "\n".join(plan.refusals) for flag in flags)
        plan = granted(one, wrong, new, plan)
    report = carry_out(plan)
    left = {finding.defect.id for finding in report.findings if finding.level in LOUD}
    beyond = {t.finding.defect.id for t in plan.treatments if t.outcome is Outcome.LEFT}
    assert left <= beyond, [f.found for f in report.findings if f.level in LOUD]
    if Outcome.LEFT not in outcomes and Outcome.MENDED in outcomes:
        assert one.id not in {finding.defect.id for finding in report.findings}
    assert {name: digest for name, digest in digests(tmp_path).items() if not name.startswith("new")} == before
    if version == "hdf5":
        assert_same_arrays(new, wrong if one.id in ("T01", "T07") else clean)
    elif one.id[0] != "T" and "actions" not in one.name:
        assert_same(one, read_content(new), read_content(clean), plan)
        assert_same_frames(one, new, clean, wrong, plan)


def assert_same(one: Injection, new: Content, clean: Content, plan: RepairPlan) -> None:
    """All numbers in their types, all texts and declarations, of the episodes that were kept."""
    kept = [episode.origin.episode for episode in plan.work.plan.content.episodes]  # type: ignore[union-attr]
    places = kept if max(kept) < len(clean.episodes) else range(len(kept))  # else they have been numbered anew
    extra, gone = KEPT_COLUMNS.get(one.name), DROPPED_COLUMNS.get(one.name)
    assert new.fps == clean.fps
    if one.id not in ("K01", "K03", "K05"):
        assert new.tasks == clean.tasks
    for key, spec in clean.features.items():
        if key != gone and one.id not in ("F03", "F07", "F08", "V06", "V08", "V11", "V14", "F09", "F10"):
            assert new.features[key] == spec, key
    for mine, place in zip(new.episodes, places, strict=True):
        theirs = clean.episodes[place]
        expected = theirs.rows.table()
        expected = expected.select([name for name in expected.column_names if name != gone])
        found = mine.rows.table()
        found = found.select([name for name in found.column_names if name != extra])
        assert found.equals(expected), (found.schema, expected.schema)
        if one.id not in ("K01", "K03"):
            np.testing.assert_array_equal(texts_of(mine), texts_of(theirs))


def texts_of(episode: Any) -> list[str]:
    places = np.zeros(episode.length, np.int64) if episode.task_of is None else episode.task_of
    return [episode.tasks[place] for place in places]


def assert_same_frames(one: Injection, new: Path, clean: Path, wrong: Path, plan: RepairPlan) -> None:
    """Frames that were not encoded again are the very ones; those of damaged videos the ones that are left."""
    content = plan.work.plan.content  # type: ignore[union-attr]
    if one.id == "V02" or not video_files(new) or plan.work.plan.encoded_frames:  # type: ignore[union-attr]
        return
    planned = {key: [episode.videos[key] for episode in content.episodes] for key in content.videos}
    for key, clips in planned.items():
        expected = [decode_video(clip.path)[clip.start : clip.stop] for clip in clips]
        found = [decode_video(path) for path in video_files(new) if key in path.parts]
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
    if one.id[0] != "V" and len(content.episodes) == len(read_content(clean).episodes):
        frames = [np.concatenate([decode_video(path) for path in video_files(of)]) for of in (new, clean)]
        np.testing.assert_array_equal(*frames)


def assert_same_arrays(new: Path, clean: Path) -> None:
    """All arrays of the demonstrations that were kept, and what is said of them."""
    with h5py.File(new) as mine, h5py.File(clean) as theirs:
        assert set(mine["data"]) <= set(theirs["data"])
        for name, group in mine["data"].items():
            assert group.attrs["num_samples"] == len(group["actions"])
            for key in ("actions", "obs/object", "obs/robot0_eef_pos", "rewards"):
                np.testing.assert_array_equal(group[key], theirs["data"][name][key])
        assert mine["data"].attrs["total"] == sum(len(group["actions"]) for group in mine["data"].values())
        for listed in mine["mask"].values() if "mask" in mine else ():
            assert listed.dtype.kind != "S" or {text.decode() for text in listed} <= set(mine["data"])


def test_the_corpus_has_many_ways_to_damage_a_dataset() -> None:
    assert len(ALL) >= 60
    assert {version for _, version in CASES} == {"v2.0", "v2.1", "v3.0", "hdf5"}
    assert Verdict.FAIL in LOUD
