"""One small dataset of each format, for merges: mixture entries at one rate, and pictures of one size."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fixtures import edit_info, write_v20, write_v21, write_v30
from tests.hdf5_files import write_aloha, write_robomimic
from tests.rlds_files import write_rlds
from tests.zarr_files import write_zarr

FPS, SIZE = 20, (32, 48)
TOP = "observation.images.top"
LEROBOT: dict[str, Any] = {"gop": 1, "fps": FPS, "cameras": {TOP: SIZE}}
MODALITY: dict[str, Any] = {
    "state": {"arm": {"start": 0, "end": 2}, "hand": {"start": 2, "end": 3}},
    "action": {"arm": {"start": 0, "end": 2}},
    "video": {"ego": {"original_key": TOP}},
    "annotation": {"human.task_description": {}},
}


def write_gr00t(path: Path, *, parts: dict[str, Any] | None = None, seed: int = 5, **spec: Any) -> None:
    """LeRobot v2.1 with meta/modality.json, and a column of task numbers that says another task than `task_index`."""
    tasks = [["reach", "grasp", "lift", "lift"], ["lift", "reach", "reach"]]
    truth = write_v21(path, **LEROBOT | {"lengths": (4, 3), "seed": seed, "tasks": tasks} | spec)
    (path / "meta/modality.json").write_text(json.dumps(MODALITY | (parts or {})))
    described, key = (truth.task_index() + 1) % 3, "annotation.human.task_description"
    for e, file in enumerate(sorted(path.glob("data/**/*.parquet"))):
        pq.write_table(pq.read_table(file).append_column(key, pa.array(described[truth.rows(e)])), file)
    features = json.loads((path / "meta/info.json").read_text())["features"]
    edit_info(path, features=features | {key: {"dtype": "int64", "shape": [1], "names": None}})


def _robomimic(folder: Path) -> dict[str, Any]:
    write_robomimic(folder / "lift.hdf5", lengths=(3, 4, 2), cameras=("agentview",), size=SIZE)
    return {"root": str(folder / "lift.hdf5")}


def _aloha(folder: Path) -> dict[str, Any]:
    write_aloha(folder / "pour's wäter", lengths=(3, 1, 2), size=SIZE, storage="padded")
    return {"root": str(folder / "pour's wäter"), "fps": FPS}


def _zarr(folder: Path) -> dict[str, Any]:
    write_zarr(folder / "push.zarr", lengths=(4, 1, 3), size=SIZE)
    return {"root": str(folder / "push.zarr"), "fps": FPS}


def _rlds(folder: Path) -> dict[str, Any]:
    write_rlds(folder / "bridge" / "1.0.0", lengths=(3, 2, 4), size=SIZE)
    return {"root": str(folder / "bridge" / "1.0.0"), "fps": FPS}


def _gr00t(folder: Path) -> dict[str, Any]:
    write_gr00t(folder / "gr00t")
    return {"root": str(folder / "gr00t")}


def _lerobot(write: Callable[..., Any], name: str, seed: int) -> Callable[[Path], dict[str, Any]]:
    def made(folder: Path) -> dict[str, Any]:
        write(folder / name, **LEROBOT | {"lengths": (3, 2), "seed": seed, "robot_type": name})
        return {"root": str(folder / name)}

    return made


FORMATS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "robomimic": _robomimic,
    "ALOHA": _aloha,
    "zarr": _zarr,
    "RLDS": _rlds,
    "GR00T": _gr00t,
    "v2.0": _lerobot(write_v20, "v20", 1),
    "v2.1": _lerobot(write_v21, "v21", 2),
    "v3.0": _lerobot(write_v30, "v30", 3),
}
"""Writes a dataset into a folder; its entry in a mixture file."""
