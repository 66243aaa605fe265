"""Mixtures at one rate and at several: resampled sources, windows in seconds, and what a chunk lasts."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from robomix import MixtureConfig, Schedule, make_loader, make_mixture
from robomix.errors import AlignmentError, ConfigError
from robomix.features import Feature
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.mixture.horizons import chunk_durations, in_frames
from robomix.mixture.resolve import shares, streams
from robomix.statistics.compute import mixture_stats
from tests.fixtures import write_v30
from tests.memory import ArrayDataset, mixture, source


def config(*entries: dict[str, Any], **block: Any) -> MixtureConfig:
    return MixtureConfig.from_dict({"datasets": list(entries)} | block)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A slow arm and a fast one, whose actions are their time in seconds, with quaternions that turn about z."""
    folder = tmp_path_factory.mktemp("data")
    for name, fps, lengths in (("slow", 10, (5, 8)), ("fast", 30, (31, 10))):
        features = {"action": Feature("numeric", "float32", (1,)), "pose": Feature("numeric", "float32", (4,))}
        with DatasetWriter(folder / name, fps=fps, features=features) as writer:
            for length in lengths:
                seconds = np.arange(length) / fps
                turn = Rotation.from_rotvec(seconds[:, None] * [0, 0, 1])
                columns = {"action": seconds[:, None], "pose": turn.as_quat()}
                writer.add_episode({k: v.astype(np.float32) for k, v in columns.items()}, "wait")
    return {name: str(folder / name) for name in ("slow", "fast")}


def test_one_rate_gives_all_sources_steps_of_one_length(roots: dict[str, str]) -> None:
    made = make_mixture(
        config({"root": roots["slow"]}, {"root": roots["fast"]}, rate=10), delta_indices={"action": range(3)}
    )
    assert made.meta.fps == 10
    assert made.num_frames == 5 + 8 + 11 + 4
    batch = made.__getitems__(range(len(made)))
    first = batch["action"][:, :, 0]
    np.testing.assert_allclose(first[:, 0], batch["timestamp"], atol=1e-6)
    inside = ~batch["action_is_pad"][:, 2]
    np.testing.assert_allclose((first[:, 2] - first[:, 0])[inside], 0.2, atol=1e-6)
    table = shares(made.sources, Schedule(streams(made.sources, 0.0), seed=0, batch_size=4))
    assert [(row.frames, row.fps) for row in table] == [(13, 10), (15, 10)]


def test_a_source_of_the_asked_rate_is_what_it_was(roots: dict[str, str]) -> None:
    native, at_ten = (make_mixture(config({"root": roots["slow"]}, **block)) for block in ({}, {"rate": 10}))
    assert streams(native.sources, 0.0) == streams(at_ten.sources, 0.0)
    assert torch.equal(native.__getitems__(range(13))["action"], at_ten.__getitems__(range(13))["action"])


def test_rules_are_in_the_datasets_own_names_and_statistics_are_of_the_new_frames(roots: dict[str, str]) -> None:
    rules = {"pose": {"rotations": [{"entries": [0, 1, 2, 3], "as": "quaternion_xyzw"}]}}
    entry = {"root": roots["fast"], "resample": rules, "feature_map": {"pose": "observation.state"}}
    made = make_mixture(config(entry, rate=25))
    state, seconds = (made.__getitems__(range(len(made)))[key].numpy() for key in ("observation.state", "timestamp"))
    expected = Rotation.from_rotvec(seconds[:, None] * [0, 0, 1]).as_quat()
    np.testing.assert_allclose(state, expected, atol=1e-6)
    stats = mixture_stats(made)["global"]["observation.state"]
    np.testing.assert_allclose(stats["mean"], expected.mean(0), atol=1e-6)


def test_filters_come_after_the_rate(roots: dict[str, str]) -> None:
    """At 30 Hz a step is a thirtieth of a second long, at 10 Hz three times that."""
    idle = {"key": "action", "below": 0.05, "longer_than": 3}
    with pytest.raises(AlignmentError, match="`idle` leaves out 41"):
        make_mixture(config({"root": roots["fast"], "idle": idle}))
    assert make_mixture(config({"root": roots["fast"], "idle": idle}, rate=10)).sources[0].num_idle == 0


