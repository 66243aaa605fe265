"""What a lock says and how a change is told, without a training."""

from pathlib import Path

import numpy as np
import pytest

from robomix.errors import RobomixError
from robomix.mixture.lock import _ranges, read_lock, write_lock
from robomix.mixture.lock_changes import differences


def test_episodes_are_told_in_stretches_in_their_order() -> None:
    assert _ranges(np.array([0, 1, 2, 7, 5, 6])) == "0-2, 7, 5-6"
    assert _ranges(np.array([], dtype=np.int64)) == "none"


def test_values_deep_in_a_setting_are_told_alone() -> None:
    then = {"settings": {"image_transforms": {"enable": True, "tfs": {"blur": {"weight": 1.0}}}}}
    now = {"settings": {"image_transforms": {"enable": True, "tfs": {"blur": {"weight": 2.0}}}}}
    assert differences(then, now) == ["dataset.image_transforms.tfs.blur.weight: 1.0 then, 2.0 now"]
    assert differences(then, then) == []


def test_a_block_that_is_empty_now_is_no_change_beside_that_of_its_values() -> None:
    then, now = {"settings": {"rate": 10}}, {"settings": {}}
    assert differences(then, now) == ["dataset.rate: 10 then, the default now"]


def test_settings_of_transforms_do_not_hide_another_program() -> None:
    source = {"transforms_program": "0", "settings": {"transforms": [{"type": "mine:step", "kwargs": {}}]}}
    then, now = ({"sources": {"arm": source | {"transforms_program": text}}} for text in "01")
    assert differences(then, now) == ["source 'arm': transforms_program: 0 then, 1 now"]


def test_long_texts_are_told_where_they_differ() -> None:
    episodes = [", ".join(map(str, range(0, 1000, 2))), ", ".join(map(str, [*range(0, 998, 2), 999]))]
    then, now = ({"sources": {"arm": {"episodes": text}}} for text in episodes)
    (line,) = differences(then, now)
    assert len(line) < 250
    assert "996, 998 then" in line
    assert "996, 999 now" in line


def test_sections_that_are_not_there_yet_are_not_compared() -> None:
    then = {"order": {"seed": 1}, "statistics": {"arm": {"action": "0"}}}
    assert differences(then, {"order": {"seed": 1}}) == []
    assert differences(then, {"order": {"seed": 2}}) == ["seed: 1 then, 2 now"]


def test_a_lock_that_cannot_be_written_says_so_and_leaves_the_one_before(tmp_path: Path) -> None:
    lock = {name: {} for name in ("order", "settings", "sources", "statistics", "versions")} | {"lock": 1}
    write_lock(tmp_path / "mixture.lock", lock)
    assert read_lock(tmp_path / "mixture.lock") == lock
    with pytest.raises(RobomixError, match=r"cannot write .*mixture.lock"):
        write_lock(tmp_path / "mixture.lock" / "below" / "a file", lock)
    assert [path.name for path in tmp_path.iterdir()] == ["mixture.lock"]
