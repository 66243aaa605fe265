"""Which cameras of several datasets show the same, as their names tell it: what a feature map would join.

Names are compared in four steps, each looser than the one before: the whole key; its last part; that without words such
as `camera` and `image`; and the place the words stand for, where people have several (`wrist`, `hand`, `eye_in_hand`).
Cameras of one dataset are never joined, and neither are those of different numbers of channels. Where a step could join
in more than one way it joins nothing, and a note says so.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from robomix.tools.inspect.description import DatasetDescription

PREFIX = "observation.images."
"""Where LeRobot's policies look for cameras."""
_FILLERS = {"cam", "camera", "cameras", "view", "image", "images", "img", "rgb", "color", "colour", "robot"}
"""Words that say that it is a camera, not where it is."""
_PLACES: Mapping[str, frozenset[str]] = {
    "wrist": frozenset({"wrist", "hand", "gripper", "eyeinhand", "eef", "palm"}),
    "top": frozenset({"top", "high", "overhead", "birdview", "birdseye", "topdown", "ceiling", "above"}),
    "front": frozenset({"front", "frontview", "frontal"}),
    "scene": frozenset({
        "agentview", "exterior", "external", "thirdperson", "primary", "base", "main", "static", "scene", "world",
    }),
    "head": frozenset({"head", "ego", "egocentric"}),
    "low": frozenset({"low", "bottom"}),
    "side": frozenset({"side", "sideview"}),
}  # fmt: skip
"""A place to the words for it."""
_PHRASES = {"eye in hand": "eyeinhand", "third person": "thirdperson", "birds eye": "birdseye", "top down": "topdown"}
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_SCENES = {"top", "front", "scene", "head", "side", "low"}
"""Places from where a camera sees the whole scene; two of these may be one camera under two names."""


@dataclass
class View:
    """Cameras of several datasets that get one name."""

    cameras: dict[str, str]
    """Dataset to the camera's key in it; at most one each."""
    channels: int
    key: str = ""
    """Its name in the mixture."""


@dataclass
class CameraNames:
    """What all cameras are called in the mixture."""

    views: list[View]
    notes: list[str] = field(default_factory=list)
    """What could not be told from names alone, for people to decide."""

    def of(self, dataset: str) -> dict[str, str]:
        """The dataset's own key to the mixture's, for each of its cameras."""
        return {view.cameras[dataset]: view.key for view in self.views if dataset in view.cameras}


def match_cameras(datasets: Sequence[DatasetDescription]) -> CameraNames:
    """One name for cameras of several datasets where their names agree."""
    views = [
        View({one.name: feature.key}, feature.shape[0])
        for one in datasets
        for feature in one.features
        if feature.kind == "camera"
    ]
    notes: list[str] = []
    for identity in (lambda key: key, _last_part, _plain_words, place_of):
        views = _joined(views, identity, notes)
    _name(views)
    return CameraNames(views, notes + _unsure(views, len(datasets)))


def place_of(key: str) -> tuple[str, str] | None:
    """(place, side) that a camera's name stands for, such as ("wrist", "left"); None where it names none, or two."""
    words = _words(key)
    places = {place for place, synonyms in _PLACES.items() if synonyms & words}
    sides = {_SIDES[word] for word in words if word in _SIDES}
    numbers = {word for word in words if word.isdigit() and word != "0"}
    if len(places) != 1 or len(sides) > 1 or numbers:
        return None
    return places.pop(), "".join(sides)


def _last_part(key: str) -> str | None:
    part = re.split(r"[./]", key)[-1]
    return " ".join(_split(part)) or None


def _plain_words(key: str) -> tuple[str, ...] | None:
    """The words of the last part that say where the camera is."""
    words = tuple(word for word in _split(re.split(r"[./]", key)[-1]) if word not in _FILLERS)
    return words if any(not word.isdigit() for word in words) else None  # image_0 and camera_0 say nothing


def _words(key: str) -> set[str]:
    text = " ".join(_split(re.split(r"[./]", key)[-1]))
    for phrase, word in _PHRASES.items():
        text = text.replace(phrase, word)
    return set(text.split()) - _FILLERS


def _split(name: str) -> list[str]:
    """`camHigh_2` to cam, high, 2."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def _joined(views: list[View], identity: Callable[[str], Hashable | None], notes: list[str]) -> list[View]:
    """`views` with those of one identity made one, where no dataset would have two cameras in it."""
    by_identity: dict[Hashable, list[View]] = {}
    for view in views:
        for found in {identity(key) for key in view.cameras.values()} - {None}:
            by_identity.setdefault((found, view.channels), []).append(view)
    joined = list(views)
    for same in by_identity.values():
        together = [view for view in same if any(view is other for other in joined)]
        owners = Counter(dataset for view in together for dataset in view.cameras)
        if len(together) < 2:
            continue
        if max(owners.values()) > 1:
            if len(owners) > 1:
                notes.append(f"{_said(together)} could be the same place: which is which is not clear, so each is kept")
            continue
        first, *others = together
        for other in others:
            first.cameras |= other.cameras
        joined = [view for view in joined if not any(view is other for other in others)]
    return joined


def _name(views: Sequence[View]) -> None:
    """Gives each view the name most of its datasets have, the first of these where several are as common."""
    taken: set[str] = set()
    for view in sorted(views, key=lambda view: -len(view.cameras)):
        counts = Counter(_under_observation(key) for key in view.cameras.values())
        name = max(counts, key=lambda key: counts[key])  # of equal ones the first
        number = 1
        while (key := name if number == 1 else f"{name}_{number}") in taken:
            number += 1
        view.key = key
        taken.add(key)


def _under_observation(key: str) -> str:
    return key if key.startswith("observation.") else PREFIX + re.split(r"[./]", key)[-1]


def _unsure(views: Sequence[View], num_datasets: int) -> list[str]:
    """Views that may be the same after all: of one place with and without a side, or all seeing the whole scene."""
    notes = []
    placed = [(view, place) for view in views if (place := place_of(view.key)) and len(view.cameras) < num_datasets]
    for name in dict.fromkeys(place[0] for _, place in placed):
        same = [view for view, place in placed if place[0] == name]
        if len(same) > 1 and _are_apart(same):
            notes.append(f"{_said(same)} may be the same place; give them one name if they are")
    scenes = [view for view, place in placed if place[0] in _SCENES]
    unplaced = [view for view in views if place_of(view.key) is None and len(view.cameras) < num_datasets]
    if len(scenes + unplaced) > 1 and _are_apart(scenes + unplaced):
        notes.append(f"{_said(scenes + unplaced)} may show the same scene; their names do not tell")
    return notes


def _are_apart(views: Sequence[View]) -> bool:
    """Whether they are of more than one dataset."""
    return len({dataset for view in views for dataset in view.cameras}) > 1


def _said(views: Sequence[View]) -> str:
    return ", ".join(f"{key.removeprefix(PREFIX)} of {dataset}" for v in views for dataset, key in v.cameras.items())
