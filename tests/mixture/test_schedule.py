"""The schedule: coverage, shares, independence of ranks, and resuming."""

import pickle

import numpy as np
import pytest

from robomix.errors import ConfigError
from robomix.mixture.schedule import VERSION, Draws, Schedule, Stream

STREAMS = [Stream("large", 700, 0.5), Stream("small", 30, 0.2), Stream("middle", 200, 0.3)]


def schedule(streams: list[Stream] = STREAMS, seed: int = 0, batch_size: int = 64, batching: str = "mixed") -> Schedule:
    return Schedule(streams, seed=seed, batch_size=batch_size, batching=batching)


@pytest.mark.parametrize("batching", ["mixed", "per_source"])
def test_each_frame_comes_once_per_source_epoch(batching: str) -> None:
    draws = schedule(batching=batching).draws(0, 20_000 // 64 * 64)
    for i, stream in enumerate(STREAMS):
        of_source = draws.source == i
        frames, epochs = draws.frame[of_source], draws.epoch[of_source]
        assert epochs.max() >= 5
        for epoch in range(epochs.max()):  # all epochs but the last, which is not complete
            assert np.array_equal(np.sort(frames[epochs == epoch]), np.arange(stream.frames))


def test_epochs_have_different_orders() -> None:
    draws = schedule([Stream("only", 100, 1.0)]).draws(0, 200)
    assert not np.array_equal(draws.frame[:100], draws.frame[100:])


def test_every_prefix_and_every_batch_is_within_two_samples_of_its_share() -> None:
    made = schedule()
    source = made.draws(0, 130_000).source
    counted = np.arange(1, len(source) + 1)
    for i, p in enumerate(made.probabilities):
        count = np.cumsum(source == i)
        assert np.abs(count - counted * p).max() < 2
        batches = np.diff(np.concatenate([[0], count[63::64]]))
        assert np.abs(batches - 64 * p).max() < 2


def test_per_source_batches_hold_one_source_each_in_the_right_shares() -> None:
    made = schedule(batching="per_source")
    members = [set(made.batch(t).source.tolist()) for t in range(1000)]
    assert all(len(one) == 1 for one in members)
    counts = np.bincount([one.pop() for one in members], minlength=3)
    assert np.abs(counts - 1000 * made.probabilities).max() < 2


def test_a_batch_is_its_draws_in_another_order() -> None:
    made = schedule()
    batch, draws = made.batch(5), made.draws(5 * 64, 6 * 64)
    assert not np.array_equal(batch.number, draws.number)
    assert np.array_equal(np.sort(batch.number), draws.number)
    order = np.argsort(batch.number)
    assert np.array_equal(batch.frame[order], draws.frame)


def test_no_rank_is_given_only_some_sources() -> None:
    """Slicing the draws themselves would alias: with two equal sources each of two ranks would see one of them."""
    made = schedule([Stream("a", 500, 0.5), Stream("b", 500, 0.5)], batch_size=64)
    firsts = np.concatenate([made.batch(t).source[:32] for t in range(200)])
    assert 0.45 < firsts.mean() < 0.55


def test_a_source_smaller_than_a_batch_repeats_within_it() -> None:
    made = schedule([Stream("tiny", 3, 1.0)], batch_size=10)
    batch = made.batch(0)
    assert sorted(np.bincount(batch.frame).tolist()) == [3, 3, 4]
    assert sorted(batch.epoch.tolist()) == [0] * 3 + [1] * 3 + [2] * 3 + [3]


def test_two_listings_of_one_dataset_do_not_move_in_step() -> None:
    draws = schedule([Stream("x", 400, 0.5), Stream("x#2", 400, 0.5)]).draws(0, 800)
    first, second = draws.frame[draws.source == 0], draws.frame[draws.source == 1]
    assert np.mean(first == second) < 0.02


def test_seed_and_name_change_the_order_and_nothing_else_does() -> None:
    base = schedule().draws(0, 500).frame
    assert np.array_equal(base, schedule(batch_size=8).draws(0, 500).frame)
    assert not np.array_equal(base, schedule(seed=1).draws(0, 500).frame)
    renamed = [Stream("other", 700, 0.5), *STREAMS[1:]]
    assert not np.array_equal(base, schedule(renamed).draws(0, 500).frame)


def test_neighbouring_seeds_and_epochs_do_not_share_orders() -> None:
    """Peers add seed and epoch, so that seed 0 epoch 1 is seed 1 epoch 0."""
    of = [schedule([Stream("only", 64, 1.0)], seed=seed).draws(0, 128).frame for seed in (0, 1)]
    assert not np.array_equal(of[0][64:], of[1][:64])


def test_consumed_counts_what_was_drawn() -> None:
    for batching in ("mixed", "per_source"):
        made = schedule(batching=batching)
        for batches in (0, 1, 7, 1500):
            drawn = np.bincount(made.draws(0, batches * 64).source, minlength=3)
            assert made.consumed(batches).tolist() == drawn.tolist()


def test_draws_are_random_access() -> None:
    made = schedule()
    far = 10**12
    whole, part = made.draws(far, far + 100), made.draws(far + 40, far + 60)
    assert np.array_equal(whole.frame[40:60], part.frame)


def test_state_resumes_at_the_batch_it_was_saved_at() -> None:
    state = schedule().state(123)
    assert schedule().resume(state) == 123
    assert state["samples"] == 123 * 64
    assert sum(s["drawn"] for s in state["sources"]) == 123 * 64


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (schedule(seed=9), "seed: 0 then, 9 now"),
        (schedule(batch_size=32), "batch_size: 64 then, 32 now"),
        (schedule(batching="per_source"), "batching: 'mixed' then, 'per_source' now"),
        (schedule([Stream("large", 701, 0.5), *STREAMS[1:]]), "source 'large': 700 frames then, 701 now"),
        (schedule([Stream("large", 700, 0.9), *STREAMS[1:]]), "source 'large': 50.00% of the samples then, 64.29% now"),
        (schedule([Stream("large", 700, 0.5, "new"), *STREAMS[1:]]), "source 'large': its content"),
        (schedule(STREAMS[::-1]), "sources"),
    ],
)
def test_resuming_on_something_else_is_refused_by_name(changed: Schedule, named: str) -> None:
    with pytest.raises(ConfigError, match="order of its samples would change") as error:
        changed.resume(schedule().state(5))
    assert named in str(error.value)


