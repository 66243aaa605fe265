"""Mixtures of datasets on disk: three LeRobot versions at once, and LeRobot's own reader as the reference."""

from pathlib import Path

import numpy as np
import pytest
import torch

from robomix import Mixture, MixtureConfig, Schedule, make_dataset, make_loader, make_mixture
from robomix.mixture.resolve import streams
from tests.fixtures import row_and_camera, write_v20, write_v21, write_v30
from tests.formats.writing import lerobot_dataset
from tests.truth import Truth


@pytest.fixture(scope="module")
def truths(tmp_path_factory: pytest.TempPathFactory) -> list[Truth]:
    folder = tmp_path_factory.mktemp("data")
    return [
        write_v20(folder / "a", seed=0, state_dim=4, value_dtype="float64", wall_clock=True, frame_index=False),
        write_v21(folder / "b", seed=1, fps=30, action_dim=5, tasks=["pick", "place", "pick"]),
        write_v30(folder / "c", seed=2, fps=29.97, cameras={"cam": (32, 48)}, episodes_per_video_file=2),
    ]


@pytest.fixture(scope="module")
def made(truths: list[Truth]) -> Mixture:
    entries = [{"root": str(truth.path)} for truth in truths]
    entries[2] |= {"feature_map": {"cam": "observation.images.top"}}
    return make_mixture(MixtureConfig.from_dict({"datasets": entries}), delta_indices={"action": range(3)})


def test_three_versions_give_the_numbers_that_were_written(made: Mixture, truths: list[Truth]) -> None:
    first = 0
    for i, truth in enumerate(truths):
        batch = made.__getitems__(range(first, first + truth.num_frames))
        assert (batch["dataset_index"] == i).all()
        for key in ("observation.state", "action"):
            values = truth.columns[key].astype(np.float32)
            ours = batch[key][:, 0] if key == "action" else batch[key]
            assert np.array_equal(ours[:, : values.shape[1]], values)
            assert not ours[:, values.shape[1] :].any()
            assert batch[f"{key}_dim_is_pad"].sum(1).unique().tolist() == [ours.shape[1] - values.shape[1]]
        assert batch["task"] == list(truth.row_tasks)
        assert [made.meta.tasks[t] for t in batch["task_index"]] == list(truth.row_tasks)
        first += truth.num_frames


def test_pictures_belong_to_their_rows_whatever_file_they_lie_in(made: Mixture, truths: list[Truth]) -> None:
    order = np.random.default_rng(0).permutation(len(made))
    batch = made.__getitems__(order)
    firsts = np.cumsum([0, *(truth.num_frames for truth in truths)])
    for place, i in enumerate(order):
        row, _ = row_and_camera(batch["observation.images.top"][place].numpy())
        assert row == i - firsts[batch["dataset_index"][place]]


def test_spawned_workers_read_the_same_from_disk(made: Mixture) -> None:
    schedule = Schedule(streams(made.sources, 1.0), seed=0, batch_size=8)
    alone, shared = (list(make_loader(made, schedule, stop=4, num_workers=n)) for n in (0, 2))
    for one, other in zip(alone, shared, strict=True):
        for key, value in one.items():
            assert torch.equal(value, other[key]) if torch.is_tensor(value) else value == other[key]


def test_samples_of_a_real_recording_equal_lerobots_own(real_data: Path) -> None:
    deltas = [i / 30 for i in range(5)]
    theirs = lerobot_dataset(real_data / "g1_v30", delta_timestamps={"action": deltas})
    ours = make_mixture(
        MixtureConfig.from_dict({"root": str(real_data / "g1_v30")}), delta_indices={"action": range(5)}
    )
    indices = [0, 1, 400, 1203, len(ours) - 1]
    batch = ours.__getitems__(indices)
    for place, i in enumerate(indices):
        sample = theirs[i]
        for key in ("observation.state", "action", "action_is_pad", "episode_index", "index", "task_index"):
            assert torch.equal(batch[key][place], sample[key]), key
        assert batch["task"][place] == sample["task"]
        image = sample["observation.images.cam_high"]
        image = (image * 255).round().to(torch.uint8) if image.is_floating_point() else image
        assert torch.equal(batch["observation.images.cam_high"][place], image)


def test_repo_ids_are_found_under_lerobots_home(
    truths: list[Truth], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path))
    for name in ("a", "b"):
        write_v21(tmp_path / "me" / name, seed=ord(name))
    dataset = make_dataset(MixtureConfig.from_dict({"repo_id": ["me/a", "me/b"], "episodes": [0, 1]}))
    assert dataset.repo_id_to_index == {"me/a": 0, "me/b": 1}
    assert dataset.num_episodes == 4
    assert dataset[dataset.num_frames - 1]["dataset_index"] == 1
