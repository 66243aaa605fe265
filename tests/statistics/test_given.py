"""Statistics in files: what is written is read back, by LeRobot and openpi's layout too, and only where it fits."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot.datasets.io_utils import load_stats

from robomix.config import MixtureConfig
from robomix.errors import ConfigError, FormatError
from robomix.mixture.dataset import Mixture
from robomix.statistics.compute import mixture_stats
from robomix.statistics.given import config_stats
from robomix.statistics.stats_files import read_stats, write_lerobot, write_openpi
from tests.memory import ArrayDataset, mixture, source


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))


def robot(width: int, seed: int = 0, **more: np.ndarray) -> ArrayDataset:
    rng = np.random.default_rng(seed)
    keys = ("action", "observation.state")
    return ArrayDataset({key: rng.normal(size=(20, width)).astype(np.float32) for key in keys} | more, [20])


def two_robots() -> Mixture:
    return mixture(source(robot(2), "a", group="me/a"), source(robot(3, 1), "b", group="b"))


def asked(stats: Path | str, **settings: Any) -> MixtureConfig:
    return MixtureConfig.from_dict({"datasets": [{"root": "unused"}], "stats": str(stats), **settings})


def vector(width: int, **changes: Any) -> dict[str, Any]:
    values = {"mean": 0.5, "std": 2.0, "min": -4.0, "q01": -3.0, "q99": 3.0, "max": 4.0}
    return {name: [value] * width for name, value in values.items()} | {"count": [9]} | changes


def in_file(folder: Path, content: dict[str, Any], name: str = "stats.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder / name


def test_lerobot_reads_what_is_written(tmp_path: Path) -> None:
    stats = mixture_stats(mixture(source(robot(2))))["global"]
    write_lerobot(tmp_path, stats)
    read = load_stats(tmp_path)
    assert read is not None
    assert read.keys() == stats.keys()
    for key, of_key in stats.items():
        for name, value in of_key.items():
            np.testing.assert_array_equal(read[key][name], value)


def test_openpis_file_has_its_layout(tmp_path: Path) -> None:
    file = write_openpi(tmp_path / "assets" / "trossen", mixture_stats(mixture(source(robot(2))))["global"])
    assert file == tmp_path / "assets/trossen/norm_stats.json"
    content = json.loads(file.read_text())
    assert list(content) == ["norm_stats"]
    assert list(content["norm_stats"]) == ["state", "actions"]
    for of_key in content["norm_stats"].values():
        assert list(of_key) == ["mean", "std", "q01", "q99"]
        assert all(len(values) == 2 for values in of_key.values())


@pytest.mark.parametrize("write", [write_lerobot, write_openpi])
def test_given_statistics_are_padded_as_computed_ones(write: Any, tmp_path: Path) -> None:
    made = two_robots()
    computed = mixture_stats(made)
    for group, folder, width in (("me/a", "me--a", 2), ("b", "b", 3)):
        own = {k: {n: v if n == "count" else v[:width] for n, v in s.items()} for k, s in computed[group].items()}
        write(tmp_path / folder, own)
    given = config_stats(made, asked(tmp_path))
    assert list(given) == list(computed)
    for group, of_group in given.items():
        for key, of_key in of_group.items():
            for name, value in of_key.items():
                np.testing.assert_array_equal(value, computed[group][key][name], err_msg=f"{group} {key} {name}")


def test_a_file_is_taken_for_one_group_only(tmp_path: Path) -> None:
    file = in_file(tmp_path, {"action": vector(3), "observation.state": vector(3)})
    one = config_stats(mixture(source(robot(3))), asked(file))["global"]
    assert one["action"]["mean"].tolist() == [0.5] * 3
    with pytest.raises(ConfigError, match=r"one file, but the mixture normalizes 2 groups apart \(me/a, b\)"):
        config_stats(two_robots(), asked(file))


def test_entries_that_were_padding_when_the_file_was_made_are_cut(tmp_path: Path) -> None:
    """Openpi's older files are 32 wide, with mean and deviation 0 where a robot has nothing."""
    padded = vector(2)
    wide = {name: values + [0.0] * 30 if name != "count" else values for name, values in padded.items()}
    file = in_file(tmp_path, {"norm_stats": {"state": wide, "actions": wide}}, "norm_stats.json")
    stats = config_stats(mixture(source(robot(2))), asked(file))["global"]["action"]
    assert stats["std"].tolist() == [2.0, 2.0]


