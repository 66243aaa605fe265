"""What a mixture of hundreds of datasets must not cost, on metadata alone: `benchmarks.scale` has the times."""

import json
import pickle

import numpy as np
import pytest

from benchmarks.scale import ORDERS, Metadata, Size, batch_times, config_of, metadata, mixture_of, order_config
from robomix.mixture.dataset import Mixture
from robomix.mixture.loader import ScheduledBatches
from robomix.mixture.resolve import make_schedule
from robomix.mixture.schedule import Schedule

SIZE = Size(sources=500, episodes=100_000, frames=50_000_000)


@pytest.fixture(scope="module")
def datasets() -> list[Metadata]:
    return metadata(SIZE)


@pytest.fixture(scope="module")
def mixture(datasets: list[Metadata]) -> Mixture:
    return mixture_of(datasets, config_of(datasets))


def schedule(mixture: Mixture, datasets: list[Metadata], order: str, batch_size: int = 4096) -> Schedule:
    return make_schedule(mixture.sources, order_config(datasets, order), seed=0, batch_size=batch_size)


@pytest.mark.parametrize("order", ORDERS)
def test_a_checkpoint_holds_less_than_100_kib_of_the_order(
    datasets: list[Metadata], mixture: Mixture, order: str
) -> None:
    made = schedule(mixture, datasets, order)
    state = made.state(10**6)
    assert len(json.dumps(state)) < 100 * 1024
    assert made.resume(json.loads(json.dumps(state))) == 10**6


@pytest.mark.parametrize("order", ["mixed", "shuffle_window 50", "weights that move, shuffle_window 50"])
def test_the_slices_of_all_ranks_are_the_batch(datasets: list[Metadata], mixture: Mixture, order: str) -> None:
    made, t = schedule(mixture, datasets, order), 2_000
    draws = made.batch(t)
    slices = [
        next(iter(ScheduledBatches(mixture, made, start=t, stop=t + 1, rank=rank, world_size=1024)))
        for rank in range(0, 1024, 93)
    ]
    for rank, request in zip(range(0, 1024, 93), slices, strict=True):
        own = draws.take(slice(4 * rank, 4 * rank + 4))
        assert request.draw.tolist() == own.number.tolist()
        assert request.index.tolist() == mixture.index_of(own.source, own.frame).tolist()
    assert np.array_equal(np.sort(draws.number), np.arange(t * 4096, (t + 1) * 4096))


def test_memory_grows_with_episodes_and_not_with_frames(datasets: list[Metadata], mixture: Mixture) -> None:
    tens = metadata(Size(SIZE.sources, SIZE.episodes, SIZE.frames * 10))
    longer = mixture_of(tens, config_of(tens))
    assert longer.num_frames > 9 * mixture.num_frames
    sizes = [len(pickle.dumps(one)) for one in (mixture, longer)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    assert sizes[0] < 1_000_000 + 120 * mixture.num_episodes


def test_the_benchmark_measures_what_it_says(datasets: list[Metadata], mixture: Mixture) -> None:
    seen = batch_times(mixture, order_config(datasets, "mixed"), batch=256, ranks=64, count=1)
    assert set(seen) == {"made", "first", "median", "state"}