def test_other_rates_are_another_order(roots: dict[str, str]) -> None:
    prints = [streams(make_mixture(config({"root": roots["fast"]}, rate=rate)).sources, 0.0) for rate in (10, 15, 10)]
    assert prints[0] == prints[2] != prints[1]


def test_workers_read_resampled_numbers_and_pictures(tmp_path: Path) -> None:
    roots = [write_v30(tmp_path / name, lengths=(9, 11), fps=fps).path for name, fps in (("slow", 10), ("fast", 30))]
    made = make_mixture(config(*({"root": str(root)} for root in roots), rate=12))
    schedule = Schedule(streams(made.sources, 0.0), seed=0, batch_size=6)
    alone, shared = (list(make_loader(made, schedule, stop=3, num_workers=n)) for n in (0, 1))
    for one, other in zip(alone, shared, strict=True):
        for key in ("action", "observation.images.top"):
            assert torch.equal(one[key], other[key])


def test_an_episode_that_cannot_be_turned_is_refused_by_source_episode_and_frame(tmp_path: Path) -> None:
    features = {"pose": Feature("numeric", "float32", (4,))}
    with DatasetWriter(tmp_path / "arm", fps=10, features=features) as writer:
        for bad in (None, 2):
            pose = np.tile(np.array([0, 0, 0, 1], np.float32), (5, 1))
            if bad is not None:
                pose[bad] = 0
            writer.add_episode({"pose": pose}, "turn")
    rules = {"pose": {"rotations": [{"entries": [0, 1, 2, 3], "as": "quaternion_xyzw"}]}}
    entry = {"root": str(tmp_path / "arm"), "resample": rules}
    message = (
        r"source 'arm': 1 of its episodes cannot be used, such as 1: 'pose' holds \[0\. 0\. 0\. 0\.\] in entries "
        r"\[0, 1, 2, 3\], .* in frame 2"
    )
    with pytest.raises(ConfigError, match=message):
        make_mixture(config(entry, rate=20))
    assert make_mixture(config(entry | {"episodes": [0]}, rate=20)).num_frames == 9
    assert make_mixture(config(entry)).num_frames == 10


def test_rules_for_what_is_not_there_name_the_source(roots: dict[str, str]) -> None:
    entry = {"root": roots["slow"], "name": "arm", "resample": {"pos": {"nearest": [0]}}}
    with pytest.raises(
        ConfigError, match=r"source 'arm': resample: there is no 'pos' to resample. Did you mean 'pose'?"
    ):
        make_mixture(config(entry))


@pytest.mark.parametrize(
    ("times", "fps", "frames"),
    [
        ([0, 0.1, 0.2], 10, [0, 1, 2]),
        ([0, 0.1, 0.2], 30, [0, 3, 6]),
        ([-0.1, 0.0, 0.1], Fraction(30000, 1001), [-3, 0, 3]),
        ([-0.05, 0.05, 0.06, 0.15], 10, [-1, 0, 1, 1]),
        ([i / 30 for i in range(-3, 50)], 30, list(range(-3, 50))),
        (np.array([0, 0.05, 0.2], np.float32), 10, [0, 0, 2]),
    ],
)
def test_seconds_are_the_nearest_frames_of_two_the_earlier(times: Any, fps: Any, frames: list[int]) -> None:
    assert in_frames({"action": times}, Fraction(fps)) == {"action": frames}


def test_each_source_has_the_frames_at_the_asked_seconds(roots: dict[str, str]) -> None:
    both = config({"root": roots["slow"]}, {"root": roots["fast"]})
    made = make_mixture(both, delta_timestamps={"action": [0, 0.1, 0.2]}, delta_indices={"pose": (-1, 0)})
    batch = made.__getitems__([0, 13 + 6, 13 + 29])
    np.testing.assert_allclose(batch["action"][:2, :, 0], [[0, 0.1, 0.2], [0.2, 0.3, 0.4]], atol=1e-6)
    assert batch["action_is_pad"].tolist() == [[False] * 3, [False] * 3, [False, True, True]]
    assert batch["pose"].shape == (3, 2, 4)
    slim = made.only(["action"])
    assert torch.equal(slim[19]["action"], made[19]["action"])


