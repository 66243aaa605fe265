"""A right loader passes, and each kind of wrong one is told, with the sentence that says what and where."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from robomix.errors import ConfigError
from robomix.mixture.alignment import align
from robomix.mixture.condition import condition_of
from robomix.mixture.dataset import Batch, Mixture
from robomix.mixture.resolve import make_schedule
from robomix.tools.verify.result import Verification
from robomix.tools.verify.run import verify
from tests.memory import ArrayDataset, mixture, source
from tests.tools.verify import wrong
from tests.tools.verify.wrong import BATCH, LENGTHS, WIDTHS, subject


def found_in(samples: int = 320, **parts: Any) -> Verification:
    """What is found in a loader of two ranks without workers, which starts at once."""
    return verify(subject(**{"ranks": 2} | parts), samples)


def texts(found: Verification) -> dict[str, str]:
    return {check.name: check.text for check in found.checks}


def off(found: Verification) -> set[str]:
    names = {check.name for check in found.checks if check.verdict == "off"}
    assert found.is_ok == (not names)
    return names


@pytest.mark.parametrize(("ranks", "workers"), [(1, 0), (2, 0), (2, 1)])
def test_a_right_loader_passes_every_check_on_any_number_of_ranks_and_workers(ranks: int, workers: int) -> None:
    found = found_in(ranks=ranks, workers=workers)
    assert {check.verdict for check in found.checks} == {"ok"}
    assert (found.samples, found.batches, found.ranks) == (320, 20, ranks)
    assert texts(found)["equality"].startswith("the first 256 samples are the same bits")


def test_samples_are_rounded_up_to_whole_batches() -> None:
    found = found_in(1)
    assert (found.asked, found.samples, found.batches) == (1, BATCH, 1)
    with pytest.raises(ConfigError, match="found 0 samples"):
        found_in(0)


def test_shares_wrong_by_five_percent_are_off_by_more_than_is_promised() -> None:
    found = found_in(schedule=wrong.schedule(shares=(0.7, 0.3)))
    assert off(found) == {"exact shares"}
    # 320 draws: 224 instead of 213.33 of a, 96 instead of 106.67 of b
    assert [round(source.largest_deviation, 1) for source in found.sources] == [10.7, -10.7]
    assert "10.67 samples off what is due, in 'a' after batch 19; promised are 1" in texts(found)["exact shares"]


def test_the_chi_square_test_is_pearsons_and_fails_for_wrong_shares() -> None:
    found = found_in(3200, schedule=wrong.schedule(shares=(0.7, 0.3)))
    assert off(found) == {"shares", "exact shares"}
    # 2240 of 2133.3 and 960 of 1066.7: 106.7^2 / 2133.3 + 106.7^2 / 1066.7 = 16, beyond which lie 4 standard deviations
    assert "chi-square 16 of 1 degrees of freedom, p = 6.3" in texts(found)["shares"]


def test_a_source_that_is_never_drawn_is_told() -> None:
    found = found_in(schedule=wrong.schedule(shares=(1, 0)))
    assert off(found) == {"shares", "exact shares"}
    assert "'a': 320 drawn, 213.3 expected" in texts(found)["shares"]
    assert (found.sources[1].drawn, found.sources[1].episodes_seen) == (0, 0)


def test_a_source_without_weight_must_not_be_drawn() -> None:
    found = found_in(config=wrong.config({"a": 1.0, "b": 0.0}), schedule=wrong.schedule(shares=(0.9, 0.1)))
    assert "source 'b' has share 0 and was drawn 32 times" in texts(found)["shares"]
    assert off(found) == {"shares", "exact shares"}


def test_few_draws_are_not_judged_by_chance() -> None:
    asked = wrong.config({"a": 9.0, "b": 1.0})
    parts = {"config": asked, "schedule": wrong.schedule(shares=(0.9, 0.1))}
    found = found_in(16, **parts)
    assert [check.verdict for check in found.checks if check.name == "shares"] == ["not checked"]
    assert "'b' is due 1.6; draw 50" in texts(found)["shares"]
    assert "p = " in texts(found_in(50, **parts))["shares"]


def test_shares_that_move_are_expected_to_have_moved() -> None:
    asked = wrong.config(weight_schedule=[{"step": 10, "weights": {"a": 0.0}}])
    found = found_in(config=asked)
    assert not off(found)
    # 10 batches by 2 : 1, then 10 of b alone
    assert [round(source.expected, 1) for source in found.sources] == [106.7, 213.3]
    assert "exact shares" in off(found_in(config=asked, schedule=wrong.schedule()))  # of weights that stay


def test_shares_that_move_slowly_are_compared_at_every_step() -> None:
    block = [{"step": 20, "weights": {"a": 0.0}, "interpolate": "linear"}]
    found = found_in(config=wrong.config(weight_schedule=block))
    assert not off(found)
    # the share of a falls from 2/3 by 1/30 a step: (2/3 + 1/30) / 2 * 20 batches of 16
    assert found.sources[0].expected == pytest.approx(16 * (2 / 3 * 20 - 1 / 30 * sum(range(20))), rel=1e-3)


def test_batches_of_one_source_each_are_counted_in_batches() -> None:
    found = found_in(config=wrong.config(batching="per_source"))
    assert not off(found)
    assert "promised are 16" in texts(found)["exact shares"]


def two_camera_sets(**weights: float) -> Mixture:
    """Source `a` has one camera, `b` and `c` have two."""
    parts = []
    for name, cameras in (("a", 1), ("b", 2), ("c", 2)):
        columns = {"action": np.arange(60, dtype=np.float32)[:, None]}
        columns |= {f"observation.images.{i}": np.full((60, 3, 8, 8), i, dtype=np.uint8) for i in range(cameras)}
        parts.append(source(ArrayDataset(columns, [60]), name, weight=weights.get(name, 1.0)))
    return mixture(*parts)


def test_batches_of_one_camera_set_each_are_counted_in_batches_of_the_set() -> None:
    weights, right_mixture = {"a": 1.0, "b": 1.0, "c": 1.0}, two_camera_sets()
    asked = wrong.config(weights, batching="per_camera_set")
    right = found_in(config=asked, mixture=right_mixture)
    assert not off(right)
    # two sets whose shares stay: half a batch of 16, all of which may be of a; beyond it 2 = ceil(log2(3)) samples
    assert "in 'a' after batch" in texts(right)["exact shares"]
    assert "promised are 10" in texts(right)["exact shares"]
    assert "of 1 degrees of freedom" in texts(right)["shares"]  # of two sets
    mixed = make_schedule(right_mixture.sources, wrong.config(weights), seed=5, batch_size=BATCH)
    wrongly = found_in(config=asked, mixture=right_mixture, schedule=mixed)
    assert off(wrongly) == {"exact shares"}
    assert "batch 0 is not of one set of sources (20 such batches)" in texts(wrongly)["exact shares"]


def test_shares_that_are_wrong_within_a_camera_set_are_told() -> None:
    asked = wrong.config({"a": 1.0, "b": 1.0, "c": 1.0}, batching="per_camera_set")
    drawn = make_schedule(two_camera_sets(b=1.6, c=0.4).sources, asked, seed=5, batch_size=BATCH)
    assert off(found_in(config=asked, mixture=two_camera_sets(), schedule=drawn)) == {"exact shares"}


def test_numbers_in_front_of_the_state_are_no_padding() -> None:
    parts = [source(wrong.dataset(name), name) for name in ("a", "b")]
    told = condition_of(wrong.config(condition_on="source"), parts)
    made = Mixture(parts, align(parts, "union", told), horizons={"action": range(-1, 4)}, seed=5)
    found = found_in(config=wrong.config({"a": 1.0, "b": 1.0}), mixture=made)
    assert not off(found)
    state = {seen.source: seen for seen in found.values if seen.key == "observation.state"}
    assert np.round(state["a"].minimum, 1).tolist() == [0.0, 0.1, 0.2]  # of the dataset's entries


def test_texts_of_a_prompt_and_features_behind_transforms_are_as_they_should_be() -> None:
    steps = [{"type": "resize_images", "kwargs": {"height": 8, "width": 8}}]
    texts_of = {"prompt": ["{source}: {task}", "{task}"], "paraphrases": {"task of a": ["do a", "make a"]}}
    parts = [
        source(wrong.dataset("a"), "a", transforms=steps, **texts_of),
        source(wrong.dataset("b"), "b", transforms=steps),
    ]
    found = found_in(config=wrong.config({"a": 1.0, "b": 1.0}), mixture=mixture(*parts, horizons={"action": range(4)}))
    assert not off(found)
    assert set(found.sources[0].tasks) == {"a: do a", "a: make a", "do a", "make a"}


def test_frames_that_come_again_too_early_are_told() -> None:
    found = found_in(schedule=wrong.schedule(wrong.RepeatingFrames))
    assert off(found) == {"repeats"}
    assert "before all 50 frames have come" in texts(found)["repeats"]
    assert found.sources[0].frames_seen == 25


def test_a_single_frame_that_comes_again_is_told() -> None:
    found = found_in(64, schedule=wrong.schedule(wrong.OneFrameTwice))
    assert off(found) == {"repeats"}
    assert texts(found)["repeats"].startswith("1 times: source ")
    assert "comes again in batch 2" in texts(found)["repeats"]


def test_epochs_are_counted_and_frames_may_come_again_in_the_next() -> None:
    found = found_in(320)
    a, b = found.sources
    assert [(s.frames, s.frames_seen, s.frames_seen_again) for s in (a, b)] == [(50, 50, 50), (40, 40, 40)]
    assert [round(s.epochs, 2) for s in (a, b)] == [4.28, 2.65]  # 214 and 106 draws
    assert (a.episodes_seen, a.tasks, a.tasks_seen, a.tasks_total) == (2, {"task of a": a.drawn}, 1, 1)


def test_an_order_that_is_another_each_time_is_told() -> None:
    found = found_in(schedule=wrong.schedule(wrong.OtherEachTime))
    assert "equality" in off(found)
    assert "samples of batch 0 are others when drawn by 2 ranks" in texts(found)["equality"]


def test_a_rank_that_draws_what_another_draws_is_told() -> None:
    found = found_in(64, open=wrong.rank_0_always)
    assert {"repeats", "equality"} <= off(found)
    assert "8 of 16 samples of batch 0" in texts(found)["equality"]
    assert "the first is number 8, of rank 1" in texts(found)["equality"]


@pytest.mark.parametrize(
    ("change", "check", "text"),
    [
        (wrong.unmasked_state, "masks", "'observation.state_dim_is_pad' is not as it should be in source 'a', episode"),
        (wrong.unmasked_end, "masks", "'action_is_pad' is not as it should be in source 'a'"),
        (wrong.filled_padding, "masks", "'observation.state' is not 0 where it is masked in source 'a'"),
        (wrong.other_dtype, "shapes", "batch 0, rank 0: 'action' is torch.float64 (8, 5, 5), not torch.float32"),
        (
            wrong.other_shape,
            "shapes",
            "'observation.images.top' is torch.uint8 (8, 3, 8, 16), not torch.uint8 (8, 3, 16",
        ),
        (wrong.left_out, "shapes", "'observation.effort_is_pad' is NoneType"),
        (wrong.one_nan, "numbers", "'action' is NaN or infinite in source "),
        (wrong.other_source, "places", "numbers are not those of one frame that may be drawn: dataset_index 1"),
        (wrong.other_time, "places", "numbers are not those of one frame"),
        (
            wrong.other_text,
            "tasks",
            "'task' is 'something else', which is not that of the frame, in source 'a', episode",
        ),
        (wrong.other_task, "tasks", "'task_index' is not that of the frame in source 'a'"),
        (wrong.other_picture, "content", "'observation.images.top' is not what the dataset holds in source 'b'"),
        (wrong.shifted_actions, "content", "'action' is not what the dataset holds in source 'a', episode"),
        (wrong.scaled_actions, "content", "'action' is not what the dataset holds in source 'b'"),
        (wrong.no_state, "content", "'observation.state' is not what the dataset holds in source 'a'"),
    ],
)
def test_samples_that_are_not_as_promised_are_told(change: Callable[[Batch], None], check: str, text: str) -> None:
    found = found_in(64, mixture=wrong.changed(change))
    assert check in off(found)
    assert text in texts(found)[check]


def test_numbers_are_those_of_the_frames_drawn_without_their_padding() -> None:
    found = found_in(3200)
    values = {(seen.source, seen.key): seen for seen in found.values}
    state = values["a", "observation.state"]
    rows = np.arange(sum(LENGTHS["a"]))[:, None] + np.arange(WIDTHS["a"]) / 10
    assert state.labels == ("observation.state.0", "observation.state.1", "observation.state.2")
    assert (state.count, len(state.mean)) == (found.sources[0].drawn, 3)
    assert np.allclose([state.minimum, state.maximum], [rows.min(0), rows.max(0)])
    assert np.allclose(state.mean, rows.mean(0), atol=0.1)  # 42.7 epochs
    assert np.allclose(state.std, rows.std(0), atol=0.1)
    assert ("a", "observation.effort") not in values
    assert values["b", "observation.images.top"].mean.tolist() == [7, 7, 7]
    # a quarter of a window of -1 to 3 lies outside where the frame is the first or one of the last three
    assert values["a", "action"].count < found.sources[0].drawn


def test_padding_is_counted_by_source() -> None:
    found = found_in(3200)
    a, b = found.sources
    assert a.lacks == ("observation.effort",)
    assert (a.padded_dims["observation.state"], b.padded_dims["observation.state"]) == (0.4, 0.0)
    assert (a.padded_steps["observation.effort"], b.padded_steps["observation.effort"]) == (1.0, 0.0)
    # of each episode 1 + 1 + 2 + 3 of all steps of windows -1, 0, 1, 2, 3
    assert a.padded_steps["action"] == pytest.approx(2 * 7 / (50 * 5), abs=0.003)
    assert b.padded_steps["action"] == pytest.approx(7 / (40 * 5), abs=0.003)


def test_the_record_is_json_that_every_reader_takes() -> None:
    record = json.loads(json.dumps(found_in(16).record(), allow_nan=False))
    assert record["ok"] is True
    assert [check["name"] for check in record["checks"]] == [
        "shapes",
        "numbers",
        "masks",
        "places",
        "tasks",
        "content",
        "shares",
        "exact shares",
        "repeats",
        "equality",
    ]
    assert record["timing"]["samples_per_s"] is None  # one batch
    assert set(record["timing"]["phases_s"]) == {"tables", "decode", "transforms", "collate"}


def test_drawing_stops_after_so_long() -> None:
    found = verify(subject(ranks=2), 10**9, max_seconds=0.05)
    assert BATCH <= found.samples < 10**7
    assert not off(found)
