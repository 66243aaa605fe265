"""Normalization by group: each sample by its own statistics, finite everywhere, undone by LeRobot's postprocessor."""

from typing import Any

import numpy as np
import pytest
import torch

from robomix.summaries import EMPTY, stats_of_entries, summarize_entries
from robomix.training.lerobot import make_policy
from robomix.training.normalization import make_processors, safe_stats
from tests.training.small import act_config, diffusion_config, meta_of


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


def test_small_units_are_not_taken_for_noise() -> None:
    """Steps of a tenth of a millimetre in metres are small beside 1, not beside each other."""
    values = np.random.default_rng(0).normal(0, 5e-5, (500, 3))
    stats = stats_of({"action": values})
    np.testing.assert_array_equal(safe_stats(stats)["action"]["std"], stats["action"]["std"])


def test_padding_says_nothing_about_the_scale_of_the_data() -> None:
    entries = [*summarize_entries(np.random.default_rng(0).normal(0, 5e-5, (500, 2))), EMPTY]
    safe = safe_stats({"action": stats_of_entries(entries)})["action"]
    assert safe["std"] == pytest.approx([5e-5, 5e-5, 1.0], rel=0.1)


def test_quantiles_that_coincide_under_a_spike_do_not_divide_by_nothing() -> None:
    values = np.zeros((1000, 2))
    values[:5, 0] = 100.0
    values[:, 1] = np.random.default_rng(0).normal(size=1000)
    safe = safe_stats(stats_of({"action": values}))["action"]
    assert safe["q99"][0] - safe["q01"][0] == pytest.approx(2.0)
    assert safe["max"][0] - safe["min"][0] == pytest.approx(100.0)
