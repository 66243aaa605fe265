"""Shuffling in windows: each frame once per epoch, few episodes at a time, and all that holds of the whole shuffle."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.mixture import apportion
from robomix.mixture.permutation import key_of, permute, shuffled, subkeys
from robomix.mixture.resolve import make_schedule
from robomix.mixture.schedule import Schedule, Stream
from robomix.mixture.split import split
from robomix.mixture.stages import Stage
from robomix.mixture.windows import CHUNK, Window, window_of
from tests.memory import ArrayDataset, source


def bounds(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def stream(name: str, lengths: list[int], share: float, size: int | None = None) -> Stream:
    return Stream(name, sum(lengths), share, window=window_of(bounds(lengths), size))


EPISODES = {"large": [30, 50, 10, 0, 60, 1, 49] * 3, "small": [9, 11, 10], "middle": [40] * 5}
SHARES = {"large": 0.5, "small": 0.2, "middle": 0.3}


def made(sizes: dict[str, int | None] | int | None = 3, seed: int = 0, **more: Any) -> Schedule:
    of = sizes if isinstance(sizes, dict) else dict.fromkeys(EPISODES, sizes)
    streams = [stream(name, EPISODES[name], SHARES[name], of[name]) for name in EPISODES]
    return Schedule(streams, **{"seed": seed, "batch_size": 16} | more)


def slowly(window: Window, name: str, seed: int, epoch: int) -> tuple[list[int], list[int]]:
    """The frames of an epoch in the order of the module's text, one after another, and the window of each."""
    chunks, parts = len(window.chunks) - 1, -(-(len(window.chunks) - 1) // window.size)
    order = shuffled(chunks, int(subkeys(key_of(seed, name, "chunks"), epoch)[0])).tolist()
    frames, windows = [], []
    for w in range(parts):
        own = order[w * chunks // parts : (w + 1) * chunks // parts]
        inside = [frame for c in own for frame in range(window.chunks[c], window.chunks[c + 1])]
        key = subkeys(subkeys(key_of(seed, name, "windows"), epoch), w)
        for at in range(len(inside)):
            place = permute(np.array([at]), np.array([len(inside)]), key)
            frames.append(inside[int(place[0])])
        windows += [w] * len(inside)
    return frames, windows


def test_the_order_is_that_of_two_permutations_worked_out_one_by_one() -> None:
    schedule = made({"large": 4, "small": 2, "middle": None}, seed=7)
    draws = schedule.draws(0, 4000)
    for i, name in enumerate(("large", "small")):
        own = draws.frame[draws.source == i]
        window, n = schedule.streams[i].window, schedule.streams[i].frames
        assert window is not None
        for epoch in range(len(own) // n):
            assert own[epoch * n : (epoch + 1) * n].tolist() == slowly(window, name, 7, epoch)[0]


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Few sources of a few short episodes, each shuffled in windows or as a whole, by any batching and weights."""
    streams = []
    for i in range(draw(st.integers(1, 4))):
        lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any))
        size = draw(st.one_of(st.none(), st.integers(2, 5)))
        cameras = ("a",) if draw(st.booleans()) else ("a", "b")
        streams.append(replace(stream(f"source {i}", lengths, draw(st.integers(1, 5)), size), cameras=cameras))
    total = sum(one.probability for one in streams)
    streams = [replace(one, probability=one.probability / total) for one in streams]
    equal = tuple([1 / len(streams)] * len(streams))
    stages = [Stage(20, equal, draw(st.sampled_from(["hold", "linear"])))] if draw(st.booleans()) else []
    batching = draw(st.sampled_from(["mixed", "per_source", "per_camera_set"]))
    seed, batch_size = draw(st.integers(0, 9)), draw(st.integers(1, 9))
    with mock.patch.object(apportion, "PERIOD", 256):  # shorter tables are made faster
        return Schedule(streams, seed=seed, batch_size=batch_size, batching=batching, stages=stages)


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_each_frame_comes_once_per_source_epoch_whatever_the_batches(schedule: Schedule) -> None:
    draws = schedule.draws(0, 60 * schedule.batch_size)
    for i, one in enumerate(schedule.streams):
        frames, epochs = draws.frame[draws.source == i], draws.epoch[draws.source == i]
        assert np.array_equal(epochs, np.arange(len(epochs)) // one.frames)
        for epoch in range(len(epochs) // one.frames):
            assert np.array_equal(np.sort(frames[epochs == epoch]), np.arange(one.frames))


@settings(max_examples=60, deadline=None)
@given(schedules(), st.data())
def test_draws_are_random_access_and_resuming_continues_them(schedule: Schedule, data: st.DataObject) -> None:
    batches = 60
    whole = schedule.draws(0, batches * schedule.batch_size)
    with mock.patch.object(apportion, "PERIOD", 256):
        again = pickle.loads(pickle.dumps(schedule))
    start = data.draw(st.integers(0, batches - 1))
    assert again.resume(schedule.state(start)) == start
    for t in (batches - 1, start, 0, start):  # forwards and backwards, over ends of epochs
        batch = again.batch(t)
        assert np.array_equal(batch.frame, whole.frame[batch.number])


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_draws_in_a_row_come_from_the_chunks_of_one_window_after_the_other(schedule: Schedule) -> None:
    draws = schedule.draws(0, 60 * schedule.batch_size)
    for i, one in enumerate(schedule.streams):
        if one.window is None:
            continue
        frames, chunks = draws.frame[draws.source == i], one.window.chunks
        chunk = np.searchsorted(chunks, frames[: len(frames) // one.frames * one.frames], side="right") - 1
        for of_epoch in chunk.reshape(-1, one.frames):
            seen: set[int] = set()
            while len(of_epoch):
                size = next(k for k in range(1, len(of_epoch) + 1) if _holds_whole_chunks(of_epoch[:k], chunks))
                own = set(of_epoch[:size].tolist())
                assert len(own) <= one.window.size
                assert not own & seen
                seen |= own
                of_epoch = of_epoch[size:]


def _holds_whole_chunks(chunk: np.ndarray, chunks: np.ndarray) -> bool:
    own = np.unique(chunk)
    return int(np.diff(chunks)[own].sum()) == len(chunk)


def test_windows_of_an_epoch_are_of_equal_size_but_for_one_chunk() -> None:
    """101 episodes in windows of up to 50 are 34, 34 and 33, not 50, 50 and 1."""
    window = window_of(bounds([5] * 101), 50)
    assert window is not None
    frames, of = slowly(window, "only", 0, 0)
    assert [len(set(np.array(frames)[np.array(of) == w] // 5)) for w in range(3)] == [33, 34, 34]
    drawn = Schedule([Stream("only", 505, 1.0, window=window)], seed=0, batch_size=5).draws(0, 505).frame
    assert drawn.tolist() == frames


def test_long_episodes_are_several_chunks_and_empty_ones_are_none() -> None:
    window = window_of(bounds([0, 2 * CHUNK + 1, 7, 0, CHUNK]), 2)
    assert window is not None
    assert np.diff(window.chunks).tolist() == [667, 667, 667, 7, 1000]


@pytest.mark.parametrize("size", [None, 21, 1000])
def test_a_window_of_all_episodes_is_the_whole_shuffle(size: int | None) -> None:
    plain = Schedule([Stream(n, sum(EPISODES[n]), SHARES[n]) for n in EPISODES], seed=0, batch_size=16)
    windowed = made(size)
    assert np.array_equal(windowed.draws(0, 5000).frame, plain.draws(0, 5000).frame)
    assert windowed.state(9) == plain.state(9)


def test_every_epoch_has_other_windows() -> None:
    draws = Schedule([stream("only", [10] * 40, 1.0, 4)], seed=0, batch_size=8).draws(0, 800)
    firsts = [set((draws.frame[start : start + 40] // 10).tolist()) for start in (0, 400)]
    assert all(len(first) == 4 for first in firsts)
    assert len(firsts[0] & firsts[1]) <= 2


def test_two_listings_of_one_dataset_do_not_move_in_step() -> None:
    streams = [stream(name, [10] * 40, 0.5, 4) for name in ("x", "x#2")]
    draws = Schedule(streams, seed=0, batch_size=8).draws(0, 800)
    first, second = draws.frame[draws.source == 0], draws.frame[draws.source == 1]
    assert np.mean(first == second) < 0.02


def test_each_frame_is_as_likely_at_each_place_of_an_epoch() -> None:
    """8 frames in 4 chunks, windows of 2, in 2,000 epochs: Pearson's chi-square over the 64 pairs."""
    draws = Schedule([stream("only", [2, 2, 2, 2], 1.0, 2)], seed=0, batch_size=8).draws(0, 16_000)
    counts = np.zeros((8, 8))
    np.add.at(counts, (np.arange(16_000) % 8, draws.frame), 1)
    assert ((counts - 250) ** 2 / 250).sum() < 100  # of 49 degrees of freedom, above which lies 1 in 20,000


def test_neighbours_in_a_window_are_not_drawn_one_after_the_other() -> None:
    draws = Schedule([stream("only", [100] * 200, 1.0, 10)], seed=0, batch_size=8).draws(0, 20_000).frame.astype(float)
    inside = draws.reshape(20, 1000)
    inside = inside - inside.mean(axis=1, keepdims=True)
    lag = (inside[:, 1:] * inside[:, :-1]).mean() / (inside**2).mean()
    assert abs(lag) < 0.03


def test_threads_that_are_apart_are_given_the_same_draws() -> None:
    schedule = made()
    expected = [schedule.batch(t).frame for t in range(200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda t: schedule.batch(t).frame, [*range(200), *reversed(range(200))]))
    assert all(np.array_equal(one, expected[t if t < 200 else 399 - t]) for t, one in enumerate(found))


def test_golden_order() -> None:
    """The first draws of a known schedule: if these change, so must VERSION."""
    draws = made(seed=0).draws(0, 12)
    assert draws.source.tolist() == [0, 2, 0, 1, 0, 2, 0, 2, 0, 1, 0, 2]
    assert draws.frame.tolist() == GOLDEN_FRAME
    assert made(seed=0).draws(10**9, 10**9 + 6).frame.tolist() == GOLDEN_FAR


GOLDEN_FRAME = [250, 62, 369, 6, 243, 77, 256, 51, 265, 26, 234, 4]
GOLDEN_FAR = [309, 7, 313, 32, 367, 35]


def test_resuming_with_another_window_is_refused_by_source() -> None:
    state = made().state(5)
    assert made().resume(state) == 5
    with pytest.raises(ConfigError, match="source 'large': shuffle_window 3 then, 4 now"):
        made({"large": 4, "small": 3, "middle": 3}).resume(state)
    with pytest.raises(ConfigError, match="source 'middle': shuffle_window 3 then, none now"):
        made({"large": 3, "small": 3, "middle": None}).resume(state)


def config(**keys: Any) -> MixtureConfig:
    entries = [{"root": name, "name": name} | keys.pop(name, {}) for name in ("a", "b")]
    return MixtureConfig.from_dict({"datasets": entries} | keys)


def windows_of(asked: MixtureConfig, lengths: list[int], **more: Any) -> list[Window | None]:
    columns = {"action": np.arange(sum(lengths), dtype=np.float32)[:, None]}
    sources = [source(ArrayDataset(columns, lengths), one.name or "", **more) for one in asked.datasets]
    for made_source, entry in zip(sources, asked.datasets, strict=True):
        made_source.config = entry
    made_schedule = make_schedule(split(sources, asked.val_fraction), asked, seed=0, batch_size=4)
    return [one.window for one in made_schedule.streams]


def test_the_window_of_a_source_goes_before_the_mixtures() -> None:
    found = windows_of(config(shuffle_window=3, b={"shuffle_window": 4}), [5] * 9)
    assert [window.size for window in found if window] == [3, 4]
    assert windows_of(config(), [5] * 9) == [None, None]
    assert windows_of(config(shuffle_window=3, b={"shuffle_window": 9}), [5] * 9)[1] is None


def test_chunks_are_the_drawable_frames_of_training_episodes() -> None:
    """The last 2 frames of episodes start no sample; the first episode is held out; the third has nothing to draw."""
    asked = config(shuffle_window=2, a={"val_episodes": [0]}, b={"val_episodes": [0]})
    (window, _) = windows_of(asked, [9, 6, 2, 5, 8], drop=2)
    assert window is not None
    assert window.chunks.tolist() == [0, 4, 7, 13]


@pytest.mark.parametrize("value", [0, 1, -5, True, 2.5, "many"])
def test_what_is_no_window_is_refused_by_key(value: Any) -> None:
    for block in ({"shuffle_window": value}, {"a": {"shuffle_window": value}}):
        with pytest.raises(ConfigError, match=r"shuffle_window.*found .*expected a (whole )?number"):
            config(**block)


def test_the_key_is_written_back() -> None:
    asked = config(shuffle_window=50, a={"shuffle_window": 20})
    assert MixtureConfig.from_dict(asked.to_dict()) == asked
    assert (asked.shuffle_window, asked.datasets[0].shuffle_window) == (50, 20)


def test_memory_grows_with_episodes_and_not_with_frames() -> None:
    sizes = [len(pickle.dumps(Schedule([stream("s", [n] * 50, 1.0, 5)], seed=0, batch_size=8))) for n in (10, 900)]
    assert abs(sizes[0] - sizes[1]) < 64
