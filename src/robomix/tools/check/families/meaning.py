"""Family F, meaning: what the numbers of one dataset stand for, as far as names and ranges give it away."""

from collections.abc import Iterator

from robomix.tools.check.families.values import FEW_ROWS, Subject
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw import units
from robomix.tools.check.raw.values import some

_ARMS: dict[str, tuple[int, ...]] = {
    "so100": (6, 12), "so101": (6, 12), "koch": (6, 12), "lekiwi": (6, 9), "aloha": (7, 14, 16),
    "viperx": (7, 8, 14, 16), "widowx": (6, 7, 8), "panda": (7, 8, 9), "franka": (7, 8, 9),
    "ur5": (6, 7), "ur5e": (6, 7), "xarm7": (7, 8), "xarm6": (6, 7), "iiwa": (7, 8), "sawyer": (7, 8, 9),
}  # fmt: skip
"""Robot to the numbers of joints, with and without grippers and for two arms, that its recordings have."""

DEFECTS = defects(
    Defect(
        "F08",
        "robot_type does not fit the joints",
        Verdict.INFO,
        Depth.FILES,
        "Mixtures that normalize by robot put different robots together.",
        Repair.FLAG,
        "robot_type",
    ),
    Defect(
        "F09",
        "units, zeros or directions differ",
        Verdict.INFO,
        Depth.FILES,
        "The same number means another posture in each of them, so what is learned from one is wrong for the other.",
    ),
    Defect(
        "F10",
        "actions are copies or changes of the state",
        Verdict.INFO,
        Depth.FILES,
        "A policy that learns to repeat the state does not move; changes and positions cannot be mixed.",
    ),
)


def robot(subject: Subject) -> Iterator[Finding]:
    recording = subject.recording
    kind = (recording.robot_type or "").lower().removesuffix("_follower").removesuffix("_leader")
    known = next((name for name in sorted(_ARMS, key=len, reverse=True) if name in kind.replace("-", "")), None)
    bimanual = kind.startswith(("bi", "dual")) or "bimanual" in kind
    state = recording.profile.values.get("observation.state")
    if known is None or bimanual or state is None or not state.names:
        return
    joints, grippers = len(units.joints(state)), len(state.grippers())
    if joints == state.width - grippers and not {joints, joints + grippers} & set(_ARMS[known]):
        yield Finding(
            DEFECTS["F08"],
            found=f"robot_type is {recording.robot_type!r}, and the state has {joints} joints and {grippers} grippers: "
            + some(state.names),
            expected=f"{' or '.join(map(str, _ARMS[known]))} joints, as recordings of a {known} have",
            key="observation.state",
        )


def units_within(subject: Subject) -> Iterator[Finding]:
    profile = subject.recording.profile
    action, state = profile.values.get("action"), profile.values.get("observation.state")
    if action is None or state is None or action.names != state.names or action.rows < FEW_ROWS:
        return
    said = units.angle_unit(action, units.joints(action)), units.angle_unit(state, units.joints(state))
    if None not in said and said[0] != said[1]:
        yield Finding(
            DEFECTS["F09"], found=f"actions look like {said[0]}, the state like {said[1]}",
            expected="one unit for the same joints", key="action",
        )  # fmt: skip


def actions(subject: Subject) -> Iterator[Finding]:
    profile = subject.recording.profile
    meaning = units.meaning_of_actions(profile)
    if meaning in ("copies of the state", "changes of the state"):
        yield Finding(
            DEFECTS["F10"], found=f"actions are {meaning}", expected="what the robot was told to do", key="action"
        )


FAMILY = Family(
    "meaning",
    DEFECTS,
    (
        Check(("F08",), Depth.FILES, robot),
        Check(("F09",), Depth.FILES, units_within),
        Check(("F10",), Depth.FILES, actions),
    ),
)
