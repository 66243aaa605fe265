"""`features.json` of a TFDS dataset: which quantities the records hold, under which names, and what they become.

Names: `observation/x` becomes `observation.x`, or `observation.images.x` if it is a picture; `action` stays, `action/x`
becomes `action.x`; `reward`, `discount`, `is_last` and `is_terminal` become `next.reward`, `next.discount`, `next.done`
and `next.terminal`; `is_first` is left out, since frame 0 says it. Anything else keeps its name, with dots for slashes.
Format: tensorflow_datasets/core/proto/feature.proto, and for older files `{"type", "content"}` of core/features.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robomix.errors import FormatError

Encoding = Literal["none", "bytes", "zlib"]
"""How a tensor is stored: as a list of numbers, or each step's bytes in one, perhaps compressed."""
STEPS = "steps"
_NEXT = {
    "reward": "next.reward",
    "discount": "next.discount",
    "is_last": "next.done",
    "is_terminal": "next.terminal",
}
_IGNORED = "is_first"
_TASKS = ("language_instruction", "natural_language_instruction", "instruction", "task", "language")
"""Last parts of the names of texts that say what the robot is to do, best first."""
_CONTENTS = {"featuresDict", "tensor", "image", "text", "classLabel", "sequence", "dataset"}
_LEGACY = {
    "FeaturesDict": "featuresDict",
    "Dataset": "dataset",
    "Sequence": "sequence",
    "Tensor": "tensor",
    "Scalar": "tensor",
    "Image": "image",
    "Text": "text",
    "ClassLabel": "classLabel",
}
_ENCODINGS: Mapping[str, Encoding] = {"none": "none", "bytes": "bytes", "zlib": "zlib"}
_MAX_DEPTH = 20


@dataclass(frozen=True)
class Leaf:
    """One quantity of the records."""

    path: str
    """Name in the records: `steps/observation/state`."""
    kind: Literal["numeric", "image", "text"]
    dtype: np.dtype
    """Of the values of a step, as declared; uint8 for pictures, object for texts."""
    shape: tuple[int, ...] | None
    """Of a step: numbers as they are, pictures (height, width, channels), None where these are not declared."""
    encoding: Encoding = "none"

    @property
    def per_step(self) -> bool:
        return self.path.startswith(STEPS + "/")

    @property
    def key(self) -> str:
        """Its name among the dataset's features."""
        name = self.path.removeprefix(STEPS + "/")
        name = _NEXT.get(name, name)
        if self.kind == "image":
            name = f"observation/images/{name.removeprefix('observation/').removeprefix('images/')}"
        return name.replace("/", ".")


def parse_leaves(raw: dict[str, Any], where: Path) -> tuple[list[Leaf], list[str]]:
    """The quantities that `features.json` declares, and warnings about those of a kind robomix does not read.

    Raises FormatError where there are no steps.
    """
    leaves, warnings = [], []
    for path, kind, content in _walk(raw, "", where, 0):
        leaf = _leaf(path, kind, content)
        if isinstance(leaf, Leaf):
            leaves.append(leaf)
        elif path.startswith(STEPS + "/"):
            warnings.append(f"left out {path!r}: {leaf}")
    leaves = [leaf for leaf in leaves if leaf.path != f"{STEPS}/{_IGNORED}"]
    keys = [leaf.key for leaf in leaves if leaf.per_step]
    if not keys:
        raise FormatError(
            f"{where} declares no 'steps' with readable features, so this is no dataset of episodes (RLDS). It "
            f"declares {', '.join(leaf.path for leaf in leaves[:8]) or 'nothing'}."
        )
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise FormatError(f"{where} declares several features that mean {twice[0]!r}; robomix cannot tell them apart.")
    return leaves, warnings


def task_leaf(leaves: list[Leaf]) -> Leaf | None:
    """The text that says the task: one of the steps if there is one, else one of the episode."""
    for name in _TASKS:
        found = [leaf for leaf in leaves if leaf.kind == "text" and leaf.path.split("/")[-1] == name]
        if found:
            return max(found, key=lambda leaf: leaf.per_step)
    return None


def _walk(node: object, path: str, where: Path, depth: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, kind of content, content) of everything below a node that is no dictionary and not the steps."""
    if not isinstance(node, dict) or depth > _MAX_DEPTH:
        raise FormatError(f"{where}: the feature {path or 'at the top'!r} is {str(node)[:80]}, expected an object.")
    kind, content = _content(node)
    if kind == "featuresDict":
        features = content.get("features", content)
        if not isinstance(features, dict):
            raise FormatError(f"{where}: the features of {path or 'the top'!r} are no object.")
        for name, child in features.items():
            yield from _walk(child, f"{path}/{name}".lstrip("/"), where, depth + 1)
    elif kind in ("dataset", "sequence") and path == STEPS:
        yield from _walk(content.get("feature"), path, where, depth + 1)
    else:
        yield path, kind, content


def _content(node: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Which kind of feature a node is, and its settings."""
    kind = next((name for name in node if name in _CONTENTS), "")
    content = node.get(kind)
    if not kind:
        name = str(node.get("type", node.get("pythonClassName", "?"))).split(".")[-1]
        kind, content = _LEGACY.get(name, name), node.get("content")
    return kind, content if isinstance(content, dict) else {}


def _leaf(path: str, kind: str, content: dict[str, Any]) -> Leaf | str:
    """The quantity, or why it is not read."""
    if kind == "text":
        return Leaf(path, "text", np.dtype(object), ())
    if kind == "classLabel":
        return Leaf(path, "numeric", np.dtype(np.int64), ())
    if kind not in ("tensor", "image"):
        return f"robomix does not read features of the kind {kind!r}"
    shape, dtype = _shape(content.get("shape")), content.get("dtype", "uint8" if kind == "image" else None)
    if kind == "image":
        return _image(path, dtype, shape)
    encoding = str(content.get("encoding") or "none").lower()
    if dtype in ("string", "object", "str") and shape == () and encoding == "none":
        return Leaf(path, "text", np.dtype(object), ())
    number = _number(dtype)
    if number is None or shape is None or not all(shape) or encoding not in _ENCODINGS:
        return f"it is a tensor of {dtype!r} with shape {content.get('shape')} and encoding {encoding!r}"
    return Leaf(path, "numeric", number, shape, _ENCODINGS[encoding])


def _image(path: str, dtype: object, shape: tuple[int, ...] | None) -> Leaf | str:
    if dtype != "uint8" or (shape is not None and (len(shape) != 3 or shape[2] not in (1, 3, 4))):
        return f"it is a picture of {dtype!r} with shape {shape}, expected uint8 with 1, 3 or 4 channels"
    return Leaf(path, "image", np.dtype(np.uint8), shape)


def _shape(value: object) -> tuple[int, ...] | None:
    """Sizes from `{"dimensions": ["7"]}` or `[7]`; None where one is not fixed."""
    sizes = value.get("dimensions", []) if isinstance(value, dict) else value
    if not isinstance(sizes, list) or len(sizes) > 8:
        return None
    numbers = [int(size) if str(size).isdecimal() and len(str(size)) < 10 else -1 for size in sizes]
    return None if -1 in numbers else tuple(numbers)


def _number(dtype: object) -> np.dtype | None:
    try:
        found = np.dtype(dtype) if isinstance(dtype, str) else None
    except (TypeError, ValueError, SyntaxError):
        return None
    return found if found is not None and found.kind in "biuf" else None
