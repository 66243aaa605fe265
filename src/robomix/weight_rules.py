"""What `weight_schedule` of a mixture file must satisfy beyond its types. Plain data in, problems out."""

from collections.abc import Mapping, Sequence
from typing import Any

from robomix.errors import did_you_mean
from robomix.problems import KeyPath, Problem, wrong

MAX_WEIGHT = 1e12
MAX_ALPHA = 10.0
"""Bounds under which weight * frames^alpha stays a number for any dataset that fits on a disk."""
MAX_STEP = 10**9
"""Steps of a schedule; more than any training has, so that a step with zeros too many is found."""

Names = Sequence[str]


def weight(value: float, key: KeyPath) -> list[Problem]:
    """The weight of one dataset."""
    if 0 <= value <= MAX_WEIGHT:
        return []
    return [wrong(key, value, f"a number from 0 to {MAX_WEIGHT:g}", "0 leaves the dataset out of the draws.")]


def loss_weight(value: float, key: KeyPath) -> list[Problem]:
    """What the loss of one dataset's samples is multiplied by."""
    if 0 <= value <= MAX_WEIGHT:
        return []
    return [wrong(key, value, f"a number from 0 to {MAX_WEIGHT:g}", "0 keeps its samples out of the loss.")]


def alpha(value: float, key: KeyPath) -> list[Problem]:
    """The exponent of the datasets' sizes."""
    if 0 <= value <= MAX_ALPHA:
        return []
    return [wrong(key, value, f"a number from 0 to {MAX_ALPHA:g}", "0: weights are the shares; 1: weights times size.")]


def weight_schedule(
    stages: Sequence[Mapping[str, Any]], names: Names, weights: Sequence[float], key: KeyPath
) -> list[Problem]:
    """Stages in ascending order; `names` and `weights` are those of the sources."""
    problems = _order(stages, key)
    for i, stage in enumerate(stages):
        here = (*key, i)
        problems += _weights(stage.get("weights", {}), names, (*here, "weights"))
        if stage.get("alpha") is not None:
            problems += alpha(stage["alpha"], (*here, "alpha"))
        if not any((dict(zip(names, weights, strict=True)) | dict(stage.get("weights", {}))).values()):
            advice = "Raise at least one; datasets it does not name keep their `weight`."
            problems.append(Problem(here, f"every weight is 0 from step {stage['step']} on. {advice}"))
    if stages and stages[0]["step"] == 0 and stages[0].get("interpolate", "hold") != "hold":
        advice = "Give it to the stage that is moved to."
        problems.append(Problem((*key, 0, "interpolate"), f"step 0 has no stage before it to move from. {advice}"))
    return problems


def _order(stages: Sequence[Mapping[str, Any]], key: KeyPath) -> list[Problem]:
    problems, last = [], -1
    for i, stage in enumerate(stages):
        if not 0 <= stage["step"] <= MAX_STEP:
            expected = f"an optimizer step, from 0 to {MAX_STEP:,}"
            problems.append(wrong((*key, i, "step"), stage["step"], expected))
        elif stage["step"] <= last:
            expected = f"a step after {last}, that of the stage before"
            problems.append(wrong((*key, i, "step"), stage["step"], expected, "List stages in their order."))
        last = max(last, stage["step"])
    return problems


def _weights(weights: Mapping[str, float], names: Names, key: KeyPath) -> list[Problem]:
    problems = []
    for name, value in weights.items():
        if name not in names:
            hint = did_you_mean(name, names)
            problems.append(Problem((*key, name), f"no dataset has this name.{hint} They are: {', '.join(names)}."))
        else:
            problems += weight(value, (*key, name))
    return problems
