"""Planning pushes of the T: try every straight push from all round its outline in a copy of the simulator, do the best.

A push starts beside a point of the outline, goes in along the inward normal (or a little to either side of it), and
stops at the distance that brings the block's corners nearest to the goal's. Between pushes the disc follows a ring
round the block. Far from the goal pushes are long and fast, near it short and slow.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from gym_pusht.envs.pusht import PushTEnv
from pymunk import Vec2d

_AGENT_RADIUS = 15.0
_BOARD = 512.0
_CLEARANCE = 3.0
"""Gap between the disc and the block where a push starts."""
_CONTACT_SPACING = 15.0
_SIDEWAYS = (0.0, -0.35, 0.35)
"""Angles, in radians, between a push and the inward normal."""
_BLOCK_CENTRE = np.array([0.0, 45.0])
"""About the middle of the T, from its origin in its own frame."""
_STRIDE = 28.0
"""How far apart the targets are on the way to a push."""
_COST_PER_STEP = 0.02
_RETREAT = 14.0


@dataclass(frozen=True)
class Push:
    start: np.ndarray
    """(2,) where the disc must be first."""
    targets: list[np.ndarray]
    """(2,) each: where it is told to move, step by step."""
    outward: np.ndarray
    """(2,) unit normal of the outline there, away from the block."""


class PushPlanner:
    """Plans one push at a time, from where the block is."""

    def __init__(self) -> None:
        self._copy = PushTEnv()
        self._copy.reset(seed=0)
        self._contacts, self._normals = _outline(self._copy)
        self._corners = np.concatenate([np.array(shape.get_vertices()) for shape in self._copy.block.shapes])
        x, y, angle = self._copy.goal_pose
        self._goal_corners = _placed(self._corners, np.array([x, y]), angle)
        reach = np.linalg.norm(self._contacts - _BLOCK_CENTRE, axis=1).max()
        self._ring_radius = reach + _AGENT_RADIUS + 8

    def next_push(self, agent: np.ndarray, block: np.ndarray, angle: float) -> Iterator[np.ndarray]:
        """Actions that go from `agent` (2,) to the best push of the block, make it and back off; (2,) float32 each."""
        push = self._best_push(block, angle)
        if push is None:  # every start lies outside the board: come back from another side
            yield np.full(2, _BOARD / 2, dtype=np.float32)
            return
        retreat = push.targets[-1] + push.outward * _RETREAT
        for target in [*self._route(agent, push.start, block, angle), *push.targets, retreat]:
            yield target.clip(0, _BOARD).astype(np.float32)

    def _best_push(self, block: np.ndarray, angle: float) -> Push | None:
        """The push that leaves the block nearest to the goal, a step costing a little too."""
        cost = self._distance_to_goal(block, angle)
        distances, speed = _push_lengths(cost)
        best, best_cost = None, np.inf
        for contact, normal in zip(self._contacts, self._normals, strict=True):
            inward = _rotation(angle) @ normal
            start = block + _rotation(angle) @ contact - inward * (_AGENT_RADIUS + _CLEARANCE)
            if not _within_board(start, margin=_AGENT_RADIUS + 8):
                continue
            for sideways in _SIDEWAYS:
                direction = _rotation(sideways) @ inward
                targets = [start + direction * (_CLEARANCE + travel) for travel in _travels(distances, speed)]
                steps, reached = self._try_push(start, targets, set(_ends(distances, speed)), block, angle)
                if steps and reached < best_cost:
                    best, best_cost = Push(start, targets[:steps], -inward), reached
        return best

    def _try_push(
        self, start: np.ndarray, targets: list[np.ndarray], stops: set[int], block: np.ndarray, angle: float
    ) -> tuple[int, float]:
        """After how many of `targets`, one of `stops`, the push had better end, and its cost then; else (0, inf)."""
        _place(self._copy, start, block, angle)
        best = (0, np.inf)
        for step, target in enumerate(targets, start=1):
            if not _within_board(target, margin=_AGENT_RADIUS):
                break
            _advance(self._copy, target)
            if step in stops:
                position, turned = np.array(self._copy.block.position), self._copy.block.angle
                cost = self._distance_to_goal(position, turned) + _COST_PER_STEP * step
                best = min(best, (step, cost), key=lambda found: found[1])
        return best

    def _distance_to_goal(self, block: np.ndarray, angle: float) -> float:
        """Mean distance of the block's corners from where the goal has them."""
        offsets = _placed(self._corners, block, angle) - self._goal_corners
        return float(np.linalg.norm(offsets, axis=1).mean())

    def _route(self, agent: np.ndarray, start: np.ndarray, block: np.ndarray, angle: float) -> list[np.ndarray]:
        """Targets from `agent` to `start` along a ring round the block, the last one held to come to rest."""
        centre = _placed(_BLOCK_CENTRE, block, angle)
        begin, end = _bearing(agent - centre), _bearing(start - centre)
        turn = (end - begin + np.pi) % (2 * np.pi) - np.pi
        stations = []
        if abs(turn) > 0.15 or np.linalg.norm(agent - start) > 60:
            parts = max(int(np.ceil(abs(turn) / 0.35)), 1)
            bearings = begin + turn * np.arange(parts + 1) / parts
            ring = centre + self._ring_radius * np.stack([np.cos(bearings), np.sin(bearings)], axis=1)
            stations = list(ring.clip(_AGENT_RADIUS + 1, _BOARD - _AGENT_RADIUS - 1))
        targets, here = [], agent
        for station in [*stations, start]:
            parts = max(int(np.ceil(np.linalg.norm(station - here) / _STRIDE)), 1)
            targets += [here + (station - here) * (i + 1) / parts for i in range(parts)]
            here = station
        return [*targets, start, start]


