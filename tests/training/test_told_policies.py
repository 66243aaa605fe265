"""Of a policy that is told which robot a sample is of, each robot has its own, which need not be told: the same one."""

import re
from typing import Any

import pytest
import torch

from robomix.features import Feature
from robomix.training.lerobot import get_policy_class
from robomix.training.objectives import Learner
from robomix.training.policy_cuts import cuts_of
from robomix.training.robot_policy import ROBOT_INDEX, policy_of_robot, robot_config
from robomix.training.robots import Robot
from tests.training.test_multi_task_dit import ATTENTION, TOKENS, clip, policy_of
from tests.training.test_robot_policy import (
    ACTION,
    BATCH,
    ENV,
    KINDS,
    MAIN,
    STATE,
    WIDTHS,
    WRIST,
    batch_of,
    objective,
    robot,
    shared_policy,
)
from tests.training.test_vla import STATES, Build, build, chunk
from tests.training.test_vla import batch_of as vla_batch_of
from tests.training.tiny_vla import tiny

__all__ = ["build", "clip", "tiny"]  # pytest finds the fixtures here

ONE, OTHER, INDEX = (1.0, 0.0), (0.0, 1.0), (3.0,)
"""What is told of a robot: the first of two, the second, the fourth of many."""
SAME_ACTION = {ACTION: WIDTHS[ACTION]}  # so that noise falls alike
ROBOTS = {
    "one-hot": robot({STATE: 2, ENV: 3} | SAME_ACTION, (MAIN, WRIST), in_front=OTHER),
    "index": robot({STATE: 3, ENV: 3} | SAME_ACTION, (MAIN, WRIST), in_front=INDEX),
    "fewer entries, one camera": robot({STATE: 1} | SAME_ACTION, (WRIST,), in_front=OTHER),
    "no state": robot({ENV: 2} | SAME_ACTION, (MAIN,), in_front=OTHER),
}
every_robot = pytest.mark.parametrize("own", ROBOTS.values(), ids=ROBOTS)


def told_batch(policy: Any, own: Robot) -> tuple[dict[str, Any], dict[str, Any]]:
    """A batch of `own` as the shared policy is given it, entries in front and zeros for what it lacks; and as its own
    policy is.
    """
    shared = batch_of(policy, robot(WIDTHS, (MAIN, WRIST)))
    front, width = len(own.in_front), own.features[STATE].shape[0] if STATE in own.features else 0
    shared[STATE][..., :front] = torch.tensor(own.in_front)
    shared[STATE][..., front + width :] = 0
    for key in (ENV, MAIN, WRIST):
        if key not in own.features:
            shared[key] = torch.zeros_like(shared[key])
        elif key == ENV:
            shared[key][..., own.features[key].shape[0] :] = 0
    alone = {key: shared[key] for key in (ACTION, "action_is_pad")}
    for key, feature in policy_of_robot(policy, own).config.input_features.items():
        is_vector, start = len(feature.shape) == 1, front if key == STATE else 0
        alone[key] = shared[key][..., start : start + feature.shape[0]] if is_vector else shared[key]
    return shared, alone


@every_robot
@pytest.mark.parametrize("kind", KINDS)
def test_a_robots_own_policy_has_what_it_was_told_in_its_biases(kind: str, own: Robot) -> None:
    """Its errors are those of the training, where its samples have the entries, and these are learned from."""
    policy = shared_policy(kind, cameras=True)
    whole = robot(WIDTHS | {STATE: WIDTHS[STATE] - len(own.in_front)}, (MAIN, WRIST), in_front=ONE)
    shared, alone = told_batch(policy, own)
    index = {ROBOT_INDEX: torch.ones(BATCH, dtype=torch.int64)}
    trained = objective(Learner(policy, [whole, own]), shared | index, None)
    exported = objective(Learner(policy_of_robot(policy, own)), alone, None)
    torch.testing.assert_close(trained.errors, exported.errors, rtol=1e-5, atol=1e-6)
    trained.total().backward()
    same_names = robot_config(policy.config, own, rename=False)
    for pattern, columns, _ in cuts_of(policy.config, same_names, own.in_front).folded:
        learned = [p.grad[:, columns] for name, p in policy.named_parameters() if re.fullmatch(pattern, name)]
        assert learned
        assert all(gradient.abs().sum() > 0 for gradient in learned)
    other = shared | {STATE: shared[STATE].clone()}
    other[STATE][..., : len(own.in_front)] = torch.tensor(own.in_front).flip(0) + 1
    told_otherwise = objective(Learner(policy, [whole, own]), other | index, None)
    assert not torch.allclose(told_otherwise.errors, trained.errors)


@pytest.mark.parametrize("own", [ROBOTS["one-hot"], ROBOTS["index"]], ids=["one-hot", "index"])
def test_the_multi_task_dit_too(clip: str, own: Robot) -> None:
    policy = policy_of(clip, cameras=True)
    shared, alone = told_batch(policy, own)
    words = {TOKENS: torch.arange(16).repeat(BATCH, 1), ATTENTION: torch.ones(BATCH, 16, dtype=torch.int64)}
    expected = objective(Learner(policy), shared | words, None).errors
    made = objective(Learner(policy_of_robot(policy, own)), alone | words, None).errors
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("in_front", [OTHER, INDEX], ids=["one-hot", "index"])
@pytest.mark.parametrize("kind", ["smolvla", "pi0"])
def test_policies_that_pad_inside_have_it_in_the_bias_of_the_layer_of_the_state(
    build: Build, kind: str, in_front: tuple[float, ...], tmp_path: Any
) -> None:
    """LeRobot's own loading of the robot's folder; the layers it shares stay one, and the shared policy as it was."""
    policy, front = build(kind), len(in_front)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    features: dict[str, Feature] = {
        STATE: Feature("numeric", "float32", (STATES - front,)),
        ACTION: Feature("numeric", "float32", (5,)),
        MAIN: Feature("camera", "uint8", (3, 32, 32)),
        WRIST: Feature("camera", "uint8", (3, 32, 32)),
    }
    made = policy_of_robot(policy, Robot("arm", ("arm",), features, in_front=in_front))
    made.save_pretrained(tmp_path)
    alone = get_policy_class(kind).from_pretrained(tmp_path)
    assert alone.config.input_features[STATE].shape == (STATES - front,)
    batch = vla_batch_of()
    batch[STATE][:, :front] = torch.tensor(in_front)
    expected = chunk(policy, batch)
    for one in (made, alone):
        acted = chunk(one, batch | {STATE: batch[STATE][:, front:]})
        torch.testing.assert_close(acted, expected, rtol=0, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())
    own = {name for name, value in made.named_parameters() if value is not policy.get_parameter(name)}
    assert own == {"model.state_proj.weight", "model.state_proj.bias"}
    batch[STATE][:, :front] += 1
    assert not torch.allclose(chunk(policy, batch), expected)
