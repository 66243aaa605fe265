"""What the features are: as declared where the files bear it out, else as the files have them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from robomix.features import BOOKKEEPING
from robomix.formats.lerobot.features import entry_names
from robomix.formats.parquet import numpy_type
from robomix.tools.build.content import Declared
from robomix.tools.check.families.coding import block_of, claims
from robomix.tools.check.finding import Finding
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.places import videos_of
from robomix.tools.check.raw.values import whole
from robomix.tools.check.raw.videos import VideoFacts
from robomix.tools.repair.consent import Consent

_AXES = ["height", "width", "channels"]
_CHANNELS = (1, 3, 4)


def find_features(raw: RawLeRobot, findings: Sequence[Finding], consent: Consent) -> dict[str, Declared]:
    """The features with data, in the declared order; then columns that are not declared, unless they are to go."""
    stored = _stored(raw)
    unreadable = {f.key for f in findings if f.defect.id == "F02" and f.flag == "drop_features"}
    made: dict[str, Declared] = {}
    for key, spec in raw.features.items():
        dtype = str(spec.get("dtype"))
        if key in BOOKKEEPING:
            continue
        if dtype == "video" and not videos_of(raw, key):
            consent.ask("drop_features", f"the camera {key!r} is declared and has no videos")
        elif dtype != "video" and key not in stored:
            consent.ask("drop_features", f"{key!r} is declared and no data file has it")
        elif key in unreadable:
            consent.ask("drop_features", f"the column {key!r} does not hold what can be written")
        elif dtype in ("video", "image"):
            made[key] = _camera(raw, key, spec)
        else:
            made[key] = _column(raw, key, spec, stored[key])
    undeclared = [key for key in stored if key not in raw.features and key not in BOOKKEEPING]
    _add_undeclared(raw, made, [key for key in undeclared if not key.startswith("__index_level_")], stored, consent)
    return dict(_with_one_rate(made, raw.fps))


def _stored(raw: RawLeRobot) -> dict[str, list[pa.DataType]]:
    """The types of each column in the files that have it."""
    types: dict[str, list[pa.DataType]] = {}
    for file in raw.data:
        for field in file.schema:
            types.setdefault(field.name, []).append(field.type)
    return types


def _add_undeclared(
    raw: RawLeRobot,
    made: dict[str, Declared],
    keys: Sequence[str],
    stored: Mapping[str, list[pa.DataType]],
    consent: Consent,
) -> None:
    for key in keys:
        kind = stored[key][0]
        if consent.flags.drop_features:
            consent.ask("drop_features", f"the column {key!r} is not declared")
        elif len(stored[key]) < len(raw.data):
            consent.ask("drop_features", f"the column {key!r} is not declared and only some files have it")
        elif numpy_type(kind) is not None:
            made[key] = _column(raw, key, {}, stored[key])
            consent.notes.append(f"the column {key!r}, which was not declared, is declared")
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            made[key] = {"dtype": "string", "shape": [1], "names": None}
        else:
            consent.ask("drop_features", f"the column {key!r} is not declared and holds {str(kind)[:60]}")


def _column(raw: RawLeRobot, key: str, spec: Mapping[str, Any], kinds: Sequence[pa.DataType]) -> Declared:
    """A column, with the dtype and shape that its rows have."""
    found = [kind for kind in map(numpy_type, kinds) if kind is not None]
    if not found:
        return dict(spec) | {"shape": spec.get("shape") or [1]}
    shape = _shape(spec.get("shape"))
    rows = next((values.shape[1:] for _, values in raw.column(key) if len(values)), None)
    if rows is not None and (shape is None or np.prod(rows) != np.prod(shape)):
        shape = [*rows] or [1]
    made = {"dtype": _dtype(raw, key, str(spec.get("dtype")), found), "shape": shape or [1], "names": None} | {
        name: value for name, value in spec.items() if name not in ("dtype", "shape")
    }
    return made | {"names": _flat(made["names"], made["shape"])}


def _dtype(raw: RawLeRobot, key: str, declared: str, found: Sequence[np.dtype]) -> str:
    """That of the column where all files have one; else the declared one where it holds all values, else the widest."""
    if len(set(found)) == 1:
        return "bool" if found[0].kind == "b" else found[0].name
    name = declared.removeprefix("torch.")
    try:
        wanted = np.dtype(name)
    except TypeError:
        return np.result_type(*found).name
    with np.errstate(over="ignore", invalid="ignore"):
        exact = all(
            np.array_equal(values.astype(wanted), values, equal_nan=values.dtype.kind == "f")
            for _, values in raw.column(key)
        )
    return name if exact else np.result_type(*found).name


def _shape(given: Any) -> list[int] | None:
    given = [given] if whole(given) is not None else given
    sound = isinstance(given, list) and all((size := whole(n)) is not None and size > 0 for n in given)
    return (list(given) or [1]) if sound else None


def _flat(names: Any, shape: Sequence[int]) -> Any:
    """Names that are nested, in a plain list where there are as many as entries; others as they are."""
    nested = isinstance(names, list) and any(isinstance(name, list) for name in names)
    found = entry_names(names, tuple(shape)) if nested else None
    return names if found is None else list(found)


def _camera(raw: RawLeRobot, key: str, spec: Mapping[str, Any]) -> Declared:
    """A camera, with the size and the description of its videos."""
    made = dict(spec)
    facts = _usual(raw, key)
    names = spec.get("names")
    order = [str(name).lower() for name in names] if isinstance(names, list) else []
    known = len(order) == 3 and sum(name in ("height", "h") for name in order) == 1
    if not known or sum(name in ("width", "w") for name in order) != 1:
        made["names"], order = _AXES, list(_AXES)
    axes = ["height" if n in ("height", "h") else "width" if n in ("width", "w") else "channels" for n in order]
    made["shape"] = _camera_shape(spec.get("shape"), axes, facts)
    if "video_info" in made and isinstance(made.get("info"), Mapping):
        made["info"] = dict(made.pop("video_info")) | dict(made["info"])
    block = "info" if isinstance(made.get("info"), Mapping) else "video_info"
    if facts is not None and isinstance(made.get(block), Mapping):
        made[block] = dict(made[block]) | _corrections(raw, key, facts)
    return made


def _usual(raw: RawLeRobot, key: str) -> VideoFacts | None:
    """The facts of a video like most of the camera's; None where none can be opened."""
    every = list(filter(None, map(raw.footage.videos.facts, videos_of(raw, key))))
    kinds = [(facts.codec, facts.pix_fmt, facts.height, facts.width) for facts in every]
    return every[kinds.index(max(kinds, key=kinds.count))] if every else None


