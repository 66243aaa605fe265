"""The numbers: family T, and what they mean: F08, F09, F10."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.defects.corpus import Expected, Injection, data_files, edit_json, edit_table, injection

INJECTIONS: list[Injection] = []
STATISTICS = ("A02", "A03", "A04")
LONG = {"lengths": (60, 80, 70), "cameras": {}}
ARM = LONG | {"state_dim": 6, "action_dim": 6}
STATE = "observation.state"
JOINTS = ["shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"]


def change(folder: Path, key: str, episode: int | None, function: Callable[[np.ndarray], np.ndarray]) -> None:
    """Put function(values) in place of the values (rows, D) of one episode, or of each."""
    for file in data_files(folder):

        def edit(columns: dict) -> None:
            values, of = np.array(columns[key], float), np.array(columns["episode_index"])
            for one in np.unique(of) if episode is None else [episode]:
                if (of == one).any():
                    values[of == one] = function(values[of == one].copy())
            columns[key] = values.tolist()

        edit_table(file, edit)


def put(place: int, values: object) -> Callable[[np.ndarray], np.ndarray]:
    """Sets one entry: to a number, or to `values(rows)`."""

    def function(before: np.ndarray) -> np.ndarray:
        before[:, place] = values(np.arange(len(before))) if callable(values) else values
        return before

    return function


def name_joints(folder: Path) -> None:
    def edit(info: dict) -> None:
        for key in (STATE, "action"):
            info["features"][key]["names"] = JOINTS

    edit_json(folder / "meta/info.json", edit)


@injection(INJECTIONS, "T01", companions=STATISTICS)
def one_nan_in_the_state(folder: Path) -> Expected:
    def function(values: np.ndarray) -> np.ndarray:
        values[2, 1] = np.nan
        return values

    change(folder, STATE, 1, function)
    return Expected(STATE, (1,))


@injection(INJECTIONS, "T01", companions=STATISTICS)
def infinite_actions(folder: Path) -> Expected:
    change(folder, "action", 0, lambda values: values * np.inf)
    return Expected("action", (0,))


@injection(INJECTIONS, "T02", spec=LONG, companions=STATISTICS)
def entry_that_never_changes(folder: Path) -> Expected:
    change(folder, STATE, None, put(2, 0.25))
    return Expected(STATE)


@injection(INJECTIONS, "T03", spec=LONG, companions=STATISTICS)
def clipped_actions(folder: Path) -> Expected:
    change(folder, "action", None, lambda values: np.clip(3 * values, -0.5, 0.5))
    return Expected("action")


@injection(INJECTIONS, "T04", spec=LONG, companions=STATISTICS)
def episode_at_a_standstill(folder: Path) -> Expected:
    for key in (STATE, "action"):
        change(folder, key, 1, lambda values: np.where(np.arange(len(values))[:, None] < 70, values[0], values))
    return Expected(None, (1,))


@injection(INJECTIONS, "T04", spec=LONG, companions=STATISTICS)
def sensor_that_stops(folder: Path) -> Expected:
    def function(values: np.ndarray) -> np.ndarray:
        values[20:50] = values[20]
        return values

    change(folder, STATE, 1, function)
    return Expected(None, (1,))


@injection(INJECTIONS, "T05", spec=LONG, companions=STATISTICS)
def angle_that_wraps(folder: Path) -> Expected:
    change(folder, STATE, 1, put(0, lambda rows: (rows * 0.1 + np.pi) % (2 * np.pi) - np.pi))
    return Expected(STATE, (1,))


@injection(INJECTIONS, "T05", spec=LONG, companions=STATISTICS)
def one_lost_sample(folder: Path) -> Expected:
    def function(values: np.ndarray) -> np.ndarray:
        values[30, 1] = 9.0
        return values

    change(folder, STATE, 2, function)
    return Expected(STATE, (2,))


@injection(INJECTIONS, "T06", spec=LONG | {"extra": {"action.gripper": (1,)}}, companions=STATISTICS)
def gripper_that_chatters(folder: Path) -> Expected:
    for file in data_files(folder):

        def edit(columns: dict) -> None:
            of = np.array(columns["episode_index"])
            rows = np.arange(len(of))
            columns["action.gripper"] = np.where(of == 1, rows % 2, columns["action.gripper"]).tolist()

        edit_table(file, edit)
    return Expected("action.gripper", (1,))


@injection(INJECTIONS, "T07", spec={"lengths": (60, 60, 70), "cameras": {}}, companions=STATISTICS)
def the_same_episode_twice(folder: Path) -> Expected:
    kept: dict[str, np.ndarray] = {}
    for key in (STATE, "action"):

        def keep(values: np.ndarray, key: str = key) -> np.ndarray:
            kept[key] = values
            return values

        change(folder, key, 0, keep)
        change(folder, key, 1, lambda values, key=key: kept[key])
    return Expected(None, (0, 1))


@injection(INJECTIONS, "T07", spec={"lengths": (60, 60, 70), "cameras": {}}, companions=STATISTICS)
def nearly_the_same_actions(folder: Path) -> Expected:
    kept: list[np.ndarray] = []
    change(folder, "action", 0, lambda values: kept.append(values) or values)
    change(folder, "action", 1, lambda values: kept[0] + 1e-5)
    return Expected(None, (0, 1))


@injection(INJECTIONS, "T08", spec=ARM, companions=STATISTICS)
def actions_recorded_late(folder: Path) -> Expected:
    _follow(folder, -4)
    return Expected("action")


@injection(INJECTIONS, "T08", spec=ARM, companions=STATISTICS)
def state_that_follows_after_a_second(folder: Path) -> Expected:
    _follow(folder, 10)
    return Expected("action")


@injection(INJECTIONS, "F08", spec=ARM | {"robot_type": "panda"})
def six_joints_called_a_panda(folder: Path) -> Expected:
    def edit(info: dict) -> None:
        for key in (STATE, "action"):
            info["features"][key]["names"] = [f"joint_{i}" for i in range(6)]

    edit_json(folder / "meta/info.json", edit)
    return Expected(STATE)


@injection(INJECTIONS, "F09", spec=ARM, companions=STATISTICS)
def actions_in_degrees_and_state_in_radians(folder: Path) -> Expected:
    name_joints(folder)
    change(folder, "action", None, np.degrees)
    return Expected("action")


@injection(INJECTIONS, "F10", spec=ARM, companions=STATISTICS)
def actions_that_are_the_state(folder: Path) -> Expected:
    name_joints(folder)
    _follow(folder, 0)
    return Expected("action")


@injection(INJECTIONS, "F10", spec=ARM, companions=STATISTICS)
def actions_that_are_changes_of_the_state(folder: Path) -> Expected:
    name_joints(folder)
    for key, scale in ((STATE, 1.0), ("action", 0.05)):
        change(folder, key, None, lambda values, scale=scale: scale * np.sin(0.2 * _places(values)))
    return Expected("action")


def _places(values: np.ndarray) -> np.ndarray:
    """(rows, D): rows, with another phase for each entry."""
    return np.arange(len(values))[:, None] + 3.0 * np.arange(values.shape[1])


def _follow(folder: Path, lag: int) -> None:
    """State[t] = action[t - lag], of a motion whose period is longer than any lag."""
    change(folder, "action", None, lambda values: np.sin(0.07 * _places(values)))
    change(folder, STATE, None, lambda values: np.sin(0.07 * (_places(values) - lag)))
    if not lag:
        return
    edit_json(folder / "meta/info.json", lambda info: info["features"]["action"].update(info["features"][STATE]))
