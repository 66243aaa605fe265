"""The same episodes are the same samples in every format: a recording in zarr, and it as LeRobot, HDF5 and RLDS."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robomix import Mixture, MixtureConfig, Schedule, make_loader, make_mixture, streams
from robomix.formats import Dataset, open_dataset
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.formats.robomimic.writer import RobomimicWriter
from tests.rlds_files import TEXT, declaration, episode_records, group, image, tensor, write_shards

EPISODES = 3
IMAGE = "observation.images.img"
HORIZONS = {"action": range(-1, 6), "observation.state": [-2, -1, 0], IMAGE: [-1, 0]}

Columns = dict[str, np.ndarray]
Write = Callable[[Dataset, list[Columns], Path], None]


@pytest.fixture(scope="module")
def pusht(real_data: Path) -> Dataset:
    return open_dataset(real_data / "pusht_zarr" / "pusht_cchi_v7_replay.zarr", fps=10)


@pytest.fixture(scope="module")
def expected(pusht: Dataset) -> Mixture:
    return mixture(pusht.path)


def mixture(root: Path) -> Mixture:
    """Episodes 0 and 1 as one source, 2 and again 0 as another."""
    parts = {"both": [0, 1], "last": [2, 0]}
    entries = [{"root": str(root), "fps": 10, "name": name, "episodes": ids} for name, ids in parts.items()]
    return make_mixture(MixtureConfig.from_dict({"datasets": entries}), delta_indices=HORIZONS, seed=7)


def episodes_of(dataset: Dataset) -> list[Columns]:
    """Everything the first episodes hold, by feature."""
    made = []
    for start, end in zip(dataset.episodes.starts[:EPISODES], dataset.episodes.starts[1:], strict=False):
        numbers = {key: dataset.column(key)[start:end] for key, f in dataset.features.items() if not f.is_camera}
        made.append(numbers | {IMAGE: dataset.read_frames(IMAGE, np.arange(start, end))})
    return made


def write_lerobot(dataset: Dataset, episodes: list[Columns], path: Path) -> None:
    features = dict(dataset.features) | {IMAGE: replace(dataset.features[IMAGE], storage="image")}  # PNG: lossless
    with DatasetWriter(path, fps=10, features=features) as writer:
        for columns in episodes:
            writer.add_episode(columns, dataset.tasks[0])


def write_robomimic(dataset: Dataset, episodes: list[Columns], path: Path) -> None:
    env_args = {"env_name": dataset.tasks[0], "env_kwargs": {"control_freq": 10}}
    with RobomimicWriter(path, env_args=env_args, features=dataset.features) as writer:
        for columns in episodes:
            writer.add_episode(columns)


def write_rlds(dataset: Dataset, episodes: list[Columns], path: Path) -> None:
    declared = {key: tensor(f.dtype, *f.shape) for key, f in dataset.features.items() if not f.is_camera}
    observed = {key.removeprefix("observation."): value for key, value in declared.items() if key != "action"}
    steps = {"action": declared["action"], "observation": group(**observed, img=image(96, 96, 3))}
    joined = {key.replace(".", "/"): np.concatenate([columns[key] for columns in episodes]) for key in episodes[0]}
    frames = {"observation/img": joined.pop(IMAGE.replace(".", "/"))}
    lengths = [len(columns["action"]) for columns in episodes]
    records = episode_records(joined, frames, [dataset.tasks[0]] * sum(lengths), lengths)
    write_shards(path, declaration(steps | {"language_instruction": TEXT}), {"train": [records]})


WRITTEN: dict[str, Write] = {
    "LeRobot v3.0": write_lerobot,
    "robomimic HDF5": write_robomimic,
    "RLDS": write_rlds,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_samples_of_a_recording_are_the_same_in_every_format(
    name: str, pusht: Dataset, expected: Mixture, tmp_path: Path
) -> None:
    path = tmp_path / ("pusht.hdf5" if name == "robomimic HDF5" else "pusht")
    WRITTEN[name](pusht, episodes_of(pusht), path)
    made = mixture(path)
    assert made.sources[0].dataset.format.startswith(name)
    assert made.features == expected.features
    assert made.meta.tasks == expected.meta.tasks
    wanted = [*range(0, len(expected), 9), *range(len(expected) - 9, len(expected))]
    assert_same(made.__getitems__(wanted), expected.__getitems__(wanted))


def test_batches_of_a_schedule_are_the_same_too(pusht: Dataset, expected: Mixture, tmp_path: Path) -> None:
    """The order depends on names, sizes and the seed, and on nothing that a format does."""
    write_robomimic(pusht, episodes_of(pusht), tmp_path / "pusht.hdf5")
    drawn = []
    for made in (expected, mixture(tmp_path / "pusht.hdf5")):
        schedule = Schedule(streams(made.sources, alpha=0.5), seed=3, batch_size=16)
        drawn.append(list(make_loader(made, schedule, stop=4)))
    for one, other in zip(*drawn, strict=True):
        assert_same(one, other)


def assert_same(batch: dict[str, object], expected: dict[str, object]) -> None:
    """Every key, mask, task and index; pictures bit for bit."""
    assert set(batch) == set(expected)
    assert {"action_is_pad", f"{IMAGE}_is_pad", "task", "frame_index", "episode_index", "index"} <= set(batch)
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert batch[key].dtype == value.dtype, key
            assert torch.equal(batch[key], value), key
        else:
            assert batch[key] == value, key
