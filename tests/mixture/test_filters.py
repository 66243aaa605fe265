"""Frames and episodes left out by rule: which, what windows still see, and what is said where none is left."""

import logging
import re
from itertools import pairwise

import numpy as np
import pytest

from robomix.errors import AlignmentError, ConfigError
from robomix.formats.base import Episodes
from robomix.mixture.dataset import Mixture
from robomix.mixture.frames import FrameTable
from robomix.mixture.resolve import shares, streams
from robomix.mixture.schedule import Schedule
from robomix.statistics.compute import mixture_stats
from tests.memory import ArrayDataset, mixture, source

# Three frames of rest, three of motion, four of rest; an episode of five frames, all at rest; one of three that move.
ACTION = np.array([0, 0, 0, 1, 2, 3, 4, 4, 4, 4, *[7] * 5, 7, 8, 9], dtype=np.float32)
LENGTHS = [10, 5, 3]
IDLE = {"key": "action", "below": 0.5, "longer_than": 2}


@pytest.fixture
def arm() -> ArrayDataset:
    """Actions as above with a second entry that shivers; a flag and a score."""
    shiver = 0.4 * (np.arange(18) % 2)
    return ArrayDataset(
        {
            "action": np.stack([ACTION, shiver], axis=1).astype(np.float32),
            "next.success": np.array([False] * 9 + [True] + [False] * 2 + [True] + [False] * 5),
            "score": np.array([0.0] * 17 + [0.6])[:, None],
            "camera": np.zeros((18, 3, 2, 2), np.uint8),
        },
        LENGTHS,
        ids=[2, 5, 6],
    )


def drawable(made: Mixture) -> list[int]:
    count = made.sources[0].frames.num_drawable
    return made.index_of(np.zeros(count, dtype=np.int64), np.arange(count)).tolist()


def test_frames_of_long_rests_start_no_sample(arm: ArrayDataset) -> None:
    assert drawable(mixture(source(arm, idle=IDLE))) == [3, 4, 5, 15, 16, 17]
    assert drawable(mixture(source(arm, idle=IDLE | {"longer_than": 3}))) == [0, 1, 2, 3, 4, 5, 15, 16, 17]
    assert drawable(mixture(source(arm, idle=IDLE | {"longer_than": 5}))) == list(range(18))


def test_an_entry_that_moves_by_more_than_below_ends_a_rest(arm: ArrayDataset) -> None:
    assert drawable(mixture(source(arm, idle=IDLE | {"below": 0.3}))) == list(range(18))
    assert drawable(mixture(source(arm, idle=IDLE | {"key": "next.success", "below": 0}))) == [9, 10, 11, 12, 13, 14]


def test_a_rest_does_not_reach_from_one_episode_into_the_next(arm: ArrayDataset) -> None:
    """The last frame of the second episode and the first of the third hold the same action."""
    assert 15 in drawable(mixture(source(arm, idle=IDLE | {"longer_than": 1})))


def test_chosen_episodes_in_another_order_keep_their_own_rests(arm: ArrayDataset) -> None:
    made = mixture(source(arm, idle=IDLE, episodes=[6, 2]))
    assert drawable(made) == [0, 1, 2, 6, 7, 8]
    assert [float(made[i]["action"][0]) for i in drawable(made)] == [7, 8, 9, 1, 2, 3]


def test_windows_of_other_samples_still_see_idle_frames(arm: ArrayDataset) -> None:
    sample = mixture(source(arm, idle=IDLE), horizons={"action": (-1, 0, 1, 2)})[5]
    assert sample["action"][:, 0].tolist() == [2, 3, 4, 4]
    assert not sample["action_is_pad"].any()


def test_frames_dropped_by_the_policy_and_idle_ones_are_left_out_together(arm: ArrayDataset) -> None:
    assert drawable(mixture(source(arm, idle=IDLE, drop=1))) == [3, 4, 5, 15, 16]
    assert drawable(mixture(source(arm, idle=IDLE, drop=5))) == [3, 4]


def test_runs_are_those_of_a_mask_over_all_frames() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.integers(1, 12, size=6)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        mask = rng.random(starts[-1]) < 0.4
        edges = np.flatnonzero(np.diff(mask, prepend=False, append=False) | np.isin(np.arange(len(mask) + 1), starts))
        left_out = np.array([(a, b) for a, b in pairwise(edges) if mask[a]]).reshape(-1, 2)
        ordinals, drop = rng.permutation(6)[:4], int(rng.integers(0, 4))
        table = FrameTable.of(Episodes(np.arange(6), starts), ordinals, drop, left_out)
        expected, first = [], 0
        for e in ordinals:
            kept = np.flatnonzero(~mask[starts[e] : starts[e + 1]])
            expected += [first + i for i in kept if i < lengths[e] - drop]
            first += lengths[e]
        assert table.from_drawable(np.arange(table.num_drawable)).tolist() == expected


