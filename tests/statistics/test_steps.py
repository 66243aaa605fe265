"""Statistics of relative actions by step of the chunk, against plain loops."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from robomix.errors import ConfigError
from robomix.statistics.compute import mixture_stats, step_stats
from tests.memory import ArrayDataset, mixture, source

RELATIVE = [{"type": "delta_action", "kwargs": {"reference": "state"}}]
LENGTHS = [7, 5]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path))


def robot(seed: int) -> ArrayDataset:
    rng = np.random.default_rng(seed)
    columns = {key: rng.normal(size=(12, 2)).astype(np.float32) for key in ("action", "observation.state")}
    return ArrayDataset(columns, LENGTHS)


def relative(dataset: ArrayDataset, step: int) -> np.ndarray:
    """action[t + step] - state[t] of all frames t whose step lies in their episode."""
    action, state = dataset.column("action"), dataset.column("observation.state")
    starts = np.concatenate([[0], np.cumsum(LENGTHS)])
    frames = [t for start, stop in pairwise(starts) for t in range(start, stop - step)]
    return np.array([action[t + step] - state[t] for t in frames])


def test_each_step_of_the_chunk_has_its_own_statistics() -> None:
    data = robot(0)
    made = mixture(source(data, transforms=RELATIVE), horizons={"action": range(3)})
    steps = step_stats(made)["global"]["action"]
    assert steps["mean"].shape == (3, 2)
    assert steps["count"].tolist() == [[12], [10], [8]]
    for step in range(3):
        values = relative(data, step)
        np.testing.assert_allclose(steps["mean"][step], values.mean(0), rtol=1e-5)
        np.testing.assert_allclose(steps["std"][step], values.std(0), rtol=1e-5)
        np.testing.assert_allclose(steps["q10"][step], np.quantile(values, 0.1, axis=0), rtol=1e-5)


def test_the_pooled_statistics_are_those_of_all_steps_together() -> None:
    data = robot(0)
    made = mixture(source(data, transforms=RELATIVE), horizons={"action": range(3)})
    pooled = mixture_stats(made)["global"]["action"]
    together = np.concatenate([relative(data, step) for step in range(3)])
    np.testing.assert_allclose(pooled["std"], together.std(0), rtol=1e-5)


def test_a_group_weighs_its_sources_at_each_step() -> None:
    a, b = robot(0), robot(1)
    made = mixture(
        source(a, "a", transforms=RELATIVE), source(b, "b", transforms=RELATIVE), horizons={"action": range(2)}
    )
    steps = step_stats(made, sampling=[0.75, 0.25])["global"]["action"]
    expected = 0.75 * relative(a, 1).mean(0) + 0.25 * relative(b, 1).mean(0)
    np.testing.assert_allclose(steps["mean"][1], expected, rtol=1e-5)


def test_absolute_actions_have_none() -> None:
    assert step_stats(mixture(source(robot(0)), horizons={"action": range(3)})) == {}


def test_without_a_window_the_error_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"source 'a': 'action' depends on where its window starts.*policy"):
        step_stats(mixture(source(robot(0), "a", transforms=RELATIVE)))
