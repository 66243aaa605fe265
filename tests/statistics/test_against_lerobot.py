"""Statistics of several datasets: robomix's are numpy's on all frames; LeRobot's, put together afterwards, are not.

Both sides are computed here, of the same data, and the table in docs/statistics.md shows what comes out.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from lerobot.datasets.compute_stats import aggregate_stats, get_feature_stats

from robomix.statistics.compute import mixture_stats
from tests.conftest import PROJECT
from tests.memory import ArrayDataset, mixture, source

NAMES = {"mean": None, "std": None, "q01": 0.01, "q99": 0.99}


def normal(mean: float, n: int, seed: int) -> np.ndarray:
    """(n, 1) values around `mean` with deviation 1."""
    return np.random.default_rng(seed).normal(mean, 1.0, (n, 1)).astype(np.float32)


CASES: dict[str, list[np.ndarray]] = {
    "two robots, means 0 and 10": [normal(0, 2000, 0), normal(10, 2000, 1)],
    "clusters, 90 % at 0 and 10 % at 10": [normal(0, 3600, 0), normal(10, 400, 1)],
    "constants, 0 and 7": [np.zeros((2000, 1), np.float32), np.full((2000, 1), 7, np.float32)],
    "entry 1, padding in the other robot": [
        np.concatenate([normal(0, 2000, 0), normal(10, 2000, 1)], 1),
        normal(0, 2000, 2),
    ],
}
"""The values of two datasets each; the table is about their last entry."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path))


def by_numpy(parts: list[np.ndarray]) -> dict[str, float]:
    """Of the last entry, over all frames that have it."""
    width = max(part.shape[1] for part in parts)
    values = np.concatenate([part[:, -1] for part in parts if part.shape[1] == width]).astype(np.float64)
    moments = {"mean": values.mean(), "std": values.std()}
    return moments | {name: float(np.quantile(values, q)) for name, q in NAMES.items() if q is not None}


def by_robomix(parts: list[np.ndarray]) -> dict[str, float]:
    sources = [source(ArrayDataset({"action": part}, [len(part)]), f"{i}") for i, part in enumerate(parts)]
    stats = mixture_stats(mixture(*sources))["global"]["action"]
    return {name: float(stats[name][-1]) for name in NAMES}


def by_lerobot(parts: list[np.ndarray]) -> dict[str, float]:
    """Statistics of each dataset, put together; vectors must be padded before, for it knows no others."""
    stats = aggregate_stats([{"action": get_feature_stats(part, 0, keepdims=False)} for part in padded(parts)])
    return {name: float(stats["action"][name][-1]) for name in NAMES}


def by_weighted_mean(parts: list[np.ndarray]) -> dict[str, float]:
    """Exact moments, and the exact quantiles of each dataset averaged by their numbers of frames."""
    last = [part[:, -1].astype(np.float64) for part in padded(parts)]
    everything, counts = np.concatenate(last), [len(one) for one in last]
    moments = {"mean": everything.mean(), "std": everything.std()}
    quantiles = {name: [np.quantile(one, q) for one in last] for name, q in NAMES.items() if q is not None}
    return moments | {name: float(np.average(values, weights=counts)) for name, values in quantiles.items()}


def padded(parts: list[np.ndarray]) -> list[np.ndarray]:
    width = max(part.shape[1] for part in parts)
    return [np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts]


@pytest.mark.parametrize("case", CASES)
def test_robomix_is_numpy_on_all_frames_and_merged_statistics_are_not(case: str) -> None:
    parts = CASES[case]
    expected = by_numpy(parts)
    assert by_robomix(parts) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    for merged in (by_lerobot(parts), by_weighted_mean(parts)):
        assert merged["q01"] != pytest.approx(expected["q01"], abs=0.5)
        assert merged["q99"] != pytest.approx(expected["q99"], abs=0.5)


def test_entries_that_are_padding_everywhere_are_neutral_and_lerobots_divide_by_nothing() -> None:
    padding = np.zeros((100, 1), np.float32)
    theirs = get_feature_stats(padding, 0, keepdims=False)
    assert theirs["std"][0] == 0.0
    own = source(
        ArrayDataset({"action": normal(0, 100, 0)}, [100]),
        transforms=[{"type": "pad_action", "kwargs": {"target_dim": 2}}],
    )
    stats = mixture_stats(mixture(own))["global"]["action"]
    assert [stats[name][1] for name in ("mean", "std", "q01", "q99")] == [0.0, 1.0, -1.0, 1.0]


def test_the_documented_table_is_what_comes_out() -> None:
    rows = re.findall(r"^\| (.+?) \| (mean|std|q01|q99) \| (.+?) \| (.+?) \| (.+?) \|$", page(), re.MULTILINE)
    assert {row[0] for row in rows} == set(CASES)
    for case, name, *cells in rows:
        for by, cell in zip((by_robomix, by_lerobot, by_weighted_mean), cells, strict=True):
            assert float(cell) == pytest.approx(by(CASES[case])[name], abs=0.005), (case, name, by.__name__)


def page() -> str:
    return (PROJECT / "docs/statistics.md").read_text()
