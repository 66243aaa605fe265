"""Batches of one set of cameras each: in their shares, whether these move or not, and in an order that stays."""

import math
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.errors import ConfigError
from robomix.mixture import apportion
from robomix.mixture.schedule import Schedule, Stream
from robomix.mixture.stages import Stage

FRONT, BOTH, NONE = ("front",), ("front", "wrist"), ()


def made(
    sources: list[tuple[float, tuple[str, ...]]], *later: tuple[int, str, tuple[float, ...]], **more: Any
) -> Schedule:
    """A schedule of sources with shares and cameras, and of stages: a step, the way there, and the shares."""
    shares = np.array([share for share, _ in sources])
    streams = [
        Stream(f"source {i}", 7 + i, p, cameras=cameras)
        for i, (p, (_, cameras)) in enumerate(zip(shares / shares.sum(), sources, strict=True))
    ]
    stages = [Stage(step, tuple(np.array(given) / sum(given)), way) for step, way, given in later]
    return Schedule(streams, **{"seed": 0, "batch_size": 8, "batching": "per_camera_set"} | more, stages=stages)


MIXED_UP = [(3.0, FRONT), (2.0, BOTH), (1.0, FRONT), (2.0, BOTH)]
"""Half of the shares are of sources with one camera, half of sources with two, in alternation."""


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Schedule, int]:
    """Any schedule of few sources, sets and stages, and a step well after its last stage."""
    sources, count = draw(st.integers(1, 7)), draw(st.integers(0, 3))
    share = st.one_of(st.just(0), st.integers(1, 9))
    shares = draw(st.lists(st.tuples(*[share] * sources).filter(any), min_size=count + 1, max_size=count + 1))
    cameras = draw(st.lists(st.sampled_from([FRONT, BOTH, NONE]), min_size=sources, max_size=sources))
    steps = np.cumsum(draw(st.lists(st.integers(1, 12), min_size=count, max_size=count))).tolist()
    ways = draw(st.lists(st.sampled_from(["hold", "linear", "cosine"]), min_size=count, max_size=count))
    with mock.patch.object(apportion, "PERIOD", 256):  # shorter tables are made faster
        later = zip(steps, ways, shares[1:], strict=True)
        of_sources = list(zip(shares[0], cameras, strict=True))
        return made(of_sources, *later, batch_size=draw(st.integers(1, 9))), [0, *steps][-1] + 10


@settings(max_examples=80, deadline=None)
@given(schedules())
def test_every_batch_is_of_one_set(drawn: tuple[Schedule, int]) -> None:
    schedule, steps = drawn
    for t in range(steps):
        batch = schedule.batch(t)
        assert len(batch) == schedule.batch_size
        assert len({schedule.streams[i].cameras for i in batch.source}) == 1


