"""Small, deterministic HDF5 recordings as robomimic and ALOHA write them, with plain h5py.

`write_robomimic` and `write_aloha` return a `Truth5`: what a correct reader must give back. Nothing here uses robomix.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from tests.pictures import pictures

ENV_ARGS = {"env_name": "Lift", "type": 1, "env_kwargs": {"robots": ["Panda"], "control_freq": 20}}


@dataclass(frozen=True)
class Truth5:
    """What a recording holds, by the keys robomix gives."""

    path: Path
    ids: tuple[int, ...]
    lengths: tuple[int, ...]
    columns: Mapping[str, np.ndarray]
    frames: Mapping[str, np.ndarray]
    """Camera key to (N, 3, H, W) uint8."""

    @property
    def num_frames(self) -> int:
        return sum(self.lengths)


def write_robomimic(
    path: Path,
    *,
    ids: Sequence[int] = (0, 2, 10),
    lengths: Sequence[int] = (5, 7, 4),
    cameras: Sequence[str] = (),
    size: tuple[int, int] = (16, 24),
    env_args: Mapping[str, Any] | None = ENV_ARGS,
    masks: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
    **storage: Any,
) -> Truth5:
    """A robomimic file, its demonstrations written in another order than that of their numbers.

    `storage` goes to the arrays of pictures: `chunks`, `compression`, ...
    """
    rng = np.random.default_rng(seed)
    starts = np.cumsum([0, *lengths])
    total = int(starts[-1])
    columns = {
        "action": rng.normal(size=(total, 7)),
        "observation.robot0_eef_pos": rng.normal(size=(total, 3)),
        "observation.robot0.joint_pos": rng.normal(size=(total, 6)).astype(np.float32),
        "observation.object": rng.normal(size=(total, 10)),
        "next.reward": rng.random(total),
        "next.done": rng.integers(0, 2, total),
        "states": rng.normal(size=(total, 12)),
        "actions_abs": rng.normal(size=(total, 7)).astype(">f4"),
    }
    frames = {f"observation.images.{name}": pictures(range(total), i, *size) for i, name in enumerate(cameras)}
    places = {
        "action": "actions",
        "observation.robot0.joint_pos": "obs/robot0/joint_pos",
        "next.reward": "rewards",
        "next.done": "dones",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = total
        if env_args is not None:
            data.attrs["env_args"] = json.dumps(env_args)
        for e in reversed(range(len(ids))):
            demo, rows = data.create_group(f"demo_{ids[e]}"), slice(starts[e], starts[e + 1])
            demo.attrs["num_samples"] = lengths[e]
            demo.attrs["model_file"] = "<mujoco/>"
            for key, values in columns.items():
                demo[places.get(key, key.replace("observation.", "obs/"))] = values[rows]
            demo["next_obs/object"] = columns["observation.object"][rows]
            for name in cameras:
                pixels = frames[f"observation.images.{name}"][rows].transpose(0, 2, 3, 1)
                demo.create_dataset(f"obs/{name}_image", data=pixels, **storage)
        for name, demos in (masks or {}).items():
            file[f"mask/{name}"] = np.array([f"demo_{i}" for i in demos], dtype="S")
    columns["actions_abs"] = columns["actions_abs"].astype("<f4")
    return Truth5(path, tuple(ids), tuple(lengths), columns, frames)


def write_aloha(
    path: Path,
    *,
    ids: Sequence[int] = (0, 2, 10),
    lengths: Sequence[int] = (5, 7, 4),
    cameras: Sequence[str] = ("cam_high", "cam_low"),
    size: tuple[int, int] = (16, 24),
    storage: str = "raw",
    seed: int = 0,
) -> Truth5:
    """A folder of ALOHA episodes. `storage` of the pictures: raw, padded, vlen or bytes; the last three are PNG files.

    (ALOHA writes JPEG files; PNG keeps every value, so that a reader's can be compared.)
    """
    rng = np.random.default_rng(seed)
    starts = np.cumsum([0, *lengths])
    total = int(starts[-1])
    columns = {
        "action": rng.normal(size=(total, 14)).astype(np.float32),
        "observation.state": rng.normal(size=(total, 14)).astype(np.float32),
        "observation.velocity": rng.normal(size=(total, 14)).astype(np.float32),
        "observation.effort": rng.normal(size=(total, 14)).astype(np.float32),
        "base_action": rng.normal(size=(total, 2)).astype(np.float32),
    }
    frames = {f"observation.images.{name}": pictures(range(total), i, *size) for i, name in enumerate(cameras)}
    places = {
        "observation.state": "observations/qpos",
        "observation.velocity": "observations/qvel",
        "observation.effort": "observations/effort",
    }
    path.mkdir(parents=True)
    for e, number in enumerate(ids):
        rows = slice(starts[e], starts[e + 1])
        with h5py.File(path / f"episode_{number}.hdf5", "w") as file:
            file.attrs["sim"], file.attrs["compress"] = False, storage != "raw"
            for key, values in columns.items():
                file[places.get(key, key)] = values[rows]
            for key, values in frames.items():
                name = f"observations/images/{key.removeprefix('observation.images.')}"
                _put_pictures(file, name, values[rows].transpose(0, 2, 3, 1), storage)
            if storage == "padded":
                file["compress_len"] = np.ones((len(cameras), lengths[e]))
    return Truth5(path, tuple(ids), tuple(lengths), columns, frames)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """(H, W, 3) uint8 as an encoded picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def _put_pictures(file: h5py.File, name: str, pixels: np.ndarray, storage: str) -> None:
    if storage == "raw":
        file.create_dataset(name, data=pixels, chunks=(1, *pixels.shape[1:]))
        return
    files = [np.frombuffer(encoded(frame), np.uint8) for frame in pixels]
    longest = max(map(len, files)) + 3
    if storage == "padded":
        file[name] = np.stack([np.pad(one, (0, longest - len(one))) for one in files])
    elif storage == "bytes":
        file[name] = np.array([one.tobytes() for one in files], f"S{longest}")
    else:
        array = file.create_dataset(name, (len(files),), h5py.vlen_dtype(np.uint8))
        for i, one in enumerate(files):
            array[i] = one
