"""Normalization by group: each sample by its own statistics, finite everywhere, undone by LeRobot's postprocessor."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lerobot.configs import NormalizationMode

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.statistics.safe import hardly_varies, safe_stats
from robomix.summaries import EMPTY, stats_of_entries, summarize_entries
from robomix.training.lerobot import make_policy
from robomix.training.normalization import make_processors
from robomix.training.robots import Robot
from tests.training.small import act_config, diffusion_config, meta_of

MODES = ("IDENTITY", "MEAN_STD", "MIN_MAX", "QUANTILES", "QUANTILE10")
"""All that lerobot 0.6.1 has."""


def stats_of(values: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    return {key: stats_of_entries(summarize_entries(value)) for key, value in values.items()}


def data(mean: float, scale: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "observation.state": rng.normal(mean, scale, (500, 3)),
        "observation.environment_state": rng.normal(mean, scale, (500, 2)),
        "action": rng.normal(mean, scale, (500, 4)),
    }


def policy(config: Any) -> Any:
    return make_policy(config, ds_meta=meta_of(state=3, environment=2, action=4))


@pytest.mark.parametrize("config", [act_config(), diffusion_config()], ids=["mean-std", "min-max"])
def test_each_sample_is_normalized_as_its_groups_own_processor_would(config: Any) -> None:
    groups = {"degrees": stats_of(data(100.0, 50.0)), "radians": stats_of(data(0.0, 0.5))}
    processors = make_processors(policy(config), {g: safe_stats(s) for g, s in groups.items()}, "cpu")
    batch = {
        "observation.state": torch.randn(6, 3),
        "observation.environment_state": torch.randn(6, 2),
        "action": torch.randn(6, 5, 4),
    }
    member = torch.tensor([0, 1, 1, 0, 1, 0])
    mixed = processors(batch, member)
    for i, group in enumerate(groups):
        alone = processors.by_group[group][0]({key: value.clone() for key, value in batch.items()})
        for key in batch:
            torch.testing.assert_close(mixed[key][member == i], alone[key][member == i])


def test_one_group_uses_lerobots_own_processor() -> None:
    made = make_processors(policy(act_config()), {"global": stats_of(data(0.0, 1.0))}, "cpu")
    assert made.training is made.by_group["global"][0]
    assert made.normalizer is None


def test_a_group_is_unnormalized_to_its_own_units() -> None:
    groups = {"degrees": safe_stats(stats_of(data(100.0, 50.0))), "radians": safe_stats(stats_of(data(0.0, 0.5)))}
    made = make_processors(policy(act_config()), groups, "cpu")
    for group, stats in groups.items():
        action = made.by_group[group][1](torch.zeros(1, 4))
        np.testing.assert_allclose(action.numpy()[0], stats["action"]["mean"], rtol=1e-5)


@pytest.mark.parametrize(
    "column",
    [np.full(1000, 7.0), 7.0 + 1e-7 * np.random.default_rng(0).normal(size=1000), np.zeros(1000)],
    ids=["constant", "trembling", "zero"],
)
@pytest.mark.parametrize("config", [act_config(), diffusion_config()], ids=["mean-std", "min-max"])
def test_an_entry_that_hardly_varies_stays_near_zero_and_comes_back(config: Any, column: np.ndarray) -> None:
    values = data(0.0, 1.0)
    values["action"] = np.stack([column, *np.random.default_rng(1).normal(size=(3, 1000))], axis=1)
    made = make_processors(policy(config), {"global": safe_stats(stats_of(values))}, "cpu")
    raw = torch.as_tensor(values["action"][:6], dtype=torch.float32)
    batch = {key: torch.zeros(6, *v.shape[1:]) for key, v in values.items()} | {"action": raw}
    normalized = made(batch, torch.zeros(6, dtype=torch.long))["action"]
    assert normalized[:, 0].abs().max() < 1e-2
    torch.testing.assert_close(made.by_group["global"][1](normalized), raw, rtol=1e-5, atol=1e-5)


@cache
def in_mode(mode: str) -> Any:
    """A policy that normalizes everything in `mode`; nothing of it is changed here."""
    mapping = dict.fromkeys(("VISUAL", "STATE", "ENV", "ACTION"), NormalizationMode(mode))
    return policy(act_config(normalization_mapping=mapping))


def test_the_modes_here_are_all_there_are() -> None:
    assert {member.name for member in NormalizationMode} == set(MODES)


@st.composite
def any_column(draw: st.DrawFn) -> np.ndarray:
    """200 numbers of any scale and offset: constant, spiked, trembling, or spread."""
    seed, scale = draw(st.integers(0, 2**31)), 10.0 ** draw(st.floats(-12, 6))
    offset = draw(st.sampled_from([0.0, 1.0, -7.0, 1e3, 1e6, -1e9])) * draw(st.sampled_from([0.0, 1.0, scale]))
    rare = draw(st.sampled_from([0.0, 0.005, 0.05, 0.5, 1.0]))  # the share that is not the constant
    rng = np.random.default_rng(seed)
    return (offset + scale * np.where(rng.random(200) < rare, rng.normal(size=200), 0.0)).astype(np.float32)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40, deadline=None)
@given(columns=st.tuples(any_column(), any_column(), any_column()), groups=st.integers(1, 3))
def test_any_data_is_finite_in_every_mode_and_comes_back(mode: str, columns: tuple, groups: int) -> None:
    """Mixed groups, each with a padded entry; zeros there stay zeros."""
    entries = [*summarize_entries(np.stack(columns, axis=1)), EMPTY]
    safe, others = safe_stats({"action": stats_of_entries(entries)}), safe_stats(stats_of(data(3.0, 2.0)))
    made = make_processors(in_mode(mode), {f"g{i}": (safe, others)[i % 2] | {} for i in range(groups)}, "cpu")
    raw = torch.as_tensor(np.stack([*columns, np.zeros(200)], axis=1), dtype=torch.float32)
    batch = {"observation.state": torch.zeros(200, 3), "observation.environment_state": torch.zeros(200, 2)}
    normalized = made(batch | {"action": raw.clone()}, torch.zeros(200, dtype=torch.long))["action"]
    assert normalized.isfinite().all()
    assert (normalized[:, 3] == 0).all()
    back = made.by_group["g0"][1](normalized)
    for d, column in enumerate(columns):
        off = np.abs(back[:, d].numpy() - column)
        beside_epsilon = 0.01 * np.abs(column - column.mean(dtype=np.float64))  # a std of 1e-6, to which 1e-8 is added
        assert (off <= beside_epsilon + 1e-6 * np.abs(column).max() + 2.5e-7).all(), column  # -1 + 1 in float32


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "IDENTITY"])
@settings(max_examples=40, deadline=None)
@given(column=any_column())
def test_no_number_of_the_data_is_larger_than_its_mode_says(mode: str, column: np.ndarray) -> None:
    """A deviation is at most sqrt(N) std (Samuelson, 1968); a range that is used is at least 1e-5 std."""
    stats = stats_of({"action": np.stack([column] * 4, axis=1)})
    made = make_processors(in_mode(mode), {"global": safe_stats(stats)}, "cpu")
    raw = torch.as_tensor(np.stack([column] * 4, axis=1))
    batch = {"observation.state": torch.zeros(200, 3), "observation.environment_state": torch.zeros(200, 2)}
    normalized = made(batch | {"action": raw}, torch.zeros(200, dtype=torch.long))["action"]
    deviation = np.sqrt(200)
    largest = {"MEAN_STD": deviation, "MIN_MAX": 1.0}.get(mode, 2e5 * deviation)
    if hardly_varies(stats["action"]).all():
        largest = 0.01 * deviation
    assert normalized.abs().max() <= 1.1 * largest  # float32


@pytest.mark.parametrize("mode", ["MIN_MAX", "QUANTILES", "QUANTILE10"])
@settings(max_examples=40, deadline=None)
@given(column=arrays(np.float32, 50, elements=st.floats(-1e6, 1e6, width=32)) | any_column())
def test_what_lies_between_the_bounds_lies_between_minus_one_and_one(mode: str, column: np.ndarray) -> None:
    low, high = {"MIN_MAX": ("min", "max"), "QUANTILES": ("q01", "q99"), "QUANTILE10": ("q10", "q90")}[mode]
    safe = safe_stats({"action": stats_of_entries(summarize_entries(np.stack([column] * 4, axis=1)))})
    made = make_processors(in_mode(mode), {"global": safe}, "cpu")
    raw = torch.as_tensor(np.stack([column] * 4, axis=1))
    n = len(column)
    batch = {"observation.state": torch.zeros(n, 3), "observation.environment_state": torch.zeros(n, 2)}
    normalized = made(batch | {"action": raw.clone()}, torch.zeros(n, dtype=torch.long))["action"].numpy()
    lowest, highest = safe["action"][low][0], safe["action"][high][0]
    inside = (column >= lowest) & (column <= highest)
    rounding = 2.0**-22 * max(abs(lowest), abs(highest)) / (highest - lowest)  # of both bounds to float32
    assert np.abs(normalized[inside]).max(initial=0.0) <= 1.0 + 1e-4 + rounding


def test_statistics_that_lack_what_the_mode_takes_are_refused() -> None:
    """Openpi's files have no minimum; LeRobot would fail at the first batch."""
    stats = stats_of(data(0.0, 1.0))
    stats["action"] = {name: stats["action"][name] for name in ("mean", "std", "q01", "q99")}
    make_processors(in_mode("QUANTILES"), {"arm": safe_stats(stats)}, "cpu")
    with pytest.raises(
        ConfigError, match="'action' by MIN_MAX, and the statistics given for 'arm' have no min and no max"
    ):
        make_processors(in_mode("MIN_MAX"), {"arm": safe_stats(stats)}, "cpu")