@settings(max_examples=80, deadline=None)
@given(schedules())
def test_sources_are_drawn_in_their_shares_as_far_as_whole_batches_permit(drawn: tuple[Schedule, int]) -> None:
    """Off by less than one batch for each time the sets are halved, and one sample for each time their sources are."""
    schedule, steps = drawn
    cameras = [stream.cameras for stream in schedule.streams]
    halvings = math.ceil(math.log2(len(set(cameras))))
    within = math.ceil(math.log2(max(cameras.count(one) for one in cameras)))
    due = np.cumsum([schedule.shares(step) for step in range(steps)], axis=0) * schedule.batch_size
    for step in range(1, steps + 1):
        begun = sum(stage.step < step for stage in schedule.stages)
        off = np.abs(schedule.consumed(step) - due[step - 1]).max()
        assert off <= begun * (halvings * schedule.batch_size + within) + 1e-9


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_each_frame_comes_once_per_source_epoch(drawn: tuple[Schedule, int]) -> None:
    schedule, steps = drawn
    draws = schedule.draws(0, steps * schedule.batch_size)
    for i, stream in enumerate(schedule.streams):
        frames = draws.frame[draws.source == i]
        assert np.array_equal(draws.epoch[draws.source == i], np.arange(len(frames)) // stream.frames)
        for epoch in range(len(frames) // stream.frames):
            of_epoch = frames[epoch * stream.frames : (epoch + 1) * stream.frames]
            assert np.array_equal(np.sort(of_epoch), np.arange(stream.frames))


@settings(max_examples=60, deadline=None)
@given(schedules(), st.data())
def test_draws_are_random_access_and_consumed_counts_them(drawn: tuple[Schedule, int], data: st.DataObject) -> None:
    schedule, steps = drawn
    whole = schedule.draws(0, steps * schedule.batch_size)
    start = data.draw(st.integers(0, len(whole) - 1))
    assert np.array_equal(schedule.draws(start, len(whole)).frame, whole.frame[start:])
    for step in range(0, steps, 5):
        counts = np.bincount(whole.source[: step * schedule.batch_size], minlength=len(schedule.streams))
        assert schedule.consumed(step).tolist() == counts.tolist()


def test_shares_that_stay_are_counted_by_hand() -> None:
    """Of t batches the first of two sets with shares P and 1 - P has floor(1/2 + t * P), and of its m samples the first
    of two sources with shares p and 1 - p has floor(1/2 + m * p).
    """
    schedule = made([(1.0, FRONT), (1.0, BOTH), (3.0, FRONT)])
    for t in range(200):
        of_front = math.floor(0.5 + t * 4 / 5)
        first = math.floor(0.5 + 8 * of_front * 1 / 4)
        assert schedule.consumed(t).tolist() == [first, 8 * (t - of_front), 8 * of_front - first]


def test_what_a_set_is_owed_goes_on_through_many_stages() -> None:
    """Two sets whose shares jump every third step are never more than half a batch off."""
    shares = [(1 + i % 5, 1 + i * (i + 7) % 5) for i in range(200)]
    later = [(3 * i, "hold", shares[i]) for i in range(1, 200)]
    schedule = made([(1.0, FRONT), (3.0, BOTH)], *later)
    due = np.cumsum([schedule.shares(step) for step in range(600)], axis=0) * 8
    assert max(np.abs(schedule.consumed(step) - due[step - 1]).max() for step in range(1, 600)) <= 4.01


def test_a_million_batches_later_the_shares_still_hold() -> None:
    schedule = made(MIXED_UP)
    counts = schedule.consumed(10**6)
    assert np.abs(counts - 8 * 10**6 * schedule.probabilities).max() <= 8 + 1


def test_the_frames_of_a_source_come_in_the_order_of_every_batching() -> None:
    mixed, by_set = made(MIXED_UP, batching="mixed").draws(0, 4000), made(MIXED_UP).draws(0, 4000)
    for i in range(4):
        assert np.array_equal(mixed.frame[mixed.source == i][:400], by_set.frame[by_set.source == i][:400])


def test_golden_order() -> None:
    """If these change, so must VERSION."""
    schedule = made(MIXED_UP, (4, "linear", (0, 1, 1, 1)), batch_size=4)
    assert schedule.draws(0, 20).source.tolist() == GOLDEN_SOURCES
    assert [schedule.consumed(t).tolist() for t in (3, 6, 9)] == GOLDEN_COUNTS


GOLDEN_SOURCES = [0, 0, 0, 2, 1, 3, 1, 3, 1, 3, 1, 3, 2, 2, 0, 2, 1, 3, 1, 3]
GOLDEN_COUNTS = [[3, 4, 1, 4], [4, 8, 4, 8], [4, 12, 8, 12]]


def test_a_run_goes_on_and_later_weights_may_change() -> None:
    then = made(MIXED_UP)
    assert made(MIXED_UP).resume(then.state(7)) == 7
    other = made(MIXED_UP, (7, "hold", (0, 0, 1, 1)))
    assert other.resume(then.state(7)) == 7
    assert np.array_equal(other.draws(0, 56).frame, then.draws(0, 56).frame)
    with pytest.raises(ConfigError, match="weight_schedule up to step 8"):
        other.resume(then.state(8))


def test_a_source_that_got_another_camera_is_refused_by_name() -> None:
    other = made([*MIXED_UP[:3], (2.0, FRONT)])
    with pytest.raises(ConfigError, match=r"source 'source 3': cameras \['front', 'wrist'\] then, \['front'\] now"):
        other.resume(made(MIXED_UP).state(5))


def test_states_of_other_batchings_are_as_they_were() -> None:
    """They know nothing of cameras, so a run from before goes on."""
    state = made(MIXED_UP, batching="mixed").state(5)
    assert all("cameras" not in source for source in state["sources"])
    renamed = made([(share, NONE) for share, _ in MIXED_UP], batching="mixed")
    assert renamed.resume(state) == 5
    with pytest.raises(ConfigError, match="batching: 'mixed' then, 'per_camera_set' now"):
        made(MIXED_UP).resume(state)
