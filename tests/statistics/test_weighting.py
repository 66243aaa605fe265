"""What frames weigh: the same each, or as often as they are drawn; and only in groups they belong to."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.mixture.source import Source
from robomix.statistics.compute import mixture_groups, mixture_stats
from robomix.statistics.sources import source_summaries
from robomix.summaries import POINTS, QUANTILES
from tests.memory import ArrayDataset, mixture, source
from tests.statistics.test_summaries import rank_error


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path))


def data(values: np.ndarray) -> ArrayDataset:
    return ArrayDataset({"action": np.asarray(values, np.float32).reshape(len(values), -1)}, [len(values)])


def test_a_source_weighs_what_it_is_drawn() -> None:
    many, few = data(np.zeros(900)), data(np.ones(100))
    made = mixture(source(many, "many"), source(few, "few"))
    frames = mixture_stats(made)["global"]["action"]
    drawn = mixture_stats(made, sampling=[0.5, 0.5])["global"]["action"]
    assert (frames["mean"][0], drawn["mean"][0]) == pytest.approx((0.1, 0.5))
    assert (frames["q10"][0], frames["q50"][0]) == (0.0, 0.0)
    assert (drawn["q10"][0], drawn["q90"][0]) == (0.0, 1.0)
    assert drawn["count"].tolist() == frames["count"].tolist() == [1000]


def test_equal_probabilities_are_those_of_each_frame_drawn_that_often() -> None:
    """Frames of the second source are drawn three times as often: as if it were listed three times over."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(600, 2)), rng.normal(5, 2, size=(200, 2))
    stats = mixture_stats(mixture(source(data(a), "a"), source(data(b), "b")), sampling=[0.5, 0.5])["global"]["action"]
    all_drawn = np.concatenate([a, b, b, b]).astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(stats["mean"], all_drawn.mean(0), rtol=1e-6)
    np.testing.assert_allclose(stats["std"], all_drawn.std(0), rtol=1e-6)
    for name, q in QUANTILES.items():
        for d in range(2):
            assert rank_error(all_drawn[:, d], stats[name][d], q) <= 3 / 1200


def test_a_group_uses_the_weights_of_its_own_sources_only() -> None:
    """In GR00T N1.5 a robot that owned one dataset of two got the mean of half of it."""
    tens, other = data(np.full(100, 10.0)), data(np.zeros(100))
    made = mixture(source(other, "other", group="x"), source(tens, "tens", group="y"))
    for sampling in (None, [0.9, 0.1], [0.1, 0.9]):
        stats = mixture_stats(made, sampling=sampling)
        assert stats["y"]["action"]["mean"] == pytest.approx([10.0])
        assert stats["y"]["action"]["std"] == pytest.approx([0.0])
        assert mixture_groups(made, sampling=sampling)["y"].shares.tolist() == [1.0]


def test_a_groups_weights_are_those_of_its_members_not_of_the_first_ones() -> None:
    zeros, ones = data(np.zeros(100)), data(np.ones(100))
    made = mixture(source(zeros, "x", group="x"), source(zeros, "y0", group="y"), source(ones, "y1", group="y"))
    stats = mixture_stats(made, sampling=[0.5, 0.125, 0.375])
    assert stats["y"]["action"]["mean"] == pytest.approx([0.75])


def test_entries_only_some_sources_have_are_weighed_among_these() -> None:
    wide, narrow = data(np.stack([np.zeros(10), np.full(10, 4.0)], 1)), data(np.ones(10))
    made = mixture(source(wide, "wide"), source(narrow, "narrow"))
    stats = mixture_stats(made, sampling=[0.25, 0.75])["global"]["action"]
    assert stats["mean"] == pytest.approx([0.75, 4.0])
    group = mixture_groups(made, sampling=[0.25, 0.75])["global"]
    assert group.padding("action", made.schema.features["action"]) == pytest.approx([0.0, 0.75])


def test_a_group_that_is_never_drawn_counts_its_frames() -> None:
    drawn = source(data(np.zeros(4)), "drawn", group="of its own")
    made = mixture(drawn, source(data(np.full(4, 9.0)), "never", weight=0.0))
    assert mixture_stats(made, sampling=[1.0, 0.0])["global"]["action"]["mean"] == [9.0]


@pytest.mark.parametrize(
    "choice",
    [
        {"episodes": [0]},
        {"demo_limit": 1},
        {"idle": {"key": "action", "below": 0.5, "longer_than": 2}},
        {"success": {"key": "done"}},
    ],
    ids=["episodes", "demo_limit", "idle", "success"],
)
def test_a_subset_never_takes_the_summaries_of_the_whole(choice: dict) -> None:
    columns = {
        "action": np.repeat(np.arange(4, dtype=np.float32), 5)[:, None],
        "done": np.repeat(np.array([1, 0], np.float32), 10)[:, None],
    }
    columns["action"][:3] += np.arange(3)[:, None]
    dataset = ArrayDataset(columns, [10, 10])
    whole, subset = source(dataset), source(dataset, **choice)
    before = source_summaries(whole, ["action"], {})["action"][0]
    cut = source_summaries(subset, ["action"], {})["action"][0]
    kept = [columns["action"][rows] for rows in subset_rows(subset)]
    assert cut.count == len(kept) < before.count == 20
    assert cut.mean == pytest.approx(np.mean(kept))


def subset_rows(subset: Source) -> np.ndarray:
    table = subset.counted
    episode, frame = table.locate(table.from_drawable(np.arange(table.num_drawable)))
    return table.first_rows[episode] + frame


def spikes(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < rng.uniform(0.5, 0.999), rng.normal(), rng.normal(size=n))


def clusters(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.9, rng.normal(0, 1, n), rng.normal(rng.uniform(5, 1e3), 1, n))


def constant(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.full(n, rng.normal())


def outliers(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 1e-3, rng.choice([-1e6, 1e6], n), rng.normal(size=n))


KINDS = (spikes, clusters, constant, outliers)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 30_000)), min_size=1, max_size=4), st.integers(0, 2**31)
)
def test_quantiles_of_any_mixture_are_within_the_stated_rank_error(parts: list, seed: int) -> None:
    """1 / POINTS of all values: each source errs by that much of its own share."""
    from robomix.summaries import merge, summarize

    rng = np.random.default_rng(seed)
    values = [kind(rng, n) for kind, n in parts]
    merged, everything = merge([summarize(one) for one in values]), np.concatenate(values)
    assert merged.mean == pytest.approx(everything.mean(), rel=1e-9, abs=1e-9 * np.abs(everything).max())
    assert merged.std == pytest.approx(everything.std(), rel=1e-6, abs=1e-9 * np.abs(everything).max())
    for q in QUANTILES.values():
        assert rank_error(everything, merged.quantile(q), q) <= 1 / POINTS + 1 / len(everything)