def test_groups_whose_statistics_are_from_different_files_are_normalized_together() -> None:
    full, few = stats_of(data(0.0, 1.0)), stats_of(data(5.0, 2.0))
    few = {key: {name: of_key[name] for name in ("mean", "std", "q01", "q99")} for key, of_key in few.items()}
    made = make_processors(policy(act_config()), {"full": safe_stats(full), "few": safe_stats(few)}, "cpu")
    batch = {"observation.state": torch.zeros(2, 3), "observation.environment_state": torch.zeros(2, 2)}
    batch["action"] = torch.as_tensor(np.stack([full["action"]["mean"], few["action"]["mean"]]), dtype=torch.float32)
    normalized = made(batch, torch.tensor([0, 1]))["action"]
    torch.testing.assert_close(normalized, torch.zeros(2, 4), atol=1e-6, rtol=0)


def robot(group: str, **more: Any) -> Robot:
    """A robot whose vectors are as wide as `widths` says."""
    widths = more.pop("widths")
    features = {key: Feature("numeric", "float32", (width,)) for key, width in widths.items()}
    return Robot(group, (group,), features, **more)


def test_what_a_robot_lacks_is_zero_after_normalization_by_statistics_it_shares() -> None:
    """The entry in front stays, here a 7, and so do zeros that the robot's own policy is given and normalizes."""
    stats = {  # of a deviation of 1 around 10, but for the entry in front
        key: {"mean": np.array(mean, np.float64), "std": np.ones(len(mean)), "count": np.array([9])}
        for key, mean in (
            ("observation.state", [0, 10, 10]),
            ("observation.environment_state", [10, 10]),
            ("action", [10] * 4),
        )
    }
    whole = {"observation.state": 2, "observation.environment_state": 2, "action": 4}
    robots = {
        "whole": robot("whole", widths=whole, in_front=(7.0,)),
        "narrow": robot(
            "narrow", widths={"observation.state": 1, "observation.environment_state": 1, "action": 3}, in_front=(7.0,)
        ),
        "stateless": robot("stateless", widths={"observation.environment_state": 1, "action": 3}, in_front=(7.0,)),
    }
    made = make_processors(in_mode("MEAN_STD"), dict.fromkeys(robots, stats), "cpu", robots)
    batch = {
        "observation.state": torch.tensor([[7.0, 11, 12], [7, 11, 0], [7, 0, 0]]),
        "observation.environment_state": torch.tensor([[11.0, 12], [11, 0], [11, 0]]),
        "action": torch.tensor([[11.0, 12, 13, 14], [11, 12, 13, 0], [11, 12, 13, 0]]).unsqueeze(1).repeat(1, 2, 1),
    }
    normalized = made(batch, torch.tensor([0, 1, 2]))
    expected = {
        "observation.state": [[7, 1, 2], [7, 1, 0], [7, -10, -10]],
        "observation.environment_state": [[1, 2], [1, 0], [1, 0]],
        "action": [[[1, 2, 3, 4]] * 2, [[1, 2, 3, 0]] * 2, [[1, 2, 3, 0]] * 2],
    }
    for key, values in expected.items():
        torch.testing.assert_close(normalized[key], torch.tensor(values, dtype=torch.float32), msg=key)
