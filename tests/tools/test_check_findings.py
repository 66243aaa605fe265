"""What findings say: how grave they are, what can mend them, and what is left out."""

from pathlib import Path

import numpy as np
import pytest

from robomix.tools.check.finding import Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.moments import Moments, pool
from robomix.tools.check.run import DEFECTS, check
from tests.damage import edit_info
from tests.defects import episodes, features, statistics, structure, tasks
from tests.fixtures import write_v20, write_v21, write_v30

FAMILIES = "SEFKA"
NOT_INJECTED = {"S03", "S07", "A06", "F06", "F08", "F09", "F10"}
"""S03 lies on the Hub; A06 is not stored; the others show across datasets, or need a dataset that is not clean."""


def findings(path: Path, id: str) -> list[Finding]:
    return [finding for finding in check(path).findings if finding.defect.id == id]


def test_each_defect_of_these_families_is_injected() -> None:
    modules = (structure, episodes, features, tasks, statistics)
    injected = {one.id for module in modules for one in module.INJECTIONS}
    assert injected == {id for id in DEFECTS if id[0] in FAMILIES} - NOT_INJECTED


def test_a_fractional_rate_warns_and_cannot_be_mended(tmp_path: Path) -> None:
    write_v21(tmp_path / "set", fps=29.97, cameras={})
    (found,) = findings(tmp_path / "set", "S06")
    assert (found.level, found.repair) == (Verdict.WARN, Repair.NONE)
    assert "29.97" in found.found


def test_an_episode_of_one_frame_only_informs(tmp_path: Path) -> None:
    write_v30(tmp_path / "set", lengths=(5, 1, 3), cameras={})
    (found,) = findings(tmp_path / "set", "E10")
    assert (found.level, found.episodes) == (Verdict.INFO, (1,))


def test_statistics_of_bookkeeping_only_inform(tmp_path: Path) -> None:
    write_v20(tmp_path / "set", cameras={})
    wrong = {"min": [4526], "max": [4946], "mean": [4736.0], "std": [121.5]}
    statistics.edit_whole(tmp_path / "set", lambda stats: stats.update(index=wrong))
    (found,) = findings(tmp_path / "set", "A02")
    assert (found.level, found.key) == (Verdict.INFO, "index")


def test_a_deviation_over_n_minus_1_is_as_good(tmp_path: Path) -> None:
    """Over 15 rows it is sqrt(15 / 14) = 1.035 times as large."""
    write_v20(tmp_path / "set", cameras={})
    for factor, expected in ((1.035, 0), (1.2, 1)):
        statistics.edit_whole(
            tmp_path / "set",
            lambda stats, factor=factor: stats["action"].update(std=[v * factor for v in stats["action"]["std"]]),
        )
        assert len(findings(tmp_path / "set", "A02")) == expected


def test_many_wrong_episodes_are_one_finding(tmp_path: Path) -> None:
    write_v21(tmp_path / "set", lengths=[3] * 20, cameras={})
    episodes.edit_list(tmp_path / "set", lambda rows: [row.update(length=4) for row in rows] and None)
    (found,) = findings(tmp_path / "set", "E04")
    assert found.episodes == tuple(range(20))


def test_blocks_of_rows_in_another_order_than_the_list_are_no_mixture_of_episodes(tmp_path: Path) -> None:
    """Episodes of equal length whose rows lie in another order: each row is still of the episode it says."""
    write_v30(tmp_path / "set", lengths=(4, 4, 4), cameras={})

    def exchange(table: dict[str, list[object]]) -> None:
        for values in table.values():
            values[0:4], values[4:8] = values[4:8], values[0:4]

    episodes.edit_table(episodes.data_files(tmp_path / "set")[0], exchange)
    assert findings(tmp_path / "set", "E07") == []
    assert findings(tmp_path / "set", "E08") == []


def test_meta_reads_no_rows(tmp_path: Path) -> None:
    write_v21(tmp_path / "set")
    episodes.edit_rows(tmp_path / "set", 1, frame_index=lambda values: [v + 1 for v in values])
    assert check(tmp_path / "set", Depth.META).findings == ()
    assert [f.defect.id for f in check(tmp_path / "set").findings] == ["E08"]


def test_a_broken_part_leaves_others_unverified_and_hides_none(tmp_path: Path) -> None:
    write_v21(tmp_path / "set", cameras={})
    (tmp_path / "set/meta/tasks.jsonl").write_text("{")
    edit_info(tmp_path / "set", splits={"train": "0:9"})
    levels = {finding.defect.id: finding.level for finding in check(tmp_path / "set").findings}
    assert levels["S01"] == Verdict.FAIL
    assert levels["S05"] == Verdict.WARN
    assert levels["K02"] == Verdict.UNVERIFIED


def test_a_folder_that_is_no_dataset_fails_with_the_way_to_one(tmp_path: Path) -> None:
    write_v21(tmp_path / "robots/arm", cameras={})
    (found,) = findings(tmp_path / "robots", "S01")
    assert "arm in this folder is a dataset" in found.found
    (tmp_path / "empty").mkdir()
    (found,) = findings(tmp_path / "empty", "S01")
    assert "empty" in found.found


def test_a_finding_as_plain_data_names_the_repair(tmp_path: Path) -> None:
    write_v21(tmp_path / "set")
    (tmp_path / "set/data/chunk-000/episode_000001.parquet").unlink()
    record = findings(tmp_path / "set", "S11")[0].record()
    assert {key: record[key] for key in ("id", "verdict", "episodes", "repair", "repair_flag")} == {
        "id": "S11",
        "verdict": "FAIL",
        "episodes": [1],
        "repair": "flag",
        "repair_flag": "drop_episodes",
    }


def test_moments_of_parts_pool_to_those_of_the_whole() -> None:
    """[1, 3] and [5, 7, 9]: mean 5, variance (16 + 4 + 0 + 4 + 16) / 5 = 8."""
    columns = [
        np.array(rows, float) for rows in ([[2], [3]], [[1], [5]], [[3], [9]], [[2], [7]], [[1], [(8 / 3) ** 0.5]])
    ]
    total = pool(Moments(np.arange(2), *columns))
    assert (total.count, total.low, total.high, total.mean) == (5, 1, 9, 5)
    assert total.std == pytest.approx(8**0.5)
