"""`weight_schedule` and `loss_weight` of a mixture file: what is understood, refused, and written back."""

import json
from typing import Any

import pytest

from robomix.config import MixtureConfig, WeightStageConfig
from robomix.errors import ConfigError

SOURCES = [{"root": "data/a"}, {"repo_id": "me/b", "weight": 0.5}, {"root": "c", "name": "last", "weight": 0.0}]


def config(*stages: Any, **keys: Any) -> MixtureConfig:
    return MixtureConfig.from_dict({"datasets": SOURCES, "weight_schedule": list(stages)} | keys)


def test_the_keys_mean_what_they_say_and_are_written_back() -> None:
    made = config({"step": 100, "weights": {"me/b": 2}, "alpha": 0.5, "interpolate": "linear"}, {"step": 200})
    assert made.weight_schedule == (WeightStageConfig(100, {"me/b": 2}, 0.5, "linear"), WeightStageConfig(200))
    assert MixtureConfig.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert MixtureConfig.from_dict({"repo_id": ["me/a", "me/b"]}).weight_schedule == ()


def test_sources_that_are_drawn_from_at_some_step_are_known() -> None:
    assert config().drawn() == {"a", "me/b"}
    assert config({"step": 5, "weights": {"last": 1}}).drawn() == {"a", "me/b", "last"}
    assert config({"step": 0, "weights": {"a": 0}}).drawn() == {"me/b"}
    assert config({"step": 1, "weights": {"a": 0}}).drawn() == {"a", "me/b"}


def test_weights_may_all_be_0_where_a_stage_at_step_0_sets_others() -> None:
    sources = [{"root": "a", "weight": 0.0}]
    assert config({"step": 0, "weights": {"a": 1}}, datasets=sources).drawn() == {"a"}
    with pytest.raises(ConfigError, match="every weight is 0"):
        config({"step": 1, "weights": {"a": 1}}, datasets=sources)


def test_a_loss_weight_belongs_to_a_source() -> None:
    made = MixtureConfig.from_dict({"datasets": [{"root": "a", "loss_weight": 2}, {"root": "b"}]})
    assert [source.loss_weight for source in made.datasets] == [2, 1.0]
    with pytest.raises(ConfigError, match=r"loss_weight \(a\): found -1, expected a number from 0"):
        MixtureConfig.from_dict({"datasets": [{"root": "a", "loss_weight": -1}]})


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ({"step": 0}, "weight_schedule: found a mapping {'step': 0}, expected a list."),
        ([{"weights": {}}], "weight_schedule[0]: lacks the key `step`."),
        ([{"step": 0, "weigths": {}}], "weight_schedule[0].weigths: unknown key. Did you mean 'weights'?"),
        ([{"step": 1, "interpolate": "lin"}], "interpolate: found 'lin', expected 'hold' or 'linear' or 'cosine'. Did"),
        ([{"step": True}], "weight_schedule[0].step: found true, expected a whole number."),
        ([{"step": -1}], "weight_schedule[0].step: found -1, expected an optimizer step, from 0 to 1,000,000,000."),
        ([{"step": 5}, {"step": 5}], "weight_schedule[1].step: found 5, expected a step after 5"),
        ([{"step": 0, "weights": {"me/d": 1}}], "no dataset has this name. Did you mean 'me/b'? They are: a, me/b, la"),
        ([{"step": 0, "weights": {"a": -1}}], "weights.a: found -1, expected a number from 0 to 1e+12."),
        ([{"step": 0, "weights": {"a": float("nan")}}], "weights.a: found nan, expected a finite number"),
        ([{"step": 0, "weights": {"a": 0, "me/b": 0}}], "weight_schedule[0]: every weight is 0 from step 0 on."),
        ([{"step": 0, "alpha": 11}], "weight_schedule[0].alpha: found 11, expected a number from 0 to 10."),
        ([{"step": 0, "interpolate": "linear"}], "step 0 has no stage before it to move from."),
    ],
)
def test_what_cannot_be_meant_is_refused_by_key(stages: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MixtureConfig.from_dict({"datasets": SOURCES, "weight_schedule": stages})
    assert said in str(caught.value)


def test_statistics_do_not_follow_shares_that_move() -> None:
    with pytest.raises(ConfigError, match="stats_weighting: has no meaning beside `weight_schedule`"):
        config({"step": 5}, stats_weighting="sampling")