def test_what_openpis_file_cannot_hold_is_computed_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = in_file(tmp_path, {"norm_stats": {"state": vector(2), "actions": vector(2)}}, "norm_stats.json")
    pictures = np.full((20, 3, 2, 2), 51, np.uint8)
    more = {"observation.images.top": pictures, "observation.force": np.full((20, 1), 7.0, np.float32)}
    with caplog.at_level(logging.INFO, "robomix"):
        stats = config_stats(mixture(source(robot(2, **more))), asked(file, use_imagenet_stats=False))["global"]
    assert stats["observation.force"]["mean"].tolist() == [7.0]
    assert stats["observation.images.top"]["mean"].ravel() == pytest.approx([0.2] * 3)
    assert stats["action"]["mean"].tolist() == [0.5, 0.5]
    assert "statistics of observation.images.top, observation.force are computed" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"action": vector(3), "observation.state": vector(2)}, "'action' has 3 entries, and the data of this group 2"),
        ({"action": vector(1), "observation.state": vector(2)}, "'action' has 1 entries, and the data of this group 2"),
        ({"actions": vector(2), "observation.state": vector(2)}, "no statistics of 'action'. Did you mean 'actions'"),
        ({"action": vector(2, std=[1.0, float("nan")])}, "'action', std: entry 1 is nan, expected a finite number"),
        ({"action": vector(2, std=[1.0, 1e39])}, r"'action', std: entry 1 is 1e\+39, expected one that float32 holds"),
        ({"action": vector(2, min=[-1e39, 0.0])}, r"'action', min: entry 0 is -1e\+39, expected one that float32"),
        ({"action": vector(2, std=[1.0, -1.0])}, "'action': std of entry 1 is negative"),
        ({"action": vector(2, q01=[5.0, 0.0])}, "'action': q01 of entry 0 is above its q99"),
        ({"action": vector(2, min=[0.0])}, r"'action': min has the shape \(1,\), mean has \(2,\)"),
        ({"action": vector(2, mean="x")}, "'action', mean: expected numbers"),
        ({"action": {"min": [0.0], "max": [1.0]}}, "'action' has no mean, only min, max"),
        ({"action": 3}, "holds no statistics"),
        ({"norm_stats": {}}, "holds no statistics"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(content: dict, message: str, tmp_path: Path) -> None:
    file = in_file(tmp_path, content)
    with pytest.raises(ConfigError, match=message):
        config_stats(mixture(source(robot(2))), asked(file))


def test_what_is_missing_says_which_command_makes_it(tmp_path: Path) -> None:
    made = two_robots()
    with pytest.raises(ConfigError, match=f"nowhere does not exist. `robomix stats mix.yaml --out {tmp_path}/nowhere`"):
        config_stats(made, asked(tmp_path / "nowhere"))
    in_file(tmp_path / "me--b" / "meta", {"action": vector(2)})
    with pytest.raises(ConfigError, match=r"the normalization group 'me/a', expected .*me--a/meta/stats.json") as error:
        config_stats(made, asked(tmp_path))
    assert "Did you mean 'me--b'? There is me--b" in str(error.value)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "stats.json").write_text("{")
    with pytest.raises(FormatError, match=r"stats\.json is not valid JSON"):
        read_stats(tmp_path / "stats.json")


def test_a_deviation_of_zero_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = in_file(tmp_path, {"action": vector(2, std=[1.0, 0.0]), "observation.state": vector(2)})
    config_stats(mixture(source(robot(2))), asked(file))
    assert "'action': std of entry 1 is 0, which is taken for a constant" in caplog.text
