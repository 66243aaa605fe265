"""Family F, first part: the declared features against the columns that the files have."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from robomix.features import BOOKKEEPING
from robomix.formats.parquet import numpy_type
from robomix.tools.check.families.tables import huggingface_features
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import INFO, RawLeRobot
from robomix.tools.check.raw.places import videos_of
from robomix.tools.check.raw.tables import DataFile
from robomix.tools.check.raw.values import number, some, whole

DEFECTS = defects(
    Defect(
        "F01",
        "declared feature absent, or column not declared",
        Verdict.FAIL,
        Depth.META,
        "LeRobot stops: it asks for each declared feature, and refuses tables with other columns than declared.",
        Repair.FLAG,
        "drop_features",
    ),
    Defect(
        "F02",
        "dtype or shape is not as declared",
        Verdict.WARN,
        Depth.FILES,
        "Policies are built for the declared shape; a reader that casts to the declared dtype loses digits or stops.",
        Repair.CERTAIN,
    ),
    Defect(
        "F05",
        "pictures not marked as pictures",
        Verdict.WARN,
        Depth.META,
        "Readers built on Hugging Face datasets hand out raw bytes instead of pictures.",
        Repair.CERTAIN,
    ),
)
_CAMERAS = ("video", "image")
_OTHER = ("string", "language", "binary", "audio")
_DROP = "drop_features"
_NEEDED = tuple(key for key in BOOKKEEPING if key != "timestamp")
"""Columns that every reader needs; that `timestamp` is missing is C01."""


def presence(raw: RawLeRobot) -> Iterator[Finding]:
    """F01: declared features have files or columns, and columns are declared."""
    if not raw.data:
        raise UnverifiableError("there is no data file that can be read")
    stored = {key for file in raw.data for key in file.schema.names}
    declared = {key: str(spec.get("dtype")) for key, spec in raw.features.items()}
    for key, dtype in declared.items():
        if dtype == "video" and not videos_of(raw, key):
            found = f"the camera {key!r} is declared, and no video lies in a folder of that name"
            yield Finding(DEFECTS["F01"], found, "videos of each declared camera", key)
        elif dtype != "video" and key not in stored and key not in BOOKKEEPING:
            yield Finding(DEFECTS["F01"], f"{key!r} is declared, and no data file has it", "a column for it", key)
    for key in _NEEDED:
        if key not in stored:
            # Whoever reads rows by their place can do without frame_index.
            verdict = Verdict.WARN if key == "frame_index" else None
            found = f"no data file has a column {key!r}"
            counted = key in ("frame_index", "index")
            yield Finding(DEFECTS["F01"], found, "a column for it", key, verdict=verdict, mendable=counted, remedy="")
    strange = sorted(key for key in stored - set(declared) - set(BOOKKEEPING) if not key.startswith("__index_level_"))
    if strange:
        found = f"{number(len(strange), 'column')} that {INFO} does not declare: {some(strange, 8)}"
        yield Finding(DEFECTS["F01"], found, "a declaration", strange[0], verdict=Verdict.WARN, remedy="")


def kinds(raw: RawLeRobot) -> Iterator[Finding]:
    """F02, the dtype of each declared column, by the schemas of the files."""
    for key, spec in raw.features.items():
        dtype = str(spec.get("dtype")).removeprefix("torch.")
        if dtype == "image":
            yield from _pictures(key, _having(raw, key))
        elif dtype not in (*_CAMERAS, *_OTHER):
            yield from _numbers(key, dtype, _having(raw, key))


def _pictures(key: str, files: list[DataFile]) -> Iterator[Finding]:
    types = {file.name: file.schema.field(key).type for file in files}
    wrong = {name: kind for name, kind in types.items() if not _holds_pictures(kind)}
    if wrong:
        found = f"the camera {key!r} is stored as {next(iter(wrong.values()))} in {some(wrong)}"
        yield Finding(DEFECTS["F02"], found, "a struct of bytes and path", key, verdict=Verdict.FAIL, remedy=_DROP)


def _holds_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _numbers(key: str, dtype: str, files: list[DataFile]) -> Iterator[Finding]:
    try:
        declared = np.dtype(dtype)
    except (TypeError, ValueError):
        found, expected = f"{key!r} is declared as {dtype[:40]!r}", "a dtype such as float32"
        yield Finding(DEFECTS["F02"], found, expected, key, file=INFO, mendable=bool(files))
        return
    stored = {numpy_type(file.schema.field(key).type): file for file in files}
    for kind, file in stored.items():
        if kind is None:
            found = f"{key!r} holds {str(file.schema.field(key).type)[:60]} in {file.name}"
            yield Finding(DEFECTS["F02"], found, dtype, key, file=file.name, verdict=Verdict.FAIL, remedy=_DROP)
        elif kind != declared:
            found = f"{key!r} is stored as {kind}, in {file.name} among others"
            yield Finding(DEFECTS["F02"], found, f"{dtype}, as declared", key, file=file.name)


def shapes(raw: RawLeRobot) -> Iterator[Finding]:
    """F02, the shape of each declared column of numbers, by the rows themselves."""
    wanted: dict[str, tuple[int, ...]] = {}
    for key, spec in raw.features.items():
        if str(spec.get("dtype")) in (*_CAMERAS, *_OTHER) or key in BOOKKEEPING:
            continue
        if (shape := _shape(spec)) is None:
            found = f"{key!r} is declared with the shape {str(spec.get('shape'))[:40]}"
            yield _shape_finding(key, found, "a list of positive whole numbers", INFO, "")
        elif all(numpy_type(file.schema.field(key).type) is not None for file in _having(raw, key)):
            wanted[key] = shape
    sizes: dict[str, dict[str, tuple[int, ...]]] = {key: {} for key in wanted}
    for file in raw.data:
        for key, stored in raw.row_shapes(file).items() if file.num_rows else ():
            if key in wanted:
                sizes[key][file.name] = stored
    for key, shape in wanted.items():
        yield from _rows(raw, key, shape, sizes[key])


def _having(raw: RawLeRobot, key: str) -> list[DataFile]:
    return [file for file in raw.data if key in file.schema.names]


def _rows(raw: RawLeRobot, key: str, shape: tuple[int, ...], found: Mapping[str, tuple[int, ...]]) -> Iterator[Finding]:
    """`found` is the shape of a row by file, of the files whose rows are of equal size."""
    ragged = [file.name for file in _having(raw, key) if file.name not in found and file.num_rows]
    if ragged:
        what = f"rows of {key!r} differ in size, or are missing, in {number(len(ragged), 'file')}: {some(ragged)}"
        yield _shape_finding(key, what, f"{list(shape)} in each row", ragged[0], _DROP)
    wrong = {name: stored for name, stored in found.items() if math.prod(stored) != math.prod(shape)}
    if wrong:
        name, stored = next(iter(wrong.items()))
        what = f"rows of {key!r} have the shape {list(stored)} in {number(len(wrong), 'file')}, such as {name}"
        # Where all rows have one shape, it is the declaration that is wrong.
        remedy = "" if len(set(found.values())) == 1 and not ragged else _DROP
        yield _shape_finding(key, what, f"{list(shape)}, as declared", name, remedy)
    lists = [name for name, stored in found.items() if shape == (1,) and stored == (1,)]
    if lists:
        what = f"{key!r} is declared as {list(shape)} and stored in lists of one value, in {number(len(lists), 'file')}"
        # LeRobot v3.0 casts to a plain value, which fails; before, nothing was cast.
        verdict = Verdict.WARN if raw.layout == "v3" else Verdict.INFO
        yield Finding(DEFECTS["F02"], what, "plain values", key, file=lists[0], verdict=verdict)


def _shape_finding(key: str, found: str, expected: str, file: str, remedy: str) -> Finding:
    return Finding(DEFECTS["F02"], found, expected, key, file=file, verdict=Verdict.FAIL, remedy=remedy)


def _shape(spec: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The declared shape; scalars may be declared as []."""
    shape = spec.get("shape")
    shape = [shape] if whole(shape) is not None else shape
    if isinstance(shape, list) and all((size := whole(n)) is not None and 0 < size < 1 << 31 for n in shape):
        return tuple(shape) or (1,)
    return None


def marks(raw: RawLeRobot) -> Iterator[Finding]:
    """F05: files that describe their columns to Hugging Face datasets describe pictures as pictures."""
    cameras = [key for key, spec in raw.features.items() if spec.get("dtype") == "image"]
    if not cameras:
        return
    described = {file.name: huggingface_features(file) for file in raw.data}
    for key in cameras:
        plain = [name for name, of in described.items() if of and not _is_picture(of.get(key))]
        if plain:
            found = f"{number(len(plain), 'file')} describe the pictures of {key!r} as plain data: {some(plain)}"
            yield Finding(DEFECTS["F05"], found, "the type Image", key, file=plain[0])


def _is_picture(kind: object) -> bool:
    return isinstance(kind, Mapping) and kind.get("_type") == "Image"


FAMILY = Family(
    "features",
    DEFECTS,
    (
        Check(("F01",), Depth.META, presence),
        Check(("F02",), Depth.META, kinds),
        Check(("F02",), Depth.FILES, shapes),
        Check(("F05",), Depth.META, marks),
    ),
)
