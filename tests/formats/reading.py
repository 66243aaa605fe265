"""Comparing what robomix reads with what a fixture wrote."""

import warnings

import numpy as np

from robomix.formats import Dataset, open_dataset
from tests.fixtures import Truth, row_and_camera


def open_quietly(truth: Truth) -> Dataset:
    """The dataset, opened without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return open_dataset(truth.path)


def scalar_if_single(key: str, values: np.ndarray) -> np.ndarray:
    """LeRobot's rule: values of one entry are scalars, except for what policies take as vectors."""
    single = values.shape[1:] == (1,) and not key.startswith(("observation", "action"))
    return values[:, 0] if single else values


def assert_reads(dataset: Dataset, truth: Truth) -> None:
    """Everything the fixture wrote comes back: metadata, numbers bit for bit, tasks, and each row's own picture."""
    assert dataset.fps == truth.fps
    assert dataset.robot_type == truth.robot_type
    assert dataset.episodes.ids.tolist() == list(truth.episode_ids)
    assert dataset.episodes.starts.tolist() == truth.starts.tolist()
    assert [dataset.tasks[i] for i in dataset.task_indices()] == list(truth.row_tasks)
    assert set(truth.columns) | set(truth.frames) == set(dataset.features)
    for key, values in truth.columns.items():
        expected, column = scalar_if_single(key, values), dataset.column(key)
        assert column.dtype == expected.dtype
        assert dataset.features[key].shape == expected.shape[1:]
        assert dataset.features[key].dtype == expected.dtype.name
        np.testing.assert_array_equal(column, expected)
    for camera, (key, frames) in enumerate(truth.frames.items()):
        assert dataset.features[key].shape == frames.shape[1:]
        rows = np.random.default_rng(0).permutation(np.arange(truth.num_frames).repeat(2))
        read = dataset.read_frames(key, rows)
        assert [row_and_camera(image) for image in read] == [(row, camera) for row in rows]
