"""Shares that move: exact at every draw, each frame once per epoch, random access, and resuming with another future."""

import math
import pickle
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.errors import ConfigError
from robomix.mixture import apportion
from robomix.mixture.curves import UNITS, way_gone
from robomix.mixture.schedule import Schedule, Stream
from robomix.mixture.stages import Stage
from tests.mixture.test_schedule import GOLDEN_BATCH, GOLDEN_FRAME, GOLDEN_SOURCE, STREAMS


def made(shares: list[tuple[float, ...]], stages: list[tuple[int, str]], **settings: Any) -> Schedule:
    """A schedule of the first of `shares`, and of the others from the steps of `stages` on; they need not sum to 1."""
    scaled = [tuple(np.array(of_stage) / sum(of_stage)) for of_stage in shares]
    streams = [Stream(f"source {i}", 7 + i, p) for i, p in enumerate(scaled[0])]
    later = [Stage(step, p, way) for (step, way), p in zip(stages, scaled[1:], strict=True)]
    return Schedule(streams, **{"seed": 0, "batch_size": 8} | settings, stages=later)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Schedule, int]:
    """Any schedule of few sources and stages, and a step well after its last stage."""
    sources, count = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    share = st.one_of(st.just(0), st.integers(1, 9))
    shares = draw(st.lists(st.tuples(*[share] * sources).filter(any), min_size=count + 1, max_size=count + 1))
    steps = np.cumsum(draw(st.lists(st.integers(1, 12), min_size=count, max_size=count))).tolist()
    ways = draw(st.lists(st.sampled_from(["hold", "linear", "cosine"]), min_size=count, max_size=count))
    batching = draw(st.sampled_from(["mixed", "per_source"]))
    stages, batch_size = list(zip(steps, ways, strict=True)), draw(st.integers(1, 9))
    with mock.patch.object(apportion, "PERIOD", 256):  # shorter tables are made faster
        return made(shares, stages, batch_size=batch_size, batching=batching), steps[-1] + 10


def turn(schedule: Schedule) -> int:
    """Draws in a row from one source."""
    return schedule.batch_size if schedule.batching == "per_source" else 1