def test_an_order_of_another_version_is_not_continued() -> None:
    with pytest.raises(ConfigError, match=f"version: {VERSION + 1} then, {VERSION} now"):
        schedule().resume(schedule().state(5) | {"version": VERSION + 1})


@pytest.mark.parametrize(
    ("streams", "batch_size", "message"),
    [
        ([], 8, "the mixture is empty"),
        ([Stream("a", 0, 1.0)], 8, "without a frame to draw: a"),
        ([Stream("a", 5, 0.5), Stream("a", 5, 0.5)], 8, "distinct names"),
        ([Stream("a", 5, 1.0)], 0, "at least 1"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(streams: list[Stream], batch_size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Schedule(streams, seed=0, batch_size=batch_size)


def test_golden_order() -> None:
    """The first draws of a known schedule: if these change, so must VERSION."""
    made: Draws = schedule().draws(0, 12)
    assert made.source.tolist() == GOLDEN_SOURCE
    assert made.frame.tolist() == GOLDEN_FRAME
    assert schedule().batch(3).number[:6].tolist() == GOLDEN_BATCH


GOLDEN_SOURCE = [0, 2, 0, 1, 0, 2, 0, 2, 0, 1, 0, 2]
GOLDEN_FRAME = [599, 20, 478, 6, 193, 79, 214, 64, 376, 26, 620, 156]
GOLDEN_BATCH = [224, 211, 246, 248, 199, 215]


def test_memory_does_not_grow_with_frames() -> None:
    small, large = (len(pickle.dumps(schedule([Stream("s", n, 1.0)]))) for n in (10, 10**12))
    assert abs(small - large) < 64
