"""Where state and action are found in datasets that call them otherwise, or keep them in pieces."""

from robomix.tools.inspect.vector_names import VectorPlan, plan_vector
from tests.tools.inspect.described import camera, dataset, vector

STATE = "observation.state"


def test_the_vectors_of_that_name_are_taken() -> None:
    one = dataset("a", vector("action", 7), vector(STATE, 6), vector("observation.state.arm", 5))
    assert plan_vector(one, "action") == VectorPlan("action", ("action",))
    assert plan_vector(one, STATE) == VectorPlan(STATE, (STATE,))


def test_other_names_are_renamed() -> None:
    """As openpi's LIBERO conversion has them."""
    one = dataset("a", vector("actions", 7), vector("state", 8), camera("image"))
    assert plan_vector(one, "action") == VectorPlan("action", ("actions",))
    assert plan_vector(one, STATE) == VectorPlan(STATE, ("state",))


def test_pieces_become_joints_and_the_narrowest_gripper() -> None:
    """The others say the same in another way, or how fast it changes."""
    keys = {"joints": 7, "gripper_width": 6, "gripper_close": 1, "eef_position": 3, "delta_joints": 7}
    one = dataset("a", *(vector(f"action.{key}", width) for key, width in keys.items()))
    plan = plan_vector(one, "action")
    assert plan is not None
    assert plan.parts == ("action.joints", "action.gripper_close")
    assert plan.left == ("action.gripper_width", "action.eef_position", "action.delta_joints")


def test_each_arm_keeps_its_gripper() -> None:
    keys = ["left_arm", "left_hand", "right_arm", "right_hand"]
    plan = plan_vector(dataset("a", *(vector(f"state.{key}", 6) for key in keys)), STATE)
    assert plan is not None
    assert plan.parts == ("state.left_arm", "state.right_arm", "state.left_hand", "state.right_hand")


def test_robomimic_observations_become_what_its_own_configs_observe() -> None:
    ends = ["joint_pos", "joint_vel", "eef_pos", "eef_quat", "gripper_qpos", "gripper_qvel"]
    one = dataset("a", *(vector(f"observation.robot0_{end}", 3) for end in ends), vector("observation.object", 10))
    plan = plan_vector(one, STATE)
    assert plan is not None
    assert plan.parts == tuple(f"observation.robot0_{end}" for end in ("eef_pos", "eef_quat", "gripper_qpos"))


def test_unknown_pieces_make_an_action_and_no_state() -> None:
    """All of an action is needed to act; what of other numbers is the robot's state is not for names to guess."""
    one = dataset("a", vector("action.world_vector", 3), vector("action.rotation_delta", 3), vector("observation.x", 2))
    plan = plan_vector(one, "action")
    assert plan is not None
    assert plan.parts == ("action.world_vector", "action.rotation_delta")
    assert plan_vector(one, STATE) is None


def test_whole_numbers_are_no_state() -> None:
    """Policies take none; and nothing else may get a name that is there already."""
    one = dataset("a", vector(STATE, 3, dtype="int64"), vector("state", 3), vector("action", 2, dtype="int64"))
    assert plan_vector(one, STATE) is None
    assert plan_vector(one, "action") == VectorPlan("action", ("action",))