def due(schedule: Schedule, steps: int) -> np.ndarray:
    """(turns + 1, D): the sum of the shares before each turn, in turns."""
    each = schedule.batch_size // turn(schedule)
    shares = np.array([schedule.shares(step) for step in range(steps)])
    return np.concatenate([np.zeros((1, shares.shape[1])), np.cumsum(np.repeat(shares, each, axis=0), axis=0)])


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_every_prefix_is_within_the_stated_bound_of_the_integral_of_the_shares(drawn: tuple[Schedule, int]) -> None:
    schedule, steps = drawn
    sources = len(schedule.streams)
    source = schedule.draws(0, steps * schedule.batch_size).source[:: turn(schedule)]
    counts = np.cumsum(np.concatenate([np.zeros((1, sources)), source[:, None] == np.arange(sources)]), axis=0)
    off = np.abs(counts - due(schedule, steps)).max(axis=1)
    begun = np.repeat([sum(s.step <= step for s in schedule.stages) for step in range(steps)], len(source) // steps)
    assert (off[1:] < begun * math.ceil(math.log2(sources)) + 1 + 1e-9).all()


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_each_frame_comes_once_per_source_epoch(drawn: tuple[Schedule, int]) -> None:
    schedule, steps = drawn
    draws = schedule.draws(0, steps * schedule.batch_size)
    for i, stream in enumerate(schedule.streams):
        of_source = draws.source == i
        frames, epochs = draws.frame[of_source], draws.epoch[of_source]
        assert np.array_equal(epochs, np.arange(len(epochs)) // stream.frames)
        for epoch in range(len(epochs) // stream.frames):
            assert np.array_equal(np.sort(frames[epochs == epoch]), np.arange(stream.frames))


@settings(max_examples=60, deadline=None)
@given(schedules(), st.data())
def test_draws_are_random_access_and_consumed_counts_them(drawn: tuple[Schedule, int], data: st.DataObject) -> None:
    schedule, steps = drawn
    whole = schedule.draws(0, steps * schedule.batch_size)
    start = data.draw(st.integers(0, len(whole) - 1))
    part = schedule.draws(start, len(whole))
    assert np.array_equal(part.source, whole.source[start:])
    assert np.array_equal(part.frame, whole.frame[start:])
    for step in range(0, steps, 5):
        of_source = np.bincount(whole.source[: step * schedule.batch_size], minlength=len(schedule.streams))
        assert schedule.consumed(step).tolist() == of_source.tolist()


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_a_source_of_weight_zero_is_not_drawn(drawn: tuple[Schedule, int]) -> None:
    schedule, steps = drawn
    for first, second in zip(schedule.stages, (*schedule.stages[1:], None), strict=True):
        ends = np.array([first.probabilities, second.probabilities if second else first.probabilities])
        held = second is None or second.interpolate == "hold"
        idle = ends[0] == 0 if held else ends.max(axis=0) == 0
        last = second.step if second else steps
        grown = schedule.consumed(last) - schedule.consumed(first.step)
        assert not grown[idle].any()


def test_many_short_stages_starve_nobody() -> None:
    """Stages of 2 steps and 8 draws, 40 equal sources: each is due a draw every fifth stage, and gets it."""
    shares = [tuple([1.0] * 40), tuple([1.0] * 39 + [1.1])] * 100
    schedule = made(shares, [(2 * i, "hold") for i in range(1, 200)], batch_size=4)
    counts = schedule.consumed(400)
    assert np.abs(counts - 40).max() <= 3


@pytest.mark.parametrize("way", ["linear", "cosine"])
def test_linear_and_cosine_go_half_the_way_in_half_the_steps(way: str) -> None:
    """From 3:1 to 1:3 over 100 steps of 8 draws: half of the draws each, but for the first step."""
    schedule = made([(3, 1), (1, 3)], [(100, way)])
    assert schedule.shares(0).tolist() == pytest.approx([0.75, 0.25], abs=1e-4)
    assert schedule.shares(50).tolist() == pytest.approx([0.5, 0.5], abs=1e-4)
    assert schedule.shares(100).tolist() == pytest.approx([0.25, 0.75], abs=1e-4)
    assert schedule.consumed(100).tolist() == [402, 398]


def test_linear_draws_are_those_of_the_triangle() -> None:
    """Shares of 1 - s / 10 in steps 0 to 9 sum up to 5.5 steps, of 20 draws."""
    assert made([(1, 0), (0, 1)], [(10, "linear")], batch_size=20).consumed(10).tolist() == [110, 90]


@pytest.mark.parametrize("curve", ["linear", "cosine"])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 100, 1001])
def test_the_way_gone_is_the_sum_of_its_steps(curve: str, length: int) -> None:
    steps = np.arange(length)
    weights = steps / length if curve == "linear" else (1 - np.cos(np.pi * steps / length)) / 2
    gone = np.array([way_gone(curve, s, length) for s in range(length + 1)])
    assert np.abs(gone / UNITS - np.concatenate([[0], np.cumsum(weights)])).max() < 1 / UNITS
    assert ((np.diff(gone) >= 0) & (np.diff(gone) <= UNITS)).all()


@pytest.mark.parametrize("near", [0, 3 * 10**5, 5 * 10**8 - 50, 10**9 - 100])
def test_the_way_never_turns_back_however_long_it_is(near: int) -> None:
    gone = [way_gone("cosine", s, 10**9) for s in range(near, near + 101)]
    assert min(np.diff(gone)) >= 0
    assert max(np.diff(gone)) <= UNITS


def test_a_billion_steps_in_the_future_is_as_near_as_the_next() -> None:
    schedule = made([(1, 0, 2), (2, 1, 1)], [(10**9, "cosine")], batch_size=4096)
    counts = schedule.consumed(5 * 10**8)
    assert counts.sum() == 5 * 10**8 * 4096
    assert np.array_equal(np.bincount(schedule.batch(5 * 10**8).source), schedule.consumed(5 * 10**8 + 1) - counts)


def test_a_schedule_with_stages_pickles_small() -> None:
    schedule = made([(1, 2, 3), (3, 2, 1)], [(10**6, "cosine")])
    schedule.batch(5 * 10**5)
    copy = pickle.loads(pickle.dumps(schedule))
    assert np.array_equal(copy.batch(7).frame, schedule.batch(7).frame)
    assert len(pickle.dumps(schedule)) < len(pickle.dumps(made([(1, 2, 3)], []))) + 10_000


def test_until_weights_change_the_order_is_that_of_a_mixture_whose_weights_stay() -> None:
    later = Stage(10, (0.1, 0.1, 0.8))
    schedule = Schedule(STREAMS, seed=0, batch_size=64, stages=[later])
    plain = Schedule(STREAMS, seed=0, batch_size=64)
    for t in range(10):
        assert np.array_equal(schedule.batch(t).frame, plain.batch(t).frame)
    draws = schedule.draws(0, 12)
    assert (draws.source.tolist(), draws.frame.tolist()) == (GOLDEN_SOURCE, GOLDEN_FRAME)
    assert schedule.batch(3).number[:6].tolist() == GOLDEN_BATCH
    assert np.abs(np.bincount(schedule.batch(10).source) - [6.4, 6.4, 51.2]).max() < 2


def test_golden_order_of_moving_shares() -> None:
    """If these change, so must VERSION."""
    schedule = made([(3, 1, 0), (0, 1, 3)], [(8, "cosine")], batch_size=6)
    assert [schedule.consumed(t).tolist() for t in (2, 4, 6, 8, 10)] == GOLDEN_COUNTS
    assert schedule.draws(21, 33).source.tolist() == GOLDEN_SOURCES


GOLDEN_COUNTS = [[9, 3, 0], [16, 6, 2], [19, 9, 8], [20, 12, 16], [20, 15, 25]]
GOLDEN_SOURCES = [1, 0, 2, 0, 1, 2, 0, 1, 2, 2, 2, 0]

THEN = made([(1, 1), (1, 3), (3, 1)], [(10, "hold"), (20, "linear")])


@pytest.mark.parametrize(
    ("at", "future"),
    [
        (10, made([(1, 1)], [])),
        (7, made([(1, 1), (5, 1)], [(7, "hold")])),
        (10, made([(1, 1), (1, 1), (0, 1)], [(10, "hold"), (12, "cosine")])),
        (15, made([(1, 1), (1, 3), (3, 1), (0, 1)], [(10, "hold"), (20, "linear"), (25, "cosine")])),
        (25, made([(1, 1), (1, 3), (3, 1), (0, 1)], [(10, "hold"), (20, "linear"), (25, "hold")])),
    ],
)
def test_weights_of_steps_to_come_may_be_changed(at: int, future: Schedule) -> None:
    """And what was drawn before is the same under both, so every frame goes on coming once per epoch."""
    assert future.resume(THEN.state(at)) == at
    assert np.array_equal(future.draws(0, at * 8).frame, THEN.draws(0, at * 8).frame)
    assert future.consumed(at).tolist() == THEN.consumed(at).tolist()


@pytest.mark.parametrize(
    ("at", "other", "said"),
    [
        (11, made([(1, 1)], []), "weight_schedule up to step 11: hold to step 10, linear to step 20 then, none now"),
        (15, made([(1, 1), (1, 3)], [(10, "hold")]), "hold to step 10, linear to step 20 then, hold to step 10 now"),
        (15, made([(1, 1), (1, 3), (3, 1)], [(10, "hold"), (21, "linear")]), "linear to step 21 now"),
        (25, made([(1, 1), (1, 3), (3, 1), (0, 1)], [(10, "hold"), (20, "linear"), (30, "linear")]), "step 30 now"),
        (
            15,
            made([(1, 1), (1, 3), (1, 1)], [(10, "hold"), (20, "linear")]),
            "weight_schedule at step 20: source 'source 0': 75.00% of the samples then, 50.00% now",
        ),
        (5, made([(1, 3), (1, 3), (3, 1)], [(10, "hold"), (20, "linear")]), "source 'source 0': 50.00% of the samples"),
    ],
)
def test_weights_of_steps_that_are_past_may_not(at: int, other: Schedule, said: str) -> None:
    with pytest.raises(ConfigError, match="order of its samples would change") as error:
        other.resume(THEN.state(at))
    assert said in str(error.value)


def test_a_mixture_whose_weights_stay_saves_what_it_always_did() -> None:
    assert "stages" not in Schedule(STREAMS, seed=0, batch_size=64).state(3)
    assert [stage["step"] for stage in THEN.state(3)["stages"]] == [10, 20]