def _push_lengths(distance_to_goal: float) -> tuple[tuple[float, ...], float]:
    """The lengths of push worth trying at that distance from the goal, and the way to go in a step."""
    if distance_to_goal > 40:
        return (8, 16, 30, 60, 100), 14
    if distance_to_goal > 12:
        return (4, 8, 14, 24, 40), 14
    return (1.5, 3, 5, 8, 12, 18), 6


def _travels(distances: tuple[float, ...], speed: float) -> list[float]:
    """How far along the push each step goes: evenly from one length to the next, by at most `speed`."""
    travels: list[float] = []
    for begin, end in zip((0.0, *distances), distances, strict=False):
        parts = int(np.ceil((end - begin) / speed))
        travels += [begin + (end - begin) * (i + 1) / parts for i in range(parts)]
    return travels


def _ends(distances: tuple[float, ...], speed: float) -> list[int]:
    """How many steps it takes to travel each of the distances."""
    steps = [int(np.ceil((end - begin) / speed)) for begin, end in zip((0.0, *distances), distances, strict=False)]
    return [int(total) for total in np.cumsum(steps)]


def _outline(simulator: PushTEnv) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) on the outline of the T, in its frame, and their unit normals (n, 2) into it."""
    bars = [np.array(shape.get_vertices()) for shape in simulator.block.shapes]
    points, normals = [], []
    for bar in bars:
        for begin, end in itertools.pairwise([*bar, bar[0]]):
            length = float(np.linalg.norm(end - begin))
            normal = np.array([begin[1] - end[1], end[0] - begin[0]]) / length
            inward = normal * np.sign((bar.mean(axis=0) - begin) @ normal)
            count = int(length // _CONTACT_SPACING)
            for i in range(count):
                point = begin + (end - begin) * (i + 0.5) / count
                if not any(_inside(bar, point - inward) for bar in bars):  # else the two bars touch here
                    points.append(point)
                    normals.append(inward)
    return np.array(points), np.array(normals)


def _inside(bar: np.ndarray, point: np.ndarray) -> bool:
    """Whether `point` (2,) lies in the upright rectangle with corners `bar` (4, 2)."""
    return bool((point > bar.min(axis=0)).all() and (point < bar.max(axis=0)).all())


def _place(simulator: PushTEnv, agent: np.ndarray, block: np.ndarray, angle: float) -> None:
    """Put disc and block there, at rest."""
    simulator.agent.position, simulator.agent.velocity = Vec2d(*agent), Vec2d(0, 0)
    simulator.block.angle, simulator.block.angular_velocity = float(angle), 0.0
    simulator.block.position, simulator.block.velocity = Vec2d(*block), Vec2d(0, 0)
    for body in (simulator.block, simulator.agent):
        simulator.space.reindex_shapes_for_body(body)


def _advance(simulator: PushTEnv, target: np.ndarray) -> None:
    """What PushTEnv.step does to the bodies, without measuring the coverage, which takes most of its time."""
    for _ in range(round(1 / (simulator.dt * simulator.control_hz))):
        offset, velocity = target - np.array(simulator.agent.position), np.array(simulator.agent.velocity)
        change = (simulator.k_p * offset - simulator.k_v * velocity) * simulator.dt
        simulator.agent.velocity += Vec2d(*change)
        simulator.space.step(simulator.dt)


def _placed(points: np.ndarray, position: np.ndarray, angle: float) -> np.ndarray:
    """`points` (..., 2) of the block's frame on the board."""
    moved: np.ndarray = points @ _rotation(angle).T + position
    return moved


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _bearing(offset: np.ndarray) -> float:
    return float(np.arctan2(offset[1], offset[0]))


def _within_board(point: np.ndarray, margin: float) -> bool:
    return bool((point >= margin).all() and (point <= _BOARD - margin).all())
