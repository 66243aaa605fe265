"""Statistics of mixtures against numpy on all frames: padding excluded, groups apart, cached."""

from pathlib import Path

import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.mixture.transforms import DatasetTransformStep, register_dataset_transform
from robomix.statistics import sources
from robomix.statistics.cameras import IMAGENET, SAMPLED_FRAMES, sampled_frames
from robomix.statistics.compute import mixture_stats
from tests.memory import ArrayDataset, mixture, source


def robot(n: int, width: int, mean: float, seed: int, robot_type: str | None = None) -> ArrayDataset:
    rng = np.random.default_rng(seed)
    columns = {"action": rng.normal(mean, 1.0, size=(n, width)).astype(np.float32)}
    return ArrayDataset(columns, [n // 2, n - n // 2], robot_type=robot_type)


def assert_equals_numpy(stats: dict, values: np.ndarray) -> None:
    """`stats` of a vector against numpy on all of its values; few enough for quantiles to be exact."""
    values = values.astype(np.float64)
    for name, expected in {
        "mean": values.mean(0),
        "std": values.std(0),
        "min": values.min(0),
        "max": values.max(0),
    }.items():
        np.testing.assert_allclose(stats[name], expected, rtol=1e-6)
    for name, q in {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}.items():
        np.testing.assert_allclose(stats[name], np.quantile(values, q, axis=0), rtol=1e-6)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path))


def test_global_statistics_are_those_of_all_frames_without_padding() -> None:
    a, b = robot(300, 3, 0.0, 0), robot(100, 2, 10.0, 1)
    stats = mixture_stats(mixture(source(a, "a"), source(b, "b")))["global"]["action"]
    both = np.concatenate([a.column("action")[:, :2], b.column("action")])
    assert_equals_numpy({name: value[:2] for name, value in stats.items()}, both)
    assert_equals_numpy({name: value[2:] for name, value in stats.items()}, a.column("action")[:, 2:])
    assert stats["count"].tolist() == [400]


def test_groups_are_kept_apart_and_padding_in_all_of_a_group_is_neutral() -> None:
    a, b = robot(300, 3, 0.0, 0), robot(100, 2, 10.0, 1)
    stats = mixture_stats(mixture(*(source(one, name, normalize_by="source") for one, name in ((a, "a"), (b, "b")))))
    assert list(stats) == ["a", "b"]
    assert_equals_numpy({n: v[:2] for n, v in stats["b"]["action"].items() if n != "count"}, b.column("action"))
    assert (stats["b"]["action"]["mean"][2], stats["b"]["action"]["std"][2]) == (0.0, 1.0)


def test_embodiments_join_sources_of_one_robot_type_and_a_named_group_wins() -> None:
    types: dict[str, str | None] = {"a": "so100", "b": "so100", "c": None, "d": "so100"}
    for by, groups in {
        "embodiment": ["so100", "so100", "c", "mine"],
        "global": ["global", "global", "global", "mine"],
        "source": ["a", "b", "c", "mine"],
    }.items():
        sources = [
            source(robot(10, 2, 0.0, 0, kind), name, normalize_by=by, group="mine" if name == "d" else None)
            for name, kind in types.items()
        ]
        assert [one.group for one in sources] == groups
        assert list(mixture_stats(mixture(*sources))) == list(dict.fromkeys(groups))


def test_only_the_chosen_episodes_count() -> None:
    data = robot(40, 2, 0.0, 0)
    stats = mixture_stats(mixture(source(data, episodes=[1])))["global"]["action"]
    assert_equals_numpy(stats, data.column("action")[20:])


def test_statistics_come_after_the_transforms() -> None:
    @register_dataset_transform("tests_times_ten")
    class TimesTen(DatasetTransformStep):
        def __call__(self, sample: dict) -> dict:
            return sample | {"action": sample["action"] * 10}

    data = robot(40, 2, 1.0, 0)
    stats = mixture_stats(mixture(source(data, transforms=[{"type": "tests_times_ten"}])))["global"]["action"]
    assert_equals_numpy(stats, data.column("action") * 10)


def test_explicit_padding_is_left_out_too() -> None:
    data = robot(40, 2, 5.0, 0)
    padded = source(data, transforms=[{"type": "pad_action", "kwargs": {"target_dim": 4}}])
    stats = mixture_stats(mixture(padded))["global"]["action"]
    assert_equals_numpy({n: v[:2] for n, v in stats.items() if n != "count"}, data.column("action"))
    assert stats["mean"][2:].tolist() == [0.0, 0.0]