def test_statistics_of_windows_in_seconds_are_of_each_sources_own_frames(roots: dict[str, str]) -> None:
    data = ArrayDataset(
        {"action": np.arange(20.0)[:, None], "observation.state": np.arange(20.0)[:, None]}, [20], fps=20
    )
    delta = [{"type": "delta_action", "kwargs": {"reference": "state"}}]
    made = mixture(source(data, transforms=delta), delta_timestamps={"action": [0, 0.1]})
    stats = mixture_stats(made)["global"]["action"]  # 0 for all 20 frames, 2 for the 18 that have such a step
    assert stats["mean"][0] == pytest.approx(36 / 38)


def test_windows_given_twice_or_in_no_seconds_are_refused(roots: dict[str, str]) -> None:
    one = config({"root": roots["slow"]})
    with pytest.raises(ConfigError, match="the window of 'action' is given in frames and in seconds"):
        make_mixture(one, delta_timestamps={"action": [0]}, delta_indices={"action": [0]})
    for time in (float("nan"), "0.1", True):
        with pytest.raises(ConfigError, match=r"delta_timestamps of 'action' holds .*, expected seconds"):
            make_mixture(one, delta_timestamps={"action": [time]})
    for steps in ([1.5], [True], ["1"]):
        with pytest.raises(ConfigError, match=r"delta_indices of 'action' holds .*, expected frames, a whole number"):
            make_mixture(one, delta_indices={"action": steps})
    for argument in ("delta_timestamps", "delta_indices"):
        with pytest.raises(AlignmentError, match=f"{argument} asks for 'actoin'.* Did you mean 'action'"):
            make_mixture(one, **{argument: {"actoin": [0]}})
        for steps, said in ((0.1, "found 0.1, expected a list"), (None, "found None"), ([], "is empty"), ("", "empty")):
            with pytest.raises(ConfigError, match=f"{argument} of 'action'.*{said}"):
                make_mixture(one, **{argument: {"action": steps}})


def arms(*rates: int) -> list:
    made = [ArrayDataset({"action": np.zeros((4, 2)) + i}, [4], fps=fps) for i, fps in enumerate(rates)]
    return [source(one, f"arm{i}") for i, one in enumerate(made)]


def test_what_a_chunk_lasts_is_told_where_sources_differ() -> None:
    assert chunk_durations(arms(10, 30, 10), {"action": range(20)}) == (
        "a chunk of 20 actions lasts 2.00 s in arm0, arm2 (10 fps), 0.67 s in arm1 (30 fps); "
        "dataset.rate resamples them to one rate"
    )
    assert str(chunk_durations(arms(10, 30), {"action": [0]})).startswith(
        "a single action lasts 0.10 s in arm0 (10 fps)"
    )
    assert chunk_durations(arms(10, 10), {"action": range(20)}) is None
    assert chunk_durations(arms(10, 30), {}) is None


def test_real_arms_of_ten_and_thirty_frames_a_second_share_ten(real_data: Path) -> None:
    made = make_mixture(
        config(
            {"root": str(real_data / "cr5_v21"), "episodes": [0]},
            {
                "root": str(real_data / "g1_v30"),
                "feature_map": {"observation.images.cam_high": "observation.images.g1"},
            },
            rate=10,
        ),
        delta_indices={"action": range(10)},
    )
    native = make_mixture(config({"root": str(real_data / "g1_v30")}))
    g1 = made.sources[1].dataset
    assert made.meta.fps == 10
    assert g1.episodes.lengths.tolist() == [(n - 1) // 3 + 1 for n in native.sources[0].dataset.episodes.lengths]
    first, third = made.sources[0].frames.num_frames, int(native.sources[0].dataset.episodes.starts[2])
    ours = made[first + int(g1.episodes.starts[2]) + 7]
    theirs = native[third + 21]
    assert torch.equal(ours["observation.state"][:26], theirs["observation.state"])
    assert torch.equal(ours["observation.images.g1"], theirs["observation.images.cam_high"])
    assert torch.equal(ours["action"][1, :26], native[third + 24]["action"])
