"""Family F, second part: what info.json says of each feature, taken by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from robomix.features import BOOKKEEPING
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import INFO, RawLeRobot
from robomix.tools.check.raw.places import videos_of
from robomix.tools.check.raw.values import number, some, whole

DEFECTS = defects(
    Defect(
        "F03",
        "names missing, nested or of another count",
        Verdict.WARN,
        Depth.META,
        "Joints and axes cannot be told by name: datasets are matched by position alone, and merges refuse.",
        Repair.CERTAIN,
    ),
    Defect(
        "F04",
        "picture shape in the wrong order, or not that of the video",
        Verdict.WARN,
        Depth.META,
        "A policy is built for pictures of a shape that never come.",
        Repair.CERTAIN,
    ),
    Defect(
        "F07",
        "declarations of one kind in several forms",
        Verdict.INFO,
        Depth.META,
        "Merges that compare declarations refuse datasets that are equal in all that matters.",
        Repair.CERTAIN,
    ),
)
_CHANNELS = ("channel", "channels", "c", "rgb", "channel_first")
_AXES = {"height": "height", "h": "height", "width": "width", "w": "width"} | dict.fromkeys(_CHANNELS, "channels")
_COUNTS = (1, 3, 4)
"""Channels that a picture can have."""


def names(raw: RawLeRobot) -> Iterator[Finding]:
    """F03: as many names as entries, in a flat list; and the three axes of a picture by name."""
    for key, spec in raw.features.items():
        given, shape = spec.get("names"), spec.get("shape")
        if key in BOOKKEEPING or not isinstance(shape, list):
            continue
        if spec.get("dtype") in ("video", "image"):
            yield from _axes(key, given)
        elif given is not None and len(shape) == 1 and whole(shape[0]) is not None:
            yield from _entries(key, given, shape[0])


def _entries(key: str, given: Any, size: int) -> Iterator[Finding]:
    flat = list(_flat(given))
    expected = f"a list of {number(size, 'name')}, or none"
    if len(flat) != size or not all(isinstance(name, str) for name in flat):
        found = f"{key!r} has {number(size, 'entry').replace('entrys', 'entries')} and {number(len(flat), 'name')}"
        yield Finding(DEFECTS["F03"], found, expected, key, file=INFO, mendable=False)
    elif isinstance(given, list) and any(isinstance(name, list) for name in given):
        found = f"the names of {key!r} are a list in a list"
        yield Finding(DEFECTS["F03"], found, expected, key, file=INFO, verdict=Verdict.INFO)


def _flat(given: Any) -> Iterator[Any]:
    """Names in lists of lists, {"motors": [...]} or {"x": 0, "y": 1}."""
    if isinstance(given, dict):
        plain = all(whole(place) is not None for place in given.values())
        given = list(given) if plain else list(given.values())
    for name in given if isinstance(given, list) else [given]:
        if isinstance(name, list | dict):
            yield from _flat(name)
        else:
            yield name


def _axes(key: str, given: Any) -> Iterator[Finding]:
    found = [str(name).lower() for name in given] if isinstance(given, list) else []
    if sorted(_AXES.get(name, "") for name in found) != ["channels", "height", "width"]:
        what = f"the axes of the camera {key!r} are named {str(given)[:60]}"
        yield Finding(DEFECTS["F03"], what, '["height", "width", "channels"]', key, file=INFO)


def axes(raw: RawLeRobot) -> Iterator[Finding]:
    """F04: the declared shape of a picture has its channels where its names say, and nowhere else."""
    for key, shape, order in _pictures(raw):
        if shape is None or shape[order.index("channels")] not in _COUNTS:
            declared = str(raw.features[key].get("shape"))[:60]
            found = f"the camera {key!r} is declared with the shape {declared}, axes {some(order)}"
            yield Finding(DEFECTS["F04"], found, "1, 3 or 4 channels where the names say", key, file=INFO)


def sizes(raw: RawLeRobot) -> Iterator[Finding]:
    """F04: the declared height and width are those of the first video that can be opened."""
    for key, shape, order in _pictures(raw):
        facts = next(filter(None, map(raw.footage.videos.facts, videos_of(raw, key))), None)
        if facts is None or shape is None or shape[order.index("channels")] not in _COUNTS:
            continue
        declared = {axis: shape[place] for place, axis in enumerate(order)}
        if (declared["height"], declared["width"]) != (facts.height, facts.width):
            found = f"frames of {key!r} are {facts.width} x {facts.height}"
            expected = f"{declared['width']} x {declared['height']}, as declared"
            yield Finding(DEFECTS["F04"], found, expected, key, file=INFO)


def _pictures(raw: RawLeRobot) -> Iterator[tuple[str, list[int] | None, list[str]]]:
    """Each camera with its declared shape, None where that is none, and what its axes are called."""
    for key, spec in raw.features.items():
        if spec.get("dtype") not in ("video", "image"):
            continue
        shape, given = spec.get("shape"), spec.get("names")
        order = [_AXES.get(str(name).lower(), "") for name in given] if isinstance(given, list) else []
        if sorted(order) != ["channels", "height", "width"]:
            order = ["height", "width", "channels"]
            if isinstance(shape, list) and len(shape) == 3 and shape[0] in _COUNTS and shape[2] not in _COUNTS:
                order = ["channels", "height", "width"]
        sound = isinstance(shape, list) and len(shape) == 3 and all(whole(n) is not None for n in shape)
        yield key, shape if sound else None, order


def forms(raw: RawLeRobot) -> Iterator[Finding]:
    """F07: one form for the description of videos, and one for the rate of features."""
    blocks: dict[str, list[str]] = {"info": [], "video_info": []}
    for key in raw.cameras:
        for name, keys in blocks.items():
            if isinstance(raw.features[key].get(name), Mapping):
                keys.append(key)
    both = sorted(set(blocks["info"]) & set(blocks["video_info"]))
    if both:
        found = f"{some(both)} described both in `info` and in `video_info`"
        yield Finding(DEFECTS["F07"], found, "`info` alone", both[0], file=INFO, verdict=Verdict.WARN)
    elif blocks["info"] and blocks["video_info"]:
        found = f"{some(blocks['video_info'])} described in `video_info`, other cameras in `info`"
        yield Finding(DEFECTS["F07"], found, "`info` for all", blocks["video_info"][0], file=INFO)
    yield from _rates(raw)


def _rates(raw: RawLeRobot) -> Iterator[Finding]:
    rates = {key: spec["fps"] for key, spec in raw.features.items() if spec.get("fps") is not None}
    try:
        other = [key for key, fps in rates.items() if fps != raw.fps]
    except UnverifiableError:
        return  # S06 tells
    if other:
        found = f"the feature {other[0]!r} has fps {str(rates[other[0]])[:20]}, the dataset {raw.fps:g}"
        yield Finding(DEFECTS["F07"], found, "one rate", other[0], file=INFO, verdict=Verdict.WARN, mendable=False)
    without = [key for key, spec in raw.features.items() if key not in rates and spec.get("dtype") != "video"]
    if rates and without:
        found = f"{some(without)} without `fps`, which other features have"
        yield Finding(DEFECTS["F07"], found, "all with it, or none", without[0], file=INFO, mendable=not other)


FAMILY = Family(
    "declarations",
    DEFECTS,
    (
        Check(("F03",), Depth.META, names),
        Check(("F04",), Depth.META, axes),
        Check(("F04",), Depth.FILES, sizes),
        Check(("F07",), Depth.META, forms),
    ),
)
