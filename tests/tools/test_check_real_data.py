"""Recordings of real robots: what is odd in them is found as gravely as it is, what is broken for the right reason."""

from pathlib import Path

import pytest

from robomix.tools.check.run import check

# The oddities that the README beside the recordings lists: dataset, id, verdict, key, words of what was found.
ODDITIES = [
    ("gr1_v20", "S08", "FAIL", None, "does not lead to the files of 4 episodes"),
    ("gr1_v20", "S04", "WARN", None, "total_videos is 2"),
    ("gr1_v20", "S04", "WARN", None, "total_chunks is 0"),
    ("gr1_v20", "S05", "WARN", None, "0:100"),
    ("gr1_v20", "F01", "FAIL", "observation.images.egoview", "no video lies"),
    ("gr1_v20", "F01", "WARN", "frame_index", "no data file has"),
    ("gr1_v20", "K04", "INFO", "task_index", "'valid' too"),
    ("gr1_v20", "A01", "INFO", "observation.images.ego_view", "stats.json"),
    ("cr5_v21", "C01", "WARN", "timestamp", "1,881 of 1,881 rows"),
    ("franka_v21", "K05", "INFO", "task_index", "3 of 4 tasks"),
    ("g1_v21", "A02", "INFO", "episode_index", "each episode are off"),
    ("g1_v30", "A02", "INFO", "episode_index", "each episode are off"),
    ("g1_v30", "E13", "INFO", None, "1 row group for 7 episodes"),
    ("g1_v21", "F03", "INFO", "action", "list in a list"),
    ("broken_lfs_pointers_v21", "E12", "FAIL", None, "Git LFS pointer"),
    ("broken_lfs_pointers_v21", "S01", "FAIL", None, "Git LFS pointer"),
    ("broken_panda_v30_nodata", "S11", "FAIL", None, "no data file (*.parquet) at all"),
    ("broken_panda_v30_nodata", "S01", "FAIL", None, "more than once"),
    ("broken_panda_v30_nodata", "S08", "FAIL", None, "asks for episode_index"),
    ("broken_trace_lookalike", "S02", "FAIL", None, "calls itself 'lerobot_v2'"),
    ("broken_trace_lookalike", "S11", "FAIL", None, "no data file (*.parquet) at all"),
]


@pytest.mark.parametrize(("name", "id", "verdict", "key", "words"), ODDITIES)
def test_each_oddity_is_found(real_data: Path, name: str, id: str, verdict: str, key: str | None, words: str) -> None:
    found = [finding for finding in check(real_data / name).findings if finding.defect.id == id and finding.key == key]
    assert [finding.level for finding in found if words in finding.found][:1] == [verdict]


@pytest.mark.parametrize("name", ["cr5_v21", "g1_v21", "g1_v30", "franka_v21"])
def test_nothing_fails_in_what_can_be_trained_on(real_data: Path, name: str) -> None:
    assert [finding.found for finding in check(real_data / name).findings if finding.level == "FAIL"] == []