def test_without_filters_a_table_has_one_run_for_each_episode() -> None:
    table = FrameTable.of(Episodes(np.arange(3), np.array([0, 4, 5, 9])), np.array([2, 1, 0]), 2)
    assert table.run_frames.tolist() == [0, 4, 5]
    assert table.drawable_bounds.tolist() == [0, 2, 2, 4]


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ({"key": "next.success"}, [2]),
        ({"key": "next.success", "at": "any"}, [2, 5]),
        ({"key": "score", "at_least": 0.6}, [6]),
        ({"key": "score", "at_least": 0}, [2, 5, 6]),
    ],
)
def test_only_episodes_that_succeed_are_used(arm: ArrayDataset, rule: dict[str, object], left: list[int]) -> None:
    assert source(arm, success=rule).frames.ids.tolist() == left


def test_a_limit_counts_successes(arm: ArrayDataset) -> None:
    rule = {"key": "next.success", "at": "any"}
    assert source(arm, success=rule, episodes=[6, 5, 2], demo_limit=1).frames.ids.tolist() == [2]
    assert source(arm, success=rule, episodes=[6, 5]).frames.ids.tolist() == [5]


def test_what_is_left_out_is_told_once(arm: ArrayDataset, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "robomix"):
        made = mixture(source(arm, idle=IDLE, success={"key": "next.success", "at": "any"}))
        made[0]
    assert caplog.messages == [
        "source 'a': success leaves out 1 of 3 episodes",
        "source 'a': idle leaves out 12 of 15 frames",
    ]
    row = shares(made.sources, Schedule(streams(made.sources, 0.0), seed=0, batch_size=1))[0]
    assert (row.frames, row.episodes) == (3, 2)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            {"idle": IDLE | {"key": "actoin"}},
            "idle: 'actoin' is not there. Did you mean 'action'? Numbers here: action,",
        ),
        ({"idle": IDLE | {"key": "camera"}}, "idle: 'camera' is camera, not numbers."),
        ({"success": {"key": "next.sucess"}}, "success: 'next.sucess' is not there. Did you mean 'next.success'?"),
        ({"success": {"key": "action"}}, "success: 'action' has shape (2,), expected a single number"),
        (
            {"success": {"key": "score", "at_least": 2}},
            "success leaves out all 3 chosen episodes: 'score' does not reach 2 in the last frame of them, in the "
            "whole dataset it is 0 to 0.6. Lower `at_least`.",
        ),
    ],
)
def test_filters_that_fit_nothing_are_refused(arm: ArrayDataset, rules: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"source 'a': {said}")):
        source(arm, **rules)


def test_a_source_of_which_nothing_is_left_says_why(arm: ArrayDataset) -> None:
    begins = "no frame can be drawn. Its 1 chosen episodes have 5 frames, of which "
    for settings, reasons in (
        ({"idle": IDLE}, "`idle` leaves out 5."),
        ({"drop": 5}, "the policy the last 5 of each episode."),
        ({"idle": IDLE, "drop": 2}, "`idle` leaves out 5, and the policy the last 2 of each episode."),
    ):
        with pytest.raises(AlignmentError, match=re.escape(begins + reasons) + "$"):
            source(arm, episodes=[5], **settings)


def test_a_rule_that_leaves_nothing_out_says_so(arm: ArrayDataset, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "robomix"):
        source(arm, idle=IDLE | {"longer_than": 5}, success={"key": "score", "at_least": 0})
        source(arm)
    assert caplog.messages == [
        "source 'a': success leaves out 0 of 3 episodes",
        "source 'a': idle leaves out 0 of 18 frames",
    ]


def test_the_order_is_fixed_by_which_frames_are_left(arm: ArrayDataset) -> None:
    def content(**rules: object) -> str:
        return streams([source(arm, **rules)], 0.0)[0].fingerprint

    assert content() == arm.fingerprint
    assert content(idle=IDLE | {"longer_than": 5}) == content()  # leaves out nothing
    assert content(idle=IDLE) != content()
    assert content(idle=IDLE) == content(idle=IDLE | {"below": 0.6})  # the same frames
    assert content(idle=IDLE) != content(idle=IDLE | {"longer_than": 3})
    assert content(success={"key": "next.success"}) == content(episodes=[2])


def test_statistics_count_the_frames_that_are_left_also_those_the_policy_does_not_start_with(
    arm: ArrayDataset, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path))
    left = arm.column("action")[[3, 4, 5, 15, 16, 17]]
    for rules, values in (({"idle": IDLE, "drop": 1}, left), ({}, arm.column("action"))):
        stats = mixture_stats(mixture(source(arm, **rules)))["global"]["action"]
        np.testing.assert_allclose(stats["mean"], values.mean(0), rtol=1e-6)
        assert stats["count"].tolist() == [len(values)]


def test_statistics_of_relative_actions_are_over_the_chunks_that_are_drawn(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path))
    values = ACTION[:10, None]
    data = ArrayDataset({"action": values, "observation.state": values}, [10])
    relative = {"type": "delta_action", "kwargs": {"reference": "state"}}
    made = mixture(source(data, idle=IDLE, transforms=[relative]), horizons={"action": (0, 2)})
    expected = [float(values[t + k, 0] - values[t, 0]) for t in (3, 4, 5) for k in (0, 2)]
    stats = mixture_stats(made)["global"]["action"]
    np.testing.assert_allclose(stats["mean"], np.mean(expected))
    assert stats["count"].tolist() == [6]