def test_camera_statistics_are_those_of_the_sampled_frames() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (200, 3, 5, 7), dtype=np.uint8)
    data = ArrayDataset({"action": np.zeros((200, 1), np.float32), "observation.images.top": frames}, [200])
    stats = mixture_stats(mixture(source(data)))["global"]["observation.images.top"]
    sampled = frames[sampled_frames(200)].astype(np.float64).transpose(1, 0, 2, 3).reshape(3, -1) / 255
    assert stats["mean"].shape == (3, 1, 1)
    np.testing.assert_allclose(stats["mean"].ravel(), sampled.mean(1))
    np.testing.assert_allclose(stats["std"].ravel(), sampled.std(1))
    for name, q in {"q01": 0.01, "q50": 0.5, "q99": 0.99}.items():
        np.testing.assert_allclose(stats[name].ravel(), np.quantile(sampled, q, axis=1), atol=1e-9)


def test_at_most_a_bounded_number_of_frames_is_decoded() -> None:
    assert sampled_frames(5).tolist() == [0, 1, 2, 3, 4]
    many = sampled_frames(10_000)
    assert len(many) == SAMPLED_FRAMES
    assert (many[0], many[-1]) == (39, 9960)


def test_imagenet_statistics_replace_mean_and_std_of_cameras_only() -> None:
    frames = np.zeros((4, 3, 5, 7), dtype=np.uint8)
    data = ArrayDataset({"action": np.ones((4, 1), np.float32), "observation.images.top": frames}, [4])
    stats = mixture_stats(mixture(source(data)), use_imagenet=True)["global"]
    assert tuple(stats["observation.images.top"]["mean"].ravel()) == IMAGENET["mean"]
    assert stats["action"]["mean"].tolist() == [1.0]


def test_nan_is_refused_with_episode_and_frame() -> None:
    data = robot(40, 2, 0.0, 0)
    data._columns["action"][25, 1] = np.nan
    with pytest.raises(FormatError, match=r"source 'a': 'action' is NaN or infinite in episode 1, frame 5"):
        mixture_stats(mixture(source(data, "a")))


def test_summaries_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = mixture(source(robot(40, 2, 0.0, 0), "a"))
    first = mixture_stats(made)
    monkeypatch.setattr(sources, "_numbers", lambda *_: pytest.fail("computed again"))
    again = mixture_stats(made)
    np.testing.assert_array_equal(first["global"]["action"]["q10"], again["global"]["action"]["q10"])


def test_other_content_or_another_choice_is_not_taken_from_the_cache() -> None:
    data = robot(40, 2, 0.0, 0)
    before = mixture_stats(mixture(source(data)))["global"]["action"]["mean"]
    assert not np.array_equal(mixture_stats(mixture(source(data, episodes=[0])))["global"]["action"]["mean"], before)
    other = robot(40, 2, 3.0, 0)
    assert not np.array_equal(mixture_stats(mixture(source(other)))["global"]["action"]["mean"], before)


def test_a_damaged_cache_is_computed_again(tmp_path: Path) -> None:
    made = mixture(source(robot(40, 2, 0.0, 0)))
    first = mixture_stats(made)["global"]["action"]
    for file in (tmp_path / "statistics").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    again = mixture_stats(made)["global"]["action"]
    np.testing.assert_array_equal(first["mean"], again["mean"])


def test_a_source_that_is_never_drawn_counts_only_where_its_group_has_no_other() -> None:
    ones, nines = (ArrayDataset({"action": np.full((4, 1), value, np.float32)}, [4]) for value in (1, 9))
    for by, group, mean in (("global", "global", 1.0), ("source", "never", 9.0)):
        drawn = source(ones, "drawn", weight=2.0, normalize_by=by)
        never = source(nines, "never", weight=0.0, normalize_by=by)
        assert mixture_stats(mixture(drawn, never))[group]["action"]["mean"] == [mean]


def test_a_cameras_sample_stands_for_all_frames_of_its_source() -> None:
    """Of 30 black and 10 white frames a quarter is white, though of a large dataset only some frames are looked at."""
    black, white = np.zeros((300, 3, 2, 2), np.uint8), np.full((100, 3, 2, 2), 255, np.uint8)
    sources_of = [
        source(ArrayDataset({"observation.images.top": frames}, [len(frames)]), name)
        for name, frames in (("black", black), ("white", white))
    ]
    stats = mixture_stats(mixture(*sources_of))["global"]["observation.images.top"]
    assert stats["mean"].ravel() == pytest.approx([0.25] * 3)
    assert (stats["q01"].ravel().tolist(), stats["q99"].ravel().tolist()) == ([0.0] * 3, [1.0] * 3)