def _camera_shape(given: Any, axes: Sequence[str], facts: VideoFacts | None) -> list[int]:
    shape = _shape(given) or []
    sides = dict(zip(axes, shape, strict=False))
    if len(shape) == 3 and sides["channels"] not in _CHANNELS:
        channels = 0 if shape[0] in _CHANNELS else 2
        rest = [side for i, side in enumerate(shape) if i != channels]
        sides = {"channels": shape[channels], "height": rest[0], "width": rest[1]}
    if facts is not None:
        sides = {"channels": 3} | sides | {"height": facts.height, "width": facts.width}
    return [sides.get(axis, 1) for axis in axes]


def _corrections(raw: RawLeRobot, key: str, facts: VideoFacts) -> dict[str, Any]:
    """What the description of the videos has wrong, as it will be: without sound, at the rate of the dataset."""
    block, fps = block_of(raw, key), float(raw.footage.fps)
    right = {name: actual for name, said, actual, is_right in claims(facts, block) if said is not None and not is_right}
    if "has_audio" in right or facts.audio_streams:
        right = {name: value for name, value in right.items() if name != "has_audio"}
        right |= {name: False for name in ("has_audio", "video.has_audio") if name in block}
    if "video.fps" in block:
        right["video.fps"] = block["video.fps"] if block["video.fps"] == fps else int(fps) if fps == int(fps) else fps
    return right


def _with_one_rate(features: Mapping[str, Declared], fps: float) -> Iterator[tuple[str, Declared]]:
    """Each column with `fps`, as LeRobot's converter has it, or none with it."""
    columns = [spec for spec in features.values() if spec["dtype"] != "video"]
    given = [spec["fps"] for spec in columns if spec.get("fps") is not None]
    if any(rate != fps for rate in given) or len(given) in (0, len(columns)):
        yield from features.items()
        return
    rate = {"fps": given[0]} if 2 * len(given) > len(columns) else {}
    for key, spec in features.items():
        rest = {name: value for name, value in spec.items() if name != "fps"}
        yield key, spec if spec["dtype"] == "video" else rest | rate
